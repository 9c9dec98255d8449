// Panels of quantised checkpoints for AVX-512 with BF16 and VNNI. A table's codes and FP8 become bf16 values, 32 at a time
// (two steps of 16 outputs), and are multiplied in pairs; integers go as they are into 8 bit products.
#include "quant_panel_avx512bf16.h"

#include "kernels.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512BF16__) && defined(__AVX512VNNI__)
#include <immintrin.h>

#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 says so of its own intrinsics

namespace chasqui::cpu {

namespace {

#include "products_avx512bf16_body.h"

constexpr int kFewRows = 4;  // of which two runs are worked on at once, so that sums need not wait for themselves
constexpr float kFp8Scale = 0x1p8f;
constexpr int64_t kAhead = 1024;

// Where a tile of few rows finds what comes after its panel. Panels of one form follow each other, each with its lines
// before its codes; the lines are asked for bit by bit while the codes before them are worked on.
struct Next {
  const char* lines;
  int64_t bytes;  // of the lines

  CHASQUI_INLINE Next(const QuantPanel& panel, const char* codes, int64_t k, int64_t bytes_of_step)
      : lines(codes + (k + kCodeSteps - 1) / kCodeSteps * kCodeSteps * bytes_of_step),
        bytes(panel.codes - static_cast<const char*>(panel.scales)) {}
  // The share of `steps` steps from `done` on, of k.
  CHASQUI_INLINE void prefetch_share(int64_t done, int64_t steps, int64_t k) const {
    const auto part = [&](int64_t step) { return static_cast<int64_t>(static_cast<uint32_t>(bytes / 64 * step) / static_cast<uint32_t>(k)); };
    for (int64_t line = part(done); line < part(done + steps); line++) prefetch(lines + line * 64);
  }
};

// What a tile of few rows needs first, before it runs ahead of itself: the lines beside the codes, and the first codes.
CHASQUI_INLINE void prefetch_lines(const QuantPanel& panel, const char* codes, int64_t first, int64_t k) {
  const int64_t begin = first / panel.group, end = (first + k - 1) / panel.group + 1;
  const int64_t line = kPanel * (panel.scale_type == kScaleF32 ? 4 : 2);
  const char* scales = static_cast<const char*>(panel.scales);
  for (int64_t byte = begin * line; byte < end * line; byte += 64) __builtin_prefetch(scales + byte, 0, 3);
  if (panel.zeros != nullptr) {
    for (int64_t byte = begin * kPanel; byte < end * kPanel; byte += 64) __builtin_prefetch(panel.zeros + byte, 0, 3);
  }
  for (int byte = 0; byte < 1024; byte += 64) __builtin_prefetch(codes + byte, 0, 3);
}

CHASQUI_INLINE int64_t group_at(const QuantPanel& panel, int64_t step) {
  return static_cast<uint32_t>(step) / static_cast<uint32_t>(panel.group);  // a division of 32 bits is the quicker one
}

CHASQUI_INLINE __m512 scales_of(const QuantPanel& panel, int64_t group, int half) {
  const int64_t at = group * kPanel + half * 16;
  __m512 scales;
  if (panel.scale_type == kScaleF32) {
    scales = _mm512_loadu_ps(static_cast<const float*>(panel.scales) + at);
  } else {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(static_cast<const uint16_t*>(panel.scales) + at));
    scales = panel.scale_type == kScaleF16 ? _mm512_maskz_cvtph_ps(0xffff, bits)
                                           : _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  return panel.code == kCodeFp8 ? _mm512_mul_ps(scales, _mm512_set1_ps(kFp8Scale)) : scales;
}

template <int kRows>
CHASQUI_INLINE void clear(Sums<kRows>* sums) {
#pragma GCC unroll 12
  for (int r = 0; r < kRows; r++) sums->at[r][0] = sums->at[r][1] = _mm512_setzero_ps();
}

template <int kRows>
CHASQUI_INLINE void add_scaled(const QuantPanel& panel, int64_t group, const Sums<kRows>& sums, float* c, int64_t ldc) {
  const __m512 low = scales_of(panel, group, 0), high = scales_of(panel, group, 1);
#pragma GCC unroll 12
  for (int r = 0; r < kRows; r++) {
    float* to = c + r * ldc;
    _mm512_storeu_ps(to, _mm512_fmadd_ps(sums.at[r][0], low, _mm512_loadu_ps(to)));
    _mm512_storeu_ps(to + 16, _mm512_fmadd_ps(sums.at[r][1], high, _mm512_loadu_ps(to + 16)));
  }
}

struct Pairs {
  __m512i low, high;
};

// Decoders: pair `kPair` of steps of a unit as bf16.
struct Table4Pairs {
  static constexpr int kPairs = 2, kUnit = 64;
  __m512i table;  // twice: an index has five bits, and the fifth is the next code's
  CHASQUI_INLINE explicit Table4Pairs(const QuantPanel& panel) {
    const __m512 values = _mm512_loadu_ps(panel.table);
    table = (__m512i)_mm512_cvtne2ps_pbh(values, values);
  }
  template <int kPair>
  CHASQUI_INLINE Pairs get(const char* unit) const {
    const __m512i codes = _mm512_loadu_si512(unit);
    return {_mm512_permutexvar_epi16(_mm512_srli_epi16(codes, 8 * kPair), table),
            _mm512_permutexvar_epi16(_mm512_srli_epi16(codes, 8 * kPair + 4), table)};
  }
};

// The bits of e4m3 in the places of bf16's, with an exponent that makes them 2^8 too small (kFp8Scale): it has no digit in
// common with theirs. Subnormal codes become normal numbers, from a table, because the instruction takes subnormal bf16
// for zero; they are rare in weights.
struct Fp8Pairs {
  static constexpr int kPairs = 1, kUnit = 64;
  CHASQUI_INLINE explicit Fp8Pairs(const QuantPanel&) {}

  CHASQUI_INLINE static __m512i normal(__m512i upper) {
    // (upper >> 4 & places) | exponent
    return _mm512_ternarylogic_epi32(_mm512_srai_epi16(upper, 4), _mm512_set1_epi16(static_cast<short>(0x87f0)),
                                     _mm512_set1_epi16(0x3800), 0xea);
  }
  CHASQUI_INLINE static __m512i any(__m512i upper) {
    // 0 .. 7 times 2^-17
    const __m512i table = _mm512_broadcast_i32x4(_mm_setr_epi16(0, 0x3700, 0x3780, 0x37c0, 0x3800, 0x3820, 0x3840, 0x3860));
    const __mmask32 is_subnormal = _mm512_testn_epi16_mask(upper, _mm512_set1_epi16(0x7800));
    const __m512i digits = _mm512_and_si512(_mm512_srli_epi16(upper, 8), _mm512_set1_epi16(7));
    const __m512i value = _mm512_mask_permutexvar_epi16(normal(upper), is_subnormal, digits, table);
    return _mm512_ternarylogic_epi32(upper, _mm512_set1_epi16(static_cast<short>(0x8000)), value, 0xea);
  }
  template <int kPair>
  CHASQUI_INLINE Pairs get(const char* unit) const {
    const __m512i codes = _mm512_loadu_si512(unit);
    const __m512i low = _mm512_slli_epi16(codes, 8);
    if (__builtin_expect(_mm512_testn_epi8_mask(codes, _mm512_set1_epi8(0x78)) != 0, 0)) return {any(low), any(codes)};
    return {normal(low), normal(codes)};
  }
};

// What unpack has made: values in units of two steps.
struct PlainPairs {
  static constexpr int kPairs = 1, kUnit = 128;
  CHASQUI_INLINE explicit PlainPairs(const QuantPanel&) {}
  template <int kPair>
  CHASQUI_INLINE Pairs get(const char* unit) const {
    return {_mm512_loadu_si512(unit), _mm512_loadu_si512(unit + 64)};
  }
};

template <typename Code, int kRows, int kPair>
CHASQUI_INLINE void unit_step(const Code& code, const char* unit, const uint32_t* a, int64_t pairs, Sums<kRows>* sums) {
  if constexpr (kPair < Code::kPairs) {
    if (kPair >= pairs) return;
    const Pairs values = code.template get<kPair>(unit);
    pair_step<kRows>(a + kPair * kRows, values.low, values.high, sums);
    unit_step<Code, kRows, kPair + 1>(code, unit, a, pairs, sums);
  }
}

template <typename Code, int kRows>
CHASQUI_INLINE void whole_unit(const Code& code, const char* unit, const uint32_t* a, int64_t ahead, Sums<kRows>* sums) {
  for (int byte = 0; byte < Code::kUnit; byte += 64) prefetch(unit + ahead + byte);
  unit_step<Code, kRows, 0>(code, unit, a, Code::kPairs, sums);
}

// Two whole runs side by side.
template <typename Code, int kRows>
CHASQUI_INLINE void two_runs(const Code& code, const QuantPanel& panel, const char* codes, const uint32_t* a, int64_t first, float* c,
                             int64_t ldc, int64_t skipped) {
  const int64_t bytes = panel.run / 2 / Code::kPairs * Code::kUnit;
  const int64_t ahead = 2 * bytes + skipped;
  const int64_t inputs = panel.run / 2 * kRows;
  Sums<kRows> one, two;
  clear(&one);
  clear(&two);
  for (const char* unit = codes; unit < codes + bytes; unit += Code::kUnit, a += Code::kPairs * kRows) {
    whole_unit<Code, kRows>(code, unit, a, ahead, &one);
    whole_unit<Code, kRows>(code, unit + bytes, a + inputs, ahead, &two);
  }
  add_scaled<kRows>(panel, group_at(panel, first), one, c, ldc);
  add_scaled<kRows>(panel, group_at(panel, first + panel.run), two, c, ldc);
}

// Run by run: c += scale * (a * values).
template <typename Code, int kRows>
void pair_tile(const QuantPanel& panel, const char* codes, const void* input, int64_t first, int64_t k, float* c, int64_t ldc) {
  const Code code(panel);
  const auto* a = static_cast<const uint32_t*>(input);
  int64_t done = 0;
  if (kRows <= kFewRows && Code::kUnit == 64) prefetch_lines(panel, codes, first, k);
  if constexpr (kRows <= kFewRows && Code::kPairs == 2) {
    const Next next(panel, codes, k, Code::kUnit / (2 * Code::kPairs));
    for (; done + 2 * panel.run <= k; done += 2 * panel.run) {
      next.prefetch_share(done, 2 * panel.run, k);
      const bool is_last = done + 4 * panel.run > k;
      two_runs<Code, kRows>(code, panel, codes, a, first + done, c, ldc, is_last ? next.bytes : 0);
      codes += panel.run / Code::kPairs * Code::kUnit;
      a += panel.run * kRows;
    }
  }
  for (; done < k; done += panel.run) {
    const int64_t pairs = ((k - done < panel.run ? k - done : panel.run) + 1) / 2;
    Sums<kRows> sums;
    clear(&sums);
    int64_t i = 0;
    for (; i + Code::kPairs <= pairs; i += Code::kPairs) {
      whole_unit<Code, kRows>(code, codes, a, kAhead, &sums);
      a += Code::kPairs * kRows;
      codes += Code::kUnit;
    }
    if (i < pairs) unit_step<Code, kRows, 0>(code, codes, a, pairs - i, &sums);
    add_scaled<kRows>(panel, group_at(panel, first + done), sums, c, ldc);
  }
}

template <typename Code, int kPair>
CHASQUI_INLINE void unpack_unit(const Code& code, const char* unit, char* to) {
  if constexpr (kPair < Code::kPairs) {
    const Pairs values = code.template get<kPair>(unit);
    _mm512_storeu_si512(to + kPair * 128, values.low);
    _mm512_storeu_si512(to + kPair * 128 + 64, values.high);
    unpack_unit<Code, kPair + 1>(code, unit, to);
  }
}

// Steps from k on are what the codes are filled up with: some value, and the input has a zero there.
template <typename Code>
void unpack_pairs(const QuantPanel& panel, const char* codes, int64_t k, void* block) {
  const Code code(panel);
  char* to = static_cast<char*>(block);
  const int64_t steps = (k + kBlockSteps - 1) / kBlockSteps * kBlockSteps;
  for (int64_t i = 0; i < steps; i += 2 * Code::kPairs) {
    unpack_unit<Code, 0>(code, codes, to);
    codes += Code::kUnit;
    to += Code::kPairs * 128;
  }
}

// ---- 8 bit products ----

// Zeros less what stands for 0 without them: in lanes of 32 bits, of which the upper halves are 0.
template <int kBits>
CHASQUI_INLINE __m512i zeros_of(const QuantPanel& panel, int64_t group, int half) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(panel.zeros + group * kPanel + half * 16));
  const __m512i zeros = _mm512_sub_epi32(_mm512_cvtepi8_epi32(bytes), _mm512_set1_epi32(kBits == 4 ? 8 : 0));
  return _mm512_and_si512(zeros, _mm512_set1_epi32(0xffff));
}

// A group's scales and zeros. They are in memory before the sums begin: what is made while sums live, by way of branches, has
// GCC 12 keep the sums of more than 8 rows on the stack, at half the speed.
struct GroupLines {
  __m512 scales[2];
  __m512i zeros[2];
};

template <int kBits, bool kZeros>
CHASQUI_INLINE void load_lines(const QuantPanel& panel, int64_t group, GroupLines* lines) {
  for (int half = 0; half < 2; half++) {
    lines->scales[half] = scales_of(panel, group, half);
    if constexpr (kZeros) lines->zeros[half] = zeros_of<kBits>(panel, group, half);
  }
  asm("" : "+m"(*lines));
}

template <int kBits, bool kZeros, int kRows>
CHASQUI_INLINE void integer_groups(const QuantPanel& panel, const char* codes, const char* a, int64_t first, int64_t k, float* c,
                                   int64_t ldc) {
  // Codes of four bits have no sign as they are stored; those of eight have, and 128 is added.
  const __m512i flip = _mm512_set1_epi32(static_cast<int>(kBits == 8 ? 0x80808080 : 0));
  const Next next(panel, codes, k, kPanel * kBits / 8);
  GroupLines lines;
  for (int64_t done = 0; done < k; done += kInputGroup) {
    if (kRows <= kFewRows) next.prefetch_share(done, kInputGroup, k);
    const int64_t ahead = kAhead + (kRows <= kFewRows && done + kInputGroup >= k ? next.bytes : 0);
    const auto* input_scales = reinterpret_cast<const float*>(a + kInputGroup * kRows);
    const auto* input_sums = reinterpret_cast<const int32_t*>(input_scales + kRows);
    load_lines<kBits, kZeros>(panel, group_at(panel, first + done), &lines);
    IntegerSums<kRows> sums;
    begin_group<kBits, kRows>(input_sums, &sums);
    integer_group<kBits, kRows>(reinterpret_cast<const uint32_t*>(a), codes, flip, ahead, &sums);
    if constexpr (kZeros) {
#pragma GCC unroll 12
      for (int r = 0; r < kRows; r++) {
        // Sums of inputs are below 2^13: halves of 16 bits multiply them.
        const __m512i sum = _mm512_set1_epi32(input_sums[r]);
        sums.at[r][0] = _mm512_sub_epi32(sums.at[r][0], _mm512_madd_epi16(sum, lines.zeros[0]));
        sums.at[r][1] = _mm512_sub_epi32(sums.at[r][1], _mm512_madd_epi16(sum, lines.zeros[1]));
      }
    }
    end_group<kRows>(sums, input_scales, lines.scales[0], lines.scales[1], c, ldc);
    codes += kInputGroup * kPanel * kBits / 8;
    a += (kInputGroup + 8) * kRows;
  }
}

template <int kBits, int kRows>
void integer_tile(const QuantPanel& panel, const char* codes, const void* input, int64_t first, int64_t k, float* c, int64_t ldc) {
  const char* a = static_cast<const char*>(input);
  if (kRows <= kFewRows) prefetch_lines(panel, codes, first, k);
  if (panel.zeros != nullptr) return integer_groups<kBits, true, kRows>(panel, codes, a, first, k, c, ldc);
  integer_groups<kBits, false, kRows>(panel, codes, a, first, k, c, ldc);
}

template <int kRows>
void add_tiles(Product* pairs, Product* unpacked, Product* quads) {
  pairs->quant[kCodeTable4][kRows] = pair_tile<Table4Pairs, kRows>;
  pairs->quant[kCodeFp8][kRows] = pair_tile<Fp8Pairs, kRows>;
  unpacked->quant[kCodeTable4][kRows] = unpacked->quant[kCodeFp8][kRows] = pair_tile<PlainPairs, kRows>;
  quads->quant[kCodeInt4][kRows] = integer_tile<4, kRows>;
  quads->quant[kCodeInt8][kRows] = integer_tile<8, kRows>;
  if constexpr (kRows > 1) add_tiles<kRows - 1>(pairs, unpacked, quads);
}

}  // namespace

void add_quant_products(Kernels* kernels) {
  Product* many = &kernels->many[kWeightBF16];
  add_tiles<kRowsOfTile>(&kernels->few[kWeightBF16], many, &kernels->few[kWeightInt8]);
  many->quant_unpack[kCodeTable4] = unpack_pairs<Table4Pairs>;
  many->quant_unpack[kCodeFp8] = unpack_pairs<Fp8Pairs>;
  for (int code = 0; code < kPanelCodes; code++) {
    for (int rows = 1; rows <= kRowsOfTile; rows++) {
      kernels->many[kWeightInt8].quant[code][rows] = kernels->few[kWeightInt8].quant[code][rows];
    }
  }
}

}  // namespace chasqui::cpu

#endif
