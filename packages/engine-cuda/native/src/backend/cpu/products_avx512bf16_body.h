// What the products of kernels_avx512bf16.cc and quant_panel_avx512bf16.cc are made of, written once. Included by both in an
// anonymous namespace, after kernels.h and <immintrin.h>.

#define CHASQUI_INLINE inline __attribute__((always_inline))

constexpr int kRowsOfTile = 12;  // 24 sums in 32 registers
constexpr int kUnit = 128;       // bytes: a word for each of 32 outputs

// Sums of a tile that live in registers: for each row the lower and the upper 16 outputs.
template <int kRows>
struct Sums {
  __m512 at[kRows][2];
};

template <int kRows>
struct IntegerSums {
  __m512i at[kRows][2];
};

// Asks for a unit that comes later, into the second cache: asked into the first, the few buffers of its misses are what
// limits one row (int4: 21 instead of 29 GB/s).
CHASQUI_INLINE void prefetch(const char* line) { __builtin_prefetch(line, 0, 2); }
CHASQUI_INLINE void prefetch_unit(const char* unit) {
  prefetch(unit);
  prefetch(unit + 64);
}

// sums += two steps of all rows * pairs of bf16 for each half of the panel.
template <int kRows>
CHASQUI_INLINE void pair_step(const uint32_t* a, __m512i low, __m512i high, Sums<kRows>* sums) {
#pragma GCC unroll 12
  for (int r = 0; r < kRows; r++) {
    const __m512bh x = (__m512bh)_mm512_set1_epi32(static_cast<int>(a[r]));
    sums->at[r][0] = _mm512_dpbf16_ps(sums->at[r][0], x, (__m512bh)low);
    sums->at[r][1] = _mm512_dpbf16_ps(sums->at[r][1], x, (__m512bh)high);
  }
}

// sums += four steps of all rows * quads of integers without a sign for each half of the panel.
template <int kRows>
CHASQUI_INLINE void quad_step(const uint32_t* a, __m512i low, __m512i high, IntegerSums<kRows>* sums) {
#pragma GCC unroll 12
  for (int r = 0; r < kRows; r++) {
    const __m512i x = _mm512_set1_epi32(static_cast<int>(a[r]));
    // By hand: of the intrinsic the compiler makes three copies, and has too few registers for them.
    asm("vpdpbusd %2, %1, %0" : "+v"(sums->at[r][0]) : "v"(low), "v"(x));
    asm("vpdpbusd %2, %1, %0" : "+v"(sums->at[r][1]) : "v"(high), "v"(x));
  }
}

// Sums of an input group begin with what the integers' shift by 2^(kBits - 1) takes back.
template <int kBits, int kRows>
CHASQUI_INLINE void begin_group(const int32_t* input_sums, IntegerSums<kRows>* sums) {
#pragma GCC unroll 12
  for (int r = 0; r < kRows; r++) {
    sums->at[r][0] = sums->at[r][1] = _mm512_set1_epi32(input_sums[r] * -(1 << (kBits - 1)));
  }
}

// sums += an input group, with units of codes; `flip` is what makes integers without a sign of them.
template <int kBits, int kRows>
CHASQUI_INLINE void integer_group(const uint32_t* a, const char* unit, __m512i flip, int64_t ahead, IntegerSums<kRows>* sums) {
  const __m512i mask = _mm512_set1_epi32(0x0f0f0f0f);
  for (int i = 0; i < kInputGroup * kBits / 32; i++) {
    prefetch_unit(unit + ahead);
    const __m512i low = _mm512_xor_si512(_mm512_loadu_si512(unit), flip);
    const __m512i high = _mm512_xor_si512(_mm512_loadu_si512(unit + 64), flip);
    if constexpr (kBits == 8) {
      quad_step<kRows>(a, low, high, sums);
      a += kRows;
    } else {
      quad_step<kRows>(a, _mm512_and_si512(low, mask), _mm512_and_si512(high, mask), sums);
      quad_step<kRows>(a + kRows, _mm512_and_si512(_mm512_srli_epi32(low, 4), mask),
                       _mm512_and_si512(_mm512_srli_epi32(high, 4), mask), sums);
      a += 2 * kRows;
    }
    unit += kUnit;
  }
}

// c += float(sums) * input scales * scales.
template <int kRows>
CHASQUI_INLINE void end_group(const IntegerSums<kRows>& sums, const float* input_scales, __m512 low, __m512 high, float* c,
                              int64_t ldc) {
#pragma GCC unroll 12
  for (int r = 0; r < kRows; r++) {
    const __m512 scale = _mm512_set1_ps(input_scales[r]);
    float* to = c + r * ldc;
    _mm512_storeu_ps(to, _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sums.at[r][0]), scale), low, _mm512_loadu_ps(to)));
    _mm512_storeu_ps(to + 16, _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sums.at[r][1]), scale), high,
                                              _mm512_loadu_ps(to + 16)));
  }
}
