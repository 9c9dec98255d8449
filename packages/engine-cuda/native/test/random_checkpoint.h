// Writes a complete Hugging Face folder of a Llama with random weights: config, generation config, safetensors (one
// file or shards) and a byte-level tokenizer. The same shape and seed give the same bytes on every machine; a tensor's
// values depend on the seed and its name only, so tied, sharded and plain forms of one seed hold the same numbers.
#pragma once

#include <cstdint>
#include <string>

#include "src/model/weights.h"
#include "src/status.h"

namespace chasqui {

struct RandomCheckpoint {
  int32_t n_layers = 2;
  int32_t dim = 64;
  int32_t ffn = 160;
  int32_t n_heads = 4;
  int32_t n_kv_heads = 2;
  int32_t head_dim = 16;
  int32_t vocab = 320;  // from 264 on (256 bytes and 8 special tokens) a tokenizer is written too
  int32_t context = 512;
  DType type = DType::kBF16;       // of the matrices
  DType norm_type = DType::kBF16;  // of the norms; mixed types are allowed in a checkpoint
  double rope_theta = 500000.0;
  double rope_factor = 8.0;        // llama3 scaling; 1 writes "rope_scaling": null
  int32_t original_context = 128;  // of the scaling
  bool tied = false;               // no lm_head tensor
  int32_t shards = 1;              // over 1: model-0000i-of-0000n.safetensors and an index
  uint64_t seed = 1;
};

// Creates `folder` where needed; files that are already there are overwritten.
Status write_random_checkpoint(const std::string& folder, const RandomCheckpoint& shape);

}  // namespace chasqui
