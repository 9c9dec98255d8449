// Which backend answers to a device's name: the one file above the backends that knows them.
#include "backend.h"

#include "cpu/cpu_backend.h"
#include "cuda/cuda_backend.h"

namespace chasqui {

Status make_backend(const BackendOptions& options, std::unique_ptr<Backend>* made) {
  if (options.device == "cuda") return make_cuda_backend(options, made);
  if (options.device == "cpu") return make_cpu_backend(options, made);
  if (options.device == "auto") {
    // A machine without a usable GPU is no failure here; a GPU that fails later is one.
    if (has_cuda_backend() && make_cuda_backend(options, made).ok()) return {};
    return make_cpu_backend(options, made);
  }
  return failure(Reason::kUnsupported, "There is no device \"" + options.device + "\".",
                 "Use \"cuda\", \"cpu\" or \"auto\".");
}

}  // namespace chasqui
