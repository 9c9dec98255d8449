// Kernels for AVX2 with FMA and F16C: tiles of 6 rows and 2 vectors, 12 sums in 16 registers.
#include "kernels.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include <immintrin.h>

namespace chasqui::cpu {

namespace {

constexpr int kLanes = 8;
constexpr int kTileRows = 6;
constexpr int kAttendRows = 6;
typedef float Vec __attribute__((vector_size(32)));
typedef int32_t IVec __attribute__((vector_size(32)));

inline __attribute__((always_inline)) Vec all(float x) { return (Vec)_mm256_set1_ps(x); }

// The mask stays in memory by force: with it in a register, a tile of 6 rows is one register short and a sum goes through
// the stack at each step.
alignas(32) constexpr uint32_t kUpper[kLanes] = {0xffff0000, 0xffff0000, 0xffff0000, 0xffff0000,
                                                 0xffff0000, 0xffff0000, 0xffff0000, 0xffff0000};

inline __attribute__((always_inline)) Vec upper_halves(IVec pairs) {
  Vec upper;
  asm("vpand %2, %1, %0" : "=x"(upper) : "x"(pairs), "m"(kUpper));
  return upper;
}

inline __attribute__((always_inline)) Vec fused(Vec a, Vec b, Vec c) {
  return (Vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}

inline __attribute__((always_inline)) Vec load_half(const uint16_t* p) {
  return (Vec)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

#include "kernels_body.h"

Kernels make() {
  Kernels kernels{};
  kernels.name = "AVX2";
  add_linear(&kernels);
  add_attention(&kernels);
  complete(&kernels);
  return kernels;
}

}  // namespace

const Kernels* avx2_kernels() {
  static const bool able =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  if (!able) return nullptr;
  static const Kernels kernels = make();
  return &kernels;
}

}  // namespace chasqui::cpu

#else

namespace chasqui::cpu {
const Kernels* avx2_kernels() { return nullptr; }
}  // namespace chasqui::cpu

#endif
