// The fused operations of launch.h: each chooses its variant by the number of rows and fills in what the kernels want to know.
//
//   up to 4 rows    skinny kernel, which norms the rows itself
//   up to 16        norm, then the skinny kernel
//   more            norm, then the tile kernel
#include "gemm.cuh"
#include "linear.h"
#include "low_rank.h"
#include "skinny.cuh"
#include "small.h"

namespace chasqui::cuda {

namespace {

constexpr int32_t kPortableRows = 128;

WeightSource source_of(const DeviceLinear& linear, const RowMap& map) {
  WeightSource source;
  source.codes = linear.codes;
  source.scales = linear.scales;
  source.zeros = linear.zeros;
  source.table = linear.table;
  source.scale_kind = linear.scale_kind;
  source.out = linear.out;
  source.in = linear.in;
  const int32_t step = step_of(linear.kind);
  source.steps = (linear.in + step - 1) / step;
  source.group = linear.group;
  while (1 << source.group_bits < linear.group) source.group_bits++;
  source.groups = linear.group == 0 ? 1 : (source.steps * step + linear.group - 1) / linear.group;
  source.map = map;
  return source;
}

// What goes into a matrix: rows of x that are still to be normed, or, without a norm, ready ones.
struct Input {
  const float* x = nullptr;
  const DeviceNorm* norm = nullptr;
  const int32_t* which = nullptr;
  const uint16_t* ready = nullptr;  // (rows, in)
};

void skinny(const Target& target, const DeviceLinear& linear, const SkinnyPlan& plan, const SkinnyArguments& arguments) {
  switch (linear.kind) {
    case WeightKind::kBF16: return skinny_bf16(target, plan, arguments);
    case WeightKind::kFp8: return skinny_fp8(target, plan, arguments);
    case WeightKind::kInt8: return skinny_int8(target, plan, arguments);
    case WeightKind::kInt4: return skinny_int4(target, plan, arguments);
    case WeightKind::kTable4: return skinny_table4(target, plan, arguments);
  }
}

void gemm(const Target& target, const DeviceLinear& linear, const GemmPlan& plan, const GemmArguments& arguments) {
  switch (linear.kind) {
    case WeightKind::kBF16: return gemm_bf16(target, plan, arguments);
    case WeightKind::kFp8: return gemm_fp8(target, plan, arguments);
    case WeightKind::kInt8: return gemm_int8(target, plan, arguments);
    case WeightKind::kInt4: return gemm_int4(target, plan, arguments);
    case WeightKind::kTable4: return gemm_table4(target, plan, arguments);
  }
}

void multiply_few(const Target& target, int32_t rows, const DeviceLinear& linear, const RowMap& map, const Input& input,
                  const Ending& ending) {
  const SkinnyPlan plan = skinny_plan(linear, rows, target.limits);
  SkinnyArguments arguments;
  arguments.weights = source_of(linear, map);
  arguments.order = linear.order;
  arguments.tiles = plan.tiles;
  arguments.slices = plan.slices;
  arguments.rows = rows;
  if (input.norm == nullptr) {
    arguments.input = input.ready;
  } else {
    arguments.x = input.x;
    arguments.norm_weight = input.norm->weight;
    arguments.eps = input.norm->eps;
    arguments.which = input.which;
  }
  arguments.partials = target.scratch.partials;
  arguments.counters = target.scratch.counters;
  arguments.ending = ending;
  skinny(target, linear, plan, arguments);
}

// Tiles of Hopper's own kernels are wide: fewer rows are left to the portable ones.
bool multiply_on_hopper(const Target& target, int32_t rows, const DeviceLinear& linear, const GemmArguments& arguments) {
  if (!target.untried || rows <= kPortableRows) return false;
  if (linear.kind == WeightKind::kBF16) return gemm_wgmma(target, arguments);
  if (linear.kind == WeightKind::kFp8) return gemm_wgmma_fp8(target, arguments);
  return false;
}

void multiply_many(const Target& target, int32_t rows, const DeviceLinear& linear, const RowMap& map, const uint16_t* input,
                   const Ending& ending) {
  const GemmPlan plan = gemm_plan(linear, rows, target.limits);
  GemmArguments arguments;
  arguments.weights = source_of(linear, map);
  arguments.tiles = (linear.out + 15) / 16;
  arguments.rows = rows;
  arguments.input = input;
  arguments.partials = target.scratch.partials;
  arguments.counters = target.scratch.counters;
  arguments.ending = ending;
  if (multiply_on_hopper(target, rows, linear, arguments)) return;
  gemm(target, linear, plan, arguments);
}

// ending(linear * norm(x)) or ending(linear * ready). `work.normed` is used on the way.
void multiply(const Target& target, int32_t rows, const DeviceLinear& linear, const RowMap& map, Input input, const Ending& ending,
              const Activations& work) {
  const bool few = rows <= kSkinnyRows;
  DeviceLinear ordered = linear;
  if (input.norm != nullptr && rows > kFusedNormRows) {
    norm_rows(target, rows, linear.in, input.x, input.which, *input.norm, linear.order, ending.live, ending.first_row, work.normed);
    input = {nullptr, nullptr, nullptr, work.normed};
    ordered.order = nullptr;
  } else if (!few && linear.order != nullptr) {
    reorder_rows(target, rows, linear.in, input.ready, linear.order, ending.live, work.normed);
    input.ready = work.normed;
  }
  if (few) {
    multiply_few(target, rows, ordered, map, input, ending);
  } else {
    multiply_many(target, rows, linear, map, input.ready, ending);
  }
}

// ending(linear * input + what the rows' adapters add)
void multiply_adapted(const Target& target, const Step& step, int32_t rows, const DeviceLinear& linear, const RowMap& map,
                      const Input& input, const Ending& ending, const Activations& work, const LayerLowRank& low_rank) {
  if (low_rank.entries == nullptr) return multiply(target, rows, linear, map, input, ending, work);
  LowRankArguments arguments;
  arguments.entries = low_rank.entries;
  arguments.slots = step.slots;
  arguments.live = ending.live;
  arguments.in = linear.in;
  arguments.ready = input.ready;
  if (input.norm != nullptr) {
    arguments.x = input.x;
    arguments.norm_weight = input.norm->weight;
    arguments.eps = input.norm->eps;
  }
  arguments.hidden = low_rank.hidden;
  arguments.stride = low_rank.stride;
  arguments.sums = low_rank.sums;
  shrink(target, rows, low_rank.ranks, arguments);
  Ending plain = ending;
  plain.after = After::kLogits;
  plain.floats = low_rank.sums;
  multiply(target, rows, linear, map, input, plain, work);
  expand(target, rows, arguments, ending, map);
}

Ending ending_of(After after, const DeviceLinear& linear, const Step& step) {
  Ending ending;
  ending.after = after;
  ending.rows = linear.out;
  ending.live = &step.counts->rows;
  return ending;
}

}  // namespace

void norm_qkv_rope_store(const Target& target, const ModelShape& shape, const Step& step, int32_t rows,
                         const DeviceNorm& norm, const DeviceLinear& qkv, const DeviceRope& rope, const DeviceKv& kv,
                         int32_t layer, const Activations& work, const LayerLowRank& low_rank) {
  Ending ending = ending_of(After::kStoreQkv, qkv, step);
  const int64_t element = kv.kind == KvKind::kBF16 ? 2 : 1;
  const int64_t layer_bytes = static_cast<int64_t>(kv.n_pages) * shape.n_kv_heads * kPage * shape.head_dim * element;
  ending.q = work.q;
  ending.keys = static_cast<uint8_t*>(kv.keys) + layer * layer_bytes;
  ending.values = static_cast<uint8_t*>(kv.values) + layer * layer_bytes;
  ending.turns = rope.turns;
  ending.positions = step.positions;
  ending.page_starts = step.page_starts;
  ending.pages = step.pages;
  ending.n_heads = shape.n_heads;
  ending.n_kv_heads = shape.n_kv_heads;
  ending.head_dim = shape.head_dim;
  ending.kv_kind = kv.kind;
  ending.inverse_key_scale = 1.0f / kv.key_scale;
  ending.inverse_value_scale = 1.0f / kv.value_scale;
  const RowMap heads{shape.head_dim / 16, shape.head_dim, shape.head_dim / 2};
  multiply_adapted(target, step, rows, qkv, heads, {work.x, &norm, nullptr, nullptr}, ending, work, low_rank);
}

void o_residual(const Target& target, const ModelShape&, const Step& step, int32_t rows, const DeviceLinear& o,
                const Activations& work, const LayerLowRank& low_rank) {
  Ending ending = ending_of(After::kAddToX, o, step);
  ending.floats = work.x;
  multiply_adapted(target, step, rows, o, RowMap{}, {nullptr, nullptr, nullptr, work.attended}, ending, work, low_rank);
}

void norm_gateup_silu(const Target& target, const ModelShape& shape, const Step& step, int32_t rows,
                      const DeviceNorm& norm, const DeviceLinear& gate_up, const Activations& work,
                      const LayerLowRank& low_rank) {
  Ending ending = ending_of(After::kGate, gate_up, step);
  ending.hidden = work.hidden;
  const RowMap pairs{1, 8, shape.ffn};
  multiply_adapted(target, step, rows, gate_up, pairs, {work.x, &norm, nullptr, nullptr}, ending, work, low_rank);
}

void down_residual(const Target& target, const ModelShape&, const Step& step, int32_t rows, const DeviceLinear& down,
                   const Activations& work, const LayerLowRank& low_rank) {
  Ending ending = ending_of(After::kAddToX, down, step);
  ending.floats = work.x;
  multiply_adapted(target, step, rows, down, RowMap{}, {nullptr, nullptr, nullptr, work.hidden}, ending, work, low_rank);
}

void head(const Target& target, const ModelShape&, const Step& step, int32_t first, int32_t count, const DeviceNorm& norm,
          const DeviceLinear& head, const Activations& work) {
  Ending ending = ending_of(After::kLogits, head, step);
  ending.live = &step.counts->wanted;
  ending.first_row = first;
  ending.floats = work.logits;
  multiply(target, count, head, RowMap{}, {work.x, &norm, step.wanted + first, nullptr}, ending, work);
}

}  // namespace chasqui::cuda
