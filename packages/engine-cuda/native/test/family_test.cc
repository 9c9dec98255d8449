// The families that are promised to run: config.json as each of them publishes it, with sizes cut to a few numbers, on
// random weights of that shape; read, loaded and run like the reference. Others are refused by name.
#include <memory>
#include <string>
#include <vector>

#include "random_checkpoint.h"
#include "relative_rms.h"
#include "src/model/config.h"
#include "src/model/llama.h"
#include "src/reference/reference_llama.h"
#include "temp_folder.h"
#include "test/check.h"

using namespace chasqui;

namespace {

struct Family {
  const char* name;
  RandomCheckpoint shape;  // of the weights; must agree with the text
  std::string config;
};

RandomCheckpoint shape(int32_t heads, int32_t kv_heads, int32_t head_dim, int32_t dim, int32_t ffn, bool tied) {
  RandomCheckpoint made;
  made.n_layers = 2;
  made.n_heads = heads;
  made.n_kv_heads = kv_heads;
  made.head_dim = head_dim;
  made.dim = dim;
  made.ffn = ffn;
  made.vocab = 300;
  made.tied = tied;
  return made;
}

std::string rope3(const char* factor) {
  return std::string(R"({"factor": )") + factor +
         R"(, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"})";
}

const std::vector<Family>& families() {
  static const std::vector<Family> all = {
      {"Llama 3 (3.0)", shape(4, 1, 32, 128, 448, false),
       R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 280,
           "eos_token_id": 289, "hidden_act": "silu", "hidden_size": 128, "initializer_range": 0.02, "intermediate_size": 448,
           "max_position_embeddings": 8192, "model_type": "llama", "num_attention_heads": 4, "num_hidden_layers": 2,
           "num_key_value_heads": 1, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": null, "rope_theta": 500000.0,
           "tie_word_embeddings": false, "torch_dtype": "bfloat16", "transformers_version": "4.40.0.dev0", "use_cache": true,
           "vocab_size": 300})"},
      {"Llama 3.1 and Llama Guard 3", shape(4, 1, 32, 128, 448, false),
       R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 280,
           "eos_token_id": [281, 288, 289], "hidden_act": "silu", "hidden_size": 128, "initializer_range": 0.02,
           "intermediate_size": 448, "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama",
           "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 1, "pretraining_tp": 1,
           "rms_norm_eps": 1e-05, "rope_scaling": )" +
           rope3("8.0") +
           R"(, "rope_theta": 500000.0, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 300})"},
      {"Llama 3.2 text", shape(8, 2, 16, 128, 512, true),
       R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 280,
           "eos_token_id": [281, 288, 289], "head_dim": 16, "hidden_act": "silu", "hidden_size": 128, "initializer_range": 0.02,
           "intermediate_size": 512, "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama",
           "num_attention_heads": 8, "num_hidden_layers": 2, "num_key_value_heads": 2, "pretraining_tp": 1,
           "rms_norm_eps": 1e-05, "rope_scaling": )" +
           rope3("32.0") +
           R"(, "rope_theta": 500000.0, "tie_word_embeddings": true, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 300})"},
      {"Llama 3.3, newer file", shape(8, 1, 16, 128, 448, false),
       R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false, "bos_token_id": 280, "eos_token_id": [281, 288, 289],
           "head_dim": 16, "hidden_act": "silu", "hidden_size": 128, "intermediate_size": 448, "max_position_embeddings": 131072,
           "mlp_bias": false, "model_type": "llama", "num_attention_heads": 8, "num_hidden_layers": 2, "num_key_value_heads": 1,
           "rms_norm_eps": 1e-05, "rope_parameters": {"rope_theta": 500000.0, "factor": 8.0, "high_freq_factor": 4.0,
           "low_freq_factor": 1.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"},
           "tie_word_embeddings": false, "dtype": "bfloat16", "use_cache": true, "vocab_size": 300})"},
      {"TinyLlama", shape(8, 1, 16, 128, 352, false),
       R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false, "bos_token_id": 1, "eos_token_id": 2,
           "hidden_act": "silu", "hidden_size": 128, "initializer_range": 0.02, "intermediate_size": 352,
           "max_position_embeddings": 2048, "model_type": "llama", "num_attention_heads": 8, "num_hidden_layers": 2,
           "num_key_value_heads": 1, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": null, "rope_theta": 10000.0,
           "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 300})"},
  };
  return all;
}

}  // namespace

TEST(each_family_is_read_loaded_and_run_like_the_reference) {
  for (const Family& family : families()) {
    TempFolder folder;
    ModelConfig config;
    Weights weights;
    std::unique_ptr<Forward> forward;
    CHECK_OK(write_random_checkpoint(folder.path(), family.shape));
    folder.write("config.json", family.config);
    folder.write("generation_config.json", R"({"do_sample": true, "temperature": 0.6, "top_p": 0.9})");
    CHECK_OK(read_config(folder.path(), &config));
    CHECK_OK(load_weights(folder.path(), config, &weights));
    LlamaOptions options;
    options.backend.kernels = "float";
    options.kv_type = KvType::kF32;
    options.n_pages = 8;
    CHECK_OK(make_llama(config, weights, options, &forward));
    if (forward == nullptr) {
      check::fail(__FILE__, __LINE__, std::string(family.name) + " does not load");
      continue;
    }
    const std::vector<int32_t> tokens = {5, 17, 255, 3, 99, 120, 7, 280, 44, 12, 290, 1, 200, 31, 8, 64, 90, 2, 150, 77};
    const std::vector<int32_t> pages = {2, 5};
    std::vector<float> logits(tokens.size() * static_cast<size_t>(config.vocab));
    ReferenceRun reference;
    CHECK_OK(forward->run({{tokens.data(), static_cast<int32_t>(tokens.size()), 0, pages.data(), true, false, 0}}, logits.data()));
    CHECK_OK(reference_forward(config, weights, tokens, {}, &reference));
    CHECK_NEAR(relative_rms(logits, reference.logits), 0.0, 1e-4);
    CHECK(!config.stop_tokens.empty());
  }
}

TEST(others_are_refused_by_name) {
  const std::string base = families()[1].config;
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = base;
    return text.replace(text.find(from), from.size(), to);
  };
  const struct { std::string text; const char* says; } cases[] = {
      {with("\"model_type\": \"llama\"", "\"model_type\": \"mllama\""), "mllama"},      // Llama 3.2 with images
      {with("\"model_type\": \"llama\"", "\"model_type\": \"llama4\""), "llama4"},
      {with("\"model_type\": \"llama\"", "\"model_type\": \"mistral\""), "mistral"},
      {with("\"rope_type\": \"llama3\"", "\"rope_type\": \"yarn\""), "yarn"},
      {with("\"attention_bias\": false", "\"attention_bias\": true"), "attention_bias"},
  };
  for (const auto& each : cases) {
    ModelConfig config;
    const Status status = parse_config(each.text, "F/config.json", "", "F/generation_config.json", &config);
    CHECK_REASON(status, Reason::kUnsupported);
    CHECK(status.detail.find(each.says) != std::string::npos);
  }
}

TEST_MAIN()
