// y = W x for many rows on Hopper: the frame of the siblings of gemm.cuh. One warp of a block copies boxes of both operands
// into a ring of stages; two warpgroups multiply what is there, each 64 weight rows by all columns of the tile. Blocks stay
// and take tile after tile, so the copies of the next tile run while the sums of this one are written.
//
// Weights come in runs of eight rows, as RowMap has them: eight rows are an atom of the swizzle, so a tile's two runs of rows
// lie below each other whatever is between them in memory. The sums of a lane then are pairs as the endings want them.
//
// What a kind of weights has to say: bytes of a stage and how they are copied, how a stage is multiplied, what a sum counts.
#pragma once

#include "gemm.cuh"
#include "hopper.h"

namespace chasqui::cuda {

struct HopperArguments {
  GemmArguments gemm;
  int32_t steps = 0;  // stages of a tile
  int32_t row_blocks = 0;
  int32_t column_blocks = 0;
  int32_t first_row = 0;                 // of the step: what `rows` and the inputs begin at
  const float* input_scales = nullptr;   // (rows): of quantised inputs
};

constexpr int kHopperThreads = 384;      // two warpgroups that multiply, one of which a warp copies
constexpr int kHopperConsumers = 8;      // warps
constexpr int kHopperRows = 128;         // of the weights, of a tile
constexpr int kHopperAlign = 1024;
constexpr int kHopperBarriers = 256;     // bytes

template <typename Kind>
constexpr int hopper_shared_bytes() { return Kind::kStages * Kind::kStageBytes + kHopperBarriers + kHopperAlign; }

#ifdef CHASQUI_HOPPER

template <typename Kind>
struct HopperGemm {
  static constexpr int kWeightBytes = Kind::kWeightBytes;
  static_assert(2 * Kind::kStages * 8 <= kHopperBarriers);

  const HopperArguments& a;
  const TensorMap& weights;
  const TensorMap& inputs;
  uint8_t* const stages;
  uint64_t* const full = reinterpret_cast<uint64_t*>(stages + Kind::kStages * Kind::kStageBytes);
  uint64_t* const empty = full + Kind::kStages;
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;

  DEVICE uint8_t* stage(uint32_t slot) const { return stages + slot * Kind::kStageBytes; }
  DEVICE TilePlace tile(int32_t index) const { return tile_place(index, a.row_blocks, a.column_blocks); }
  DEVICE int32_t live() const {
    const int32_t all = live_rows(a.gemm.ending, a.first_row + a.gemm.rows) - a.first_row;
    return all < 0 ? 0 : all;
  }
  // Which tiles of its way a block works on. Its first one is begun before the live rows are known.
  DEVICE bool takes(int32_t index, const TilePlace& place, int32_t live) const {
    return index == static_cast<int32_t>(blockIdx.x) || place.column_block * Kind::kColumns < live;
  }

  // Lane l < 16: the run of eight rows that it copies, as a row of the weights; less than 0: none, zeros will do.
  DEVICE int32_t run_of_lane(const TilePlace& place) const {
    const int32_t tile = place.row_block * (kHopperRows / 16) + static_cast<int32_t>(lane / 2);
    if (tile >= a.gemm.tiles) return -1;
    return a.gemm.weights.map.base(tile) + (lane % 2 != 0 ? a.gemm.weights.map.delta : 0);
  }

  DEVICE void expect(uint32_t slot) const {
    if (lane == 0) phase_arrive_expecting(full + slot, Kind::kStageBytes);
    sync_warp();
  }
  DEVICE void copy_weights(const TilePlace& place, int32_t step, uint32_t slot) const {
    if (lane < 16) Kind::copy_run(a, weights, stage(slot) + lane * 1024, run_of_lane(place), step, full + slot);
  }
  DEVICE void copy_inputs(const TilePlace& place, int32_t step, uint32_t slot) const {
    if (lane == 0) Kind::copy_inputs(inputs, stage(slot) + kWeightBytes, place.column_block * Kind::kColumns, step, full + slot);
  }

  DEVICE void produce() const {
    const auto first = static_cast<int32_t>(blockIdx.x), tiles = a.row_blocks * a.column_blocks;
    const int32_t early = a.steps < Kind::kStages ? a.steps : Kind::kStages;
    expect_map(weights);
    expect_map(inputs);
    for (int32_t step = 0; step < early; step++) {
      expect(static_cast<uint32_t>(step));
      copy_weights(tile(first), step, static_cast<uint32_t>(step));
    }
    wait_for_earlier();
    const int32_t live = this->live();
    RingPlace at;
    for (int32_t index = first; index < tiles; index += static_cast<int32_t>(gridDim.x)) {
      const TilePlace place = tile(index);
      if (!takes(index, place, live)) continue;
      for (int32_t step = 0; step < a.steps; step++) {
        if (index != first || step >= early) {
          phase_wait(empty + at.slot, at.parity_of_empty());
          expect(at.slot);
          copy_weights(place, step, at.slot);
        }
        copy_inputs(place, step, at.slot);
        at.advance(Kind::kStages);
      }
    }
  }

  DEVICE void release(uint32_t slot) const {
    if (lane == 0) phase_arrive(empty + slot);
  }

  DEVICE void consume() const {
    wait_for_earlier();
    const auto tiles = a.row_blocks * a.column_blocks;
    const int32_t live = this->live();
    RingPlace at;
    for (int32_t index = static_cast<int32_t>(blockIdx.x); index < tiles; index += static_cast<int32_t>(gridDim.x)) {
      const TilePlace place = tile(index);
      if (!takes(index, place, live)) continue;
      const int32_t tile16 = place.row_block * (kHopperRows / 16) + static_cast<int32_t>(warp);
      float total[Kind::kColumns / 8][4];
      Kind::sum(*this, tile16, at, total);
      if (tile16 < a.gemm.tiles) finish(total, tile16, place.column_block * Kind::kColumns, live);
    }
  }

  DEVICE void finish(const float (&total)[Kind::kColumns / 8][4], int32_t tile16, int32_t first_column, int32_t live) const {
    const int32_t base = a.gemm.weights.map.base(tile16);
UNROLL
    for (int n = 0; n < Kind::kColumns / 8; n++) {
UNROLL
      for (int e = 0; e < 2; e++) {
        const int32_t column = first_column + n * 8 + static_cast<int32_t>(lane % 4) * 2 + e;
        if (column >= live) continue;
        const float scale = Kind::kQuantisesInputs ? a.input_scales[column] : 1.0f;
        finish_pair(a.gemm.ending, a.first_row + column, base, a.gemm.weights.map.delta, static_cast<int32_t>(lane / 4), total[n][e] * scale,
                    total[n][e + 2] * scale);
      }
    }
  }

  DEVICE void run() const {
    if (threadIdx.x == 0) {
      for (int i = 0; i < Kind::kStages; i++) {
        phases_init(full + i, 1);
        phases_init(empty + i, kHopperConsumers);
      }
      phases_ready();
    }
    __syncthreads();
    let_next_start();
    if (warp >= kHopperConsumers) {
      give_registers<40>();
      if (warp == kHopperConsumers) produce();
    } else {
      take_registers<232>();
      consume();
    }
  }
};

#endif

template <typename Kind>
__global__ void __launch_bounds__(kHopperThreads, 1)
    hopper_kernel(HopperArguments arguments, const GRID_CONSTANT TensorMap weights, const GRID_CONSTANT TensorMap inputs) {
#ifdef CHASQUI_HOPPER
  HopperGemm<Kind>{arguments, weights, inputs, aligned_shared(shared_memory())}.run();
#else
  (void)arguments, (void)weights, (void)inputs;
#endif
}

// Tiles of `Kind` for these arguments; false where the chip is another one or its driver makes no tensor maps.
template <typename Kind>
bool launch_hopper(const Target& target, HopperArguments arguments, const TensorShape& weights, const TensorShape& inputs, const char* name) {
  TensorMap maps[2];
  if (!make_tensor_map(weights, &maps[0]) || !make_tensor_map(inputs, &maps[1])) return false;
  arguments.row_blocks = (arguments.gemm.tiles + kHopperRows / 16 - 1) / (kHopperRows / 16);
  arguments.column_blocks = (arguments.gemm.rows + Kind::kColumns - 1) / Kind::kColumns;
  const int32_t tiles = arguments.row_blocks * arguments.column_blocks;
  Launch launch;
  launch.kernel = name;
  launch.grid.x = static_cast<uint32_t>(tiles < target.limits.sms ? tiles : target.limits.sms);
  launch.block.x = kHopperThreads;
  launch.shared_bytes = hopper_shared_bytes<Kind>();
  launch.overlaps = true;
  start(*target.stream, launch, hopper_kernel<Kind>, arguments, maps[0], maps[1]);
  return true;
}

// Of the chip; what the weights must be is the kind's to say.
inline bool has_hopper(const Target& target, int32_t shared_bytes) {
  return target.limits.capability == 90 && target.limits.shared_per_block >= shared_bytes;
}

}  // namespace chasqui::cuda
