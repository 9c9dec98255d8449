// Kernels for AMX: tiles of 16 rows that the processor multiplies whole. Few rows of 8 bit weights, attention and all else
// are those of AVX-512 BF16. Entered only where cpuid has AMX and the system grants its state.
#include "kernels.h"

#if defined(__AMX_TILE__) && defined(__AMX_BF16__) && defined(__AMX_INT8__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

namespace chasqui::cpu {

namespace {

#define CHASQUI_AMX
#include "amx_tiles.h"
#include "kernels_amx_body.h"

// The state of the tiles is large, so Linux gives it to those that ask (once for the process, inherited by threads).
bool is_granted() {
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  uint32_t a = 7, b = 0, c = 0, d = 0;
  asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  const bool bf16 = (d >> 22 & 1) != 0, tile = (d >> 24 & 1) != 0, int8 = (d >> 25 & 1) != 0;
  return bf16 && tile && int8 && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

const Kernels* amx_kernels() {
  static const Kernels* narrow = avx512bf16_kernels();
  static const bool able = narrow != nullptr && is_granted();
  if (!able) return nullptr;
  static const Kernels kernels = make(*narrow, "AMX");
  return &kernels;
}

}  // namespace chasqui::cpu

#else

namespace chasqui::cpu {
const Kernels* amx_kernels() { return nullptr; }
}  // namespace chasqui::cpu

#endif
