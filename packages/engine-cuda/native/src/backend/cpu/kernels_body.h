// The kernels, written once over a vector type. A unit for an instruction set defines, inside an anonymous namespace,
//   kLanes, Vec, IVec (kLanes floats, 32-bit integers), all(float) -> Vec, fused(a, b, c) = a * b + c,
//   load_half(const uint16_t*) -> Vec, upper_halves(IVec) -> Vec (each lane & 0xffff0000),
//   kTileRows, kAttendRows
// and then includes this file in the same namespace. All functions are internal to the unit, see CMakeLists.txt.

constexpr int kVectors = kPanel / kLanes;  // vectors in a line of outputs

typedef Vec LooseVec __attribute__((aligned(4), may_alias));
typedef IVec LooseIVec __attribute__((aligned(4), may_alias));
#define CHASQUI_INLINE inline __attribute__((always_inline))

CHASQUI_INLINE Vec load(const float* p) { return *reinterpret_cast<const LooseVec*>(p); }
CHASQUI_INLINE void store(float* p, Vec v) { *reinterpret_cast<LooseVec*>(p) = v; }
CHASQUI_INLINE IVec words_at(const char* unit, int vector) {
  return *reinterpret_cast<const LooseIVec*>(unit + vector * kLanes * 4);
}

// Units of a panel: get<step> gives vector `vector` of the outputs at that step.
struct UnitF32 {
  static constexpr int kSteps = 1, kBytes = 128;
  template <int kStep>
  CHASQUI_INLINE static Vec get(const char* unit, int vector) {
    return load(reinterpret_cast<const float*>(unit) + vector * kLanes);
  }
};

struct UnitF16 {
  static constexpr int kSteps = 1, kBytes = 64;
  template <int kStep>
  CHASQUI_INLINE static Vec get(const char* unit, int vector) {
    return load_half(reinterpret_cast<const uint16_t*>(unit) + vector * kLanes);
  }
};

struct UnitBF16 {
  static constexpr int kSteps = 2, kBytes = 128;
  template <int kStep>
  CHASQUI_INLINE static Vec get(const char* unit, int vector) {
    const IVec pairs = words_at(unit, vector);
    return kStep == 0 ? (Vec)(pairs << 16) : upper_halves(pairs);
  }
};

struct UnitInt8 {
  static constexpr int kSteps = 4, kBytes = 128, kGroup = kInt8Scheme.group;
  template <int kStep>
  CHASQUI_INLINE static Vec get(const char* unit, int vector) {
    return __builtin_convertvector(words_at(unit, vector) << (24 - 8 * kStep) >> 24, Vec);
  }
};

struct UnitInt4 {
  static constexpr int kSteps = 8, kBytes = 128, kGroup = kInt4Scheme.group;
  template <int kStep>
  CHASQUI_INLINE static Vec get(const char* unit, int vector) {
    constexpr int kField = kStep % 4 * 2 + kStep / 4;
    return __builtin_convertvector(words_at(unit, vector) << (28 - 4 * kField) >> 28, Vec);
  }
};

// Sums of a tile that live in registers.
template <int kRows, int kSpan>
struct Sums {
  Vec at[kRows][kSpan];
};

// sums += a[k] (rows) * steps kStep .. of a unit, at most `steps` of them, vectors first .. first + kSpan - 1.
template <typename Unit, int kRows, int kSpan, int kStep>
CHASQUI_INLINE void tile_steps(const float* a, const char* unit, int first, int64_t steps, Sums<kRows, kSpan>* sums) {
  if constexpr (kStep < Unit::kSteps) {
    if (kStep >= steps) return;
    // Two vectors at a time: more would take registers that the sums need.
    for (int v = 0; v < kSpan; v += 2) {
      // Not the same pointers for the compiler: else it keeps factors and words in registers that the sums need.
      asm("" : "+r"(a), "+r"(unit));
      const Vec low = Unit::template get<kStep>(unit, first + v);
      const Vec high = Unit::template get<kStep>(unit, first + v + 1);
#pragma GCC unroll 12
      for (int r = 0; r < kRows; r++) {
        const Vec x = all(a[kStep * kRows + r]);
        sums->at[r][v] = fused(x, low, sums->at[r][v]);
        sums->at[r][v + 1] = fused(x, high, sums->at[r][v + 1]);
      }
    }
    tile_steps<Unit, kRows, kSpan, kStep + 1>(a, unit, first, steps, sums);
  }
}

// k steps from `unit` on. A single pass asks memory for what comes a little later: about the latency ahead. When a
// stretch is gone through in several passes, each asks for its share of the next stretch, so that memory is never idle.
template <typename Unit, int kRows, int kSpan>
CHASQUI_INLINE void tile_units(const float* a, const char* unit, int64_t k, int first, int64_t ahead,
                               Sums<kRows, kSpan>* sums) {
  constexpr int kShare = Unit::kBytes * kSpan / kVectors < 64 ? 64 : Unit::kBytes * kSpan / kVectors;
  constexpr bool kOnePass = kSpan == kVectors;
  const char* later = kOnePass ? unit + 1024 : unit + ahead + first / kSpan * (k / Unit::kSteps) * kShare;
  int64_t i = 0;
#pragma GCC unroll 2
  for (; i + Unit::kSteps <= k; i += Unit::kSteps) {
    for (int byte = 0; byte < kShare; byte += 64) __builtin_prefetch(later + byte, 0, kOnePass ? 3 : 2);
    later += kShare;
    tile_steps<Unit, kRows, kSpan, 0>(a, unit, first, Unit::kSteps, sums);
    a += Unit::kSteps * kRows;
    unit += Unit::kBytes;
  }
  if (i < k) tile_steps<Unit, kRows, kSpan, 0>(a, unit, first, k - i, sums);
}

constexpr int kOnePassRows = 3;  // 12 sums; more rows have too many for the registers
template <int kRows>
constexpr int kSpanOf = kRows <= kOnePassRows || kVectors == 2 ? kVectors : 2;

template <typename Unit, int kRows>
void tile(const void* input, const void* panel, int64_t k, float* c, int64_t ldc) {
  constexpr int kSpan = kSpanOf<kRows>;
  const int64_t bytes = (k + Unit::kSteps - 1) / Unit::kSteps * Unit::kBytes;
  for (int first = 0; first < kVectors; first += kSpan) {
    Sums<kRows, kSpan> sums;
    for (int r = 0; r < kRows; r++) {
      for (int v = 0; v < kSpan; v++) sums.at[r][v] = load(c + r * ldc + (first + v) * kLanes);
    }
    tile_units<Unit, kRows, kSpan>(static_cast<const float*>(input), static_cast<const char*>(panel), k, first, bytes, &sums);
    for (int r = 0; r < kRows; r++) {
      for (int v = 0; v < kSpan; v++) store(c + r * ldc + (first + v) * kLanes, sums.at[r][v]);
    }
  }
}

// Vector `vector` of a line of scales.
CHASQUI_INLINE Vec scales_at(const char* line, int vector) {
  const IVec pairs = words_at(line, vector % (kVectors / 2));
  return vector < kVectors / 2 ? (Vec)(pairs << 16) : upper_halves(pairs);
}

// Group by group: c += scales * (a * integers).
template <typename Unit, int kRows>
void quant_tile(const void* input, const void* panel, int64_t k, float* c, int64_t ldc) {
  constexpr int kSpan = kSpanOf<kRows>;
  constexpr int64_t kGroupBytes = 64 + Unit::kGroup / Unit::kSteps * Unit::kBytes;
  const float* a = static_cast<const float*>(input);
  const char* scales = static_cast<const char*>(panel);
  for (int64_t start = 0; start < k; start += Unit::kGroup) {
    const int64_t steps = k - start < Unit::kGroup ? k - start : Unit::kGroup;
    for (int first = 0; first < kVectors; first += kSpan) {
      Sums<kRows, kSpan> sums;
      for (int r = 0; r < kRows; r++) {
        for (int v = 0; v < kSpan; v++) sums.at[r][v] = all(0.0f);
      }
      tile_units<Unit, kRows, kSpan>(a, scales + 64, steps, first, kGroupBytes, &sums);
      for (int v = 0; v < kSpan; v++) {
        const Vec scale = scales_at(scales, first + v);
        for (int r = 0; r < kRows; r++) {
          float* at = c + r * ldc + (first + v) * kLanes;
          store(at, fused(sums.at[r][v], scale, load(at)));
        }
      }
    }
    a += Unit::kGroup * kRows;
    scales += kGroupBytes;
  }
}

CHASQUI_INLINE float sum_lanes(Vec v) {
  float total = 0;
  for (int i = 0; i < kLanes; i++) total += v[i];
  return total;
}

CHASQUI_INLINE Vec select(IVec mask, Vec yes, Vec no) { return (Vec)((mask & (IVec)yes) | (~mask & (IVec)no)); }

// e^x for x <= 88, relative error about 1e-7; 0 below -87. x = n ln 2 + r, |r| <= ln 2 / 2; Taylor terms to r^7 are
// below half an ulp there; 2^n goes straight into the exponent.
CHASQUI_INLINE Vec exponential(Vec x) {
  const Vec magic = all(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer in the low bits
  const IVec tiny = x < all(-87.0f);
  const Vec bounded = select(tiny, all(0.0f), x);
  const Vec shifted = fused(bounded, all(1.44269504f), magic);
  const Vec n = shifted - magic;
  Vec r = fused(n, all(-0.693359375f), bounded);
  r = fused(n, all(2.12194440e-4f), r);
  Vec p = all(1.0f / 5040);
  p = fused(p, r, all(1.0f / 720));
  p = fused(p, r, all(1.0f / 120));
  p = fused(p, r, all(1.0f / 24));
  p = fused(p, r, all(1.0f / 6));
  p = fused(p, r, all(0.5f));
  p = fused(p, r, all(1.0f));
  p = fused(p, r, all(1.0f));
  const Vec power = (Vec)(((IVec)shifted << 23) + (IVec)p);
  return select(tiny, all(0.0f), power);
}

float sum_squares(const float* x, int64_t n) {
  Vec sum[2] = {all(0.0f), all(0.0f)};
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    const Vec a = load(x + i), b = load(x + i + kLanes);
    sum[0] = fused(a, a, sum[0]);
    sum[1] = fused(b, b, sum[1]);
  }
  float total = sum_lanes(sum[0] + sum[1]);
  for (; i < n; i++) total += x[i] * x[i];
  return total;
}

void silu_multiply(const float* gate, const float* up, float* out) {
  for (int i = 0; i < kPanel; i += kLanes) {
    const Vec g = load(gate + i);
    const Vec bounded = select(g < all(-80.0f), all(-80.0f), g);  // exp(80) is finite and silu(-80) is 0 to float
    store(out + i, g / (all(1.0f) + exponential(all(0.0f) - bounded)) * load(up + i));
  }
}

void scale(float* x, int64_t n, float factor) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(x + i, load(x + i) * all(factor));
  for (; i < n; i++) x[i] *= factor;
}

#ifndef CHASQUI_NO_ATTENTION

// e4m3 in the upper byte of each lane as floats: see Fp8Code.
CHASQUI_INLINE Vec e4m3_of(IVec upper) { return (Vec)(upper >> 4 & static_cast<int32_t>(0x87f00000)) * all(0x1p120f); }

typedef uint16_t CodePairs __attribute__((vector_size(kLanes * 2)));
typedef uint32_t Words __attribute__((vector_size(kLanes * 4)));

// Their values have no digits below the upper half, so both fit into the words of a line.
void expand_kv(const void* codes, int64_t n, void* lines) {
  const auto* from = static_cast<const char*>(codes);
  auto* to = static_cast<char*>(lines);
  for (int64_t line = 0; line < n; line++, from += kKvTile, to += 2 * kKvTile) {
    CodePairs pairs;
    __builtin_memcpy(&pairs, from, sizeof pairs);
    const IVec words = __builtin_convertvector(pairs, IVec);
    *reinterpret_cast<LooseIVec*>(to) = (IVec)((Words)e4m3_of(words << 24) >> 16) | (IVec)e4m3_of(words << 16);
  }
}

constexpr int kKvLine = 64;  // bytes: 16 floats of one step, or 16 words of two steps

// sums[r] += x[r * stride] * the two vectors of a line at step kStep, for as many steps as the line has, at most `steps`.
template <typename Unit, int kRows, int kStep>
CHASQUI_INLINE void attend_steps(const float* x, int64_t stride, int64_t step, const char* line, int64_t steps, Vec sums[][2]) {
  if constexpr (kStep < Unit::kSteps) {
    if (kStep >= steps) return;
    asm("" : "+r"(x), "+r"(line));  // see tile_steps
    const Vec low = Unit::template get<kStep>(line, 0);
    const Vec high = Unit::template get<kStep>(line, 1);
#pragma GCC unroll 12
    for (int r = 0; r < kRows; r++) {
      const Vec factor = all(x[kStep * step + r * stride]);
      sums[r][0] = fused(factor, low, sums[r][0]);
      sums[r][1] = fused(factor, high, sums[r][1]);
    }
    attend_steps<Unit, kRows, kStep + 1>(x, stride, step, line, steps, sums);
  }
}

template <typename Unit, int kRows>
void scores(const void* packed, int32_t head_dim, const void* const* pages, const void* const* value_pages, int32_t n_pages,
            float* s, int64_t lds) {
  const auto* q = static_cast<const float*>(packed);
  for (int32_t page = 0; page < n_pages; page++) {
    const char* keys = static_cast<const char*>(pages[page]);
    const char* next_keys = static_cast<const char*>(pages[page + 1 < n_pages ? page + 1 : page]);
    const char* values = static_cast<const char*>(value_pages[page]);
    Vec sum[kRows][2];
    for (int r = 0; r < kRows; r++) sum[r][0] = sum[r][1] = all(0.0f);
#pragma GCC unroll 2
    for (int32_t d = 0; d < head_dim; d += Unit::kSteps) {
      const int64_t at = d / Unit::kSteps * kKvLine;
      // Pages lie anywhere, so the hardware does not see what comes: the next page's keys, and the values for `mix`.
      __builtin_prefetch(next_keys + at, 0, 3);
      __builtin_prefetch(values + at, 0, 2);
      attend_steps<Unit, kRows, 0>(q + d * kRows, 1, kRows, keys + at, Unit::kSteps, sum);
    }
    for (int r = 0; r < kRows; r++) {
      store(s + r * lds + page * kKvTile, sum[r][0]);
      store(s + r * lds + page * kKvTile + kLanes, sum[r][1]);
    }
  }
}

template <typename Unit, int kRows>
void mix(const float* p, int64_t ldp, const void* const* pages, const void* const*, int32_t n_keys, int32_t width, float* o,
         int64_t ldo) {
  const int64_t row_bytes = static_cast<int64_t>(width) * 4;  // of a value, or of two side by side
  for (int32_t column = 0; column < width; column += kKvTile) {
    Vec sum[kRows][2];
    for (int r = 0; r < kRows; r++) {
      sum[r][0] = load(o + r * ldo + column);
      sum[r][1] = load(o + r * ldo + column + kLanes);
    }
    for (int32_t first = 0; first < n_keys; first += kKvTile) {
      const char* values = static_cast<const char*>(pages[first / kKvTile]) + column * 4;
      const int32_t count = n_keys - first < kKvTile ? n_keys - first : kKvTile;
#pragma GCC unroll 2
      for (int32_t key = 0; key < count; key += Unit::kSteps) {
        attend_steps<Unit, kRows, 0>(p + first + key, ldp, 1, values + key / Unit::kSteps * row_bytes, count - key, sum);
      }
    }
    for (int r = 0; r < kRows; r++) {
      store(o + r * ldo + column, sum[r][0]);
      store(o + r * ldo + column + kLanes, sum[r][1]);
    }
  }
}

float softmax(float* s, int32_t n, int32_t padded, float scale, float* max, float* sum) {
  const float low = -__builtin_inff();
  const int32_t written = (n + kKvTile - 1) / kKvTile * kKvTile;
  for (int32_t i = n; i < written; i++) s[i] = low;
  Vec top = all(low);
  for (int32_t i = 0; i < written; i += kLanes) {
    const Vec x = load(s + i);
    top = select(x > top, x, top);
  }
  float highest = top[0];
  for (int i = 1; i < kLanes; i++) highest = top[i] > highest ? top[i] : highest;
  highest = highest * scale;
  if (*max > highest) highest = *max;
  Vec total = all(0.0f);
  for (int32_t i = 0; i < written; i += kLanes) {
    const Vec e = exponential(load(s + i) * all(scale) - all(highest));
    store(s + i, e);
    total += e;
  }
  for (int32_t i = written; i < padded; i++) s[i] = 0.0f;
  const float factor = *max == highest ? 1.0f : exponential(all(*max - highest))[0];
  *max = highest;
  *sum = *sum * factor + sum_lanes(total);
  return factor;
}

#endif  // CHASQUI_NO_ATTENTION

#include "quant_panel_tile_body.h"

template <int kRows>
void add_tiles(Kernels* kernels) {
  kernels->tile[kWeightF32][kRows] = tile<UnitF32, kRows>;
  kernels->tile[kWeightF16][kRows] = tile<UnitF16, kRows>;
  kernels->tile[kWeightBF16][kRows] = tile<UnitBF16, kRows>;
  kernels->tile[kWeightInt8][kRows] = quant_tile<UnitInt8, kRows>;
  kernels->tile[kWeightInt4][kRows] = quant_tile<UnitInt4, kRows>;
  if constexpr (kRows > 1) add_tiles<kRows - 1>(kernels);
}

void add_linear(Kernels* kernels) {
  kernels->tile_rows = kTileRows;
  add_tiles<kTileRows>(kernels);
  add_quant_panel_tiles<kTileRows>(kernels);
  kernels->sum_squares = sum_squares;
  kernels->silu_multiply = silu_multiply;
  kernels->scale = scale;
}

#ifndef CHASQUI_NO_ATTENTION
template <typename Unit, int kRows>
void add_attention_rows(Attend* attend) {
  attend->scores[kRows] = scores<Unit, kRows>;
  attend->mix[kRows] = mix<Unit, kRows>;
  if constexpr (kRows > 1) add_attention_rows<Unit, kRows - 1>(attend);
}

void add_attention(Kernels* kernels) {
  for (Attend& attend : kernels->attend_in_float) {
    attend.input = kInputF32;
    attend.chunk = 1;
    attend.rows = kAttendRows;
    attend.softmax = softmax;
  }
  add_attention_rows<UnitF32, kAttendRows>(&kernels->attend_in_float[kKvF32]);
  add_attention_rows<UnitBF16, kAttendRows>(&kernels->attend_in_float[kKvBF16]);
  kernels->expand_kv = expand_kv;
}
#endif
