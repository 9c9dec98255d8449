// The backend on an NVIDIA GPU.
#pragma once

#include <memory>

#include "../backend.h"

namespace chasqui {

// Refuses as `unsupported` where this build or this machine has no usable device.
Status make_cuda_backend(const BackendOptions& options, std::unique_ptr<Backend>* made);

// Whether this build could have a device at all: what "auto" asks before it tries.
bool has_cuda_backend();

namespace cuda {

class Runtime;
class Graphs;
class Pool;
struct RandomWeights;

struct CudaOptions {
  bool batch_independent = false;
  bool graphs = true;   // record and replay steps
  int32_t threads = 0;  // of the host, while loading
  bool untried = false; // use kernels that no device has run yet: see Target
  // Given: views say only shapes, and everything is random and made on the device.
  const RandomWeights* random = nullptr;
};

// The same on a runtime that is there already, with a look inside for tests and benches.
class CudaBackendAccess : public Backend {
 public:
  virtual Runtime& runtime() = 0;
  virtual Graphs& graphs() = 0;
  virtual const Pool& pool() const = 0;
};
Status make_cuda_backend_on(std::unique_ptr<Runtime> runtime, const CudaOptions& options,
                            std::unique_ptr<CudaBackendAccess>* made);

}  // namespace cuda

}  // namespace chasqui
