// y = W x for 17 to 64 rows with quantised weights: between decode, which is bound by the bytes of W, and prefill, which is
// bound by the tensor cores. What costs here is making bf16 of codes, so each code is expanded once in a block: four pairs of
// warps have 32 weight rows each by all columns, and of a pair one warp has the first half of every step's inputs, the other
// the second. Their sums meet in shared memory, and from there on a thread holds what a thread of the tile kernel holds.
//
// Codes of a pair of turns stay in registers while the columns pass by, so the sums of a group need no registers of
// their own for all columns. Copies run further ahead than in the tile kernel: there are few rows to work on meanwhile.
#pragma once

#include "gemm.cuh"

namespace chasqui::cuda {

// Stages: many where a block may have so much memory, or as many as the tile kernel has.
constexpr int middle_stages(WeightKind kind, int columns, bool is_deep) {
  if (columns == 32) return 4;
  return is_deep ? 6 : gemm_stages(kind);
}

template <typename Format, int kColumns, int kRing>
struct Middle : Gemm<Format, kColumns> {
  using Base = Gemm<Format, kColumns>;
  static constexpr int kTiles = Base::kTiles;
  static constexpr int kAll8 = kColumns / 8;                // tiles of 8 columns, of a block
  static constexpr int kMine8 = Base::kTiles8;              // of a warp in the end
  static constexpr int kPairs = Format::kTurns / 4;         // of turns, of half a step
  static constexpr int kTogether = 2;                       // tiles of 8 columns whose sums grow side by side
  static constexpr int kSharedBytes = kRing * Base::kStageBytes + table_bytes(Format::kKind);
  static constexpr int kMeetBytes = kTiles * kMine8 * 4 * kGemmThreads * 4;
  static_assert(kMeetBytes <= kRing * Base::kStageBytes && Format::kPacked);

  using Base::a, Base::weights, Base::lane, Base::warp, Base::g, Base::t, Base::warp_row, Base::shared;
  const uint32_t half = Base::warp_column;

  DEVICE Middle(const GemmArguments& arguments, uint8_t* memory) : Base(arguments, memory) {}

  // The two turns of one pair as A operands of both tiles of rows.
  struct Operands {
    uint32_t low[kTiles][2][2], high[kTiles][2][2];
  };

  // Words of the half: a lane's 16 bytes of a step hold the pairs in their order, 8 bytes to a half.
  DEVICE void read_half(const uint8_t* tile, uint32_t (&low)[4], uint32_t (&high)[4]) const {
    const uint2 l = *reinterpret_cast<const uint2*>(tile + lane * 16 + half * 8);
    const uint2 h = *reinterpret_cast<const uint2*>(tile + 512 + lane * 16 + half * 8);
    low[0] = l.x, low[1] = l.y, low[2] = low[3] = 0;
    high[0] = h.x, high[1] = h.y, high[2] = high[3] = 0;
  }

  DEVICE void multiply_columns(uint8_t* from, int32_t pair, const Operands& w, bool grouped, const Scales (&scales)[kTiles],
                               float (&total)[kTiles][kAll8][4]) const {
UNROLL
    for (int first = 0; first < kAll8; first += kTogether) {
      uint4 x[kTogether];
UNROLL
      for (int i = 0; i < kTogether; i++) {
        x[i] = *reinterpret_cast<const uint4*>(this->piece_at(from, (first + i) * 8 + static_cast<int32_t>(g), pair * 4 + static_cast<int32_t>(t)));
      }
      if (!grouped) {
UNROLL
        for (int m = 0; m < kTiles; m++) {
UNROLL
          for (int i = 0; i < kTogether; i++) multiply_pair(w, m, x[i], total[m][first + i]);
        }
        continue;
      }
      float part[kTiles][kTogether][4] = {};
UNROLL
      for (int m = 0; m < kTiles; m++) {
UNROLL
        for (int i = 0; i < kTogether; i++) {
          multiply_pair(w, m, x[i], part[m][i]);
UNROLL
          for (int e = 0; e < 4; e++) total[m][first + i][e] += part[m][i][e] * (e < 2 ? scales[m].low : scales[m].high);
        }
      }
    }
  }

  DEVICE static void multiply_pair(const Operands& w, int m, const uint4& x, float (&sums)[4]) {
    mma(sums, w.low[m][0][0], w.high[m][0][0], w.low[m][0][1], w.high[m][0][1], x.x, x.y);
    mma(sums, w.low[m][1][0], w.high[m][1][0], w.low[m][1][1], w.high[m][1][1], x.z, x.w);
  }

  // Half a step of two tiles of weights by all columns.
  DEVICE void multiply_half(uint8_t* from, const Scales (&of_rows)[kTiles], float (&total)[kTiles][kAll8][4]) const {
    const bool grouped = weights.is_grouped();
    uint32_t low[kTiles][4], high[kTiles][4];
    const uint8_t* tiles[kTiles];
UNROLL
    for (int m = 0; m < kTiles; m++) {
      tiles[m] = from + (warp_row * kTiles + m) * Weights<Format>::kBytes;
      read_half(tiles[m], low[m], high[m]);
    }
UNROLL
    for (int i = 0; i < kPairs; i++) {
      const int32_t pair = static_cast<int32_t>(half) * kPairs + i;
      Scales scales[kTiles];
      Operands w;
UNROLL
      for (int m = 0; m < kTiles; m++) {
        scales[m] = grouped ? weights.scales_of_step(tiles[m], weights.group_of_turn_in_step(pair * 2)) : of_rows[m];
UNROLL
        for (int turn = 0; turn < 2; turn++) {
          Format::expand(low[m], i * 2 + turn, *this, scales[m].zero_low, w.low[m][turn]);
          Format::expand(high[m], i * 2 + turn, *this, scales[m].zero_high, w.high[m][turn]);
        }
      }
      multiply_columns(from, pair, w, grouped, scales, total);
    }
  }

  // Each warp of a pair keeps one half of the columns and gets the other warp's sums of them.
  DEVICE void meet_halves(const float (&total)[kTiles][kAll8][4], float (&mine)[kTiles][kMine8][4]) const {
    float* place = reinterpret_cast<float*>(shared);
    float* others = place + (threadIdx.x ^ 32);
    __syncthreads();  // nobody reads a stage any more
UNROLL
    for (int m = 0; m < kTiles; m++) {
UNROLL
      for (int n = 0; n < kMine8; n++) {
UNROLL
        for (int e = 0; e < 4; e++) {
          const float early = total[m][n][e], late = total[m][kMine8 + n][e];
          mine[m][n][e] = half == 0 ? early : late;
          others[((m * kMine8 + n) * 4 + e) * kGemmThreads] = half == 0 ? late : early;
        }
      }
    }
    __syncthreads();
    const float* left = place + threadIdx.x;
UNROLL
    for (int i = 0; i < kTiles * kMine8 * 4; i++) (&mine[0][0][0])[i] += left[i * kGemmThreads];
  }

  DEVICE void run() {
    const auto slices = static_cast<int64_t>(gridDim.z);
    const auto first = static_cast<int32_t>(a.weights.steps * static_cast<int64_t>(blockIdx.z) / slices);
    const auto last = static_cast<int32_t>(a.weights.steps * (static_cast<int64_t>(blockIdx.z) + 1) / slices);
    if constexpr (Format::kHasTable) this->take_table(shared + kRing * Base::kStageBytes);
    for (int i = 0; i < kRing - 1; i++) {
      if (first + i < last) this->copy_weights(i, first + i);
    }
    let_next_start();
    wait_for_earlier();
    const int32_t live = live_rows(a.ending, a.rows);
    if (this->first_column >= live) return;
    for (int i = 0; i < kRing - 1; i++) {
      if (first + i < last) this->copy_inputs(i, first + i);
      copies_commit();
    }
    float total[kTiles][kAll8][4] = {};
    Scales of_rows[kTiles];
    this->read_row_scales(of_rows);
    int slot = 0;
    for (int32_t step = first; step < last; step++) {
      copies_wait<kRing - 2>();
      __syncthreads();  // this step is there for all, and all are through with the one before it
      const int next = slot == 0 ? kRing - 1 : slot - 1;
      if (step + kRing - 1 < last) {
        this->copy_weights(next, step + kRing - 1);
        this->copy_inputs(next, step + kRing - 1);
      }
      copies_commit();
      multiply_half(this->stage(slot), of_rows, total);
      slot = slot == kRing - 1 ? 0 : slot + 1;
    }
    float mine[kTiles][kMine8][4];
    meet_halves(total, mine);
    if (!weights.is_grouped()) this->scale_rows(mine, of_rows);
    if (gridDim.z > 1 && !this->meet_slices(mine)) return;
    this->finish(mine, live);
  }
};

template <typename Format, int kColumns, int kRing>
__global__ void __launch_bounds__(kGemmThreads, kColumns == 32 ? 2 : 1) middle_kernel(GemmArguments arguments) {
  Middle<Format, kColumns, kRing>(arguments, shared_memory()).run();
}

}  // namespace chasqui::cuda
