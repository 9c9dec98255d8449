#include "weights.h"

#include <bit>
#include <cstring>
#include <new>

#include "../checkpoint/hf_directory.h"
#include "../json.h"

namespace chasqui {
namespace {

// Names and shapes are those of transformers' LlamaForCausalLM; every matrix is (outputs, inputs), row-major.
class Collector {
 public:
  Collector(const TensorDirectory& directory, Weights* weights) : directory_(directory), weights_(weights) {}

  void matrix(const std::string& name, int64_t rows, int64_t cols, MatrixView* view) { take(name, {rows, cols}, view); }
  void vector(const std::string& name, int64_t size, MatrixView* view) { take(name, {size}, view); }
  Status status() const { return status_; }

 private:
  void take(const std::string& name, const std::vector<int64_t>& shape, MatrixView* view) {
    if (!status_.ok()) return;
    const Tensor* tensor = directory_.find(name);
    if (tensor == nullptr) {
      status_ = failure(Reason::kBadCheckpoint, "Tensor " + name + " (" + shape_text(shape) + ") is missing from the checkpoint" + where() + ".",
                        "Download the checkpoint again, and check that config.json belongs to it.");
      return;
    }
    if (tensor->shape != shape) {
      status_ = failure(Reason::kBadCheckpoint,
                        "Tensor " + name + " in " + *tensor->file + " is " + describe(*tensor) + ", but config.json asks for " + shape_text(shape) + ".",
                        "Use the config.json that belongs to these weights.");
      return;
    }
    if (!plain_type(tensor->type, &view->type)) {
      status_ = failure(Reason::kUnsupported,
                        "Tensor " + name + " in " + *tensor->file + " is " + describe(*tensor) + "; supported are BF16, F16 and F32.",
                        "Use the BF16, F16 or F32 form of the checkpoint.");
      return;
    }
    view->rows = shape.size() == 1 ? 1 : shape[0];
    view->cols = shape.back();
    view->data = aligned(*tensor);
  }

  static bool plain_type(TensorType type, DType* out) {
    switch (type) {
      case TensorType::kF32: *out = DType::kF32; return true;
      case TensorType::kF16: *out = DType::kF16; return true;
      case TensorType::kBF16: *out = DType::kBF16; return true;
      default: return false;
    }
  }

  // Some writers do not pad their headers, and then no element lies at a multiple of its size: such a tensor is copied.
  const void* aligned(const Tensor& tensor) {
    if (reinterpret_cast<uintptr_t>(tensor.data) % static_cast<uintptr_t>(tensor_type_bytes(tensor.type)) == 0) return tensor.data;
    std::byte* copy = new (std::nothrow) std::byte[static_cast<size_t>(tensor.bytes)];
    if (copy == nullptr) {
      status_ = failure(Reason::kOutOfMemory, "No memory for a copy of tensor " + tensor.name + ", which lies unaligned in " + *tensor.file + ".",
                        "Save the checkpoint again with a current safetensors, which aligns its data.");
      return nullptr;
    }
    std::memcpy(copy, tensor.data, static_cast<size_t>(tensor.bytes));
    weights_->copies.emplace_back(copy);
    return copy;
  }

  std::string where() const { return directory_.files().empty() ? "" : " (" + directory_.files()[0]->path() + ")"; }

  const TensorDirectory& directory_;
  Weights* weights_;
  Status status_;
};

// A quantised checkpoint whose config does not say so, named by the tensor that gives it away.
Status refuse_quantised(const TensorDirectory& directory) {
  static constexpr const char* kMarks[] = {".qweight", ".qzeros", ".weight_packed", ".weight_scale", ".weight_scale_inv",
                                           ".input_scale", ".SCB", ".absmax", ".quant_map"};
  for (const Tensor& tensor : directory.tensors()) {
    for (const char* mark : kMarks) {
      if (!tensor.name.ends_with(mark)) continue;
      return failure(Reason::kUnsupported,
                     "Tensor " + json_quoted(tensor.name) + " in " + *tensor.file + " belongs to a quantised checkpoint, which is not supported yet.",
                     "Use the BF16, F16 or F32 form of the checkpoint.");
    }
  }
  return {};
}

// A fast hash for telling models apart, not for security: 64 bits, multiply and rotate.
class Fingerprint {
 public:
  void add(uint64_t word) { state_ = std::rotl((state_ ^ word) * 0x9E3779B97F4A7C15u, 29) + 0x165667B19E3779F9u; }
  void add(double number) { add(std::bit_cast<uint64_t>(number)); }
  void add(const void* bytes, size_t size) {
    add(static_cast<uint64_t>(size));
    const char* at = static_cast<const char*>(bytes);
    for (; size >= 8; size -= 8, at += 8) add_tail(at, 8);
    if (size > 0) add_tail(at, size);
  }
  uint64_t value() const { return state_ ^ state_ >> 31; }

 private:
  void add_tail(const char* at, size_t size) {
    uint64_t word = 0;
    std::memcpy(&word, at, size);
    add(word);
  }

  uint64_t state_ = 0x243F6A8885A308D3u;
};

void add_config(const ModelConfig& config, Fingerprint* print) {
  for (const int64_t size : {config.n_layers, config.dim, config.ffn, config.n_heads, config.n_kv_heads, config.head_dim, config.vocab, config.context}) {
    print->add(static_cast<uint64_t>(size));
  }
  for (const double number : {config.norm_eps, config.rope_theta, config.rope.factor, config.rope.low_freq_factor, config.rope.high_freq_factor}) {
    print->add(number);
  }
  print->add(static_cast<uint64_t>(config.rope.original_context));
  print->add(static_cast<uint64_t>(config.tied_head));
}

// Type, shape and up to eight windows of 64 bytes, spread from the first byte to the last.
void add_view(const MatrixView& view, Fingerprint* print) {
  constexpr int64_t kWindow = 64;
  constexpr int64_t kWindows = 8;
  print->add(static_cast<uint64_t>(view.type));
  print->add(static_cast<uint64_t>(view.rows));
  print->add(static_cast<uint64_t>(view.cols));
  const char* bytes = static_cast<const char*>(view.data);
  const int64_t size = view.rows * view.cols * dtype_bytes(view.type);
  if (size <= kWindow * kWindows) return print->add(bytes, static_cast<size_t>(size));
  for (int64_t i = 0; i < kWindows; i++) print->add(bytes + (size - kWindow) * i / (kWindows - 1), kWindow);
}

uint64_t fingerprint_of(const ModelConfig& config, const Weights& weights) {
  Fingerprint print;
  add_config(config, &print);
  for (const LayerWeights& layer : weights.layers) {
    for (const MatrixView* view : {&layer.attn_norm, &layer.q, &layer.k, &layer.v, &layer.o, &layer.ffn_norm, &layer.gate, &layer.up, &layer.down}) {
      add_view(*view, &print);
    }
  }
  for (const MatrixView* view : {&weights.embed, &weights.norm, &weights.head}) add_view(*view, &print);
  return print.value();
}

}  // namespace

Status load_weights(const std::string& folder, const ModelConfig& config, Weights* weights) {
  TensorDirectory directory;
  if (Status status = open_tensor_directory(folder, &directory); !status.ok()) return status;
  return collect_weights(directory, config, weights);
}

Status collect_weights(const TensorDirectory& directory, const ModelConfig& config, Weights* weights) {
  if (Status status = refuse_quantised(directory); !status.ok()) return status;
  Weights found;
  found.files = directory.files();
  found.layers.resize(static_cast<size_t>(config.n_layers));
  Collector collector(directory, &found);
  collector.matrix("model.embed_tokens.weight", config.vocab, config.dim, &found.embed);
  for (int32_t i = 0; i < config.n_layers && collector.status().ok(); i++) {
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    LayerWeights& layer = found.layers[static_cast<size_t>(i)];
    collector.vector(prefix + "input_layernorm.weight", config.dim, &layer.attn_norm);
    collector.matrix(prefix + "self_attn.q_proj.weight", config.q_dim(), config.dim, &layer.q);
    collector.matrix(prefix + "self_attn.k_proj.weight", config.kv_dim(), config.dim, &layer.k);
    collector.matrix(prefix + "self_attn.v_proj.weight", config.kv_dim(), config.dim, &layer.v);
    collector.matrix(prefix + "self_attn.o_proj.weight", config.dim, config.q_dim(), &layer.o);
    collector.vector(prefix + "post_attention_layernorm.weight", config.dim, &layer.ffn_norm);
    collector.matrix(prefix + "mlp.gate_proj.weight", config.ffn, config.dim, &layer.gate);
    collector.matrix(prefix + "mlp.up_proj.weight", config.ffn, config.dim, &layer.up);
    collector.matrix(prefix + "mlp.down_proj.weight", config.dim, config.ffn, &layer.down);
  }
  collector.vector("model.norm.weight", config.dim, &found.norm);
  if (config.tied_head) {
    found.head = found.embed;
  } else {
    collector.matrix("lm_head.weight", config.vocab, config.dim, &found.head);
  }
  if (!collector.status().ok()) return collector.status();
  found.fingerprint = fingerprint_of(config, found);
  *weights = std::move(found);
  return {};
}

}  // namespace chasqui
