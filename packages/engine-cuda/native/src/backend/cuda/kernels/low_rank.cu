// What adapters add to a linear layer, y += scale B (A x), before its ending: in steps that have rows of adapters. The product
// leaves its sums as floats; `shrink` makes h = scale A x of each row, `expand` adds B h to the sums and does what the
// product's own ending would have done. Rows without an adapter get the same bits as without any.
//
// Which adapter a row has is read on the device, so a recording serves any mixture.
#include "low_rank.h"

#include "norm.cuh"

namespace chasqui::cuda {

namespace {

constexpr int32_t kThreads = kNormThreads;
constexpr int32_t kRowsTogether = 4;  // of a block of shrink: a row of A is read once for those that share an adapter
constexpr int32_t kRanksTogether = kThreads / 32;

// What one adapter adds to the layer, for a row of the step; null: nothing.
DEVICE const DeviceLowRank* entry_of(const LowRankArguments& a, int32_t row) {
  const int32_t slot = a.slots[row];
  if (slot < 0 || a.entries[slot].ranks == 0) return nullptr;
  return a.entries + slot;
}

// Each warp a row of A, with all rows of the block that have this adapter.
DEVICE void shrink_rows(const LowRankArguments& a, const DeviceLowRank& entry, uint32_t rows, int32_t first_row, const float* scales) {
  const auto lane = static_cast<int32_t>(threadIdx.x % 32);
  const int32_t rank = static_cast<int32_t>(blockIdx.y) * kRanksTogether + static_cast<int32_t>(threadIdx.x / 32);
  if (rank >= entry.ranks) return;
  const uint16_t* weights = entry.a + static_cast<int64_t>(rank) * a.in;
  float sums[kRowsTogether] = {};
  for (int32_t k = lane * 2; k < a.in; k += 64) {
    const uint32_t pair = *reinterpret_cast<const uint32_t*>(weights + k);
UNROLL
    for (int32_t i = 0; i < kRowsTogether; i++) {
      if ((rows >> i & 1) == 0) continue;
      const int64_t at = static_cast<int64_t>(first_row + i) * a.in + k;
      uint32_t inputs;
      if (a.norm_weight == nullptr) {
        inputs = *reinterpret_cast<const uint32_t*>(a.ready + at);
      } else {
        inputs = bf16_pair(a.x[at] * scales[i] * a.norm_weight[k], a.x[at + 1] * scales[i] * a.norm_weight[k + 1]);
      }
      sums[i] += low_of(pair) * low_of(inputs) + high_of(pair) * high_of(inputs);
    }
  }
  float scale = 0.0f;
UNROLL
  for (int32_t part = 0; part < kMostParts; part++) {
    if (rank >= entry.first_rank[part] && rank < entry.first_rank[part + 1]) scale = entry.scale[part];
  }
UNROLL
  for (int32_t i = 0; i < kRowsTogether; i++) {
    const float sum = warp_sum(sums[i]);
    if (lane == 0 && (rows >> i & 1) != 0) a.hidden[static_cast<int64_t>(first_row + i) * a.stride + rank] = scale * sum;
  }
}

__global__ void __launch_bounds__(kThreads) shrink_kernel(LowRankArguments a) {
  let_next_start();
  wait_for_earlier();
  auto* sums = reinterpret_cast<float*>(shared_memory());  // (kRowsTogether, kNormWarps)
  const int32_t first_row = static_cast<int32_t>(blockIdx.x) * kRowsTogether;
  const int32_t left = *a.live - first_row;
  const int32_t n = left < kRowsTogether ? left : kRowsTogether;
  float scales[kRowsTogether] = {};
  if (a.norm_weight != nullptr) {
    for (int32_t i = 0; i < n; i++) {
      const float sum = warp_sum(norm_share(a.x + static_cast<int64_t>(first_row + i) * a.in, a.in));
      if (threadIdx.x % 32 == 0) sums[i * kNormWarps + threadIdx.x / 32] = sum;
    }
    __syncthreads();
UNROLL
    for (int32_t i = 0; i < kRowsTogether; i++) {
      if (i < n) scales[i] = norm_scale(sums + i * kNormWarps, a.in, a.eps);
    }
  }
  uint32_t done = 0;
  for (int32_t i = 0; i < n; i++) {
    const DeviceLowRank* entry = entry_of(a, first_row + i);
    if (entry == nullptr || (done >> i & 1) != 0) continue;
    uint32_t rows = 0;
    for (int32_t other = i; other < n; other++) {
      if (a.slots[first_row + other] == a.slots[first_row + i]) rows |= 1u << other;
    }
    done |= rows;
    shrink_rows(a, *entry, rows, first_row, scales);
  }
}

// B h of one output.
DEVICE float expanded(const LowRankArguments& a, const DeviceLowRank& entry, int32_t row, int32_t output) {
  int32_t part = 0;
UNROLL
  for (int32_t i = 1; i < kMostParts; i++) {
    if (output >= entry.first_output[i]) part = i;
  }
  const int32_t first = entry.first_rank[part], ranks = entry.first_rank[part + 1] - first;
  const float* hidden = a.hidden + static_cast<int64_t>(row) * a.stride + first;
  const uint16_t* weights = entry.b + static_cast<int64_t>(output) * entry.b_stride;
  float sum = 0.0f;
  for (int32_t i = 0; i < ranks; i++) sum += float_of(weights[i]) * hidden[i];
  return sum;
}

// A thread makes one pair of outputs of one row.
__global__ void __launch_bounds__(kThreads) expand_kernel(LowRankArguments a, Ending ending, RowMap map) {
  let_next_start();
  wait_for_earlier();
  const auto row = static_cast<int32_t>(blockIdx.y);
  const int32_t pair = static_cast<int32_t>(blockIdx.x) * kThreads + static_cast<int32_t>(threadIdx.x);
  const int32_t tile = pair / 8, g = pair % 8;
  if (row >= *a.live || tile >= (ending.rows + 15) / 16) return;
  const int32_t base = map.base(tile), low_at = base + g, high_at = base + map.delta + g;
  if (low_at >= ending.rows) return;
  const float* sums = a.sums + static_cast<int64_t>(row) * ending.rows;
  const bool has_high = high_at < ending.rows;
  float low = sums[low_at], high = has_high ? sums[high_at] : 0.0f;
  if (const DeviceLowRank* entry = entry_of(a, row)) {
    low += expanded(a, *entry, row, low_at);
    if (has_high) high += expanded(a, *entry, row, high_at);
  }
  finish_pair(ending, row, base, map.delta, g, low, high);
}

}  // namespace

void shrink(const Target& target, int32_t rows, int32_t ranks, const LowRankArguments& arguments) {
  Launch launch;
  launch.kernel = "shrink";
  launch.grid.x = static_cast<uint32_t>((rows + kRowsTogether - 1) / kRowsTogether);
  launch.grid.y = static_cast<uint32_t>((ranks + kRanksTogether - 1) / kRanksTogether);
  launch.block.x = kThreads;
  launch.shared_bytes = kRowsTogether * kNormWarps * sizeof(float);
  launch.overlaps = true;
  start(*target.stream, launch, shrink_kernel, arguments);
}

void expand(const Target& target, int32_t rows, const LowRankArguments& arguments, const Ending& ending, const RowMap& map) {
  Launch launch;
  launch.kernel = "expand";
  const int32_t pairs = (ending.rows + 15) / 16 * 8;
  launch.grid.x = static_cast<uint32_t>((pairs + kThreads - 1) / kThreads);
  launch.grid.y = static_cast<uint32_t>(rows);
  launch.block.x = kThreads;
  launch.overlaps = true;
  start(*target.stream, launch, expand_kernel, arguments, ending, map);
}

}  // namespace chasqui::cuda
