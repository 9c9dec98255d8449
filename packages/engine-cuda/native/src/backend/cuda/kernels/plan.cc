// See plan.h. What is weighed: every block does the same number of tiles, or all wait for a few of them.
#include "plan.h"

#include <algorithm>

namespace chasqui::cuda {

namespace {

constexpr int64_t up(int64_t n, int64_t by) { return (n + by - 1) / by; }

constexpr int32_t kMostGemmSlices = 8;
constexpr int32_t kReserved = 1024;  // of each block, by the system

// Blocks of the skinny kernel that are to share a multiprocessor: two where there is room for two deep rings.
int32_t blocks_per_sm(const DeviceLimits& limits) { return limits.shared_per_sm >= 160 * 1024 ? 2 : 1; }

int32_t shared_budget(const DeviceLimits& limits) {
  return std::min(limits.shared_per_block, limits.shared_per_sm / blocks_per_sm(limits) - kReserved);
}

}  // namespace

SkinnyPlan skinny_plan(const DeviceLinear& linear, int32_t rows, const DeviceLimits& limits) {
  SkinnyPlan best;
  SkinnyPlan plan;
  plan.tiles = static_cast<int32_t>(up(linear.out, 16));
  plan.steps = static_cast<int32_t>(up(linear.in, step_of(linear.kind)));
  plan.columns = rows <= 8 ? 8 : 16;
  const int32_t fixed = kSkinnyWarps * skinny_stages(linear.kind) * stage_bytes(linear.kind) +
                        2 * kSkinnyWarps * plan.columns * 64 + table_bytes(linear.kind);
  int64_t least = 0;
  for (int32_t slices = 1; slices <= plan.steps; slices++) {
    const int64_t slice_steps = up(plan.steps, slices);
    plan.slices = slices;
    plan.shared_bytes = static_cast<int32_t>(fixed + rows * (slice_steps * step_of(linear.kind) + 32) * 2);
    const bool fits = plan.shared_bytes <= shared_budget(limits);
    if (!fits && plan.shared_bytes > limits.shared_per_block) continue;
    const int32_t resident = limits.sms * (fits ? blocks_per_sm(limits) : 1);
    plan.blocks = std::clamp(resident / slices, 1, plan.tiles);
    // In steps of a warp; a slice more costs the meeting of the sums.
    const int64_t cost = up(plan.tiles, plan.blocks) * up(slice_steps, kSkinnyWarps) * 64 * (fits ? 1 : 2) + slices * 8;
    if (best.tiles != 0 && cost >= least) continue;
    least = cost;
    best = plan;
  }
  return best;
}

GemmPlan gemm_plan(const DeviceLinear& linear, int32_t rows, const DeviceLimits& limits) {
  GemmPlan plan;
  plan.row_blocks = static_cast<int32_t>(up(linear.out, 128));
  plan.columns = rows <= 64 || gemm_shared_bytes(linear.kind, 128) > limits.shared_per_block ? 64 : 128;
  plan.column_blocks = static_cast<int32_t>(up(rows, plan.columns));
  plan.steps = static_cast<int32_t>(up(linear.in, step_of(linear.kind)));
  // Few blocks: cut the inputs so that every multiprocessor has one, but never below four steps.
  const int32_t blocks = plan.row_blocks * plan.column_blocks;
  plan.slices = std::clamp(limits.sms / blocks, 1, std::clamp(plan.steps / 4, 1, kMostGemmSlices));
  return plan;
}

int32_t decode_splits(const ModelShape& shape, int32_t decode_rows, int32_t max_length, const DeviceLimits& limits) {
  const int32_t pages = static_cast<int32_t>(up(max_length, kPage));
  const int32_t useful = std::max<int32_t>(1, pages / 8);  // a block has at least eight pages, two for each warp
  const int32_t wanted = static_cast<int32_t>(up(int64_t{4} * limits.sms, int64_t{shape.n_kv_heads} * std::max(1, decode_rows)));
  return std::clamp(std::min(useful, wanted), 1, 128);
}

}  // namespace chasqui::cuda
