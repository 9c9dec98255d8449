// Which backend answers to a device's name: the one file above the backends that knows them.
#include "backend.h"

#include "cpu/cpu_backend.h"

namespace chasqui {

Status make_backend(const BackendOptions& options, std::unique_ptr<Backend>* made) {
  if (options.device == "auto" || options.device == "cpu") return make_cpu_backend(options, made);
  return failure(Reason::kUnsupported, "This build has no device \"" + options.device + "\".",
                 "Use \"cpu\" or \"auto\".");
}

}  // namespace chasqui
