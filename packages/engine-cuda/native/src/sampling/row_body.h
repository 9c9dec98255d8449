// The row kernels, written once over a vector type. A unit for an instruction set defines, inside an anonymous namespace,
//   kLanes; Vec, IVec (kLanes floats, 32-bit integers); all(float) -> Vec
//   bits_at_least(Vec, Vec) -> uint32_t: a bit per lane whose value is at least the other's (NaN: never)
//   expand(uint32_t) -> IVec: lanes of all ones where the bit is set
//   Wide (kLanes 64-bit integers); wide(mantissa IVec, shift IVec) -> Wide: mantissa << 17 >> shift in each lane;
//   add(Wide, Wide) -> Wide; total(Wide) -> uint64_t; put(uint64_t*, Wide)
// and then includes this file in the same namespace. All functions are internal to the unit, see CMakeLists.txt.

typedef Vec LooseVec __attribute__((aligned(4), may_alias));
#define CHASQUI_INLINE inline __attribute__((always_inline))

static_assert(kUnitBits == 24 + 17, "wide() shifts a mantissa of 24 bits to the unit");

constexpr float kNothing = -__builtin_inff();

CHASQUI_INLINE Vec load(const float* p) { return *reinterpret_cast<const LooseVec*>(p); }
CHASQUI_INLINE void store(float* p, Vec v) { *reinterpret_cast<LooseVec*>(p) = v; }

// The last n < kLanes logits of a row; what is missing weighs nothing.
CHASQUI_INLINE Vec load_some(const float* p, int32_t n) {
  Vec v = all(kNothing);
  for (int32_t i = 0; i < n; ++i) v[i] = p[i];
  return v;
}

// 2^x for x in [-41, 0]: 2^f for f in [-0.5, 0.5] by a polynomial (relative error below 2e-7), the rest is a shift.
CHASQUI_INLINE Wide weights_of(Vec logits, RowScale scale) {
  const Vec given = (logits - all(scale.highest)) * all(scale.rate);
  const IVec real = given >= all(kLeastExponent);
  const Vec x = (Vec)((IVec)given & real);
  const Vec magic = all(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const Vec z = x + magic;
  const Vec f = x - (z - magic);
  const IVec shift = (IVec)magic - (IVec)z;
  Vec p = all(0.001326472731307149f);
  p = p * f + all(0.009671512991189957f);
  p = p * f + all(0.05550733581185341f);
  p = p * f + all(0.24022242426872253f);
  p = p * f + all(0.6931470036506653f);
  p = p * f + all(1.0f);
  return wide(__builtin_convertvector(p * all(16777216.0f), IVec) & real, shift);
}

void forbid(float* logits, int32_t n, const uint32_t* words) {
  const Vec nothing = all(kNothing);
  int32_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const uint32_t word = words[i / 32];
    if (word == 0xffffffffu) continue;
    for (int32_t lane = 0; lane < 32; lane += kLanes) {
      const IVec permitted = expand(word >> lane);
      store(logits + i + lane, (Vec)(((IVec)load(logits + i + lane) & permitted) | ((IVec)nothing & ~permitted)));
    }
  }
  for (; i < n; ++i) {
    if ((words[i / 32] >> (i % 32) & 1u) == 0) logits[i] = kNothing;
  }
}

CHASQUI_INLINE Vec higher(Vec a, Vec b) { return a > b ? a : b; }

CHASQUI_INLINE float highest_lane(Vec v) {
  float highest = kNothing;
  for (int lane = 0; lane < kLanes; ++lane) highest = v[lane] > highest ? v[lane] : highest;
  return highest;
}

float highest(const float* logits, int32_t n, float* of_blocks) {
  float best = kNothing;
  for (int32_t begin = 0; begin < n; begin += kRowBlock) {
    const int32_t end = begin + kRowBlock < n ? begin + kRowBlock : n;
    Vec even = all(kNothing);
    Vec odd = all(kNothing);
    int32_t i = begin;
    for (; i + 2 * kLanes <= end; i += 2 * kLanes) {
      even = higher(load(logits + i), even);
      odd = higher(load(logits + i + kLanes), odd);
    }
    for (; i < end; i += kLanes) even = higher(load_some(logits + i, end - i < kLanes ? end - i : kLanes), even);
    const float block = highest_lane(higher(odd, even));
    of_blocks[begin / kRowBlock] = block;
    best = block > best ? block : best;
  }
  return best;
}

uint64_t sum(const float* logits, int32_t n, RowScale scale, const float* of_blocks, uint64_t* sums) {
  uint64_t whole = 0;
  for (int32_t begin = 0; begin < n; begin += kRowBlock) {
    const int32_t block = begin / kRowBlock;
    sums[block] = 0;
    if (!((of_blocks[block] - scale.highest) * scale.rate >= kLeastExponent)) continue;
    const int32_t end = begin + kRowBlock < n ? begin + kRowBlock : n;
    Wide added = wide(IVec{}, IVec{});
    int32_t i = begin;
    for (; i + kLanes <= end; i += kLanes) added = add(added, weights_of(load(logits + i), scale));
    if (i < end) added = add(added, weights_of(load_some(logits + i, end - i), scale));
    sums[block] = total(added);
    whole += sums[block];
  }
  return whole;
}

void weigh(const float* logits, int32_t n, RowScale scale, uint64_t* weights) {
  int32_t i = 0;
  for (; i + kLanes <= n; i += kLanes) put(weights + i, weights_of(load(logits + i), scale));
  if (i == n) return;
  uint64_t last[kLanes];
  put(last, weights_of(load_some(logits + i, n - i), scale));
  for (int32_t rest = 0; i + rest < n; ++rest) weights[i + rest] = last[rest];
}

int32_t gather(const float* logits, int32_t n, float least, const float* of_blocks, int32_t* ids) {
  const Vec bound = all(least);
  int32_t found = 0;
  for (int32_t begin = 0; begin < n; begin += kRowBlock) {
    if (!(of_blocks[begin / kRowBlock] >= least)) continue;
    const int32_t end = begin + kRowBlock < n ? begin + kRowBlock : n;
    for (int32_t i = begin; i < end; i += kLanes) {
      const Vec v = i + kLanes <= end ? load(logits + i) : load_some(logits + i, end - i);
      for (uint32_t bits = bits_at_least(v, bound); bits != 0; bits &= bits - 1) ids[found++] = i + __builtin_ctz(bits);
    }
  }
  return found;
}

RowKernels make(const char* name) { return {name, forbid, highest, sum, weigh, gather}; }
