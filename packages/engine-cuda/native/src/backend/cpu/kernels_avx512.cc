// Kernels for AVX-512: tiles of 12 rows and 2 vectors of 16, 24 sums in 32 registers. Attention is that of AVX2: its
// lines of 16 positions are one vector here, and a layout of its own is not worth it before AMX.
#include "kernels.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#include <immintrin.h>

namespace chasqui::cpu {

namespace {

constexpr int kLanes = 16;
constexpr int kTileRows = 12;
typedef float Vec __attribute__((vector_size(64)));
typedef int32_t IVec __attribute__((vector_size(64)));

inline __attribute__((always_inline)) Vec all(float x) { return (Vec)_mm512_set1_ps(x); }

inline __attribute__((always_inline)) Vec upper_halves(IVec pairs) { return (Vec)(pairs & static_cast<int32_t>(0xffff0000)); }

inline __attribute__((always_inline)) Vec fused(Vec a, Vec b, Vec c) {
  return (Vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}

inline __attribute__((always_inline)) Vec load_half(const uint16_t* p) {
  return (Vec)_mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

#define CHASQUI_NO_ATTENTION
#include "kernels_body.h"

Kernels make(const Kernels& narrow) {
  Kernels kernels = narrow;
  kernels.name = "AVX-512";
  for (int type = 0; type < kWeightTypes; type++) kernels.few[type] = {};
  add_linear(&kernels);
  complete(&kernels);
  return kernels;
}

}  // namespace

const Kernels* avx512_kernels() {
  static const Kernels* narrow = avx2_kernels();
  static const bool able = narrow != nullptr && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (!able) return nullptr;
  static const Kernels kernels = make(*narrow);
  return &kernels;
}

}  // namespace chasqui::cpu

#else

namespace chasqui::cpu {
const Kernels* avx512_kernels() { return nullptr; }
}  // namespace chasqui::cpu

#endif
