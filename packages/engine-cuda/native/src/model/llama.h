// A Llama as a Forward: the layers of a checkpoint as plain calls to a backend. Knows the order of the operations and
// checks what it is asked; knows no arithmetic and no device.
#pragma once

#include <memory>

#include "../backend/backend.h"
#include "config.h"
#include "forward.h"
#include "weights.h"

namespace chasqui {

struct LlamaOptions {
  BackendOptions backend;
  // kBF16 halves the cache; with kF32 and f32 weights everything is float ("fp32 mode").
  KvType kv_type = KvType::kBF16;
  // Quantised on load; kInt4 and kNf4 leave the head in int8. The embedding stays as it is stored, and so do matrices
  // that are quantised in their file.
  WeightFormat weight_format = WeightFormat::kAsStored;
  // Size of the KV cache: pages if given, else bytes if given, else four contexts or a quarter of the free memory.
  int32_t n_pages = 0;
  int64_t cache_bytes = 0;
  int32_t max_batch_tokens = 512;
};

// Takes the weights into a backend. Memory is reckoned up before any is claimed: what does not fit is refused as
// out-of-memory with the figures. `weights` may go out of scope afterwards; its files are kept as long as needed.
Status make_llama(const ModelConfig& config, const Weights& weights, const LlamaOptions& options,
                  std::unique_ptr<Forward>* made);

// The same on a backend that is there already; options.backend is not looked at.
Status make_llama_on(std::unique_ptr<Backend> backend, const ModelConfig& config, const Weights& weights,
                     const LlamaOptions& options, std::unique_ptr<Forward>* made);

}  // namespace chasqui
