// Row kernels for AVX-512: 16 logits at a time, their weights in two vectors of 8.
#include "row.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#include <immintrin.h>

namespace chasqui {

namespace {

constexpr int kLanes = 16;
typedef float Vec __attribute__((vector_size(64)));
typedef int32_t IVec __attribute__((vector_size(64)));
struct Wide {
  __m512i low;   // lanes 0..7
  __m512i high;  // lanes 8..15
};

inline __attribute__((always_inline)) Vec all(float x) { return (Vec)_mm512_set1_ps(x); }

inline __attribute__((always_inline)) uint32_t bits_at_least(Vec v, Vec bound) {
  return _mm512_cmp_ps_mask((__m512)v, (__m512)bound, _CMP_GE_OQ);
}

inline __attribute__((always_inline)) IVec expand(uint32_t bits) {
  return (IVec)_mm512_movm_epi32(static_cast<__mmask16>(bits));
}

inline __attribute__((always_inline)) __m512i half(__m256i mantissa, __m256i shift) {
  return _mm512_maskz_srlv_epi64(0xff, _mm512_maskz_slli_epi64(0xff, _mm512_maskz_cvtepi32_epi64(0xff, mantissa), 17),
                                 _mm512_maskz_cvtepi32_epi64(0xff, shift));
}

inline __attribute__((always_inline)) Wide wide(IVec mantissa, IVec shift) {
  const auto m = (__m512i)mantissa;
  const auto s = (__m512i)shift;
  return {half(_mm512_castsi512_si256(m), _mm512_castsi512_si256(s)),
          half(_mm512_maskz_extracti64x4_epi64(0xff, m, 1), _mm512_maskz_extracti64x4_epi64(0xff, s, 1))};
}

inline __attribute__((always_inline)) Wide add(Wide a, Wide b) {
  return {_mm512_add_epi64(a.low, b.low), _mm512_add_epi64(a.high, b.high)};
}

inline __attribute__((always_inline)) uint64_t total(Wide w) {
  uint64_t lane[8];
  _mm512_storeu_si512(lane, _mm512_add_epi64(w.low, w.high));
  return lane[0] + lane[1] + lane[2] + lane[3] + lane[4] + lane[5] + lane[6] + lane[7];
}

inline __attribute__((always_inline)) void put(uint64_t* to, Wide w) {
  _mm512_storeu_si512(to, w.low);
  _mm512_storeu_si512(to + 8, w.high);
}

#include "row_body.h"

}  // namespace

const RowKernels* avx512_row_kernels() {
  static const RowKernels kernels = make("AVX-512");
  static const bool able = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                           __builtin_cpu_supports("avx512vl");
  return able ? &kernels : nullptr;
}

}  // namespace chasqui

#else

namespace chasqui {
const RowKernels* avx512_row_kernels() { return nullptr; }
}  // namespace chasqui

#endif
