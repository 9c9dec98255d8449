// See loader.h.
#include "loader.h"

#include <algorithm>
#include <cmath>
#include <thread>

#include "../../model/precision.h"

namespace chasqui::cuda {

namespace {

constexpr int64_t kFloat = sizeof(float);
constexpr int64_t kShort = sizeof(uint16_t);

}  // namespace

ModelShape model_of(const WorkShape& shape) {
  return {shape.dim, shape.ffn, shape.n_heads, shape.n_kv_heads, shape.head_dim, shape.vocab};
}

Loader::Loader(Runtime& runtime, const CudaOptions& options)
    : runtime_(runtime), random_(options.random), pool_(runtime), upload_(runtime) {
  const auto cores = static_cast<int32_t>(std::max(1u, std::thread::hardware_concurrency()));
  threads_ = std::make_unique<cpu::ThreadPool>(options.threads > 0 ? options.threads : std::min(cores, 8));
}

int64_t Loader::embedding_bytes(const MatrixView& table) const { return Pool::rounded(table.rows * table.cols * kShort); }

int64_t Loader::kv_page_bytes(const KvShape& shape) const {
  const int64_t element = shape.type == KvType::kFp8 ? 1 : kShort;
  return 2 * element * shape.n_layers * shape.n_kv_heads * kPage * shape.head_dim;
}

WeightKind Loader::random_kind(const std::vector<MatrixView>& parts) const {
  const bool is_head = parts.size() == 1 && parts[0].rows == table_.rows;
  return is_head ? random_->head : random_->layers;
}

int64_t Loader::linear_bytes(const std::vector<MatrixView>& parts, WeightFormat format) const {
  if (random_ == nullptr) return device_linear_bytes(parts, format);
  int64_t rows = 0;
  for (const MatrixView& part : parts) rows += part.rows;
  return random_linear_bytes(random_kind(parts), rows, parts[0].cols);
}

// At random every matrix has memory of its own: a head's kind is chosen apart from the table's.
bool Loader::shares_table(const MatrixView& table, const MatrixView& head, WeightFormat format) const {
  return random_ == nullptr && head.quant == nullptr && head.data == table.data && head.type == table.type &&
         head.rows == table.rows && format == WeightFormat::kAsStored;
}

Status Loader::embedding(const MatrixView& table, std::unique_ptr<Embedding>* made) {
  auto embedding = std::make_unique<CudaEmbedding>();
  if (random_ != nullptr) {
    if (Status status = pool_.claim(table.rows * table.cols * kShort, "the embedding", &embedding->memory); !status.ok()) return status;
    random_bf16(target(), embedding->memory, 1.0f, next_seed());
  } else if (Status status = load_bf16(weights(), {table}, "the embedding", &embedding->memory); !status.ok()) {
    return status;
  }
  embedding->table.rows = embedding->memory.as<uint16_t>();
  table_ = table;
  table_memory_ = embedding->memory;
  *made = std::move(embedding);
  return {};
}

Status Loader::norm(const MatrixView& weight, double eps, std::unique_ptr<Norm>* made) {
  auto norm = std::make_unique<CudaNorm>();
  std::vector<float> values(static_cast<size_t>(weight.rows * weight.cols), 1.0f);
  if (random_ == nullptr) load_elements(weight.data, weight.type, weight.rows * weight.cols, values.data());
  if (Status status = load_floats(weights(), values, "a norm", &norm->memory); !status.ok()) return status;
  norm->norm = {norm->memory.as<float>(), static_cast<float>(eps)};
  *made = std::move(norm);
  return {};
}

Status Loader::linear(const std::vector<MatrixView>& parts, WeightFormat format,
                      std::unique_ptr<Linear>* made) {
  auto linear = std::make_unique<CudaLinear>();
  const bool is_table = parts.size() == 1 && shares_table(table_, parts[0], format);
  if (random_ != nullptr) {
    int64_t rows = 0;
    for (const MatrixView& part : parts) rows += part.rows;
    if (Status status = random_linear(target(), runtime_, pool_, random_kind(parts), rows, parts[0].cols, next_seed(), linear.get());
        !status.ok()) {
      return status;
    }
  } else if (is_table) {
    linear->codes = table_memory_;
    linear->linear.out = static_cast<int32_t>(parts[0].rows);
    linear->linear.in = static_cast<int32_t>(parts[0].cols);
    linear->linear.codes = linear->codes.as();
  } else if (Status status = load_linear(weights(), parts, format, linear.get()); !status.ok()) {
    return status;
  }
  for (const MatrixView& part : parts) linear->part_rows.push_back(part.rows);
  *made = std::move(linear);
  return {};
}

Status Loader::adapt(CudaLinear& linear, int32_t adapter, const std::vector<LowRank>& parts) {
  is_settled_ = false;
  return adapters_.adapt(weights(), linear, adapter, parts, max_rows_);
}

Status Loader::settle() {
  if (is_settled_) return {};
  is_settled_ = true;
  return upload_.finish();
}

Status Loader::rope(const std::vector<double>& inverse_frequencies, int32_t context, std::unique_ptr<Rope>* made) {
  auto rope = std::make_unique<CudaRope>();
  const auto width = static_cast<int64_t>(inverse_frequencies.size()) * 2;
  if (Status status = pool_.claim(context * width * kFloat, "the rope table", &rope->memory); !status.ok()) return status;
  Status sent = upload_.run(rope->memory.as(), context, width * kFloat, [&](int64_t first, int64_t count, void* piece) {
    threads_->run(static_cast<int32_t>((count + 63) / 64), [&](int32_t run, int32_t) {
      for (int64_t i = run * 64; i < std::min<int64_t>(count, run * 64 + 64); i++) {
        float* turn = static_cast<float*>(piece) + i * width;
        for (const double frequency : inverse_frequencies) {
          const double angle = static_cast<double>(first + i) * frequency;
          *turn++ = static_cast<float>(std::cos(angle));
          *turn++ = static_cast<float>(std::sin(angle));
        }
      }
    });
  });
  if (!sent.ok()) return sent;
  rope->rope.turns = rope->memory.as<float>();
  rope->context = context;
  *made = std::move(rope);
  return {};
}

Status Loader::kv_cache(const KvShape& shape, std::unique_ptr<KvCache>* made) {
  auto cache = std::make_unique<CudaKvCache>();
  const int64_t half = kv_page_bytes(shape) / 2 * shape.n_pages;
  if (Status status = pool_.claim(half, "the cached keys", &cache->keys); !status.ok()) return status;
  if (Status status = pool_.claim(half, "the cached values", &cache->values); !status.ok()) return status;
  if (random_ != nullptr) {
    for (const Buffer* half_cache : {&cache->keys, &cache->values}) {
      if (shape.type == KvType::kFp8) random_codes(target(), *half_cache, next_seed());
      else random_bf16(target(), *half_cache, 1.0f, next_seed());
    }
  }
  cache->kv.keys = cache->keys.as();
  cache->kv.values = cache->values.as();
  cache->kv.kind = shape.type == KvType::kFp8 ? KvKind::kFp8 : KvKind::kBF16;
  cache->kv.n_layers = shape.n_layers;
  cache->kv.n_pages = shape.n_pages;
  cache->n_kv_heads = shape.n_kv_heads;
  cache->head_dim = shape.head_dim;
  *made = std::move(cache);
  return {};
}

std::vector<Loader::Claim> Loader::claims(CudaWorkspace* work) const {
  const WorkShape& shape = work->shape;
  const int64_t rows = shape.max_rows;
  const int64_t q_dim = static_cast<int64_t>(shape.n_heads) * shape.head_dim;
  const int64_t widest = std::max<int64_t>({shape.dim, shape.ffn, q_dim});
  const ScratchSizes scratch = scratch_sizes(model_of(shape), shape.max_rows, shape.max_logits, runtime_.limits());
  return {
      {&work->x, rows * shape.dim * kFloat},
      {&work->normed, std::max(rows, static_cast<int64_t>(shape.max_logits)) * widest * kShort},
      {&work->q, rows * q_dim * kShort},
      {&work->attended, rows * q_dim * kShort},
      {&work->hidden, rows * shape.ffn * kShort},
      {&work->logits, static_cast<int64_t>(shape.max_logits) * shape.vocab * kFloat},
      {&work->partials, scratch.partial_bytes},
      {&work->counters, scratch.counter_bytes},
  };
}

int64_t Loader::workspace_bytes(const WorkShape& shape) const {
  CudaWorkspace work;
  work.shape = shape;
  int64_t bytes = Pool::rounded(StepBlock::device_bytes(shape.max_rows, 0)) + SampleBlock::device_bytes(shape.vocab, shape.max_logits);
  for (const Claim& claim : claims(&work)) bytes += Pool::rounded(claim.bytes);
  return bytes;
}

Status Loader::workspace(const WorkShape& shape, std::unique_ptr<Workspace>* made) {
  auto work = std::make_unique<CudaWorkspace>();
  work->shape = shape;
  work->model = model_of(shape);
  max_rows_ = std::max(max_rows_, shape.max_rows);
  for (const Claim& claim : claims(work.get())) {
    if (Status status = pool_.claim(claim.bytes, "the workspace", claim.buffer); !status.ok()) return status;
  }
  const int64_t logits = static_cast<int64_t>(shape.max_logits) * shape.vocab * kFloat;
  if (Status status = work->read.claim(runtime_, logits, "the logits"); !status.ok()) return status;
  if (Status status = work->step.claim(runtime_, pool_, shape.max_rows); !status.ok()) return status;
  if (Status status = work->draw.claim(runtime_, pool_, shape.vocab, shape.max_logits); !status.ok()) return status;
  work->work = {work->x.as<float>(),         work->normed.as<uint16_t>(), work->q.as<uint16_t>(),
                work->attended.as<uint16_t>(), work->hidden.as<uint16_t>(), work->logits.as<float>()};
  work->scratch = {work->partials.as<float>(), work->counters.as<uint32_t>()};
  if (Status status = upload_.finish(); !status.ok()) return status;
  if (Status status = runtime_.wait(); !status.ok()) return status;
  threads_ = std::make_unique<cpu::ThreadPool>(1);
  *made = std::move(work);
  return {};
}

}  // namespace chasqui::cuda
