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

#define CHASQUI_INLINE inline __attribute__((always_inline))

constexpr int kRowsOfTile = 12;  // 24 sums in 32 registers
constexpr int kPairChunk = 2, kQuadChunk = 4;

// Asks for what comes later, into the second cache: asked into the first, the few buffers of its misses are what limits
// one row (int4: 21 instead of 29 GB/s).
template <int kAhead>
CHASQUI_INLINE void prefetch(const char* panel) {
  __builtin_prefetch(panel + kAhead, 0, 2);
  __builtin_prefetch(panel + kAhead + 64, 0, 2);
}

constexpr int kNear = 1024;  // about the latency of memory
// Pairs of more rows take about as long to multiply as to read, and only from far ahead is both done at the same time.
template <int kRows>
constexpr int kPairsAhead = kRows <= 4 ? kNear : 8192;

template <int kRows>
CHASQUI_INLINE void pair_step(const uint32_t* a, const char* unit, __m512 sums[][2]) {
  const __m512bh low = (__m512bh)_mm512_loadu_si512(unit);
  const __m512bh high = (__m512bh)_mm512_loadu_si512(unit + 64);
#pragma GCC unroll 12
  for (int r = 0; r < kRows; r++) {
    const __m512bh x = (__m512bh)_mm512_set1_epi32(static_cast<int>(a[r]));
    sums[r][0] = _mm512_dpbf16_ps(sums[r][0], x, low);
    sums[r][1] = _mm512_dpbf16_ps(sums[r][1], x, high);
  }
}

template <int kRows>
void bf16_tile(const void* input, const void* panel, int64_t k, float* c, int64_t ldc) {
  const auto* a = static_cast<const uint32_t*>(input);
  const char* unit = static_cast<const char*>(panel);
  __m512 sums[kRows][2];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; r++) {
    sums[r][0] = _mm512_loadu_ps(c + r * ldc);
    sums[r][1] = _mm512_loadu_ps(c + r * ldc + 16);
  }
  for (int64_t i = 0; i < (k + 1) / 2; i++) {
    prefetch<kPairsAhead<kRows>>(unit);
    pair_step<kRows>(a, unit, sums);
    a += kRows;
    unit += 128;
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; r++) {
    _mm512_storeu_ps(c + r * ldc, sums[r][0]);
    _mm512_storeu_ps(c + r * ldc + 16, sums[r][1]);
  }
}

// Sums of a tile that live in registers.
template <int kRows>
struct Sums {
  __m512i at[kRows][2];
};

// sums += four steps of all rows * a vector of quads for each half of the panel.
template <int kRows>
CHASQUI_INLINE void quad_step(const uint32_t* a, __m512i low, __m512i high, Sums<kRows>* sums) {
#pragma GCC unroll 12
  for (int r = 0; r < kRows; r++) {
    const __m512i x = _mm512_set1_epi32(static_cast<int>(a[r]));
    // By hand: of the intrinsic the compiler makes three copies, and has too few registers for them.
    asm("vpdpbusd %2, %1, %0" : "+v"(sums->at[r][0]) : "v"(low), "v"(x));
    asm("vpdpbusd %2, %1, %0" : "+v"(sums->at[r][1]) : "v"(high), "v"(x));
  }
}

template <int kBits, int kRows>
CHASQUI_INLINE void integer_group(const uint32_t* a, const char* unit, Sums<kRows>* sums) {
  if constexpr (kBits == 8) {
    const __m512i flip = _mm512_set1_epi32(static_cast<int>(0x80808080));
    for (int i = 0; i < kInputGroup / 4; i++) {
      prefetch<kNear>(unit);
      quad_step<kRows>(a, _mm512_xor_si512(_mm512_loadu_si512(unit), flip),
                       _mm512_xor_si512(_mm512_loadu_si512(unit + 64), flip), sums);
      a += kRows;
      unit += 128;
    }
  } else {
    const __m512i flip = _mm512_set1_epi32(static_cast<int>(0x88888888));
    const __m512i mask = _mm512_set1_epi32(0x0f0f0f0f);
    for (int i = 0; i < kInputGroup / 8; i++) {
      prefetch<kNear>(unit);
      const __m512i low = _mm512_xor_si512(_mm512_loadu_si512(unit), flip);
      const __m512i high = _mm512_xor_si512(_mm512_loadu_si512(unit + 64), flip);
      quad_step<kRows>(a, _mm512_and_si512(low, mask), _mm512_and_si512(high, mask), sums);
      quad_step<kRows>(a + kRows, _mm512_and_si512(_mm512_srli_epi32(low, 4), mask),
                       _mm512_and_si512(_mm512_srli_epi32(high, 4), mask), sums);
      a += 2 * kRows;
      unit += 128;
    }
  }
}

template <int kBits, int kGroup, int kRows>
void integer_tile(const void* input, const void* panel, int64_t k, float* c, int64_t ldc) {
  constexpr int kUnitsBytes = kInputGroup * 32 * kBits / 8;  // of an input group
  const char* a = static_cast<const char*>(input);
  const char* at = static_cast<const char*>(panel);
  for (int64_t start = 0; start < k; start += kGroup) {
    const char* scales = at;
    at += 64;
    for (int64_t first = start; first < start + kGroup && first < k; first += kInputGroup) {
      const auto* input_scales = reinterpret_cast<const float*>(a + kInputGroup * kRows);
      const auto* input_sums = reinterpret_cast<const int32_t*>(input_scales + kRows);
      Sums<kRows> sums;
#pragma GCC unroll 12
      for (int r = 0; r < kRows; r++) {
        sums.at[r][0] = sums.at[r][1] = _mm512_set1_epi32(input_sums[r] * -(1 << (kBits - 1)));
      }
      integer_group<kBits, kRows>(reinterpret_cast<const uint32_t*>(a), at, &sums);
      const __m512i pairs = _mm512_loadu_si512(scales);
      const __m512 low = _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
      const __m512 high = _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000))));
#pragma GCC unroll 12
      for (int r = 0; r < kRows; r++) {
        const __m512 scale = _mm512_set1_ps(input_scales[r]);
        float* to = c + r * ldc;
        _mm512_storeu_ps(to, _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sums.at[r][0]), scale), low, _mm512_loadu_ps(to)));
        _mm512_storeu_ps(to + 16, _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sums.at[r][1]), scale), high,
                                                  _mm512_loadu_ps(to + 16)));
      }
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
