// How kernels get at a matrix of weights: copies of one step of a tile of 16 rows into shared memory, by one warp, and the
// way from there to registers. A tile's rows are two runs of 8 (RowMap); lane 4 g + t has pieces of rows g of both.
#pragma once

#include "dequant.cuh"
#include "epilogue.cuh"
#include "plan.h"

namespace chasqui::cuda {

struct WeightSource {
  const void* codes = nullptr;
  const void* scales = nullptr;
  const int8_t* zeros = nullptr;
  const uint16_t* table = nullptr;
  ScaleKind scale_kind = ScaleKind::kF32;
  int32_t out = 0;
  int32_t in = 0;
  int32_t steps = 0;   // of a row
  int32_t group = 0;   // inputs to a scale; 0: the row
  int32_t group_bits = 0;  // group = 1 << group_bits
  int32_t groups = 1;  // of a row, as packed
  RowMap map;
};

// Scales of rows g and g + 8 of a tile, and minus their zero points as the format wants them.
struct Scales {
  float low = 1.0f, high = 1.0f;
  uint32_t zero_low = 0, zero_high = 0;
};

// Of one step and tile in shared memory: pieces of rows g, pieces of rows g + 8, then scales and zeros of both.
constexpr int kScaleBytes = 256;  // 2 x 4 groups x 8 rows x 4 bytes
constexpr int kZeroBytes = 64;    // 2 x 4 groups x 8 rows

template <typename Format>
struct Weights {
  static constexpr int kCodeBytes = 2 * Format::kChunks * 512;
  static constexpr int kBytes = kCodeBytes + (Format::kPacked ? kScaleBytes + (Format::kMayHaveZeros ? kZeroBytes : 0) : 0);

  static_assert(kBytes == stage_bytes(Format::kKind) && Format::kStep == step_of(Format::kKind));

  const WeightSource& a;
  const uint32_t lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;

  DEVICE bool is_grouped() const { return Format::kPacked && a.group != 0; }
  // Turns of a step that share a scale: a power of two from 2 on.
  DEVICE int32_t turns_of_group() const {
    return !is_grouped() || a.group >= Format::kStep ? Format::kTurns : a.group / 16;
  }
  DEVICE int32_t group_of_turn(int32_t turn) const { return turn * 16 >> a.group_bits; }
  // For a step that may also be a part of a group.
  DEVICE int32_t group_of_turn_in_step(int32_t turn) const { return a.group >= Format::kStep ? 0 : group_of_turn(turn); }

  // Started, not committed. After the wait, scales want a sync of the warp too: some lanes copy them for all.
  // `base`: the tile's first row.
  DEVICE void copy_step(uint8_t* to, int32_t base, int32_t step) const {
    copy_codes(to, base, step);
    copy_codes(to + Format::kChunks * 512, base + a.map.delta, step);
    if (is_grouped()) copy_scales(to + kCodeBytes, base, step);
  }

  // The lane's pieces of rows row .. row + 7.
  DEVICE void copy_codes(uint8_t* to, int32_t row, int32_t step) const {
    const auto* codes = static_cast<const uint8_t*>(a.codes);
    if constexpr (Format::kPacked) {
      const int64_t at = (static_cast<int64_t>(row / 8) * a.steps + step) * 512;
      copy_16(to + lane * 16, codes + at + lane * 16);
    } else {
      int32_t mine = row + static_cast<int32_t>(g);
      if (mine >= a.out) mine = a.out - 1;
      const uint8_t* from = codes + (static_cast<int64_t>(mine) * a.in + step * Format::kStep) * 2 + t * 16;
UNROLL
      for (int chunk = 0; chunk < Format::kChunks; chunk++) copy_16(to + chunk * 512 + lane * 16, from + chunk * 64);
    }
  }

  // Records of 8 scales lie one after the other for the groups of a step; some lanes copy 16 bytes each.
  DEVICE void copy_scales(uint8_t* to, int32_t base, int32_t step) const {
    const int32_t groups = a.group >= Format::kStep ? 1 : Format::kStep >> a.group_bits;
    const int32_t first_group = step * Format::kStep >> a.group_bits;
    const int32_t record = a.scale_kind == ScaleKind::kF32 ? 32 : 16;
    const auto pieces = static_cast<uint32_t>(groups * record / 16);  // for each of the two runs of rows
    if (lane < 2 * pieces) {
      const uint32_t side = lane >= pieces ? 1 : 0, piece = lane - side * pieces;
      const int64_t row8 = (base + (side != 0 ? a.map.delta : 0)) / 8;
      copy_16(to + side * 128 + piece * 16,
              static_cast<const uint8_t*>(a.scales) + (row8 * a.groups + first_group) * record + piece * 16);
    }
    if constexpr (Format::kMayHaveZeros) {
      if (a.zeros != nullptr && lane >= 16 && lane < 16 + 2 * static_cast<uint32_t>(groups)) {
        const uint32_t side = lane - 16 >= static_cast<uint32_t>(groups) ? 1 : 0;
        const uint32_t piece = lane - 16 - side * static_cast<uint32_t>(groups);
        const int64_t row8 = (base + (side != 0 ? a.map.delta : 0)) / 8;
        copy_8(to + kScaleBytes + side * 32 + piece * 8, a.zeros + (row8 * a.groups + first_group + piece) * 8);
      }
    }
  }

  DEVICE void read_words(const uint8_t* stage, uint32_t (&low)[4 * Format::kChunks], uint32_t (&high)[4 * Format::kChunks]) const {
UNROLL
    for (int chunk = 0; chunk < Format::kChunks; chunk++) {
      const uint4 l = *reinterpret_cast<const uint4*>(stage + chunk * 512 + lane * 16);
      const uint4 h = *reinterpret_cast<const uint4*>(stage + (Format::kChunks + chunk) * 512 + lane * 16);
      low[chunk * 4] = l.x, low[chunk * 4 + 1] = l.y, low[chunk * 4 + 2] = l.z, low[chunk * 4 + 3] = l.w;
      high[chunk * 4] = h.x, high[chunk * 4 + 1] = h.y, high[chunk * 4 + 2] = h.z, high[chunk * 4 + 3] = h.w;
    }
  }

  // Of group `group` of the step that lies in `stage`.
  DEVICE Scales scales_of_step(const uint8_t* stage, int32_t group) const {
    const uint8_t* scales = stage + kCodeBytes;
    const int32_t at = group * 8 + static_cast<int32_t>(g);
    Scales found{scale_at(scales, a.scale_kind, at), scale_at(scales + 128, a.scale_kind, at), 0, 0};
    if constexpr (Format::kMayHaveZeros) {
      const auto* zeros = reinterpret_cast<const int8_t*>(scales + kScaleBytes);
      const bool has = a.zeros != nullptr;
      found.zero_low = Format::minus_zero(has ? zeros[at] : Format::kUsualZero);
      found.zero_high = Format::minus_zero(has ? zeros[32 + at] : Format::kUsualZero);
    }
    return found;
  }

  // Of a tile whose rows have one scale each; ones where they have groups or none.
  DEVICE Scales scales_of_rows(int32_t base) const {
    Scales found;
    if constexpr (Format::kPacked) {
      if (a.group != 0) return found;
      const int64_t low = base + static_cast<int64_t>(g), high = low + a.map.delta;
      found.low = scale_at(a.scales, a.scale_kind, low);
      found.high = scale_at(a.scales, a.scale_kind, high);
      if constexpr (Format::kMayHaveZeros) {
        found.zero_low = Format::minus_zero(a.zeros != nullptr ? a.zeros[low] : Format::kUsualZero);
        found.zero_high = Format::minus_zero(a.zeros != nullptr ? a.zeros[high] : Format::kUsualZero);
      }
    }
    return found;
  }
};

// total += scale * part, and part starts again.
template <int kN>
DEVICE void flush(float (&total)[kN][4], float (&part)[kN][4], const Scales& scales) {
UNROLL
  for (int n = 0; n < kN; n++) {
    total[n][0] += part[n][0] * scales.low;
    total[n][1] += part[n][1] * scales.low;
    total[n][2] += part[n][2] * scales.high;
    total[n][3] += part[n][3] * scales.high;
    part[n][0] = part[n][1] = part[n][2] = part[n][3] = 0.0f;
  }
}

}  // namespace chasqui::cuda
