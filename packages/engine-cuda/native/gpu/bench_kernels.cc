// Each operation of a layer alone, as the backend launches it.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>

#include "bench_case.h"
#include "src/backend/cuda/kernels/launch.h"
#include "src/backend/cuda/step_block.h"

namespace chasqui::gpu {

namespace {

using namespace chasqui::cuda;

constexpr int64_t kTurn = int64_t{256} << 20;  // bytes of weights that are gone through before any comes again: more than a cache
constexpr int32_t kContext = 1024;

struct Bench {
  std::unique_ptr<Runtime> runtime;
  std::unique_ptr<Pool> pool;
  std::unique_ptr<StepBlock> step;
  ModelConfig config;
  ModelShape shape;
  WeightKind kind = WeightKind::kBF16;
  int32_t rows = 1;
  Target target;
  Activations work;
  DeviceNorm norm;
  DeviceRope rope;
  DeviceKv kv;
  std::vector<Buffer> buffers;

  void* room(int64_t bytes) {
    buffers.emplace_back();
    if (status.ok()) status = pool->claim(bytes, "the kernel table", &buffers.back());
    return buffers.back().as();
  }
  Status status;
};

void prepare_step(Bench* on) {
  std::vector<int32_t> tokens(static_cast<size_t>(on->rows), 1), wanted;
  std::vector<BatchSpan> spans;
  const bool is_prompt = on->rows > kLoneRows * 8;  // many rows: one prompt
  const int32_t pages_each = is_prompt ? (on->rows + kPage - 1) / kPage : kContext / kPage;
  const int32_t n = is_prompt ? 1 : on->rows;
  std::vector<std::vector<int32_t>> pages(static_cast<size_t>(n));
  for (int32_t i = 0; i < n; i++) {
    for (int32_t page = 0; page < pages_each; page++) pages[static_cast<size_t>(i)].push_back(i * pages_each + page);
    const int32_t position = is_prompt ? 0 : kContext - 1;
    spans.push_back({tokens.data(), is_prompt ? on->rows : 1, position, pages[static_cast<size_t>(i)].data(), false, true});
  }
  for (int32_t i = 0; i < std::min(n, 64); i++) wanted.push_back(is_prompt ? on->rows - 1 : i);
  on->kv.n_layers = 1;
  on->kv.n_pages = n * pages_each;
  const int64_t half = int64_t{2} * on->kv.n_pages * on->shape.n_kv_heads * kPage * on->shape.head_dim;
  on->kv.keys = on->room(half);
  on->kv.values = on->room(half);
  if (!on->status.ok()) return;
  fill_bf16(on->target, static_cast<uint16_t*>(on->kv.keys), half / 2, 1.0f, 3);
  fill_bf16(on->target, static_cast<uint16_t*>(on->kv.values), half / 2, 1.0f, 4);
  on->step = std::make_unique<StepBlock>();
  on->status = on->step->claim(*on->runtime, *on->pool, on->rows);
  const StepLimits limits{on->rows, 64, prefill_tile_rows(on->shape), on->config.context, false};
  if (on->status.ok()) on->status = on->step->load(spans, wanted, limits);
  if (on->status.ok()) on->status = on->runtime->wait();
}

void prepare(Bench* on) {
  const ModelConfig& c = on->config;
  on->shape = {c.dim, c.ffn, c.n_heads, c.n_kv_heads, c.head_dim, c.vocab};
  const ScratchSizes scratch = scratch_sizes(on->shape, on->rows, 64, on->runtime->limits());
  on->target = {&on->runtime->stream(), on->runtime->limits(),
                {static_cast<float*>(on->room(scratch.partial_bytes)), static_cast<uint32_t*>(on->room(scratch.counter_bytes))}};
  const int64_t rows = std::max(on->rows, 64), q_dim = c.q_dim(), widest = std::max<int64_t>({c.dim, c.ffn, q_dim});
  on->work = {static_cast<float*>(on->room(rows * c.dim * 4)),      static_cast<uint16_t*>(on->room(rows * widest * 2)),
              static_cast<uint16_t*>(on->room(rows * q_dim * 2)),   static_cast<uint16_t*>(on->room(rows * q_dim * 2)),
              static_cast<uint16_t*>(on->room(rows * c.ffn * 2)),   static_cast<float*>(on->room(int64_t{64} * c.vocab * 4))};
  auto* norm = static_cast<float*>(on->room(c.dim * 4));
  auto* turns = static_cast<float*>(on->room(static_cast<int64_t>(c.context) * c.head_dim * 4));
  if (!on->status.ok()) return;
  fill_f32(on->target, on->work.x, rows * c.dim, 0.0f, 1.0f, 1);
  fill_bf16(on->target, on->work.attended, rows * q_dim, 1.0f, 2);
  fill_bf16(on->target, on->work.hidden, rows * c.ffn, 1.0f, 2);
  fill_f32(on->target, norm, c.dim, 1.0f, 0.1f, 5);
  fill_f32(on->target, turns, static_cast<int64_t>(c.context) * c.head_dim, 0.5f, 0.2f, 6);
  on->norm = {norm, 1e-5f};
  on->rope = {turns};
  prepare_step(on);
}

// Enough matrices of this shape that none is still in a cache when its turn comes again.
std::vector<std::unique_ptr<CudaLinear>> matrices(Bench* on, int64_t out, int64_t in) {
  std::vector<std::unique_ptr<CudaLinear>> made;
  const int64_t bytes = random_linear_bytes(on->kind, out, in);
  const int64_t n = on->runtime->facts().is_real ? std::max<int64_t>(2, kTurn / bytes + 1) : 1;
  for (int64_t i = 0; i < n && on->status.ok(); i++) {
    made.push_back(std::make_unique<CudaLinear>());
    on->status = random_linear(on->target, *on->runtime, *on->pool, on->kind, out, in, static_cast<uint64_t>(i) + 10, made.back().get());
  }
  return made;
}

struct Row {
  const char* name;
  double bytes, flops;
  std::function<void(int32_t turn)> launch;
  int32_t turns;
};

void print_row(Bench* on, const Row& row, const Limits& limits, const std::string& model, const std::string& weights, const std::string& csv) {
  if (!on->status.ok()) return;
  const int32_t times = on->runtime->facts().is_real ? 50 : 1;
  Event from, to;
  on->status = on->runtime->event(&from);
  if (on->status.ok()) on->status = on->runtime->event(&to);
  float milliseconds = 0;
  for (const int32_t n : {2, times}) {  // the first time to warm up
    if (on->status.ok()) on->status = on->runtime->mark(from);
    for (int32_t i = 0; i < n; i++) row.launch(i % row.turns);
    if (on->status.ok()) on->status = on->runtime->mark(to);
    if (on->status.ok()) on->status = on->runtime->launched();
    if (on->status.ok()) on->status = on->runtime->passed(to);
    if (on->status.ok()) on->status = on->runtime->milliseconds(from, to, &milliseconds);
  }
  on->runtime->release(from);
  on->runtime->release(to);
  if (!on->status.ok()) return;
  const double time = 1e-3 * milliseconds / times;
  const double least = std::max(row.bytes / limits.copy, row.flops / limits.bf16);
  std::printf("  %-22s %5d %10.2f %10.2f %10.1f %9.0f %9.1f %8.0f%%\n", row.name, on->rows, row.bytes / 1e6, row.flops / 1e9, time * 1e6,
              row.bytes / time / 1e9, row.flops / time / 1e12, 100 * least / time);
  char line[512];
  std::snprintf(line, sizeof line, "%s,%s,%s,%s%s,%d,%.0f,%.0f,%.3f,%.1f,%.2f,%.3f", on->runtime->facts().name.c_str(), model.c_str(),
                weights.c_str(), row.name, on->target.untried ? " (hopper)" : "", on->rows, row.bytes, row.flops, time * 1e6, row.bytes / time / 1e9, row.flops / time / 1e12,
                least / time);
  append_csv(csv, "device,model,weights,operation,rows,bytes,flop,microseconds,gb_per_s,tflop_per_s,fraction_of_limit", line);
}

}  // namespace

void print_kernels(const std::string& model, const std::string& weights, int32_t rows, const Limits& limits, const std::string& csv,
                   bool hopper) {
  Bench on;
  on.rows = rows;
  on.status = make_runtime(&on.runtime);
  if (on.status.ok() && hopper && on.runtime->facts().is_real && on.runtime->limits().capability != 90) return;
  if (on.status.ok()) on.status = shape_named(model, &on.config);
  if (on.status.ok()) on.status = weight_kind_named(weights, &on.kind);
  if (on.status.ok()) {
    on.pool = std::make_unique<Pool>(*on.runtime);
    prepare(&on);
    on.target.untried = hopper;
  }
  const ModelConfig& c = on.config;
  const Step* step = on.step ? &on.step->device() : nullptr;
  const Buckets sizes = on.step ? on.step->buckets() : Buckets{};
  const auto measure = [&](const char* name, int64_t out, int64_t in, const auto& launch) {
    if (!on.status.ok()) return;
    const auto all = matrices(&on, out, in);
    if (!on.status.ok()) return;
    const double bytes = static_cast<double>(random_linear_bytes(on.kind, out, in)) + 2.0 * rows * static_cast<double>(in + out);
    print_row(&on, {name, bytes, 2.0 * rows * static_cast<double>(out) * static_cast<double>(in),
                    [&](int32_t turn) { launch(all[static_cast<size_t>(turn)]->linear); }, static_cast<int32_t>(all.size())},
              limits, model, weights, csv);
  };
  std::printf("\n%s, weights in %s, %s%s\n  %-22s %5s %10s %10s %10s %9s %9s %9s\n", model.c_str(), weights.c_str(),
              sizes.tiles > 0 ? "one prompt" : "decode at 1024", hopper ? ", kernels for Hopper" : "", "operation", "rows", "MB", "GFLOP", "us", "GB/s", "TFLOP/s", "of limit");
  measure("norm_qkv_rope_store", c.q_dim() + 2 * c.kv_dim(), c.dim, [&](const DeviceLinear& linear) {
    norm_qkv_rope_store(on.target, on.shape, *step, sizes.rows, on.norm, linear, on.rope, on.kv, 0, on.work);
  });
  if (on.status.ok()) {
    const double heads = 4.0 * c.q_dim(), kv_bytes = 4.0 * c.kv_dim();
    if (sizes.tiles == 0) {
      print_row(&on, {"attend (decode)", rows * kv_bytes * kContext, rows * heads * kContext,
                      [&](int32_t) { attend_decode(on.target, on.shape, *step, sizes.decode_rows, sizes.max_length, on.kv, 0, on.work); }, 1},
                limits, model, weights, csv);
    } else {
      print_row(&on, {"attend (prompt)", rows * kv_bytes, heads * rows * rows / 2.0,
                      [&](int32_t) { attend_prefill(on.target, on.shape, *step, sizes.tiles, on.kv, 0, on.work); }, 1},
                limits, model, weights, csv);
    }
  }
  measure("o_residual", c.dim, c.q_dim(), [&](const DeviceLinear& linear) { o_residual(on.target, on.shape, *step, sizes.rows, linear, on.work); });
  measure("norm_gateup_silu", 2 * int64_t{c.ffn}, c.dim, [&](const DeviceLinear& linear) {
    norm_gateup_silu(on.target, on.shape, *step, sizes.rows, on.norm, linear, on.work);
  });
  measure("down_residual", c.dim, c.ffn, [&](const DeviceLinear& linear) {
    down_residual(on.target, on.shape, *step, sizes.rows, linear, on.work);
  });
  if (sizes.tiles == 0) {
    measure("head", c.vocab, c.dim, [&](const DeviceLinear& linear) {
      head(on.target, on.shape, *step, 0, sizes.wanted, on.norm, linear, on.work);
    });
  }
  if (!on.status.ok()) std::printf("  not measured: %s\n", on.status.detail.c_str());
  std::fflush(stdout);
}

}  // namespace chasqui::gpu
