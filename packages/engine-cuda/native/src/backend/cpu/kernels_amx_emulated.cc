// The AMX kernels over tiles in plain C++: slow, for tests on processors without AMX. What they need beside the tiles is
// the packing of AVX-512 BF16.
#include <cstring>

#include "kernels.h"

namespace chasqui::cpu {

namespace {

#include "amx_tiles.h"
#include "kernels_amx_body.h"

}  // namespace

const Kernels* emulated_amx_kernels() {
  static const Kernels* narrow = avx512bf16_kernels();
  if (narrow == nullptr) return nullptr;
  static const Kernels kernels = make(*narrow, "AMX, emulated");
  return &kernels;
}

}  // namespace chasqui::cpu
