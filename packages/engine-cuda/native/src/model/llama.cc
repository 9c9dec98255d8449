// Loading into a backend, checking a batch, and the forward pass itself: `Llama::run` is the model.
#include "llama.h"

#include <algorithm>
#include <cstdio>
#include <set>
#include <string>
#include <utility>

#include "../sampling/sampler.h"
#include "lora_adapter.h"
#include "rope.h"

namespace chasqui {

namespace {

constexpr int32_t kLogitsAtOnce = 64;

std::string gibibytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GiB", static_cast<double>(bytes) / (1 << 30));
  return text;
}

struct Layer {
  std::unique_ptr<Norm> attn_norm;
  std::unique_ptr<Linear> qkv;
  std::unique_ptr<Linear> o;
  std::unique_ptr<Norm> ffn_norm;
  std::unique_ptr<Linear> gate_up;
  std::unique_ptr<Linear> down;
};

class Llama final : public Forward {
 public:
  Llama(const ModelConfig& config, const LlamaOptions& options, std::unique_ptr<Backend> backend)
      : config_(config), options_(options), backend_(std::move(backend)) {}

  Status load(const Weights& weights);

  int32_t vocab() const override { return config_.vocab; }
  const char* device() const override { return backend_->device(); }
  int32_t context() const override { return config_.context; }
  int32_t n_pages() const override { return kv_shape_.n_pages; }
  int32_t max_batch_tokens() const override { return work_shape_.max_rows; }
  Status run(const std::vector<BatchSpan>& spans, float* logits) override;
  bool can_draw() const override { return backend_->samples(work_shape_); }
  Status draw(const std::vector<SamplingContext>& rows, std::vector<SampledToken>* drawn) override;
  void copy_page(int32_t from, int32_t to, int32_t n_tokens) override;
  ForwardMemory memory() const override { return memory_; }
  Status add_adapter(int32_t id, const LoraAdapter& adapter) override;
  void remove_adapter(int32_t id) override;

 private:
  Status size_up(const Weights& weights);
  Status load_layer(const LayerWeights& weights, Layer* layer);
  Status check(const std::vector<BatchSpan>& spans) const;
  void collect_wanted(const std::vector<BatchSpan>& spans);
  // Rows of one call of `head` that begins at `first` of the wanted ones up to `end`.
  int32_t head_rows(int32_t first, int32_t end) const { return std::min(work_shape_.max_logits, end - first); }

  ModelConfig config_;
  LlamaOptions options_;
  KvShape kv_shape_;
  WorkShape work_shape_;
  std::vector<std::shared_ptr<MappedFile>> files_;  // these two keep alive what the backend goes on reading
  std::vector<std::shared_ptr<const std::byte[]>> copies_;
  // Declared before what it made, so destroyed after it.
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Embedding> embed_;
  std::vector<Layer> layers_;
  std::unique_ptr<Norm> norm_;
  std::unique_ptr<Linear> head_;
  std::unique_ptr<Rope> rope_;
  std::unique_ptr<KvCache> cache_;
  std::unique_ptr<Workspace> work_;
  ForwardMemory memory_;
  std::set<int32_t> adapters_;
  std::vector<int32_t> wanted_;  // rows of the step whose logits are asked for, those to draw from behind the others
  int32_t n_read_ = 0;           // of them: handed over
};

Status Llama::run(const std::vector<BatchSpan>& spans, float* logits) {
  Status checked = check(spans);
  if (!checked.ok() || spans.empty()) return checked;
  collect_wanted(spans);
  Status begun = backend_->begin(*work_, spans, wanted_, *rope_);
  if (!begun.ok()) return begun;

  backend_->embed(*work_, *embed_);
  for (int32_t i = 0; i < config_.n_layers; i++) {
    const Layer& layer = layers_[static_cast<size_t>(i)];
    backend_->norm_qkv_rope_store(*work_, *layer.attn_norm, *layer.qkv, *cache_, i);
    backend_->attend(*work_, *cache_, i);
    backend_->o_residual(*work_, *layer.o);
    backend_->norm_gateup_silu(*work_, *layer.ffn_norm, *layer.gate_up);
    backend_->down_residual(*work_, *layer.down);
  }

  for (int32_t first = 0; first < n_read_; first += work_shape_.max_logits) {
    const int32_t count = head_rows(first, n_read_);
    backend_->head(*work_, *norm_, *head_, first, count);
    Status read = backend_->read_logits(*work_, count, logits + static_cast<int64_t>(first) * config_.vocab);
    if (!read.ok()) return read;
  }
  const auto wanted = static_cast<int32_t>(wanted_.size());
  if (wanted > n_read_) {
    backend_->head(*work_, *norm_, *head_, n_read_, head_rows(n_read_, wanted));
    backend_->set_going(*work_);  // what the tokens are drawn with is made ready meanwhile
  }
  return {};
}

Status Llama::draw(const std::vector<SamplingContext>& rows, std::vector<SampledToken>* drawn) {
  const auto n = static_cast<int32_t>(rows.size());
  if (n != static_cast<int32_t>(wanted_.size()) - n_read_) {
    return failure(Reason::kInternal, "The last run left logits for " + std::to_string(wanted_.size() - static_cast<size_t>(n_read_)) +
                   " draws, and there are " + std::to_string(n) + ".", "Report this as a bug of the engine.");
  }
  drawn->resize(rows.size());
  for (int32_t first = 0; first < n; first += work_shape_.max_logits) {
    const int32_t count = head_rows(first, n);
    if (first > 0) backend_->head(*work_, *norm_, *head_, n_read_ + first, count);
    Status status = backend_->sample(*work_, count, rows.data() + first, drawn->data() + first);
    if (!status.ok()) return status;
  }
  return {};
}

void Llama::collect_wanted(const std::vector<BatchSpan>& spans) {
  wanted_.clear();
  const auto collect = [&](const auto& is_wanted) {
    int32_t row = 0;
    for (const BatchSpan& span : spans) {
      for (int32_t i = 0; i < span.n_tokens; i++) {
        if (is_wanted(span, i == span.n_tokens - 1)) wanted_.push_back(row + i);
      }
      row += span.n_tokens;
    }
  };
  collect([](const BatchSpan& span, bool last) { return span.all_logits || (span.last_logits && last); });
  n_read_ = static_cast<int32_t>(wanted_.size());
  collect([](const BatchSpan& span, bool last) { return span.draws && last; });
}

void Llama::copy_page(int32_t from, int32_t to, int32_t n_tokens) {
  if (from == to || from < 0 || to < 0 || from >= n_pages() || to >= n_pages()) return;
  backend_->copy_page(*cache_, from, to, n_tokens);
}

// A batch that breaks the contract is refused before anything is written.
Status Llama::check(const std::vector<BatchSpan>& spans) const {
  const auto refuse = [](Reason reason, std::string what, std::string fix) { return failure(reason, what, fix); };
  int64_t rows = 0;
  for (const BatchSpan& span : spans) {
    if (span.n_tokens <= 0 || span.position < 0) {
      return refuse(Reason::kBadRequest, "A span of " + std::to_string(span.n_tokens) + " tokens at position " +
                    std::to_string(span.position) + " is not a span.", "Give at least one token at a position from 0 on.");
    }
    if (span.draws && !can_draw()) return refuse(Reason::kInternal, "This model does not draw.", "Report this as a bug of the engine.");
    if (span.adapter != 0 && !adapters_.contains(span.adapter)) {
      return refuse(Reason::kBadRequest, "There is no adapter " + std::to_string(span.adapter) + ".",
                    "Load the adapter first.");
    }
    const int64_t end = static_cast<int64_t>(span.position) + span.n_tokens;
    if (end > config_.context) {
      return refuse(Reason::kContextFull, "Position " + std::to_string(end) + " is beyond the context of " +
                    std::to_string(config_.context) + " tokens.", "Shorten the conversation.");
    }
    for (int32_t i = 0; i < span.n_tokens; i++) {
      if (span.tokens[i] < 0 || span.tokens[i] >= config_.vocab) {
        return refuse(Reason::kBadRequest, "Token " + std::to_string(span.tokens[i]) + " is not in the vocabulary of " +
                      std::to_string(config_.vocab) + ".", "Use the tokenizer of this checkpoint.");
      }
    }
    for (int64_t page = 0; page < (end + kPageTokens - 1) / kPageTokens; page++) {
      if (span.pages[page] < 0 || span.pages[page] >= n_pages()) {
        return refuse(Reason::kBadRequest, "Page " + std::to_string(span.pages[page]) + " does not exist; there are " +
                      std::to_string(n_pages()) + ".", "Give pages from 0 on.");
      }
    }
    rows += span.n_tokens;
  }
  if (rows > max_batch_tokens()) {
    return refuse(Reason::kBadRequest, std::to_string(rows) + " tokens are more than the " +
                  std::to_string(max_batch_tokens()) + " of one step.", "Cut the prefill into chunks.");
  }
  return {};
}

// ---- adapters ----

// Which layer object a projection is part of, and which part.
struct Place {
  std::unique_ptr<Linear> Layer::*linear;
  int32_t part;
};

Place place_of(Projection projection) {
  switch (projection) {
    case Projection::kQ: return {&Layer::qkv, 0};
    case Projection::kK: return {&Layer::qkv, 1};
    case Projection::kV: return {&Layer::qkv, 2};
    case Projection::kO: return {&Layer::o, 0};
    case Projection::kGate: return {&Layer::gate_up, 0};
    case Projection::kUp: return {&Layer::gate_up, 1};
    case Projection::kDown: return {&Layer::down, 0};
  }
  return {&Layer::down, 0};
}

Status Llama::add_adapter(int32_t id, const LoraAdapter& adapter) {
  int64_t bytes = 0;
  for (const LoraMatrix& matrix : adapter.matrices) {
    if (matrix.layer < 0 || matrix.layer >= config_.n_layers) {
      return failure(Reason::kBadCheckpoint, "The adapter changes layer " + std::to_string(matrix.layer) + " of " +
                     std::to_string(config_.n_layers) + ".", "Use an adapter that was made for this model.");
    }
    bytes += (matrix.a.rows * matrix.a.cols + matrix.b.rows * matrix.b.cols) * static_cast<int64_t>(sizeof(float));
  }
  if (bytes > backend_->memory().available_bytes) {
    return failure(Reason::kOutOfMemory, "The adapter takes " + gibibytes(bytes) + "; " +
                   gibibytes(backend_->memory().available_bytes) + " are free.", "Unload another adapter, or use a smaller cache.");
  }
  Status status;
  for (size_t i = 0; i < layers_.size() && status.ok(); i++) {
    for (const auto linear : {&Layer::qkv, &Layer::o, &Layer::gate_up, &Layer::down}) {
      std::vector<LowRank> parts;
      for (const LoraMatrix& matrix : adapter.matrices) {
        const Place place = place_of(matrix.projection);
        if (matrix.layer != static_cast<int32_t>(i) || place.linear != linear) continue;
        parts.push_back({place.part, matrix.a, matrix.b, matrix.scale});
      }
      if (status.ok() && !parts.empty()) status = backend_->adapt(*(layers_[i].*linear), id, parts);
    }
  }
  adapters_.insert(id);
  if (!status.ok()) remove_adapter(id);
  return status;
}

void Llama::remove_adapter(int32_t id) {
  if (adapters_.erase(id) == 0) return;
  for (const Layer& layer : layers_) {
    for (const auto linear : {&Layer::qkv, &Layer::o, &Layer::gate_up, &Layer::down}) {
      (void)backend_->adapt(*(layer.*linear), id, {});
    }
  }
}

// ---- loading ----

Status check_shape(const MatrixView& matrix, const char* name, int64_t rows, int64_t cols) {
  if ((matrix.data != nullptr || matrix.quant != nullptr) && matrix.rows == rows && matrix.cols == cols) return {};
  return failure(Reason::kBadCheckpoint,
                 std::string(name) + " is (" + std::to_string(matrix.rows) + ", " + std::to_string(matrix.cols) +
                     ") and should be (" + std::to_string(rows) + ", " + std::to_string(cols) + ").",
                 "Check that config.json belongs to these weights.");
}

Status check_shapes(const ModelConfig& config, const Weights& weights) {
  if (config.n_layers <= 0 || config.n_kv_heads <= 0 || config.n_heads % config.n_kv_heads != 0 ||
      config.head_dim <= 0 || config.head_dim % 2 != 0 || config.vocab <= 0 || config.context <= 0 ||
      weights.layers.size() != static_cast<size_t>(config.n_layers)) {
    return failure(Reason::kBadCheckpoint, "The configuration does not describe a Llama with these weights.",
                   "Check config.json.");
  }
  Status status = check_shape(weights.embed, "model.embed_tokens.weight", config.vocab, config.dim);
  const auto also = [&](const MatrixView& matrix, const char* name, int64_t rows, int64_t cols) {
    if (status.ok()) status = check_shape(matrix, name, rows, cols);
  };
  for (const LayerWeights& layer : weights.layers) {
    also(layer.attn_norm, "input_layernorm.weight", 1, config.dim);
    also(layer.q, "q_proj.weight", config.q_dim(), config.dim);
    also(layer.k, "k_proj.weight", config.kv_dim(), config.dim);
    also(layer.v, "v_proj.weight", config.kv_dim(), config.dim);
    also(layer.o, "o_proj.weight", config.dim, config.q_dim());
    also(layer.ffn_norm, "post_attention_layernorm.weight", 1, config.dim);
    also(layer.gate, "gate_proj.weight", config.ffn, config.dim);
    also(layer.up, "up_proj.weight", config.ffn, config.dim);
    also(layer.down, "down_proj.weight", config.dim, config.ffn);
  }
  also(weights.norm, "model.norm.weight", 1, config.dim);
  also(weights.head, "lm_head.weight", config.vocab, config.dim);
  return status;
}

// A head in four bits costs more quality than it saves time.
WeightFormat head_format(const LlamaOptions& options) {
  const WeightFormat format = options.weight_format;
  return format == WeightFormat::kInt4 || format == WeightFormat::kNf4 ? WeightFormat::kInt8 : format;
}

// Decides the number of pages, and refuses what does not fit into memory.
Status Llama::size_up(const Weights& weights) {
  if (options_.max_batch_tokens <= 0 || options_.n_pages < 0 || options_.cache_bytes < 0) {
    return failure(Reason::kBadRequest, "Batch and cache sizes must not be negative, and a batch holds at least one token.",
                   "Leave them out for the defaults.");
  }
  work_shape_ = {std::min(options_.max_batch_tokens, config_.context),
                 0, config_.dim, config_.ffn, config_.n_heads, config_.n_kv_heads, config_.head_dim, config_.vocab};
  work_shape_.max_logits = std::min(work_shape_.max_rows, kLogitsAtOnce);
  kv_shape_ = {config_.n_layers, config_.n_kv_heads, config_.head_dim, 0, options_.kv_type};
  if (Status status = backend_->supports(work_shape_, options_.kv_type); !status.ok()) return status;
  memory_.workspace = backend_->workspace_bytes(work_shape_) + backend_->rope_bytes(config_.head_dim, config_.context);
  const int64_t embedding = backend_->embedding_bytes(weights.embed);
  memory_.embedding = embedding > 0 ? embedding : weights.embed.rows * weights.embed.cols * dtype_bytes(weights.embed.type);
  const bool shared = backend_->shares_table(weights.embed, weights.head, head_format(options_));
  int64_t linears = backend_->norm_bytes(weights.norm);
  if (!shared) linears += backend_->linear_bytes({weights.head}, head_format(options_));
  for (const LayerWeights& layer : weights.layers) {
    linears += backend_->norm_bytes(layer.attn_norm) + backend_->norm_bytes(layer.ffn_norm);
    linears += backend_->linear_bytes({layer.q, layer.k, layer.v}, options_.weight_format);
    linears += backend_->linear_bytes({layer.o}, options_.weight_format);
    linears += backend_->linear_bytes({layer.gate, layer.up}, options_.weight_format);
    linears += backend_->linear_bytes({layer.down}, options_.weight_format);
  }
  memory_.weights = linears;
  const int64_t fixed = memory_.workspace + linears + embedding;
  const int64_t page = backend_->kv_page_bytes(kv_shape_);
  const int64_t available = backend_->memory().available_bytes;
  const int64_t context_pages = (config_.context + kPageTokens - 1) / kPageTokens;
  int64_t pages = options_.n_pages;
  if (pages == 0 && options_.cache_bytes > 0) pages = options_.cache_bytes / page;
  if (pages == 0) pages = std::min(4 * context_pages, std::max<int64_t>(0, available - fixed) / 4 / page);
  if (pages < 1 || pages > INT32_MAX || fixed + pages * page > available) {
    return failure(Reason::kOutOfMemory,
                   "Weights and workspace take " + gibibytes(fixed) + " and " + std::to_string(pages) +
                       " cache pages " + gibibytes(pages * page) + " (" + std::to_string(page) + " bytes each); " +
                       gibibytes(available) + " are free.",
                   "Use a smaller cache, a smaller or quantised model, or a machine with more memory.");
  }
  kv_shape_.n_pages = static_cast<int32_t>(pages);
  memory_.cache = pages * page;
  return {};
}

Status Llama::load(const Weights& weights) {
  Status status = check_shapes(config_, weights);
  if (status.ok()) status = size_up(weights);
  if (status.ok()) status = backend_->embedding(weights.embed, &embed_);
  layers_.resize(static_cast<size_t>(config_.n_layers));
  for (size_t i = 0; i < layers_.size() && status.ok(); i++) status = load_layer(weights.layers[i], &layers_[i]);
  if (status.ok()) status = backend_->norm(weights.norm, config_.norm_eps, &norm_);
  if (status.ok()) status = backend_->linear({weights.head}, LinearLayout::kStacked, head_format(options_), &head_);
  if (status.ok()) status = backend_->rope(rope_inverse_frequencies(config_), config_.context, &rope_);
  if (status.ok()) status = backend_->kv_cache(kv_shape_, &cache_);
  if (status.ok()) status = backend_->workspace(work_shape_, &work_);
  files_ = weights.files;
  copies_ = weights.copies;
  return status;
}

Status Llama::load_layer(const LayerWeights& weights, Layer* layer) {
  const WeightFormat format = options_.weight_format;
  Status status = backend_->norm(weights.attn_norm, config_.norm_eps, &layer->attn_norm);
  if (status.ok()) {
    status = backend_->linear({weights.q, weights.k, weights.v}, LinearLayout::kStacked, format, &layer->qkv);
  }
  if (status.ok()) status = backend_->linear({weights.o}, LinearLayout::kStacked, format, &layer->o);
  if (status.ok()) status = backend_->norm(weights.ffn_norm, config_.norm_eps, &layer->ffn_norm);
  if (status.ok()) status = backend_->linear({weights.gate, weights.up}, LinearLayout::kPaired, format, &layer->gate_up);
  if (status.ok()) status = backend_->linear({weights.down}, LinearLayout::kStacked, format, &layer->down);
  return status;
}

}  // namespace

Status make_llama(const ModelConfig& config, const Weights& weights, const LlamaOptions& options,
                  std::unique_ptr<Forward>* made) {
  std::unique_ptr<Backend> backend;
  Status status = make_backend(options.backend, &backend);
  if (!status.ok()) return status;
  return make_llama_on(std::move(backend), config, weights, options, made);
}

Status make_llama_on(std::unique_ptr<Backend> backend, const ModelConfig& config, const Weights& weights,
                     const LlamaOptions& options, std::unique_ptr<Forward>* made) {
  auto llama = std::make_unique<Llama>(config, options, std::move(backend));
  Status status = llama->load(weights);
  if (status.ok()) *made = std::move(llama);
  return status;
}

}  // namespace chasqui
