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

// Codes as lanes of 16 bits: e4m3 in the places of bf16, 120 added to the exponent; subnormal codes, rare in keys and
// values, from a table.
void expand_kv(const void* codes, int64_t n, void* lines) {
  const __m512i places = _mm512_set1_epi16(static_cast<short>(0x87f0)), exponent = _mm512_set1_epi16(0x3c00);
  // 0 .. 7 times 2^-9
  const __m512i small = _mm512_broadcast_i32x4(_mm_setr_epi16(0, 0x3b00, 0x3b80, 0x3bc0, 0x3c00, 0x3c20, 0x3c40, 0x3c60));
  const auto* from = static_cast<const char*>(codes);
  auto* to = static_cast<char*>(lines);
  for (int64_t line = 0; line < n; line += 2, from += 2 * kKvTile, to += 4 * kKvTile) {
    const __mmask32 mask = line + 1 < n ? 0xffffffff : 0xffff;
    const __m512i upper = _mm512_slli_epi16(_mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(mask, from)), 8);
    const __m512i bits = _mm512_and_si512(_mm512_srai_epi16(upper, 4), places);
    __m512i value = _mm512_add_epi16(bits, exponent);
    const __mmask32 is_subnormal = _mm512_testn_epi16_mask(upper, _mm512_set1_epi16(0x7800));
    if (__builtin_expect(is_subnormal != 0, 0)) {
      const __m512i digits = _mm512_and_si512(_mm512_srli_epi16(upper, 8), _mm512_set1_epi16(7));
      const __m512i magnitude = _mm512_mask_permutexvar_epi16(value, is_subnormal, digits, small);
      value = _mm512_ternarylogic_epi32(upper, _mm512_set1_epi16(static_cast<short>(0x8000)), magnitude, 0xea);
    }
    _mm512_mask_storeu_epi16(to, mask, value);
  }
}

Kernels make(const Kernels& narrow) {
  Kernels kernels = narrow;
  kernels.name = "AVX-512";
  for (int type = 0; type < kWeightTypes; type++) kernels.few[type] = {};
  add_linear(&kernels);
  kernels.expand_kv = expand_kv;
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
