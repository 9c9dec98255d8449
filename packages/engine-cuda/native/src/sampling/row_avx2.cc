// Row kernels for AVX2: 8 logits at a time, their weights in two vectors of 4.
#include "row.h"

#if defined(__AVX2__)
#include <immintrin.h>

namespace chasqui {

namespace {

constexpr int kLanes = 8;
typedef float Vec __attribute__((vector_size(32)));
typedef int32_t IVec __attribute__((vector_size(32)));
struct Wide {
  __m256i low;   // lanes 0..3
  __m256i high;  // lanes 4..7
};

inline __attribute__((always_inline)) Vec all(float x) { return (Vec)_mm256_set1_ps(x); }

inline __attribute__((always_inline)) uint32_t bits_at_least(Vec v, Vec bound) {
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps((__m256)v, (__m256)bound, _CMP_GE_OQ)));
}

inline __attribute__((always_inline)) IVec expand(uint32_t bits) {
  const __m256i each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  return (IVec)_mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(static_cast<int32_t>(bits & 255)), each), each);
}

inline __attribute__((always_inline)) __m256i half(__m128i mantissa, __m128i shift) {
  return _mm256_srlv_epi64(_mm256_slli_epi64(_mm256_cvtepi32_epi64(mantissa), 17), _mm256_cvtepi32_epi64(shift));
}

inline __attribute__((always_inline)) Wide wide(IVec mantissa, IVec shift) {
  const auto m = (__m256i)mantissa;
  const auto s = (__m256i)shift;
  return {half(_mm256_castsi256_si128(m), _mm256_castsi256_si128(s)), half(_mm256_extracti128_si256(m, 1), _mm256_extracti128_si256(s, 1))};
}

inline __attribute__((always_inline)) Wide add(Wide a, Wide b) {
  return {_mm256_add_epi64(a.low, b.low), _mm256_add_epi64(a.high, b.high)};
}

inline __attribute__((always_inline)) uint64_t total(Wide w) {
  const __m256i four = _mm256_add_epi64(w.low, w.high);
  const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
  return static_cast<uint64_t>(_mm_extract_epi64(two, 0)) + static_cast<uint64_t>(_mm_extract_epi64(two, 1));
}

inline __attribute__((always_inline)) void put(uint64_t* to, Wide w) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), w.low);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 4), w.high);
}

#include "row_body.h"

}  // namespace

const RowKernels* avx2_row_kernels() {
  static const RowKernels kernels = make("AVX2");
  static const bool able = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return able ? &kernels : nullptr;
}

}  // namespace chasqui

#else

namespace chasqui {
const RowKernels* avx2_row_kernels() { return nullptr; }
}  // namespace chasqui

#endif
