// What stands for the CUDA backend in builds without it.
#include "cuda_backend.h"

namespace chasqui {

Status make_cuda_backend(const BackendOptions&, std::unique_ptr<Backend>*) {
  return failure(Reason::kUnsupported, "This build of the engine has no CUDA backend.",
                 "Build it with `pnpm build:cuda` (needs the CUDA toolkit), or use the device \"cpu\".");
}

bool has_cuda_backend() { return false; }

}  // namespace chasqui
