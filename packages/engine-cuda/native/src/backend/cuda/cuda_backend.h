// The backend on an NVIDIA GPU.
#pragma once

#include <memory>

#include "../backend.h"

namespace chasqui {

// Refuses as `unsupported` where this build or this machine has no usable device.
Status make_cuda_backend(const BackendOptions& options, std::unique_ptr<Backend>* made);

// Whether this build could have a device at all: what "auto" asks before it tries.
bool has_cuda_backend();

}  // namespace chasqui
