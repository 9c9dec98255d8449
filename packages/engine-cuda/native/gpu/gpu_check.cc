// Every test of the CUDA backend and its kernels on the device of this build, in one program that needs no Node and no
// network. Small cases run always; `--large` adds layers of the real shapes beside the CPU backend.
//
//   gpu_check [--large] [part of a test's name]
#include <cstring>
#include <memory>
#include <string>

#include "gpu.h"
#include "src/backend/cuda/device_runtime.h"
#include "test/check.h"

namespace chasqui::gpu {
bool checks_large = false;
}

int main(int argc, char** argv) {
  using namespace chasqui;
  std::unique_ptr<cuda::Runtime> runtime;
  const Status status = cuda::make_runtime(&runtime);
  if (!status.ok()) {
    std::fprintf(stderr, "%s %s\n", status.detail.c_str(), status.fix.c_str());
    return 2;
  }
  gpu::print_device(*runtime);
  runtime.reset();
  std::string part;
  for (int i = 1; i < argc; i++) {
    if (std::strcmp(argv[i], "--large") == 0) gpu::checks_large = true;
    else part = argv[i];
  }
  char* given[] = {argv[0], part.data(), nullptr};
  return check::run(part.empty() ? 1 : 2, given);
}
