// y = W x for few rows x (up to 16): the kernel of decode, bound by the bytes of W. Weights come as the A operand of
// mma.m16n8k16 and the rows of the step as its 8 columns, so one row costs as much as eight and nothing is added up across
// lanes. A block keeps x in shared memory and walks through tiles of 16 weight rows; its warps take the steps of a row in
// turn, and their sums meet once a tile.
//
// Each lane copies its own pieces of W through its own slots in shared memory (cp.async) and reads nobody else's, so the
// ring needs no barrier and runs on over the ends of tiles. It is filled before the kernel waits for the one before it.
//
// The order of the inputs within a dot product is free as long as both operands agree. So lane 4 g + t takes 16 bytes of
// row g and of the g-th row of x as they lie, and no operand needs a transposition.
#pragma once

#include "norm.cuh"
#include "plan.h"
#include "weights.cuh"

namespace chasqui::cuda {

struct SkinnyArguments {
  WeightSource weights;
  const int32_t* order = nullptr;
  int32_t tiles = 0;
  int32_t slices = 1;
  // The rows of the step: normed here (x, norm_weight), or ready (input).
  int32_t rows = 0;
  const float* x = nullptr;            // (rows, in)
  const float* norm_weight = nullptr;  // (in)
  float eps = 0.0f;
  const int32_t* which = nullptr;      // rows of x, or null: 0, 1, ...
  const uint16_t* input = nullptr;     // (rows, in)
  // Where sums of several slices meet.
  float* partials = nullptr;
  uint32_t* counters = nullptr;
  Ending ending;
};

// A warp's way through its share of the weights.
struct Walk {
  int32_t tile;
  int32_t step;
  int32_t base;  // the tile's first row
};

template <typename Format, int kColumns>
struct Skinny {
  static constexpr int kTiles8 = kColumns / 8;
  static constexpr int kStages = skinny_stages(Format::kKind);
  static constexpr int kStageBytes = Weights<Format>::kBytes;
  // Shared memory: the warps' rings, the sums of two tiles, the table, the activations.
  static constexpr int kSumsAt = kSkinnyWarps * kStages * kStageBytes;
  static constexpr int kTableAt = kSumsAt + 2 * kSkinnyWarps * kTiles8 * 128 * 4;
  static constexpr int kInputsAt = kTableAt + table_bytes(Format::kKind);

  const SkinnyArguments& a;
  const Weights<Format> weights;
  const uint32_t lane, warp, g, t;
  const int32_t first_step, last_step;  // of this block's slice
  uint8_t* const ring;                  // of this warp
  uint16_t* const inputs;               // (kColumns, stride)
  const int32_t stride;
  float* const sums;                    // (2, warps, kTiles8, 16, 8)
  const uint32_t* pairs_of_lane;        // of Table4

  DEVICE Skinny(const SkinnyArguments& arguments, uint8_t* shared, int32_t slice)
      : a(arguments),
        weights{a.weights},
        lane(threadIdx.x % 32),
        warp(threadIdx.x / 32),
        g(lane / 4),
        t(lane % 4),
        first_step(static_cast<int32_t>(static_cast<int64_t>(a.weights.steps) * slice / a.slices)),
        last_step(static_cast<int32_t>(static_cast<int64_t>(a.weights.steps) * (slice + 1) / a.slices)),
        ring(shared + warp * kStages * kStageBytes),
        inputs(reinterpret_cast<uint16_t*>(shared + kInputsAt)),
        stride((last_step - first_step) * Format::kStep + 32),
        sums(reinterpret_cast<float*>(shared + kSumsAt)),
        pairs_of_lane(reinterpret_cast<const uint32_t*>(shared + kTableAt) + lane) {}

  DEVICE int32_t steps_of_warp() const {
    const int32_t steps = last_step - first_step - static_cast<int32_t>(warp);
    return steps <= 0 ? 0 : (steps + kSkinnyWarps - 1) / kSkinnyWarps;
  }
  DEVICE Walk begin() const { return {static_cast<int32_t>(blockIdx.x), first_step + static_cast<int32_t>(warp), a.weights.map.base(static_cast<int32_t>(blockIdx.x))}; }
  // A warp that has no step in a tile has none in any, and its walk is over at once.
  DEVICE bool done(const Walk& walk) const { return walk.tile >= a.tiles || walk.step >= last_step; }
  DEVICE void advance(Walk& walk) const {
    walk.step += kSkinnyWarps;
    if (walk.step < last_step) return;
    walk.step = first_step + static_cast<int32_t>(warp);
    walk.tile += static_cast<int32_t>(gridDim.x);
    walk.base = a.weights.map.base(walk.tile);
  }

  // ---- the ring ----

  DEVICE void issue(const Walk& walk, int slot) const {
    if (!done(walk)) weights.copy_step(ring + slot * kStageBytes, walk.base, walk.step);
    copies_commit();
  }

  // ---- the activations ----

  // Fills `inputs` with this block's slice; a barrier must follow. Columns of rows that are not live keep what lies there:
  // columns of a product do not touch each other.
  DEVICE void load_inputs(int32_t live) const {
    const int32_t first = first_step * Format::kStep;
    const int32_t quads = (last_step - first_step) * Format::kStep / 4;
    for (int32_t column = 0; column < live; column++) {
      for (int32_t i = static_cast<int32_t>(threadIdx.x); i < quads; i += kSkinnyWarps * 32) {
        const int32_t k = first + i * 4;
        uint2 quad{0, 0};
        if (k < a.weights.in) quad = a.norm_weight != nullptr ? normed_quad(column, k) : input_quad(column, k);
        *reinterpret_cast<uint2*>(inputs + column * stride + i * 4) = quad;
      }
    }
  }

  DEVICE uint2 input_quad(int32_t column, int32_t k) const {
    const uint16_t* row = a.input + static_cast<int64_t>(column) * a.weights.in;
    if (a.order == nullptr) return *reinterpret_cast<const uint2*>(row + k);
    const int32_t* order = a.order + k;
    return {row[order[0]] | static_cast<uint32_t>(row[order[1]]) << 16, row[order[2]] | static_cast<uint32_t>(row[order[3]]) << 16};
  }

  DEVICE const float* x_row(int32_t column) const {
    return a.x + static_cast<int64_t>(a.which != nullptr ? a.which[column] : column) * a.weights.in;
  }

  DEVICE uint2 normed_quad(int32_t column, int32_t k) const {
    const float* x = x_row(column);
    const float scale = norm_scale(sums + column * kNormWarps, a.weights.in, a.eps);
    if (a.order == nullptr) {
      const float4 v = *reinterpret_cast<const float4*>(x + k);
      const float4 w = *reinterpret_cast<const float4*>(a.norm_weight + k);
      return {bf16_pair(v.x * scale * w.x, v.y * scale * w.y), bf16_pair(v.z * scale * w.z, v.w * scale * w.w)};
    }
    float value[4];
UNROLL
    for (int i = 0; i < 4; i++) value[i] = x[a.order[k + i]] * scale * a.norm_weight[a.order[k + i]];
    return {bf16_pair(value[0], value[1]), bf16_pair(value[2], value[3])};
  }

  // Sums of squares of each warp and row, where the sums of tiles come later; a barrier must follow.
  DEVICE void square_rows(int32_t live) const {
    for (int32_t column = 0; column < live; column++) {
      const float sum = warp_sum(norm_share(x_row(column), a.weights.in));
      if (lane == 0) sums[column * kNormWarps + warp] = sum;
    }
  }

  // ---- the product ----

  DEVICE void multiply_step(const uint8_t* stage, int32_t step, Scales scales, float (&total)[kTiles8][4],
                            float (&part)[kTiles8][4]) const {
    uint32_t low[4 * Format::kChunks], high[4 * Format::kChunks];
    weights.read_words(stage, low, high);
    const bool grouped = weights.is_grouped();
    const int32_t turns_of_group = weights.turns_of_group();
    if (grouped) scales = weights.scales_of_step(stage, 0);
    const uint16_t* column = inputs + (step - first_step) * Format::kStep + t * 8;
UNROLL
    for (int pair = 0; pair < Format::kTurns / 2; pair++) {
      uint4 x[kTiles8];
UNROLL
      for (int n = 0; n < kTiles8; n++) {
        x[n] = uint4{0, 0, 0, 0};
        const int32_t mine = n * 8 + static_cast<int32_t>(g);
        if (mine < a.rows) x[n] = *reinterpret_cast<const uint4*>(column + mine * stride + pair * 32);
      }
UNROLL
      for (int half = 0; half < 2; half++) {
        const int turn = pair * 2 + half;
        uint32_t l[2], h[2];
        Format::expand(low, turn, *this, scales.zero_low, l);
        Format::expand(high, turn, *this, scales.zero_high, h);
UNROLL
        for (int n = 0; n < kTiles8; n++) {
          if (half == 0) mma(part[n], l[0], h[0], l[1], h[1], x[n].x, x[n].y);
          if (half == 1) mma(part[n], l[0], h[0], l[1], h[1], x[n].z, x[n].w);
        }
      }
      if (grouped && ((pair * 2 + 2) & (turns_of_group - 1)) == 0) {
        flush<kTiles8>(total, part, scales);
        if (pair * 2 + 2 < Format::kTurns) scales = weights.scales_of_step(stage, weights.group_of_turn(pair * 2 + 2));
      }
    }
  }

  // ---- the end of a tile ----

  DEVICE void publish(float* buffer, const float (&total)[kTiles8][4]) const {
    float* mine = buffer + warp * kTiles8 * 128;
UNROLL
    for (int n = 0; n < kTiles8; n++) {
      *reinterpret_cast<float2*>(mine + n * 128 + g * 8 + t * 2) = float2{total[n][0], total[n][1]};
      *reinterpret_cast<float2*>(mine + n * 128 + (g + 8) * 8 + t * 2) = float2{total[n][2], total[n][3]};
    }
  }

  // Some warps, other ones for each tile, add up what all published: pair `pair`, column `column` of the step.
  DEVICE void finish(const float* buffer, int32_t tile, int32_t turn, int32_t live) const {
    const uint32_t worker = (warp + kSkinnyWarps - static_cast<uint32_t>(turn * 2 * kTiles8) % kSkinnyWarps) % kSkinnyWarps;
    if (worker >= 2 * kTiles8) return;
    const uint32_t entry = worker * 32 + lane;
    const uint32_t column = entry / 64 * 8 + entry % 8, pair = entry / 8 % 8;
    const float* at = buffer + entry / 64 * 128 + pair * 8 + entry % 8;
    float low = 0.0f, high = 0.0f;
UNROLL
    for (int w = 0; w < kSkinnyWarps; w++) {
      low += at[w * kTiles8 * 128];
      high += at[w * kTiles8 * 128 + 64];
    }
    if (a.slices > 1 && !meet_slices(tile, worker, low, high)) return;
    const int32_t base = a.weights.map.base(tile);
    if (static_cast<int32_t>(column) < live) {
      finish_pair(a.ending, static_cast<int32_t>(column), base, a.weights.map.delta, static_cast<int32_t>(pair), low, high);
    }
  }

  // Leaves this slice's sums; in the last slice to come, replaces them by those of all, added up in their order.
  DEVICE bool meet_slices(int32_t tile, uint32_t worker, float& low, float& high) const {
    const int64_t place = static_cast<int64_t>(tile) * 2 * kTiles8 + worker;
    float2* partials = reinterpret_cast<float2*>(a.partials) + place * a.slices * 32 + lane;
    partials[blockIdx.y * 32] = float2{low, high};
    fence_device();
    sync_warp();
    uint32_t before = 0;
    if (lane == 0) before = atomic_add(a.counters + place, 1);
    before = shuffle(before, 0);
    if (before != static_cast<uint32_t>(a.slices) - 1) return false;
    fence_device();
    low = high = 0.0f;
    for (int32_t slice = 0; slice < a.slices; slice++) {
      const float* both = reinterpret_cast<const float*>(partials + slice * 32);
      low += load_shared_by_blocks(both);
      high += load_shared_by_blocks(both + 1);
    }
    if (lane == 0) a.counters[place] = 0;
    return true;
  }

  DEVICE void run() const {
    Walk ahead = begin();
    for (int i = 0; i < kStages - 1; i++) {
      issue(ahead, i);
      advance(ahead);
    }
    if constexpr (Format::kHasTable) fill_table(const_cast<uint32_t*>(pairs_of_lane) - lane, a.weights.table);
    let_next_start();
    wait_for_earlier();
    const int32_t live = live_rows(a.ending, a.rows);
    if (a.norm_weight != nullptr) {
      square_rows(live);
      __syncthreads();
    }
    load_inputs(live);
    __syncthreads();

    const int32_t per_tile = steps_of_warp();
    int slot = 0;
    int32_t turn = 0;
    for (int32_t tile = static_cast<int32_t>(blockIdx.x); tile < a.tiles; tile += static_cast<int32_t>(gridDim.x), turn++) {
      float total[kTiles8][4] = {}, part[kTiles8][4] = {};
      const Scales of_rows = weights.scales_of_rows(a.weights.map.base(tile));
      for (int32_t i = 0; i < per_tile; i++) {
        copies_wait<kStages - 2>();
        if constexpr (Format::kPacked) sync_warp();  // scales are copied by some lanes for all
        issue(ahead, slot == 0 ? kStages - 1 : slot - 1);
        advance(ahead);
        multiply_step(ring + slot * kStageBytes, first_step + static_cast<int32_t>(warp) + i * kSkinnyWarps, of_rows, total, part);
        slot = slot == kStages - 1 ? 0 : slot + 1;
      }
      flush<kTiles8>(total, part, of_rows);
      float* buffer = sums + turn % 2 * kSkinnyWarps * kTiles8 * 128;
      publish(buffer, total);
      __syncthreads();
      finish(buffer, tile, turn, live);
    }
  }
};

template <typename Format, int kColumns>
__global__ void __launch_bounds__(kSkinnyWarps * 32, 2) skinny_kernel(SkinnyArguments arguments) {
  Skinny<Format, kColumns>(arguments, shared_memory(), static_cast<int32_t>(blockIdx.y)).run();
}

}  // namespace chasqui::cuda
