// Quantised codes to pairs of bf16, exactly: integers, e4m3 values and table entries as they are, the scale left out (it
// multiplies sums of a group later). Layouts: pack.h. No format needs more than five instructions for two weights.
#pragma once

#include "portable.h"

namespace chasqui::cuda {

// What a kernel needs to know of a format:
//   kStep    inputs of a step        kChunks   16-byte pieces of one row and lane in a step
//   kTurns   mma of a step           kPacked   codes lie as in pack.h and have scales
//   expand   the two registers that a row gives to turn `turn` of a step: its inputs i = 0 1, and 2 3. bf16 rows lie as they
//            come and need no packing: a lane's 16 bytes are its 8 inputs of a run of 32
struct BF16 {
  static constexpr WeightKind kKind = WeightKind::kBF16;
  static constexpr int kStep = 64, kChunks = 2, kTurns = 4;
  static constexpr bool kPacked = false, kHasTable = false, kMayHaveZeros = false;

  template <typename Context>
  DEVICE static void expand(const uint32_t (&words)[4 * kChunks], int turn, const Context&, uint32_t&, uint32_t (&pairs)[2]) {
    pairs[0] = words[turn * 2];
    pairs[1] = words[turn * 2 + 1];
  }
};

struct Fp8 {
  static constexpr WeightKind kKind = WeightKind::kFp8;
  static constexpr int kStep = 64, kChunks = 1, kTurns = 4;
  static constexpr bool kPacked = true, kHasTable = false, kMayHaveZeros = false;

  // The bits of an e4m3 in the places of a bf16's are 2^-120 of its value, subnormal ones too. A NaN code counts as 480.
  DEVICE static uint32_t raised(uint32_t pair) { return fma_pair(pair, 0x7b807b80u, 0x80008000u); }

  DEVICE static void expand_word(uint32_t word, uint32_t (&pairs)[2]) {
    pairs[0] = raised(and_or(word << 8, 0x80008000u, word << 4 & 0x07f007f0u));
    pairs[1] = raised(and_or(word, 0x80008000u, word >> 4 & 0x07f007f0u));
  }
  template <typename Context>
  DEVICE static void expand(const uint32_t (&words)[4], int turn, const Context&, uint32_t, uint32_t (&pairs)[2]) {
    expand_word(words[turn], pairs);
  }
};

struct Int8 {
  static constexpr WeightKind kKind = WeightKind::kInt8;
  static constexpr int kStep = 64, kChunks = 1, kTurns = 4;
  static constexpr bool kPacked = true, kHasTable = false, kMayHaveZeros = true;

  // A byte is 16 high + low, each nibble in the last bits of a bf16 between 128 and 143. The sign bit, turned over, makes
  // the high nibble run from 0. `minus_zero`: minus the zero point in both halves, or 0.
  DEVICE static uint32_t joined(uint32_t bytes, uint32_t minus_zero) {
    const uint32_t low = and_or(bytes, 0x000f000fu, 0x43004300u);
    const uint32_t high = and_or((bytes ^ 0x00800080u) >> 4, 0x000f000fu, 0x43004300u);
    const uint32_t sixteens = fma_pair(high, 0x41804180u, 0xc510c510u);  // 16 high - 2304: 2176 that high has too much, and 128
    const uint32_t code = fma_pair(low, 0x3f803f80u, sixteens);
    return minus_zero == 0 ? code : fma_pair(code, 0x3f803f80u, minus_zero);
  }
  template <typename Context>
  DEVICE static void expand(const uint32_t (&words)[4], int turn, const Context&, uint32_t minus_zero, uint32_t (&pairs)[2]) {
    pairs[0] = joined(words[turn], minus_zero);
    pairs[1] = joined(words[turn] >> 8, minus_zero);
  }
  DEVICE static uint32_t minus_zero(int32_t zero) { return zero == 0 ? 0 : bf16_pair(-static_cast<float>(zero), -static_cast<float>(zero)); }
  static constexpr int32_t kUsualZero = 0;
};

struct Int4 {
  static constexpr WeightKind kKind = WeightKind::kInt4;
  static constexpr int kStep = 128, kChunks = 1, kTurns = 8;
  static constexpr bool kPacked = true, kHasTable = false, kMayHaveZeros = true;

  template <typename Context>
  DEVICE static void expand(const uint32_t (&words)[4], int turn, const Context&, uint32_t minus_zero, uint32_t (&pairs)[2]) {
    const uint32_t word = words[turn / 2] >> (turn % 2 * 8);
    pairs[0] = fma_pair(and_or(word, 0x000f000fu, 0x43004300u), 0x3f803f80u, minus_zero);
    pairs[1] = fma_pair(and_or(word >> 4, 0x000f000fu, 0x43004300u), 0x3f803f80u, minus_zero);
  }
  // A code stands in the last bits of a bf16 between 128 and 143.
  DEVICE static uint32_t minus_zero(int32_t zero) {
    const float all = -128.0f - static_cast<float>(zero);
    return bf16_pair(all, all);
  }
  static constexpr int32_t kUsualZero = 8;
};

// The table lies in shared memory for pairs of codes, once for each lane: entry [byte][lane], so that no two lanes want the
// same bank.
struct Table4 {
  static constexpr WeightKind kKind = WeightKind::kTable4;
  static constexpr int kStep = 128, kChunks = 1, kTurns = 8;
  static constexpr bool kPacked = true, kHasTable = true, kMayHaveZeros = false;

  template <typename Context>
  DEVICE static void expand(const uint32_t (&words)[4], int turn, const Context& context, uint32_t, uint32_t (&pairs)[2]) {
    const uint32_t word = words[turn / 2] >> (turn % 2 * 16);
    pairs[0] = context.pairs_of_lane[(word & 255) * 32];
    pairs[1] = context.pairs_of_lane[(word >> 8 & 255) * 32];
  }
};

// Fills the shared table from 16 bf16 values; a barrier must follow.
DEVICE void fill_table(uint32_t* shared_pairs, const uint16_t* table) {
  for (uint32_t i = threadIdx.x; i < 256 * 32; i += blockDim.x) {
    const uint32_t code = i / 32;
    shared_pairs[i] = table[code & 15] | static_cast<uint32_t>(table[code >> 4]) << 16;
  }
}

// An element of a scale array.
DEVICE float scale_at(const void* scales, ScaleKind kind, int64_t index) {
  if (kind == ScaleKind::kF32) return static_cast<const float*>(scales)[index];
  const uint16_t bits = static_cast<const uint16_t*>(scales)[index];
  return kind == ScaleKind::kF16 ? half_to_float(bits) : float_of(bits);
}

}  // namespace chasqui::cuda
