// Kernels for AVX-512 with BF16 and VNNI: pairs of bf16 (vdpbf16ps) and quads of 8 bit integers (vpdpbusd), twice and four
// times as many products as float multiply-adds. Panels are multiplied as they are stored; integers are turned from
// signed to unsigned on the way (vpdpbusd wants one of each), which the sum of the input row takes back.
#include "attention_avx512bf16.h"
#include "kernels.h"
#include "quant_panel_avx512bf16.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512BF16__) && defined(__AVX512VNNI__)
#include <immintrin.h>

#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 says so of its own intrinsics

namespace chasqui::cpu {

namespace {

#include "products_avx512bf16_body.h"

constexpr int kPairChunk = 2, kQuadChunk = 4;

constexpr int kNear = 1024;  // about the latency of memory
// Pairs of more rows take about as long to multiply as to read, and only from far ahead is both done at the same time.
template <int kRows>
constexpr int kPairsAhead = kRows <= 4 ? kNear : 8192;

template <int kRows>
void bf16_tile(const void* input, const void* panel, int64_t k, float* c, int64_t ldc) {
  const auto* a = static_cast<const uint32_t*>(input);
  const char* unit = static_cast<const char*>(panel);
  Sums<kRows> sums;
#pragma GCC unroll 12
  for (int r = 0; r < kRows; r++) {
    sums.at[r][0] = _mm512_loadu_ps(c + r * ldc);
    sums.at[r][1] = _mm512_loadu_ps(c + r * ldc + 16);
  }
  for (int64_t i = 0; i < (k + 1) / 2; i++) {
    prefetch_unit(unit + kPairsAhead<kRows>);
    pair_step<kRows>(a, _mm512_loadu_si512(unit), _mm512_loadu_si512(unit + 64), &sums);
    a += kRows;
    unit += kUnit;
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; r++) {
    _mm512_storeu_ps(c + r * ldc, sums.at[r][0]);
    _mm512_storeu_ps(c + r * ldc + 16, sums.at[r][1]);
  }
}

template <int kBits, int kGroup, int kRows>
void integer_tile(const void* input, const void* panel, int64_t k, float* c, int64_t ldc) {
  constexpr int kUnitsBytes = kInputGroup * 32 * kBits / 8;  // of an input group
  const __m512i flip = _mm512_set1_epi32(static_cast<int>(kBits == 8 ? 0x80808080 : 0x88888888));
  const char* a = static_cast<const char*>(input);
  const char* at = static_cast<const char*>(panel);
  for (int64_t start = 0; start < k; start += kGroup) {
    const char* scales = at;
    at += 64;
    for (int64_t first = start; first < start + kGroup && first < k; first += kInputGroup) {
      const auto* input_scales = reinterpret_cast<const float*>(a + kInputGroup * kRows);
      const auto* input_sums = reinterpret_cast<const int32_t*>(input_scales + kRows);
      IntegerSums<kRows> sums;
      begin_group<kBits, kRows>(input_sums, &sums);
      integer_group<kBits, kRows>(reinterpret_cast<const uint32_t*>(a), at, flip, kNear, &sums);
      const __m512i pairs = _mm512_loadu_si512(scales);
      const __m512 low = _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
      const __m512 high = _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000))));
      end_group<kRows>(sums, input_scales, low, high, c, ldc);
      at += kUnitsBytes;
      a += (kInputGroup + 8) * kRows;
    }
  }
}

// 32 floats from x[k] on, zeros from `in` on, as bf16.
CHASQUI_INLINE __m512i bf16_at(const float* x, int64_t k, int64_t in) {
  if (k + 32 <= in) return (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + k + 16), _mm512_loadu_ps(x + k));
  const uint32_t mask = (1u << (in - k)) - 1;
  return (__m512i)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(static_cast<__mmask16>(mask >> 16), x + k + 16),
                                      _mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), x + k));
}

void pack_bf16(const float* x, int64_t in, int32_t chunk, int32_t rows, int32_t index, void* packed) {
  char* to = static_cast<char*>(packed);
  for (int64_t k = 0; k < in; k += 32) {
    const __m512i values = bf16_at(x, k, in);
    if (chunk == 32) {
      _mm512_storeu_si512(to + (k / 32 * rows + index) * 64, values);
      continue;
    }
    alignas(64) uint32_t pairs[16];
    _mm512_store_si512(pairs, values);
    auto* at = reinterpret_cast<uint32_t*>(to) + k / 2 * rows + index;
    const int64_t count = (in - k + 1) / 2 < 16 ? (in - k + 1) / 2 : 16;
    for (int64_t i = 0; i < count; i++) at[i * rows] = pairs[i];
  }
}

void pack_int8(const float* x, int64_t in, int32_t chunk, int32_t rows, int32_t index, void* packed) {
  char* group = static_cast<char*>(packed);
  for (int64_t k = 0; k < in; k += kInputGroup, group += (kInputGroup + 8) * rows) {
    __m512 values[4];
    __m512 largest = _mm512_setzero_ps();
    for (int i = 0; i < 4; i++) {
      const int64_t left = in - k - 16 * i;
      const __mmask16 mask = left >= 16 ? 0xffff : left <= 0 ? 0 : static_cast<__mmask16>((1u << left) - 1);
      values[i] = _mm512_maskz_loadu_ps(mask, x + k + 16 * i);
      largest = _mm512_max_ps(largest, _mm512_abs_ps(values[i]));
    }
    const float most = _mm512_reduce_max_ps(largest);
    const __m512 inverse = _mm512_set1_ps(most == 0.0f ? 0.0f : 127.0f / most);
    alignas(64) int8_t q[kInputGroup];
    __m512i sum = _mm512_setzero_si512();
    for (int i = 0; i < 4; i++) {
      const __m512i rounded = _mm512_cvtps_epi32(_mm512_mul_ps(values[i], inverse));
      sum = _mm512_add_epi32(sum, rounded);
      _mm_store_si128(reinterpret_cast<__m128i*>(q + 16 * i), _mm512_cvtsepi32_epi8(rounded));
    }
    if (chunk == kInputGroup) {
      _mm512_storeu_si512(group + index * kInputGroup, _mm512_load_si512(q));
    } else {
      auto* to = reinterpret_cast<uint32_t*>(group) + index;
      const auto* quads = reinterpret_cast<const uint32_t*>(q);
      for (int i = 0; i < kInputGroup / 4; i++) to[i * rows] = quads[i];
    }
    auto* scales = reinterpret_cast<float*>(group + kInputGroup * rows);
    scales[index] = most / 127.0f;
    reinterpret_cast<int32_t*>(scales + rows)[index] = _mm512_reduce_add_epi32(sum);
  }
}

template <int kRows>
void add_tiles(Kernels* kernels) {
  kernels->few[kWeightBF16].tile[kRows] = bf16_tile<kRows>;
  kernels->few[kWeightInt8].tile[kRows] = integer_tile<8, kInt8Scheme.group, kRows>;
  kernels->few[kWeightInt4].tile[kRows] = integer_tile<4, kInt4Scheme.group, kRows>;
  if constexpr (kRows > 1) add_tiles<kRows - 1>(kernels);
}

static_assert(kInt8Scheme.group % kInputGroup == 0 && kInt4Scheme.group % kInputGroup == 0);

constexpr WeightType kOwnTypes[] = {kWeightBF16, kWeightInt8, kWeightInt4};

Kernels make(const Kernels& floats) {
  Kernels kernels = floats;
  kernels.name = "AVX-512 BF16";
  for (int type = 0; type < kWeightTypes; type++) {
    kernels.few[type].rows = 0;
    kernels.many[type].rows = 0;
  }
  add_tiles<kRowsOfTile>(&kernels);
  for (const WeightType type : kOwnTypes) {
    Product* product = &kernels.few[type];
    product->input = type == kWeightBF16 ? kInputBF16 : kInputInt8;
    product->chunk = type == kWeightBF16 ? kPairChunk : kQuadChunk;
    product->rows = kRowsOfTile;
    product->unpack = nullptr;
    kernels.many[type] = *product;
  }
  add_quant_products(&kernels);
  add_rounded_attention(&kernels);
  kernels.pack[kInputBF16] = pack_bf16;
  kernels.pack[kInputInt8] = pack_int8;
  complete(&kernels);
  return kernels;
}

}  // namespace

const Kernels* avx512bf16_kernels() {
  static const Kernels* floats = avx512_kernels();
  static const bool able =
      floats != nullptr && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni");
  if (!able) return nullptr;
  static const Kernels kernels = make(*floats);
  return &kernels;
}

}  // namespace chasqui::cpu

#else

namespace chasqui::cpu {
const Kernels* avx512bf16_kernels() { return nullptr; }
}  // namespace chasqui::cpu

#endif
