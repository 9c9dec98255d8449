// The CPU backend: made here, used through backend.h.
#pragma once

#include <memory>

#include "../backend.h"

namespace chasqui {

Status make_cpu_backend(const BackendOptions& options, std::unique_ptr<Backend>* made);

}  // namespace chasqui
