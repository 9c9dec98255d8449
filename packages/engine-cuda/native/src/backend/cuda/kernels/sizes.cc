// What the kernels need, and what they cannot do.
#include <algorithm>

#include "plan.h"
#include "quantise_inputs.h"

namespace chasqui::cuda {

namespace {

constexpr int64_t kPairBytes = 8;       // two floats
constexpr int64_t kDecodePartial = 4;   // floats behind each row of partial attention: its maximum and sum, padded

DeviceLinear matrix(WeightKind kind, int32_t out, int32_t in) {
  DeviceLinear linear;
  linear.kind = kind;
  linear.out = out;
  linear.in = in;
  return linear;
}

void widen(ScratchSizes* sizes, int64_t partial_bytes, int64_t counters) {
  sizes->partial_bytes = std::max(sizes->partial_bytes, partial_bytes);
  sizes->counter_bytes = std::max(sizes->counter_bytes, counters * 4);
}

void widen_for(ScratchSizes* sizes, const DeviceLinear& linear, int32_t rows, const DeviceLimits& limits) {
  if (rows <= kSkinnyRows) {
    const SkinnyPlan plan = skinny_plan(linear, rows, limits);
    const int64_t places = static_cast<int64_t>(plan.tiles) * plan.columns / 4;
    if (plan.slices > 1) widen(sizes, places * plan.slices * 32 * kPairBytes, places);
    return;
  }
  const GemmPlan plan = gemm_plan(linear, rows, limits);
  const int64_t blocks = static_cast<int64_t>(plan.row_blocks) * plan.column_blocks;
  if (plan.slices > 1) widen(sizes, blocks * plan.slices * 128 * plan.columns * 4, blocks);
}

}  // namespace

const char* refuses(const ModelShape& shape) {
  if (shape.head_dim != 64 && shape.head_dim != 128) return "head_dim is neither 64 nor 128";
  if (shape.n_kv_heads <= 0 || shape.n_heads % shape.n_kv_heads != 0) return "n_kv_heads does not divide n_heads";
  if (shape.n_heads / shape.n_kv_heads > 8) return "more than 8 query heads share a key-value head";
  if (shape.dim % 64 != 0) return "dim is not a multiple of 64";
  if (shape.ffn % 64 != 0) return "ffn is not a multiple of 64";
  return nullptr;
}

const char* refuses(const DeviceLinear& linear) {
  if (linear.in % 64 != 0) return "inputs are not a multiple of 64";
  if (linear.out % 8 != 0 && linear.kind != WeightKind::kBF16) return "outputs are not a multiple of 8";
  const bool power = (linear.group & (linear.group - 1)) == 0;
  if (linear.group != 0 && (!power || linear.group < 32)) return "the quantisation group is not a power of two from 32 on";
  if (linear.zeros != nullptr && linear.kind != WeightKind::kInt4 && linear.kind != WeightKind::kInt8) {
    return "zero points for weights that are not integers";
  }
  return nullptr;
}

ScratchSizes scratch_sizes(const ModelShape& shape, int32_t max_rows, int32_t max_logits, const DeviceLimits& limits) {
  const int32_t heads = shape.n_heads * shape.head_dim;
  const int32_t qkv = heads + 2 * shape.n_kv_heads * shape.head_dim;
  ScratchSizes sizes;
  constexpr WeightKind kKinds[] = {WeightKind::kBF16, WeightKind::kFp8, WeightKind::kInt8, WeightKind::kInt4, WeightKind::kTable4};
  for (const WeightKind kind : kKinds) {
    for (int32_t rows = 1; rows <= std::max(max_rows, max_logits); rows += rows < 2048 ? 1 : 128) {
      if (rows <= max_rows) {
        widen_for(&sizes, matrix(kind, qkv, shape.dim), rows, limits);
        widen_for(&sizes, matrix(kind, shape.dim, heads), rows, limits);
        widen_for(&sizes, matrix(kind, 2 * shape.ffn, shape.dim), rows, limits);
        widen_for(&sizes, matrix(kind, shape.dim, shape.ffn), rows, limits);
      }
      if (rows <= max_logits) widen_for(&sizes, matrix(kind, shape.vocab, shape.dim), rows, limits);
    }
  }
  // Where Hopper's e4m3 products keep their inputs.
  if (limits.capability == 90) widen(&sizes, quantised_bytes(max_rows, std::max({shape.dim, heads, shape.ffn})), 0);
  for (int32_t rows = 1; rows <= max_rows; rows++) {
    const int64_t splits = decode_splits(shape, rows, kMostPositions, limits);
    widen(&sizes, static_cast<int64_t>(rows) * shape.n_heads * splits * (shape.head_dim + kDecodePartial) * 4,
          static_cast<int64_t>(rows) * shape.n_kv_heads);
  }
  return sizes;
}

}  // namespace chasqui::cuda
