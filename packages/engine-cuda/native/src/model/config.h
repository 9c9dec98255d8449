// What config.json and generation_config.json of a Hugging Face Llama checkpoint say, checked and in our own words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "../checkpoint/quant_config.h"
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
  int32_t dim = 0;  // hidden_size
  int32_t ffn = 0;  // intermediate_size
  int32_t n_heads = 0;
  int32_t n_kv_heads = 0;  // divides n_heads
  int32_t head_dim = 0;    // even
  int32_t vocab = 0;
  int32_t context = 0;  // max_position_embeddings
  double norm_eps = 1e-5;
  double rope_theta = 500000.0;
  RopeScaling rope;
  bool tied_head = false;
  std::vector<int32_t> stop_tokens;  // eos ids of config and generation_config, united
  GenerationDefaults generation;
  QuantConfig quantization;  // quantization_config; method kNone where there is none

  int32_t q_dim() const { return n_heads * head_dim; }
  int32_t kv_dim() const { return n_kv_heads * head_dim; }
};

// Every size of a config that was read lies within these, so that no product of them that sizes memory leaves int64:
// the largest, bytes of the KV cache in double precision, is 2^27 * 2^10 * 2^17 * 2 * 8 < 2^59.
struct ConfigLimits {
  static constexpr int64_t kLayers = 1 << 10;
  static constexpr int64_t kDim = 1 << 17;
  static constexpr int64_t kFfn = 1 << 20;
  static constexpr int64_t kHeads = 1 << 12;
  static constexpr int64_t kHeadDim = 1 << 10;
  static constexpr int64_t kProjection = 1 << 17;  // n_heads * head_dim
  static constexpr int64_t kVocab = 1 << 22;
  static constexpr int64_t kContext = 1 << 27;
};

// Reads `folder`/config.json and, where present, `folder`/generation_config.json.
Status read_config(const std::string& folder, ModelConfig* config);

// The same from texts. `generation_text` is empty where there is no such file; the paths name the files in messages.
Status parse_config(std::string_view config_text, const std::string& config_path, std::string_view generation_text,
                    const std::string& generation_path, ModelConfig* config);

}  // namespace chasqui
