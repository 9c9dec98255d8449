// Attention in bf16 for AVX-512 with BF16: vdpbf16ps over pairs of dimensions for scores, over pairs of positions for
// values. Each score and each mixed value is one chain in one lane, so what is worked on side by side changes no bit.
#include "attention_avx512bf16.h"

#include "kernels.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512BF16__)
#include <immintrin.h>

#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 says so of its own intrinsics
#pragma GCC diagnostic ignored "-Wuninitialized"

namespace chasqui::cpu {

namespace {

#define CHASQUI_INLINE inline __attribute__((always_inline))

constexpr int kRowsAtOnce = 12;
constexpr int kFewRows = 4;  // of which four lines are worked on at once, so that sums need not wait for themselves; else two
constexpr int kLine = 64;    // bytes: 16 words of two steps
template <int kRows>
constexpr int kLinesOf = kRows <= kFewRows ? 4 : 2;

template <int kRows, int kLines>
struct Sums {
  __m512 at[kRows][kLines];
};

// sums += x (rows, `stride` words apart), a pair each, * the pairs of some lines.
template <int kRows, int kLines>
CHASQUI_INLINE void add_pair(const uint32_t* x, int64_t stride, const __m512i* lines, Sums<kRows, kLines>* sums) {
#pragma GCC unroll 12
  for (int r = 0; r < kRows; r++) {
    const __m512bh factor = (__m512bh)_mm512_set1_epi32(static_cast<int>(x[r * stride]));
#pragma GCC unroll 4
    for (int i = 0; i < kLines; i++) sums->at[r][i] = _mm512_dpbf16_ps(sums->at[r][i], factor, (__m512bh)lines[i]);
  }
}

// Scores of kPages pages. Pages lie anywhere, so the hardware does not see what comes: it is asked for the keys of the pages
// after these, and for these pages' values.
template <int kRows, int kPages>
CHASQUI_INLINE void page_scores(const uint32_t* q, int32_t pairs, const void* const* pages, const void* const* next,
                                const void* const* values, float* s, int64_t lds) {
  Sums<kRows, kPages> sums;
#pragma GCC unroll 12
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 4
    for (int i = 0; i < kPages; i++) sums.at[r][i] = _mm512_setzero_ps();
  }
  for (int32_t pair = 0; pair < pairs; pair++) {
    __m512i lines[kPages];
#pragma GCC unroll 4
    for (int i = 0; i < kPages; i++) {
      __builtin_prefetch(static_cast<const char*>(next[i]) + pair * kLine, 0, 2);
      __builtin_prefetch(static_cast<const char*>(values[i]) + pair * kLine, 0, 2);
      lines[i] = _mm512_loadu_si512(static_cast<const char*>(pages[i]) + pair * kLine);
    }
    add_pair<kRows, kPages>(q + pair * kRows, 1, lines, &sums);
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 4
    for (int i = 0; i < kPages; i++) _mm512_storeu_ps(s + r * lds + i * kKvTile, sums.at[r][i]);
  }
}

template <int kRows>
void scores(const void* packed, int32_t head_dim, const void* const* pages, const void* const* value_pages, int32_t n_pages,
            float* s, int64_t lds) {
  constexpr int kPages = kLinesOf<kRows>;
  const auto* q = static_cast<const uint32_t*>(packed);
  const int32_t pairs = (head_dim + 1) / 2;
  int32_t page = 0;
  for (; page + kPages <= n_pages; page += kPages) {
    const void* const* next = pages + page + (page + 2 * kPages <= n_pages ? kPages : 0);
    page_scores<kRows, kPages>(q, pairs, pages + page, next, value_pages + page, s + page * kKvTile, lds);
  }
  for (; page < n_pages; page++) {
    page_scores<kRows, 1>(q, pairs, pages + page, pages + page, value_pages + page, s + page * kKvTile, lds);
  }
}

// kLines times 16 columns.
template <int kRows, int kLines>
CHASQUI_INLINE void mix_columns(const float* p, int64_t ldp, const void* const* pages, const void* const* next, int32_t n_keys,
                                int32_t width, int32_t column, float* o, int64_t ldo) {
  Sums<kRows, kLines> sums;
#pragma GCC unroll 12
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 4
    for (int i = 0; i < kLines; i++) sums.at[r][i] = _mm512_loadu_ps(o + r * ldo + column + i * kKvTile);
  }
  const auto* pairs = reinterpret_cast<const uint32_t*>(p);
  for (int32_t first = 0; first < n_keys; first += kKvTile, pairs += kKvTile / 2) {
    const char* values = static_cast<const char*>(pages[first / kKvTile]) + column * 4;
    const char* later = static_cast<const char*>(next[first / kKvTile]) + column * 4;
    const int32_t count = n_keys - first < kKvTile ? n_keys - first : kKvTile;
    __m512i lines[kLines];
    int32_t key = 0;
    for (; key + 1 < count; key += 2, values += width * 4, later += width * 4) {
#pragma GCC unroll 4
      for (int i = 0; i < kLines; i++) {
        if constexpr (kRows <= kFewRows) __builtin_prefetch(later + i * kLine, 0, 2);
        lines[i] = _mm512_loadu_si512(values + i * kLine);
      }
      add_pair<kRows, kLines>(pairs + key / 2, ldp, lines, &sums);
    }
    if (key == count) continue;
    // Behind the last position nothing has been written: it may be no number.
#pragma GCC unroll 4
    for (int i = 0; i < kLines; i++) lines[i] = _mm512_and_si512(_mm512_loadu_si512(values + i * kLine), _mm512_set1_epi32(0xffff));
    add_pair<kRows, kLines>(pairs + key / 2, ldp, lines, &sums);
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 4
    for (int i = 0; i < kLines; i++) _mm512_storeu_ps(o + r * ldo + column + i * kKvTile, sums.at[r][i]);
  }
}

template <int kRows>
void mix(const float* p, int64_t ldp, const void* const* pages, const void* const* next, int32_t n_keys, int32_t width, float* o,
         int64_t ldo) {
  constexpr int kLines = kLinesOf<kRows>;
  int32_t column = 0;
  for (; column + kLines * kKvTile <= width; column += kLines * kKvTile) {
    mix_columns<kRows, kLines>(p, ldp, pages, next, n_keys, width, column, o, ldo);
  }
  for (; column < width; column += kKvTile) mix_columns<kRows, 1>(p, ldp, pages, next, n_keys, width, column, o, ldo);
}

constexpr float kLowest = -87.0f;  // e^x of it is still a normal number, and counts for nothing

// e^x for x <= 0, relative error about 2e-7; not less than for kLowest. x log2(e) = n + f, |f| <= 1/2; Taylor terms of 2^f
// to f^6.
CHASQUI_INLINE __m512 exponential(__m512 x) {
  const __m512 log2e = _mm512_set1_ps(1.44269504f);
  x = _mm512_max_ps(x, _mm512_set1_ps(kLowest));
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, log2e), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 f = _mm512_fmsub_ps(x, log2e, n);
  __m512 p = _mm512_set1_ps(1.54035304e-4f);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.33335581e-3f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.61812911e-3f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.55041087e-2f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.240226507f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.693147181f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, n);
}

// The first so many of 16 lanes, at least none.
CHASQUI_INLINE __mmask16 lanes(int32_t count) {
  return count >= 16 ? 0xffff : count <= 0 ? 0 : static_cast<__mmask16>((1u << count) - 1);
}

// The exponentials are written over the scores, half as wide, so never over any that are still to be read.
float softmax(float* s, int32_t n, int32_t padded, float scale, float* max, float* sum) {
  __m512 top = _mm512_set1_ps(-__builtin_inff());
  for (int32_t i = 0; i < n; i += 16) top = _mm512_mask_max_ps(top, lanes(n - i), top, _mm512_loadu_ps(s + i));
  float highest = _mm512_reduce_max_ps(top) * scale;
  if (*max > highest) highest = *max;
  const __m512 scales = _mm512_set1_ps(scale), offset = _mm512_set1_ps(highest);
  __m512 total[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
  char* rounded = reinterpret_cast<char*>(s);
  for (int32_t i = 0; i < padded; i += 32) {
    __m512 e[2];
    for (int half = 0; half < 2; half++) {
      const __mmask16 mask = lanes(n - i - 16 * half);
      const __m512 x = _mm512_fmsub_ps(_mm512_maskz_loadu_ps(mask, s + i + 16 * half), scales, offset);
      e[half] = _mm512_maskz_mov_ps(mask, exponential(x));
    }
    const __m512i pairs = (__m512i)_mm512_cvtne2ps_pbh(e[1], e[0]);
    total[0] = _mm512_add_ps(total[0], _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)));
    total[1] = _mm512_add_ps(total[1], _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000)))));
    _mm512_storeu_si512(rounded + 2 * i, pairs);
  }
  const float lower = *max - highest;
  const float factor = lower == 0.0f ? 1.0f : lower < kLowest ? 0.0f : _mm512_cvtss_f32(exponential(_mm512_set1_ps(lower)));
  const float before = *sum * factor;
  *max = highest;
  *sum = before + _mm512_reduce_add_ps(_mm512_add_ps(total[0], total[1]));
  return factor;
}

template <int kRows>
void add_rows(Attend* attend) {
  attend->scores[kRows] = scores<kRows>;
  attend->mix[kRows] = mix<kRows>;
  if constexpr (kRows > 1) add_rows<kRows - 1>(attend);
}

}  // namespace

void add_rounded_attention(Kernels* kernels) {
  Attend* attend = &kernels->attend[kKvBF16];
  attend->input = kInputBF16;
  attend->chunk = 2;
  attend->rows = kRowsAtOnce;
  attend->softmax = softmax;
  add_rows<kRowsAtOnce>(attend);
}

}  // namespace chasqui::cpu

#endif
