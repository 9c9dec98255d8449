// The weights of a Llama checkpoint as views into memory-mapped files: a pointer, a type and a shape each, nothing
// copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../status.h"
#include "config.h"

namespace chasqui {

enum class DType : uint8_t { kF32, kF16, kBF16 };

constexpr int64_t dtype_bytes(DType type) { return type == DType::kF32 ? 4 : 2; }

struct QuantSource;
struct QuantMatrix;

// A row-major matrix in somebody else's memory. A vector has rows = 1. A quantised matrix (only from load_weights with
// Quantised::kRead, and never an embedding or a norm) has `quant` instead of `data`: see checkpoint/quant.h.
struct MatrixView {
  const void* data = nullptr;  // (rows, cols)
  DType type = DType::kBF16;  // of a quantised matrix: the type that it is dequantised to where nothing better is known
  int64_t rows = 0;
  int64_t cols = 0;
  std::shared_ptr<const QuantSource> quant;  // null for a plain matrix
};

// What to do with a quantised checkpoint: refuse it by name, for callers who read only `data`, or read it.
enum class Quantised : uint8_t { kRefuse, kRead };

struct LayerWeights {
  MatrixView attn_norm;  // (1, dim)
  MatrixView q;          // (n_heads * head_dim, dim)
  MatrixView k;          // (n_kv_heads * head_dim, dim)
  MatrixView v;          // (n_kv_heads * head_dim, dim)
  MatrixView o;          // (dim, n_heads * head_dim)
  MatrixView ffn_norm;   // (1, dim)
  MatrixView gate;       // (ffn, dim)
  MatrixView up;         // (ffn, dim)
  MatrixView down;       // (dim, ffn)
};

class MappedFile;
class TensorDirectory;

struct Weights {
  MatrixView embed;  // (vocab, dim)
  std::vector<LayerWeights> layers;
  MatrixView norm;                                         // (1, dim)
  MatrixView head;                                         // (vocab, dim); the same memory as embed when tied
  uint64_t fingerprint = 0;                                // of config, names, shapes and a sample of the data
  std::vector<std::shared_ptr<MappedFile>> files;          // keep the views alive
  std::vector<std::shared_ptr<const std::byte[]>> copies;  // of tensors that lie unaligned in their file
};

// Maps the safetensors files of a Hugging Face folder (sharded or not) and checks every name, type and shape against
// config.
Status load_weights(const std::string& folder, const ModelConfig& config, Weights* weights,
                    Quantised quantised = Quantised::kRefuse);

// The same from tensors that are already open. Tensors that no Llama has are ignored, but for those of quantised
// checkpoints whose config does not say so, which are refused by name.
Status collect_weights(const TensorDirectory& directory, const ModelConfig& config, Weights* weights,
                       Quantised quantised = Quantised::kRefuse);

}  // namespace chasqui
