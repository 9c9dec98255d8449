// y = W x for many rows x: the portable tile kernel of prefill and of larger batches; 17 to 64 rows of quantised weights go
// to middle.cuh. A block makes 128 weight rows by 64 or 128 rows of the step; eight warps, each 32 weight rows by half the
// columns. Weights are the A operand as in skinny.cuh, in the same formats and by the same copies; stages of both operands come through cp.async, with one
// barrier a stage. Few blocks: the inputs are cut into slices whose sums the last to come adds up.
//
// Activations lie in shared memory by row, 16-byte pieces of odd rows changed with those 64 bytes away, so that the eight
// lanes of a quarter warp (two rows, four pieces) meet eight different banks.
#pragma once

#include "plan.h"
#include "weights.cuh"

namespace chasqui::cuda {

constexpr int kGemmThreads = 256;
constexpr int kGemmRows = 128;

struct GemmArguments {
  WeightSource weights;
  int32_t tiles = 0;                // of 16 weight rows
  int32_t rows = 0;                 // of the step
  const uint16_t* input = nullptr;  // (rows, in)
  float* partials = nullptr;
  uint32_t* counters = nullptr;
  Ending ending;
};

template <typename Format, int kColumns>
struct Gemm {
  static constexpr int kTiles = 2;              // of 16 weight rows, of a warp
  static constexpr int kTiles8 = kColumns / 16;  // of 8 columns, of a warp
  static constexpr int kWeightBytes = kGemmRows / 16 * Weights<Format>::kBytes;
  static constexpr int kPieces = Format::kStep / 8;  // of 16 bytes, of one row of activations
  static constexpr int kStageBytes = kWeightBytes + kColumns * Format::kStep * 2;
  static constexpr int kStages = gemm_stages(Format::kKind);
  static constexpr int kSharedBytes = gemm_shared_bytes(Format::kKind, kColumns);
  static_assert(kSharedBytes == kStages * kStageBytes + table_bytes(Format::kKind));

  const GemmArguments& a;
  uint8_t* const shared;
  const Weights<Format> weights;
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
  const uint32_t warp_row = warp / 2, warp_column = warp % 2;
  const int32_t first_tile = static_cast<int32_t>(blockIdx.x) * (kGemmRows / 16);
  const int32_t first_column = static_cast<int32_t>(blockIdx.y) * kColumns;

  DEVICE Gemm(const GemmArguments& arguments, uint8_t* memory) : a(arguments), shared(memory), weights{a.weights} {}

  DEVICE uint8_t* stage(int slot) const { return shared + slot * kStageBytes; }
  DEVICE int32_t tile_of(int32_t index) const {
    const int32_t tile = first_tile + index;
    return tile < a.tiles ? tile : a.tiles - 1;
  }
  // Of the activations in a stage: piece `piece` of row `column` of the block.
  DEVICE uint8_t* piece_at(uint8_t* stage, int32_t column, int32_t piece) const {
    return stage + kWeightBytes + (column * kPieces + (piece ^ (column & 1) << 2)) * 16;
  }

  DEVICE void copy_weights(int slot, int32_t step) const {
    weights.copy_step(stage(slot) + warp * Weights<Format>::kBytes, a.weights.map.base(tile_of(static_cast<int32_t>(warp))), step);
  }

  DEVICE void copy_inputs(int slot, int32_t step) const {
    uint8_t* to = stage(slot);
    for (int32_t i = static_cast<int32_t>(threadIdx.x); i < kColumns * kPieces; i += kGemmThreads) {
      const int32_t column = i / kPieces, piece = i % kPieces;
      int32_t row = first_column + column;
      if (row >= a.rows) row = a.rows - 1;
      const int32_t k = step * Format::kStep + piece * 8;
      const bool there = k < a.weights.in;
      copy_16_or_zeros(piece_at(to, column, piece), a.input + static_cast<int64_t>(row) * a.weights.in + (there ? k : 0), there);
    }
  }

  DEVICE void read_inputs(uint8_t* from, int pair, uint4 (&x)[kTiles8]) const {
UNROLL
    for (int n = 0; n < kTiles8; n++) {
      const auto column = static_cast<int32_t>(warp_column * (kColumns / 2) + n * 8 + g);
      x[n] = *reinterpret_cast<const uint4*>(piece_at(from, column, pair * 4 + static_cast<int32_t>(t)));
    }
  }

  // bf16 needs neither scales nor sums of groups, and is read as it is used, so that two blocks fit beside each other.
  DEVICE void multiply_plain(uint8_t* from, float (&total)[kTiles][kTiles8][4]) const {
UNROLL
    for (int chunk = 0; chunk < Format::kChunks; chunk++) {
      uint4 low[kTiles], high[kTiles];
UNROLL
      for (int m = 0; m < kTiles; m++) {
        const uint8_t* mine = from + (warp_row * kTiles + m) * Weights<Format>::kBytes + lane * 16;
        low[m] = *reinterpret_cast<const uint4*>(mine + chunk * 512);
        high[m] = *reinterpret_cast<const uint4*>(mine + (Format::kChunks + chunk) * 512);
      }
UNROLL
      for (int n = 0; n < kTiles8; n++) {
        const auto column = static_cast<int32_t>(warp_column * (kColumns / 2) + n * 8 + g);
        const uint4 x = *reinterpret_cast<const uint4*>(piece_at(from, column, chunk * 4 + static_cast<int32_t>(t)));
UNROLL
        for (int m = 0; m < kTiles; m++) {
          mma(total[m][n], low[m].x, high[m].x, low[m].y, high[m].y, x.x, x.y);
          mma(total[m][n], low[m].z, high[m].z, low[m].w, high[m].w, x.z, x.w);
        }
      }
    }
  }

  // One tile of weights by all columns of the warp, over one step.
  DEVICE void multiply_step(uint8_t* from, const Scales (&of_rows)[kTiles], float (&total)[kTiles][kTiles8][4],
                            float (&part)[kTiles][kTiles8][4]) const {
    uint32_t low[kTiles][4 * Format::kChunks], high[kTiles][4 * Format::kChunks];
    const uint8_t* tiles[kTiles];
    Scales scales[kTiles];
    const bool grouped = weights.is_grouped();
    const int32_t turns_of_group = weights.turns_of_group();
UNROLL
    for (int m = 0; m < kTiles; m++) {
      tiles[m] = from + (warp_row * kTiles + m) * Weights<Format>::kBytes;
      weights.read_words(tiles[m], low[m], high[m]);
      scales[m] = grouped ? weights.scales_of_step(tiles[m], 0) : of_rows[m];
    }
UNROLL
    for (int pair = 0; pair < Format::kTurns / 2; pair++) {
      uint4 x[kTiles8];
      read_inputs(from, pair, x);
UNROLL
      for (int half = 0; half < 2; half++) {
UNROLL
        for (int m = 0; m < kTiles; m++) {
          uint32_t l[2], h[2];
          Format::expand(low[m], pair * 2 + half, *this, scales[m].zero_low, l);
          Format::expand(high[m], pair * 2 + half, *this, scales[m].zero_high, h);
UNROLL
          for (int n = 0; n < kTiles8; n++) {
            if (half == 0) mma(part[m][n], l[0], h[0], l[1], h[1], x[n].x, x[n].y);
            if (half == 1) mma(part[m][n], l[0], h[0], l[1], h[1], x[n].z, x[n].w);
          }
        }
      }
      if (!grouped || ((pair * 2 + 2) & (turns_of_group - 1)) != 0) continue;
UNROLL
      for (int m = 0; m < kTiles; m++) {
        flush<kTiles8>(total[m], part[m], scales[m]);
        if (pair * 2 + 2 < Format::kTurns) scales[m] = weights.scales_of_step(tiles[m], weights.group_of_turn(pair * 2 + 2));
      }
    }
  }

  // The sums of all slices in their order, in the last block to come; false in the others.
  DEVICE bool meet_slices(float (&total)[kTiles][kTiles8][4]) const {
    constexpr int kFloats = kTiles * kTiles8 * 4;
    const int64_t block = static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x;
    float* partials = a.partials + block * gridDim.z * kFloats * kGemmThreads + threadIdx.x;
    float* mine = partials + static_cast<int64_t>(blockIdx.z) * kFloats * kGemmThreads;
    float* flat = &total[0][0][0];
UNROLL
    for (int i = 0; i < kFloats; i++) mine[i * kGemmThreads] = flat[i];
    fence_device();
    __syncthreads();  // all have left their sums, and nobody reads the last stage any more
    auto* before = reinterpret_cast<uint32_t*>(shared);
    if (threadIdx.x == 0) *before = atomic_add(a.counters + block, 1);
    __syncthreads();
    if (*before != gridDim.z - 1) return false;
    fence_device();
UNROLL
    for (int i = 0; i < kFloats; i++) flat[i] = load_shared_by_blocks(partials + i * kGemmThreads);
    for (uint32_t slice = 1; slice < gridDim.z; slice++) {
      const float* other = partials + static_cast<int64_t>(slice) * kFloats * kGemmThreads;
UNROLL
      for (int i = 0; i < kFloats; i++) flat[i] += load_shared_by_blocks(other + i * kGemmThreads);
    }
    if (threadIdx.x == 0) a.counters[block] = 0;
    return true;
  }

  DEVICE void finish(const float (&total)[kTiles][kTiles8][4], int32_t live) const {
UNROLL
    for (int m = 0; m < kTiles; m++) {
      const int32_t tile = first_tile + static_cast<int32_t>(warp_row) * kTiles + m;
      if (tile >= a.tiles) continue;
      const int32_t base = a.weights.map.base(tile);
UNROLL
      for (int n = 0; n < kTiles8; n++) {
UNROLL
        for (int e = 0; e < 2; e++) {
          const int32_t row = first_column + static_cast<int32_t>(warp_column * (kColumns / 2) + n * 8 + t * 2) + e;
          if (row < live) finish_pair(a.ending, row, base, a.weights.map.delta, static_cast<int32_t>(g), total[m][n][e], total[m][n][e + 2]);
        }
      }
    }
  }

  const uint32_t* pairs_of_lane = nullptr;  // of Table4

  // A barrier must follow.
  DEVICE void take_table(uint8_t* memory) {
    auto* pairs = reinterpret_cast<uint32_t*>(memory);
    fill_table(pairs, a.weights.table);
    pairs_of_lane = pairs + lane;
  }

  DEVICE void read_row_scales(Scales (&of_rows)[kTiles]) const {
UNROLL
    for (int m = 0; m < kTiles; m++) of_rows[m] = weights.scales_of_rows(a.weights.map.base(tile_of(static_cast<int32_t>(warp_row) * kTiles + m)));
  }

  DEVICE void scale_rows(float (&total)[kTiles][kTiles8][4], const Scales (&of_rows)[kTiles]) const {
UNROLL
    for (int m = 0; m < kTiles; m++) {
UNROLL
      for (int n = 0; n < kTiles8; n++) {
UNROLL
        for (int e = 0; e < 4; e++) total[m][n][e] *= e < 2 ? of_rows[m].low : of_rows[m].high;
      }
    }
  }

  DEVICE void run() {
    const auto slices = static_cast<int64_t>(gridDim.z);
    const auto first = static_cast<int32_t>(a.weights.steps * static_cast<int64_t>(blockIdx.z) / slices);
    const auto last = static_cast<int32_t>(a.weights.steps * (static_cast<int64_t>(blockIdx.z) + 1) / slices);
    if constexpr (Format::kHasTable) take_table(shared + kStages * kStageBytes);
    for (int i = 0; i < kStages - 1; i++) {
      if (first + i < last) copy_weights(i, first + i);
    }
    let_next_start();
    wait_for_earlier();
    const int32_t live = live_rows(a.ending, a.rows);
    if (first_column >= live) return;
    for (int i = 0; i < kStages - 1; i++) {
      if (first + i < last) copy_inputs(i, first + i);
      copies_commit();
    }
    float total[kTiles][kTiles8][4] = {};
    [[maybe_unused]] float part[kTiles][kTiles8][4] = {};
    Scales of_rows[kTiles];
    read_row_scales(of_rows);
    int slot = 0;
    for (int32_t step = first; step < last; step++) {
      copies_wait<kStages - 2>();
      __syncthreads();  // this step is there for all, and all are through with the one before it
      const int next = slot == 0 ? kStages - 1 : slot - 1;
      if (step + kStages - 1 < last) {
        copy_weights(next, step + kStages - 1);
        copy_inputs(next, step + kStages - 1);
      }
      copies_commit();
      if constexpr (Format::kPacked) {
        multiply_step(stage(slot), of_rows, total, part);
      } else {
        multiply_plain(stage(slot), total);
      }
      slot = slot == kStages - 1 ? 0 : slot + 1;
    }
    if constexpr (Format::kPacked) {
UNROLL
      for (int m = 0; m < kTiles; m++) flush<kTiles8>(total[m], part[m], of_rows[m]);
    }
    if (gridDim.z > 1 && !meet_slices(total)) return;
    finish(total, live);
  }
};

template <typename Format, int kColumns>
__global__ void __launch_bounds__(kGemmThreads, Format::kPacked ? 1 : 2) gemm_kernel(GemmArguments arguments) {
  Gemm<Format, kColumns>(arguments, shared_memory()).run();
}

}  // namespace chasqui::cuda
