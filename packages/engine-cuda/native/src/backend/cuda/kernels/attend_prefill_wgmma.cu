// Causal attention of a run of rows on Hopper: the sibling of attend_prefill.cu for a cache in bf16, with the same tiles.
//
// Of a block's 128 pairs (row, query head) two warpgroups have 64 each, with queries, scores, weights and sums in registers. A
// warp copies keys and values, 128 positions to a stage, each page as a box; keys and values have stages of their own. While
// a warpgroup weighs the scores of one span, its products with the values of the span before run.
//
// Keys lie along their dimensions, values across: what is summed over, positions, runs down the rows of shared memory. Each
// row of 128 bytes is 64 dimensions, so 128 dimensions are two such matrices behind each other.
#include "attend_prefill.cuh"
#include "hopper.h"

namespace chasqui::cuda {

namespace {

constexpr int kConsumers = 8;  // warps
constexpr int kThreads = (kConsumers + 4) * 32;
constexpr int kSpan = 128;     // positions of a stage
constexpr int kStages = 2;
constexpr int kHalfBytes = kSpan * 128;  // of 64 dimensions
constexpr int kAlign = 1024;

template <int kDim>
constexpr int shared_bytes() { return kStages * 2 * (kDim / 64) * kHalfBytes + 4 * kStages * 8 + kAlign; }

#ifdef CHASQUI_HOPPER

template <int kDim>
struct PrefillHopper : PrefillBlock {
  static constexpr int kHalves = kDim / 64, kTurns = kDim / 16, kTiles = kDim / 8;
  static constexpr int kStageBytes = kHalves * kHalfBytes;  // of keys, and of values
  static constexpr int kPages = kSpan / kPage, kColumns = kSpan / 8;

  const TensorMap& keys;
  const TensorMap& values;
  const int32_t pool_rows;  // behind the last row there are zeros
  uint8_t* const stages;
  uint64_t* const full_keys = reinterpret_cast<uint64_t*>(stages + 2 * kStages * kStageBytes);
  uint64_t* const empty_keys = full_keys + kStages;
  uint64_t* const full_values = empty_keys + kStages;
  uint64_t* const empty_values = full_values + kStages;
  int32_t spans = 0;

  DEVICE uint8_t* key_stage(uint32_t slot) const { return stages + slot * kStageBytes; }
  DEVICE uint8_t* value_stage(uint32_t slot) const { return stages + (kStages + slot) * kStageBytes; }

  // ---- the warp that copies ----

  DEVICE void copy_span(const TensorMap& map, uint8_t* to, int32_t span, uint64_t* full) const {
    if (lane == 0) phase_arrive_expecting(full, kStageBytes);
    sync_warp();
    if (lane >= kPages * kHalves) return;
    const auto page = static_cast<int32_t>(lane % kPages), half = static_cast<int32_t>(lane / kPages);
    const int32_t index = span * kPages + page;
    const bool there = index * kPage < end;
    const int32_t row = there ? (table[index] * a.n_kv_heads + kv_head) * kPage : pool_rows;
    copy_box(to + half * kHalfBytes + page * kPage * 128, map, half * 64, row, full);
  }

  DEVICE void produce() const {
    expect_map(keys);
    expect_map(values);
    RingPlace at, before;
    for (int32_t span = 0; span <= spans; span++) {
      if (span < spans) {
        phase_wait(empty_keys + at.slot, at.parity_of_empty());
        copy_span(keys, key_stage(at.slot), span, full_keys + at.slot);
      }
      if (span > 0) {
        phase_wait(empty_values + before.slot, before.parity_of_empty());
        copy_span(values, value_stage(before.slot), span - 1, full_values + before.slot);
      }
      before = at;
      at.advance(kStages);
    }
  }

  // ---- the warps that multiply ----

  DEVICE void release(uint64_t* empty) const {
    if (lane == 0) phase_arrive(empty);
  }

  DEVICE void load_queries(uint32_t (&q)[kTurns][4]) const {
UNROLL
    for (int side = 0; side < 2; side++) {
      const int32_t pair = pair_of(side);
      const uint16_t* from = a.q + (pair < n_pairs ? head_at(pair, kDim) : 0) + t * 2;
UNROLL
      for (int turn = 0; turn < kTurns; turn++) {
        q[turn][side] = pair < n_pairs ? *reinterpret_cast<const uint32_t*>(from + turn * 16) : 0;
        q[turn][side + 2] = pair < n_pairs ? *reinterpret_cast<const uint32_t*>(from + turn * 16 + 8) : 0;
      }
    }
  }

  DEVICE void score(const uint8_t* stage, const uint32_t (&q)[kTurns][4], float (&scores)[kColumns][4]) const {
    const uint64_t k = matrix_descriptor(shared_address(stage), 1024, 16, Swizzle::k128);
UNROLL
    for (uint32_t turn = 0; turn < kTurns; turn++) {
      multiply_rows<Lie::kAlong>(scores, q[turn], moved(k, turn / 4 * kHalfBytes + turn % 4 * 32), turn > 0);
    }
    products_commit();
  }

  DEVICE void add_values(const uint8_t* stage, const uint32_t (&weights)[kSpan / 16][4], bool more, float (&sums)[kTiles][4]) const {
    const uint64_t v = matrix_descriptor(shared_address(stage), 1024, kHalfBytes, Swizzle::k128);
UNROLL
    for (uint32_t step = 0; step < kSpan / 16; step++) {
      multiply_rows<Lie::kAcross>(sums, weights[step], moved(v, step * 16 * 128), more || step > 0);
    }
    products_commit();
  }

  // Turns scores into weights; `fade` is what earlier sums are worth now.
  DEVICE void weigh(int32_t span, float (&scores)[kColumns][4], float (&max)[2], float (&sum)[2], float (&fade)[2]) const {
    const int32_t first = span * kSpan;
    if (first + kSpan - 1 > first_position) hide(first, scores);
UNROLL
    for (int side = 0; side < 2; side++) {
      float highest = max[side];
UNROLL
      for (int column = 0; column < kColumns; column++) highest = fmaxf(highest, fmaxf(scores[column][side * 2], scores[column][side * 2 + 1]));
      const float now = quad_max(highest);
      fade[side] = exp_2((max[side] - now) * a.scale);
      max[side] = now;
      sum[side] *= fade[side];
      const float shift = now * a.scale;
UNROLL
      for (int column = 0; column < kColumns; column++) {
UNROLL
        for (int e = 0; e < 2; e++) {
          float& value = scores[column][side * 2 + e];
          value = exp_2(value * a.scale - shift);
          sum[side] += value;
        }
      }
    }
  }

  // What a row must not see, and what is behind the end, where anything may lie.
  DEVICE void hide(int32_t first, float (&scores)[kColumns][4]) const {
UNROLL
    for (int side = 0; side < 2; side++) {
      const int32_t last = last_seen(side) - first;
UNROLL
      for (int column = 0; column < kColumns; column++) {
UNROLL
        for (int e = 0; e < 2; e++) {
          float& value = scores[column][side * 2 + e];
          value = column * 8 + static_cast<int32_t>(t) * 2 + e <= last ? value : kNoScore;
        }
      }
    }
  }

  DEVICE static void pack(const float (&scores)[kColumns][4], uint32_t (&weights)[kSpan / 16][4]) {
UNROLL
    for (int step = 0; step < kSpan / 16; step++) operand_of(scores[step * 2], scores[step * 2 + 1], weights[step]);
  }

  // Rows of the last page behind the end become zeros: what lies there may be NaN, and its weight of 0 would not help. Both
  // warpgroups write the same, each before it reads.
  DEVICE void clear_end(uint8_t* stage) const {
    const int32_t first = end - (spans - 1) * kSpan, last = (end + kPage - 1) / kPage * kPage - (spans - 1) * kSpan;
    const int32_t pieces = (last - first) * 8;
    for (int32_t i = static_cast<int32_t>(threadIdx.x % 128); i < pieces * kHalves; i += 128) {
      *reinterpret_cast<uint4*>(stage + i / pieces * kHalfBytes + first * 128 + i % pieces * 16) = uint4{0, 0, 0, 0};
    }
    show_to_matrix_unit();
    sync_some(1 + warp / 4, 128);
  }

  DEVICE void consume() const {
    uint32_t q[kTurns][4], weights[kSpan / 16][4];
    load_queries(q);
    float scores[kColumns][4], sums[kTiles][4];
    float max[2] = {kNoScore, kNoScore}, sum[2] = {}, fade[2];
    RingPlace at, before;
    phase_wait(full_keys, 0);
    products_begin();
    score(key_stage(0), q, scores);
    products_wait<0>();
    settle(scores);
    release(empty_keys);
    weigh(0, scores, max, sum, fade);
    pack(scores, weights);
    for (int32_t span = 1; span < spans; span++) {
      before = at;
      at.advance(kStages);
      phase_wait(full_keys + at.slot, at.parity_of_full());
      products_begin();
      score(key_stage(at.slot), q, scores);
      phase_wait(full_values + before.slot, before.parity_of_full());
      products_begin();
      add_values(value_stage(before.slot), weights, span > 1, sums);
      products_wait<1>();
      settle(scores);
      release(empty_keys + at.slot);
      weigh(span, scores, max, sum, fade);
      products_wait<0>();
      settle(sums);
      release(empty_values + before.slot);
UNROLL
      for (int i = 0; i < kTiles * 4; i++) sums[i / 4][i % 4] *= fade[i % 4 / 2];
      pack(scores, weights);
    }
    phase_wait(full_values + at.slot, at.parity_of_full());
    clear_end(value_stage(at.slot));
    products_begin();
    add_values(value_stage(at.slot), weights, spans > 1, sums);
    products_wait<0>();
    settle(sums);
    write<KvTile<KvKind::kBF16, kDim>>(sums, sum);
  }

  DEVICE void run() {
    let_next_start();
    wait_for_earlier();
    if (!take_tile()) return;
    spans = (end + kSpan - 1) / kSpan;
    if (threadIdx.x == 0) {
      for (int i = 0; i < kStages; i++) {
        phases_init(full_keys + i, 1);
        phases_init(full_values + i, 1);
        phases_init(empty_keys + i, kConsumers);
        phases_init(empty_values + i, kConsumers);
      }
      phases_ready();
    }
    __syncthreads();
    if (warp >= kConsumers) {
      give_registers<24>();
      if (warp == kConsumers) produce();
    } else {
      take_registers<240>();
      consume();
    }
  }
};

#endif

template <int kDim>
__global__ void __launch_bounds__(kThreads, 1)
    prefill_hopper_kernel(AttendArguments arguments, const GRID_CONSTANT TensorMap keys, const GRID_CONSTANT TensorMap values, int32_t pool_rows) {
#ifdef CHASQUI_HOPPER
  PrefillHopper<kDim>{{arguments}, keys, values, pool_rows, aligned_shared(shared_memory())}.run();
#else
  (void)arguments, (void)keys, (void)values, (void)pool_rows;
#endif
}

template <int kDim>
void launch_prefill(const Target& target, Launch launch, const AttendArguments& arguments, const TensorMap (&maps)[2], int32_t pool_rows) {
  launch.shared_bytes = shared_bytes<kDim>();
  start(*target.stream, launch, prefill_hopper_kernel<kDim>, arguments, maps[0], maps[1], pool_rows);
}

}  // namespace

bool attend_prefill_wgmma(const Target& target, const ModelShape& shape, int32_t tiles, const DeviceKv& kv, const AttendArguments& arguments) {
  const int64_t rows = static_cast<int64_t>(kv.n_pages) * shape.n_kv_heads * kPage;
  const bool fits = shape.head_dim == 128 ? shared_bytes<128>() <= target.limits.shared_per_block : shared_bytes<64>() <= target.limits.shared_per_block;
  if (target.limits.capability != 90 || !fits || kv.kind != KvKind::kBF16 || rows > INT32_MAX - kPage) return false;
  const int64_t pitch = int64_t{shape.head_dim} * 2;
  TensorMap maps[2];
  if (!make_tensor_map({arguments.keys, 2, shape.head_dim, rows, pitch, kPage, Swizzle::k128}, &maps[0]) ||
      !make_tensor_map({arguments.values, 2, shape.head_dim, rows, pitch, kPage, Swizzle::k128}, &maps[1])) {
    return false;
  }
  Launch launch;
  launch.kernel = shape.head_dim == 128 ? "attend_prefill128_wgmma" : "attend_prefill64_wgmma";
  launch.grid = {static_cast<uint32_t>(shape.n_kv_heads), static_cast<uint32_t>(tiles), 1};
  launch.block.x = kThreads;
  launch.overlaps = true;
  if (shape.head_dim == 128) {
    launch_prefill<128>(target, launch, arguments, maps, static_cast<int32_t>(rows));
  } else {
    launch_prefill<64>(target, launch, arguments, maps, static_cast<int32_t>(rows));
  }
  return true;
}

}  // namespace chasqui::cuda
