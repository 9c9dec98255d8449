// The operations of backend.h on the CPU. Each is one or two shared loops: pack the input rows (with the norm, where
// there is one), multiply by panels with the right ending, or attend.
#include "cpu_backend.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <thread>

#include "../../model/precision.h"
#include "adaptation.h"
#include "attention.h"
#include "kernels.h"
#include "linear.h"
#include "memory.h"
#include "objects.h"
#include "pack_rows.h"
#include "thread_pool.h"

namespace chasqui {

namespace cpu {

namespace {

constexpr int64_t kFloat = sizeof(float);
// Layers with fewer inputs are multiplied in float, and models of smaller rows attend in float, where nobody asked for certain
// kernels: they are quick anyway, and so what a small model says does not depend on the processor.
constexpr int64_t kSmallInput = 1024;

class CpuBackend final : public Backend {
 public:
  CpuBackend(const Kernels& kernels, bool small_in_float, int32_t threads)
      : kernels_(kernels), small_in_float_(small_in_float), pool_(threads) {
    device_ = std::string("cpu (") + kernels.name + ", " + std::to_string(pool_.size()) +
              (pool_.size() == 1 ? " thread)" : " threads)");
  }

  const char* device() const override { return device_.c_str(); }
  DeviceMemory memory() const override { return machine_memory(); }
  Status supports(const WorkShape&, KvType) const override { return {}; }
  bool batch_independent() const override { return true; }  // see kernels.h: one order for every sum

  int64_t embedding_bytes(const MatrixView&) const override { return 0; }  // read where it is
  int64_t linear_bytes(const std::vector<MatrixView>& parts, WeightFormat format) const override {
    return panel_linear_bytes(parts, format);
  }
  int64_t kv_page_bytes(const KvShape& shape) const override { return paged_cache_page_bytes(shape); }
  int64_t workspace_bytes(const WorkShape& shape) const override;

  Status embedding(const MatrixView& table, std::unique_ptr<Embedding>* made) override;
  Status norm(const MatrixView& weight, double eps, std::unique_ptr<Norm>* made) override;
  Status linear(const std::vector<MatrixView>& parts, LinearLayout layout, WeightFormat format,
                std::unique_ptr<Linear>* made) override;
  Status rope(const std::vector<double>& inverse_frequencies, int32_t context, std::unique_ptr<Rope>* made) override;
  Status kv_cache(const KvShape& shape, std::unique_ptr<KvCache>* made) override;
  Status workspace(const WorkShape& shape, std::unique_ptr<Workspace>* made) override;

  Status adapt(Linear& linear, int32_t adapter, const std::vector<LowRank>& parts) override {
    return adapt_linear(static_cast<PanelLinear&>(linear), adapter, parts, pool_);
  }

  Status begin(Workspace& work, const std::vector<BatchSpan>& spans, const std::vector<int32_t>& wanted,
               Rope& rope) override;
  void embed(Workspace& work, const Embedding& table) override;
  void norm_qkv_rope_store(Workspace& work, const Norm& norm, const Linear& qkv, KvCache& cache, int32_t layer) override;
  void attend(Workspace& work, const KvCache& cache, int32_t layer) override;
  void o_residual(Workspace& work, const Linear& o) override;
  void norm_gateup_silu(Workspace& work, const Norm& norm, const Linear& gate_up) override;
  void down_residual(Workspace& work, const Linear& down) override;
  void head(Workspace& work, const Norm& norm, const Linear& head, int32_t first, int32_t count) override;
  Status read_logits(Workspace& work, int32_t count, float* logits) override;
  void copy_page(KvCache& cache, int32_t from, int32_t to, int32_t n_tokens) override;

 private:
  // Packs and multiplies all rows of the step, with what their adapters add.
  template <typename RowOf, typename Done>
  void product(CpuWorkspace& work, const PanelLinear& linear, const CpuNorm* norm, const RowOf& row_of, const Done& done);
  void fill_rope(CpuRope& rope, int32_t positions);
  void rope_store(CpuWorkspace& work, PagedCache& cache, int32_t layer, int32_t row);
  void add_to_x(CpuWorkspace& work, const PanelLinear& linear, const float* input);

  const Kernels& kernels_;
  const bool small_in_float_;
  ThreadPool pool_;
  std::string device_;
};

// The outputs of a panel that a layer has, in their places: to(i) for each. All but the last panel are whole, and of a length that
// the compiler knows: a copy of any length is begun anew each time, which costs as much as the copy.
template <typename Put>
void each_output(const PanelLinear& linear, int64_t first, const Put& put) {
  const int64_t count = linear.out - first;
  if (count >= kPanel) {
    for (int64_t i = 0; i < kPanel; i++) put(i);
  } else {
    for (int64_t i = 0; i < count; i++) put(i);
  }
}

CpuWorkspace& of(Workspace& work) { return static_cast<CpuWorkspace&>(work); }

int64_t CpuBackend::workspace_bytes(const WorkShape& shape) const {
  CpuWorkspace work;
  work.shape = shape;
  const int64_t row = shape.dim + work.qkv_dim() + work.q_dim() + shape.ffn;
  return kFloat * (shape.max_rows * row + static_cast<int64_t>(shape.max_logits) * shape.vocab +
                   pool_.size() * (kMultiplyScratch + work.widest())) +
         most_input_bytes(work.widest(), shape.max_rows);
}

Status CpuBackend::embedding(const MatrixView& table, std::unique_ptr<Embedding>* made) {
  auto embedding = std::make_unique<CpuEmbedding>();
  embedding->table = table;
  *made = std::move(embedding);
  return {};
}

Status CpuBackend::norm(const MatrixView& weight, double eps, std::unique_ptr<Norm>* made) {
  auto norm = std::make_unique<CpuNorm>();
  norm->weight.resize(static_cast<size_t>(weight.rows * weight.cols));
  load_elements(weight.data, weight.type, weight.rows * weight.cols, norm->weight.data());
  norm->eps = eps;
  *made = std::move(norm);
  return {};
}

Status CpuBackend::linear(const std::vector<MatrixView>& parts, LinearLayout layout, WeightFormat format,
                          std::unique_ptr<Linear>* made) {
  auto linear = std::make_unique<PanelLinear>();
  Status packed = make_panel_linear(parts, layout, format, pool_, linear.get());
  linear->in_float = small_in_float_ && linear->in < kSmallInput;
  if (packed.ok()) *made = std::move(linear);
  return packed;
}

Status CpuBackend::rope(const std::vector<double>& inverse_frequencies, int32_t context, std::unique_ptr<Rope>* made) {
  auto rope = std::make_unique<CpuRope>();
  rope->frequencies = inverse_frequencies;
  Status claimed = rope->table.claim(context * rope->width() * kFloat, "the rope table");
  if (claimed.ok()) *made = std::move(rope);
  return claimed;
}

Status CpuBackend::kv_cache(const KvShape& shape, std::unique_ptr<KvCache>* made) {
  auto cache = std::make_unique<PagedCache>();
  Status claimed = cache->claim(shape);
  if (claimed.ok()) *made = std::move(cache);
  return claimed;
}

Status CpuBackend::workspace(const WorkShape& shape, std::unique_ptr<Workspace>* made) {
  auto work = std::make_unique<CpuWorkspace>();
  work->shape = shape;
  const int64_t rows = shape.max_rows;
  const struct {
    Memory* memory;
    int64_t floats;
  } claims[] = {
      {&work->x, rows * shape.dim},
      {&work->qkv, rows * work->qkv_dim()},
      {&work->attended, rows * work->q_dim()},
      {&work->hidden, rows * shape.ffn},
      {&work->packed, most_input_bytes(work->widest(), rows) / kFloat},
      {&work->rows_of_threads, pool_.size() * work->widest()},
      {&work->logits, static_cast<int64_t>(shape.max_logits) * shape.vocab},
      {&work->sums, pool_.size() * kMultiplyScratch},
  };
  for (const auto& claim : claims) {
    Status claimed = claim.memory->claim(claim.floats * kFloat, "the workspace");
    if (!claimed.ok()) return claimed;
  }
  Status prepared = work->attention.prepare({shape.n_heads, shape.n_kv_heads, shape.head_dim}, pool_.size());
  if (prepared.ok()) *made = std::move(work);
  return prepared;
}

Status CpuBackend::begin(Workspace& workspace, const std::vector<BatchSpan>& spans, const std::vector<int32_t>& wanted,
                         Rope& rope) {
  CpuWorkspace& work = of(workspace);
  auto& table = static_cast<CpuRope&>(rope);
  work.spans = spans;
  work.wanted = wanted;
  work.rope = &table;
  work.forget_rows();
  int32_t positions = 0;
  for (const BatchSpan& span : spans) {
    for (int32_t i = 0; i < span.n_tokens; i++) {
      const int32_t position = span.position + i;
      work.tokens.push_back(span.tokens[i]);
      work.positions.push_back(position);
      work.row_adapters.push_back(span.adapter);
      work.pages.push_back(span.pages[position / kPageTokens]);
    }
    positions = std::max(positions, span.position + span.n_tokens);
  }
  fill_rope(table, positions);
  return work.attention.plan(spans);
}

void CpuBackend::fill_rope(CpuRope& rope, int32_t positions) {
  if (positions <= rope.positions) return;
  const int32_t first = rope.positions;
  each_row(pool_, positions - first, rope.width() * 16, [&](int32_t i, int32_t) {
    float* row = rope.table.as<float>() + (first + i) * rope.width();
    for (size_t j = 0; j < rope.frequencies.size(); j++) {
      const double angle = (first + i) * rope.frequencies[j];
      row[2 * j] = static_cast<float>(std::cos(angle));
      row[2 * j + 1] = static_cast<float>(std::sin(angle));
    }
  });
  rope.positions = positions;
}

template <typename RowOf, typename Done>
void CpuBackend::product(CpuWorkspace& work, const PanelLinear& linear, const CpuNorm* norm, const RowOf& row_of,
                         const Done& done) {
  const int32_t rows = work.rows();
  float* sums = work.sums.as<float>();
  const bool adapted = work.low_rank.begin(linear, work.row_adapters);
  if (adapted) {
    const PackedRows floats = pack_rows(pool_, kernels_, kernels_.in_float[kWeightF32], work, linear.in, rows, norm, nullptr, row_of);
    work.low_rank.shrink(pool_, kernels_, floats, sums);
  }
  const PackedRows packed =
      pack_rows(pool_, kernels_, product_of(kernels_, linear, rows), work, linear.in, rows, norm, linear.order(), row_of);
  if (!adapted) return multiply(pool_, kernels_, linear, packed, sums, done);
  multiply(pool_, kernels_, linear, packed, sums, [&](int32_t row, int64_t panel, const float* given) {
    float own[2 * kPanel];
    done(row, panel, work.low_rank.expand(kernels_, row, panel, linear.step, given, own));
  });
}

void CpuBackend::embed(Workspace& workspace, const Embedding& embedding) {
  CpuWorkspace& work = of(workspace);
  const MatrixView& table = static_cast<const CpuEmbedding&>(embedding).table;
  const int64_t dim = work.shape.dim;
  const int64_t width = dtype_bytes(table.type);
  each_row(pool_, work.rows(), dim, [&](int32_t row, int32_t) {
    const char* from = static_cast<const char*>(table.data) + work.tokens[static_cast<size_t>(row)] * dim * width;
    load_elements(from, table.type, dim, work.x.as<float>() + row * dim);
  });
}

void CpuBackend::norm_qkv_rope_store(Workspace& workspace, const Norm& norm, const Linear& qkv, KvCache& kv,
                                     int32_t layer) {
  CpuWorkspace& work = of(workspace);
  const auto& linear = static_cast<const PanelLinear&>(qkv);
  const int64_t dim = work.shape.dim;
  const auto x = [&](int32_t row) { return work.x.as<float>() + row * dim; };
  float* out = work.qkv.as<float>();
  product(work, linear, static_cast<const CpuNorm*>(&norm), x, [&](int32_t row, int64_t panel, const float* sums) {
    float* to = out + row * work.qkv_dim() + panel * kPanel;
    each_output(linear, panel * kPanel, [&](int64_t i) { to[i] = sums[i]; });
  });
  auto& cache = static_cast<PagedCache&>(kv);
  each_row(pool_, work.rows(), work.qkv_dim(), [&](int32_t row, int32_t) { rope_store(work, cache, layer, row); });
}

// Turns dimension j with dimension j + head_dim / 2 in all query and key heads of a row, and stores keys and values.
void CpuBackend::rope_store(CpuWorkspace& work, PagedCache& cache, int32_t layer, int32_t row) {
  const int32_t head_dim = work.shape.head_dim;
  const int32_t half = head_dim / 2;
  const int32_t position = work.positions[static_cast<size_t>(row)];
  const float* turn = work.rope->row(position);
  float* q = work.qkv.as<float>() + row * work.qkv_dim();
  for (int32_t head = 0; head < work.shape.n_heads + work.shape.n_kv_heads; head++) {
    float* low = q + static_cast<int64_t>(head) * head_dim;
    float* high = low + half;
    for (int32_t j = 0; j < half; j++) {
      const float cosine = turn[2 * j], sine = turn[2 * j + 1];
      const float a = low[j], b = high[j];
      low[j] = a * cosine - b * sine;
      high[j] = b * cosine + a * sine;
    }
  }
  const float* k = q + work.q_dim();
  const float* v = k + work.kv_dim();
  for (int32_t head = 0; head < work.shape.n_kv_heads; head++) {
    cache.store(layer, work.pages[static_cast<size_t>(row)], head, position % kPageTokens, k + head * head_dim,
                v + head * head_dim);
  }
}

void CpuBackend::attend(Workspace& workspace, const KvCache& kv, int32_t layer) {
  CpuWorkspace& work = of(workspace);
  const auto& cache = static_cast<const PagedCache&>(kv);
  const bool in_float = small_in_float_ && work.shape.dim < kSmallInput;
  const Attend& attend = (in_float ? kernels_.attend_in_float : kernels_.attend)[cache.element];
  work.attention.run(pool_, kernels_, attend, cache, layer, work.spans, work.qkv.as<float>(), work.qkv_dim(),
                     work.attended.as<float>(), work.q_dim());
}

void CpuBackend::add_to_x(CpuWorkspace& work, const PanelLinear& linear, const float* input) {
  const auto row_of = [&](int32_t row) { return input + row * linear.in; };
  float* x = work.x.as<float>();
  product(work, linear, nullptr, row_of, [&](int32_t row, int64_t panel, const float* sums) {
    float* to = x + row * linear.out + panel * kPanel;
    each_output(linear, panel * kPanel, [&](int64_t i) { to[i] += sums[i]; });
  });
}

void CpuBackend::o_residual(Workspace& workspace, const Linear& o) {
  CpuWorkspace& work = of(workspace);
  add_to_x(work, static_cast<const PanelLinear&>(o), work.attended.as<float>());
}

void CpuBackend::norm_gateup_silu(Workspace& workspace, const Norm& norm, const Linear& gate_up) {
  CpuWorkspace& work = of(workspace);
  const auto& linear = static_cast<const PanelLinear&>(gate_up);
  const int64_t dim = work.shape.dim;
  const auto x = [&](int32_t row) { return work.x.as<float>() + row * dim; };
  float* hidden = work.hidden.as<float>();
  product(work, linear, static_cast<const CpuNorm*>(&norm), x, [&](int32_t row, int64_t panel, const float* sums) {
    const int64_t first = panel / 2 * kPanel;
    float* to = hidden + row * linear.out + first;
    if (first + kPanel <= linear.out) return kernels_.silu_multiply(sums, sums + kPanel, to);
    float product[kPanel];
    kernels_.silu_multiply(sums, sums + kPanel, product);
    each_output(linear, first, [&](int64_t i) { to[i] = product[i]; });
  });
}

void CpuBackend::down_residual(Workspace& workspace, const Linear& down) {
  CpuWorkspace& work = of(workspace);
  add_to_x(work, static_cast<const PanelLinear&>(down), work.hidden.as<float>());
}

void CpuBackend::head(Workspace& workspace, const Norm& norm, const Linear& head, int32_t first, int32_t count) {
  CpuWorkspace& work = of(workspace);
  const auto& linear = static_cast<const PanelLinear&>(head);
  const int64_t dim = work.shape.dim;
  const PackedRows packed =
      pack_rows(pool_, kernels_, product_of(kernels_, linear, count), work, dim, count, static_cast<const CpuNorm*>(&norm), linear.order(),
                [&](int32_t i) { return work.x.as<float>() + work.wanted[static_cast<size_t>(first + i)] * dim; });
  float* logits = work.logits.as<float>();
  multiply(pool_, kernels_, linear, packed, work.sums.as<float>(),
           [&](int32_t row, int64_t panel, const float* sums) {
             float* to = logits + row * linear.out + panel * kPanel;
             each_output(linear, panel * kPanel, [&](int64_t i) { to[i] = sums[i]; });
           });
}

Status CpuBackend::read_logits(Workspace& workspace, int32_t count, float* logits) {
  CpuWorkspace& work = of(workspace);
  std::memcpy(logits, work.logits.as<float>(), static_cast<size_t>(count * kFloat * work.shape.vocab));
  return {};
}

// Whole tiles are copied: positions from n_tokens on are not read before they are written.
void CpuBackend::copy_page(KvCache& kv, int32_t from, int32_t to, int32_t) {
  auto& cache = static_cast<PagedCache&>(kv);
  const size_t bytes = static_cast<size_t>(cache.tile_bytes * cache.shape.n_kv_heads);
  for (int32_t layer = 0; layer < cache.shape.n_layers; layer++) {
    const int64_t source = cache.tile_offset(layer, from, 0);
    const int64_t target = cache.tile_offset(layer, to, 0);
    std::memcpy(cache.keys.as<char>() + target, cache.keys.as<char>() + source, bytes);
    std::memcpy(cache.values.as<char>() + target, cache.values.as<char>() + source, bytes);
  }
}

}  // namespace

}  // namespace cpu

constexpr int32_t kMaxThreads = 256;

Status make_cpu_backend(const BackendOptions& options, std::unique_ptr<Backend>* made) {
  const cpu::Kernels* kernels =
      options.kernels.empty() ? cpu::best_kernels() : cpu::kernels_named(options.kernels.c_str());
  if (kernels == nullptr) {
    return failure(Reason::kUnsupported, "This processor or build has no \"" + options.kernels + "\" kernels.",
                   "Leave the choice of kernels to the engine.");
  }
  if (options.threads < 0 || options.threads > kMaxThreads) {
    return failure(Reason::kBadRequest, "A backend cannot have " + std::to_string(options.threads) + " threads.",
                   "Ask for 1 to " + std::to_string(kMaxThreads) + ", or 0 for the default.");
  }
  const int32_t cores = static_cast<int32_t>(std::max(1u, std::thread::hardware_concurrency()));
  *made = std::make_unique<cpu::CpuBackend>(*kernels, options.kernels.empty(), options.threads > 0 ? options.threads : std::min(cores, 8));
  return {};
}

}  // namespace chasqui
