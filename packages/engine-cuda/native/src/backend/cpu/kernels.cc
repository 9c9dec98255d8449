// Which kernels run here.
#include "kernels.h"

#include <cstring>

namespace chasqui::cpu {

const Kernels* best_kernels() {
  if (const Kernels* kernels = avx512_kernels()) return kernels;
  if (const Kernels* kernels = avx2_kernels()) return kernels;
  return portable_kernels();
}

const Kernels* kernels_named(const char* name) {
  if (std::strcmp(name, "portable") == 0) return portable_kernels();
  if (std::strcmp(name, "avx2") == 0) return avx2_kernels();
  if (std::strcmp(name, "avx512") == 0) return avx512_kernels();
  return nullptr;
}

}  // namespace chasqui::cpu
