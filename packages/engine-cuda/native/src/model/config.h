// What config.json and generation_config.json of a Hugging Face Llama checkpoint say, checked and in our own words.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "../status.h"

namespace chasqui {

// Llama 3.1 scaling of the inverse rope frequencies. factor 1 means none.
struct RopeScaling {
  double factor = 1.0;
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
  int64_t original_context = 8192;
};

// generation_config.json: defaults only, a request wins.
struct GenerationDefaults {
  bool do_sample = false;
  double temperature = 1.0;
  double top_p = 1.0;
  int32_t top_k = 0;
};

struct ModelConfig {
  int32_t n_layers = 0;
  int32_t dim = 0;           // hidden_size
  int32_t ffn = 0;           // intermediate_size
  int32_t n_heads = 0;
  int32_t n_kv_heads = 0;    // divides n_heads
  int32_t head_dim = 0;      // even
  int32_t vocab = 0;
  int32_t context = 0;       // max_position_embeddings
  double norm_eps = 1e-5;
  double rope_theta = 500000.0;
  RopeScaling rope;
  bool tied_head = false;
  std::vector<int32_t> stop_tokens;  // eos ids of config and generation_config, united
  GenerationDefaults generation;

  int32_t q_dim() const { return n_heads * head_dim; }
  int32_t kv_dim() const { return n_kv_heads * head_dim; }
};

// Reads `folder`/config.json and, where present, `folder`/generation_config.json.
Status read_config(const std::string& folder, ModelConfig* config);

}  // namespace chasqui
