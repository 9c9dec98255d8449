// Collects the matrices of each layer by name, plain or quantised, and computes the fingerprint of what was found.
#include "weights.h"

#include <span>

#include "../checkpoint/hf_directory.h"
#include "../checkpoint/quant_module.h"
#include "../json.h"
#include "fingerprint.h"
#include "plain_view.h"

namespace chasqui {
namespace {

// Names and shapes are those of transformers' LlamaForCausalLM; every matrix is (outputs, inputs), row-major.
class Collector {
 public:
  Collector(const TensorDirectory& directory, const QuantConfig& quantization, Weights* weights)
      : directory_(directory), quantization_(quantization), weights_(weights) {}

  void matrix(const std::string& name, int64_t rows, int64_t cols, MatrixView* view) { take(name, {rows, cols}, view); }
  // The matrix of a linear layer, plain or quantised.
  void linear(const std::string& module, int64_t rows, int64_t cols, MatrixView* view) {
    if (!status_.ok()) return;
    std::shared_ptr<QuantSource> source;
    status_ = find_quantised(QuantModule(directory_, quantization_, module, rows, cols), &source);
    if (!status_.ok()) return;
    if (source == nullptr) return matrix(module + ".weight", rows, cols, view);
    view->rows = rows;
    view->cols = cols;
    view->quant = std::move(source);
  }
  void vector(const std::string& name, int64_t size, MatrixView* view) { take(name, {size}, view); }
  Status status() const { return status_; }

 private:
  void take(const std::string& name, const std::vector<int64_t>& shape, MatrixView* view) {
    if (!status_.ok()) return;
    const Tensor* tensor = directory_.find(name);
    if (tensor == nullptr) {
      status_ =
          failure(Reason::kBadCheckpoint,
                  "Tensor " + name + " (" + shape_text(shape) + ") is missing from the checkpoint" + where() + ".",
                  "Download the checkpoint again, and check that config.json belongs to it.");
      return;
    }
    if (tensor->shape != shape) {
      status_ = failure(Reason::kBadCheckpoint,
                        "Tensor " + name + " in " + *tensor->file + " is " + describe(*tensor) +
                            ", but config.json asks for " + shape_text(shape) + ".",
                        "Use the config.json that belongs to these weights.");
      return;
    }
    status_ = plain_view(*tensor, view, &weights_->copies);
  }

  std::string where() const { return directory_.files().empty() ? "" : " (" + directory_.files()[0]->path() + ")"; }

  const TensorDirectory& directory_;
  const QuantConfig& quantization_;
  Weights* weights_;
  Status status_;
};

Status refuse_method(const QuantConfig& quantization, const TensorDirectory& directory) {
  const std::string place = directory.files().empty() ? "" : directory.files()[0]->path() + ": ";
  return failure(Reason::kUnsupported,
                 place + "the checkpoint is quantised (" + quant_method_name(quantization.method) +
                     "), which this engine does not run yet.",
                 "Use the BF16, F16 or F32 form of the checkpoint.");
}

// A quantised checkpoint whose config does not say so, named by the tensor that gives it away.
Status refuse_unannounced(const TensorDirectory& directory) {
  static constexpr const char* kMarks[] = {".qweight",      ".qzeros",           ".weight_packed",
                                           ".weight_scale", ".weight_scale_inv", ".input_scale",
                                           ".SCB",          ".absmax",           ".quant_map"};
  for (const Tensor& tensor : directory.tensors()) {
    for (const char* mark : kMarks) {
      if (!tensor.name.ends_with(mark)) continue;
      return failure(Reason::kUnsupported,
                     "Tensor " + json_quoted(tensor.name) + " in " + *tensor.file +
                         " belongs to a quantised checkpoint, but config.json has no quantization_config.",
                     "Use the config.json that belongs to these weights.");
    }
  }
  return {};
}

void add_config(const ModelConfig& config, Fingerprint* print) {
  for (const int64_t size : {config.n_layers, config.dim, config.ffn, config.n_heads, config.n_kv_heads,
                             config.head_dim, config.vocab, config.context}) {
    print->add(static_cast<uint64_t>(size));
  }
  for (const double number : {config.norm_eps, config.rope_theta, config.rope.factor, config.rope.low_freq_factor,
                              config.rope.high_freq_factor}) {
    print->add(number);
  }
  print->add(static_cast<uint64_t>(config.rope.original_context));
  print->add(static_cast<uint64_t>(config.tied_head));
}

void add_view(const MatrixView& view, Fingerprint* print) {
  print->add(static_cast<uint64_t>(view.type));
  print->add(static_cast<uint64_t>(view.rows));
  print->add(static_cast<uint64_t>(view.cols));
  if (view.quant == nullptr) return print->add_sample(view.data, view.rows * view.cols * dtype_bytes(view.type));
  print->add(static_cast<uint64_t>(view.quant->kind));
  for (const std::span<const std::byte> stored : view.quant->stored) {
    print->add_sample(stored.data(), static_cast<int64_t>(stored.size()));
  }
}

uint64_t fingerprint_of(const ModelConfig& config, const Weights& weights) {
  Fingerprint print;
  add_config(config, &print);
  for (const LayerWeights& layer : weights.layers) {
    for (const MatrixView* view : {&layer.attn_norm, &layer.q, &layer.k, &layer.v, &layer.o, &layer.ffn_norm,
                                   &layer.gate, &layer.up, &layer.down}) {
      add_view(*view, &print);
    }
  }
  for (const MatrixView* view : {&weights.embed, &weights.norm, &weights.head}) add_view(*view, &print);
  return print.value();
}

}  // namespace

Status load_weights(const std::string& folder, const ModelConfig& config, Weights* weights, Quantised quantised) {
  TensorDirectory directory;
  if (Status status = open_tensor_directory(folder, &directory); !status.ok()) return status;
  return collect_weights(directory, config, weights, quantised);
}

Status collect_weights(const TensorDirectory& directory, const ModelConfig& config, Weights* weights,
                       Quantised quantised) {
  if (config.quantization.method == QuantMethod::kNone) {
    if (Status status = refuse_unannounced(directory); !status.ok()) return status;
  } else if (quantised == Quantised::kRefuse) {
    return refuse_method(config.quantization, directory);
  }
  Weights found;
  found.files = directory.files();
  found.layers.resize(static_cast<size_t>(config.n_layers));
  Collector collector(directory, config.quantization, &found);
  collector.matrix("model.embed_tokens.weight", config.vocab, config.dim, &found.embed);
  for (int32_t i = 0; i < config.n_layers && collector.status().ok(); i++) {
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    LayerWeights& layer = found.layers[static_cast<size_t>(i)];
    collector.vector(prefix + "input_layernorm.weight", config.dim, &layer.attn_norm);
    collector.linear(prefix + "self_attn.q_proj", config.q_dim(), config.dim, &layer.q);
    collector.linear(prefix + "self_attn.k_proj", config.kv_dim(), config.dim, &layer.k);
    collector.linear(prefix + "self_attn.v_proj", config.kv_dim(), config.dim, &layer.v);
    collector.linear(prefix + "self_attn.o_proj", config.dim, config.q_dim(), &layer.o);
    collector.vector(prefix + "post_attention_layernorm.weight", config.dim, &layer.ffn_norm);
    collector.linear(prefix + "mlp.gate_proj", config.ffn, config.dim, &layer.gate);
    collector.linear(prefix + "mlp.up_proj", config.ffn, config.dim, &layer.up);
    collector.linear(prefix + "mlp.down_proj", config.dim, config.ffn, &layer.down);
  }
  collector.vector("model.norm.weight", config.dim, &found.norm);
  if (config.tied_head) {
    found.head = found.embed;
  } else {
    collector.linear("lm_head", config.vocab, config.dim, &found.head);
  }
  if (!collector.status().ok()) return collector.status();
  found.fingerprint = fingerprint_of(config, found);
  *weights = std::move(found);
  return {};
}

}  // namespace chasqui
