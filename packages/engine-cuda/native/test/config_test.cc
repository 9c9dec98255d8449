// config.json and generation_config.json: what published checkpoints say is read as meant, everything else is refused
// with a sentence that names the file, the field, the value found and what to do.
#include "src/model/config.h"

#include <algorithm>

#include "test/check.h"
#include "test/temp_folder.h"

using namespace chasqui;

namespace {

// The fields of Llama-3.1-8B-Instruct, as the Hugging Face file has them.
const char kLlama31[] = R"({
  "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 128000,
  "eos_token_id": [128001, 128008, 128009], "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02,
  "intermediate_size": 14336, "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama",
  "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
  "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                   "original_max_position_embeddings": 8192, "rope_type": "llama3"},
  "rope_theta": 500000.0, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 128256
})";

Status parse(const std::string& config, const std::string& generation, ModelConfig* out) {
  return parse_config(config, "F/config.json", generation, "F/generation_config.json", out);
}

// kLlama31 with the text `from` replaced by `to`.
std::string with(const std::string& from, const std::string& to) {
  std::string text = kLlama31;
  const size_t at = text.find(from);
  CHECK(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

// "reason: detail" of a changed config.
std::string refusal(const std::string& config, const std::string& generation = "") {
  ModelConfig out;
  const Status status = parse(config, generation, &out);
  CHECK(status.ok() || !status.fix.empty());
  return status.ok() ? "taken" : std::string(reason_name(status.reason)) + ": " + status.detail;
}

}  // namespace

TEST(reads_llama_3_1_8b) {
  ModelConfig config;
  CHECK_OK(parse(kLlama31,
                 R"({"eos_token_id": [128001, 128008, 128009], "do_sample": true, "temperature": 0.6, "top_p": 0.9})",
                 &config));
  CHECK_EQ(config.n_layers, 32);
  CHECK_EQ(config.dim, 4096);
  CHECK_EQ(config.ffn, 14336);
  CHECK_EQ(config.n_heads, 32);
  CHECK_EQ(config.n_kv_heads, 8);
  CHECK_EQ(config.head_dim, 128);
  CHECK_EQ(config.q_dim(), 4096);
  CHECK_EQ(config.kv_dim(), 1024);
  CHECK_EQ(config.vocab, 128256);
  CHECK_EQ(config.context, 131072);
  CHECK_EQ(config.norm_eps, 1e-5);
  CHECK_EQ(config.rope_theta, 500000.0);
  CHECK_EQ(config.rope.factor, 8.0);
  CHECK_EQ(config.rope.low_freq_factor, 1.0);
  CHECK_EQ(config.rope.high_freq_factor, 4.0);
  CHECK_EQ(config.rope.original_context, 8192);
  CHECK(!config.tied_head);
  CHECK((config.stop_tokens == std::vector<int32_t>{128001, 128008, 128009}));
  CHECK(config.generation.do_sample);
  CHECK_EQ(config.generation.temperature, 0.6);
  CHECK_EQ(config.generation.top_p, 0.9);
  CHECK_EQ(config.generation.top_k, 0);
}

TEST(reads_llama_3_2_1b_with_newer_rope_parameters) {
  std::string text =
      with("\"rope_scaling\": {\"factor\": 8.0", "\"rope_parameters\": {\"rope_theta\": 500000.0, \"factor\": 32.0");
  text.replace(text.find("\"rope_theta\": 500000.0, \"tie_word_embeddings\": false"), 52,
               "\"tie_word_embeddings\": true");
  ModelConfig config;
  CHECK_OK(parse(text, "", &config));
  CHECK_EQ(config.rope_theta, 500000.0);
  CHECK_EQ(config.rope.factor, 32.0);
  CHECK(config.tied_head);
}

TEST(reads_older_files_without_the_newer_fields) {
  ModelConfig config;
  CHECK_OK(
      parse(R"({"model_type": "llama", "hidden_size": 2048, "intermediate_size": 5632, "max_position_embeddings": 2048,
    "num_attention_heads": 32, "num_hidden_layers": 22, "rms_norm_eps": 1e-5, "vocab_size": 32000, "eos_token_id": 2, "rope_scaling": null})",
            "", &config));
  CHECK_EQ(config.n_kv_heads, 32);
  CHECK_EQ(config.head_dim, 64);
  CHECK_EQ(config.rope_theta, 10000.0);
  CHECK_EQ(config.rope.factor, 1.0);
  CHECK((config.stop_tokens == std::vector<int32_t>{2}));
}

TEST(unites_the_stop_tokens_of_both_files) {
  ModelConfig config;
  CHECK_OK(parse(with("[128001, 128008, 128009]", "128009"), R"({"eos_token_id": [128009, 128001]})", &config));
  CHECK((config.stop_tokens == std::vector<int32_t>{128001, 128009}));
  CHECK_OK(parse(with("[128001, 128008, 128009]", "null"), "{}", &config));
  CHECK(config.stop_tokens.empty());
}

TEST(takes_default_rope_and_a_head_dim_of_its_own) {
  ModelConfig config;
  CHECK_OK(parse(with("\"llama3\"", "\"default\""), "", &config));
  CHECK_EQ(config.rope.factor, 1.0);
  CHECK_OK(parse(with("\"pretraining_tp\": 1", "\"head_dim\": 64"), "", &config));
  CHECK_EQ(config.head_dim, 64);
  CHECK_OK(parse(with("\"rope_type\"", "\"type\""), "", &config));
  CHECK_EQ(config.rope.factor, 8.0);
}

TEST(refuses_other_models_by_name) {
  CHECK_EQ(refusal(with("\"model_type\": \"llama\"", "\"model_type\": \"mistral\"")),
           std::string("unsupported: F/config.json: model_type is \"mistral\"."));
  CHECK_EQ(refusal(with("LlamaForCausalLM", "LlamaForSequenceClassification")),
           std::string("unsupported: F/config.json: architectures is [\"LlamaForSequenceClassification\"]."));
  CHECK_EQ(refusal("{}"), std::string("bad-checkpoint: F/config.json: has no model_type."));
  CHECK_EQ(refusal("[]"), std::string("bad-checkpoint: F/config.json is no JSON object."));
  CHECK_EQ(refusal("{\"a\""), std::string("bad-checkpoint: F/config.json is no JSON: ':' is expected (byte 4)."));
}

TEST(refuses_variants_by_name) {
  const struct {
    const char* from;
    const char* to;
    const char* expected;
  } cases[] = {
      {"\"attention_bias\": false", "\"attention_bias\": true",
       "attention_bias is true; projections with bias are not supported."},
      {"\"mlp_bias\": false", "\"mlp_bias\": true", "mlp_bias is true; projections with bias are not supported."},
      {"\"silu\"", "\"gelu\"", "hidden_act is \"gelu\"; only silu is supported."},
      {"\"use_cache\": true", "\"sliding_window\": 4096",
       "sliding_window is 4096; attention over a window is not supported."},
      {"\"use_cache\": true", "\"partial_rotary_factor\": 0.5", "partial_rotary_factor is not 1."},
      {"\"llama3\"", "\"yarn\"", "rope_scaling: rope_type is \"yarn\"; supported are llama3 and default."},
  };
  for (const auto& one : cases) {
    const std::string found = refusal(with(one.from, one.to));
    CHECK(found.starts_with("unsupported: F/config.json: "));
    CHECK_EQ(found.substr(std::min(found.size(), size_t{28})), std::string(one.expected));
  }
  CHECK_EQ(refusal(with("\"use_cache\": true", "\"sliding_window\": null")), std::string("taken"));
  CHECK_EQ(refusal(with("\"use_cache\": true", "\"sliding_window\": 4096, \"use_sliding_window\": false")),
           std::string("taken"));
}

TEST(reads_how_a_checkpoint_is_quantised) {
  ModelConfig config;
  CHECK_OK(parse(kLlama31, "", &config));
  CHECK(config.quantization.method == QuantMethod::kNone);
  CHECK_OK(parse(with("\"use_cache\": true",
                      "\"quantization_config\": {\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 128}"),
                 "", &config));
  CHECK(config.quantization.method == QuantMethod::kAwq);
  CHECK_EQ(config.quantization.group_size, 128);
  CHECK_OK(parse(with("\"use_cache\": true", "\"quantization_config\": null"), "", &config));
  CHECK(config.quantization.method == QuantMethod::kNone);
  CHECK_EQ(refusal(with("\"use_cache\": true", "\"quantization_config\": {\"quant_method\": \"aqlm\"}")),
           std::string(
               "unsupported: F/config.json: quantization_config: quant_method is \"aqlm\", which is not supported."));
}

TEST(refuses_missing_wrong_and_absurd_values) {
  const struct {
    const char* from;
    const char* to;
    const char* expected;
  } cases[] = {
      {"\"hidden_size\": 4096,", "", "has no hidden_size."},
      {"\"vocab_size\": 128256", "\"vocab_size\": null", "has no vocab_size."},
      {"\"hidden_size\": 4096", "\"hidden_size\": \"4096\"",
       "hidden_size is \"4096\", not a whole number from 1 to 131072."},
      {"\"hidden_size\": 4096", "\"hidden_size\": 4096.0", "hidden_size is 4096, not a whole number from 1 to 131072."},
      {"\"hidden_size\": 4096", "\"hidden_size\": 0", "hidden_size is 0, not a whole number from 1 to 131072."},
      {"\"hidden_size\": 4096", "\"hidden_size\": 4100",
       "hidden_size is 4100, not a multiple of num_attention_heads (32), and there is no head_dim."},
      {"\"num_hidden_layers\": 32", "\"num_hidden_layers\": -1",
       "num_hidden_layers is -1, not a whole number from 1 to 1024."},
      {"\"vocab_size\": 128256", "\"vocab_size\": 9223372036854775807",
       "vocab_size is 9223372036854775807, not a whole number from 1 to 4194304."},
      {"\"num_key_value_heads\": 8", "\"num_key_value_heads\": 7",
       "num_key_value_heads is 7, not a divisor of num_attention_heads (32)."},
      {"\"pretraining_tp\": 1", "\"head_dim\": 65", "the head size is 65, which is odd: rope rotates pairs."},
      {"\"hidden_size\": 4096", "\"hidden_size\": 131072", "the head size is 4096 with 32 heads, beyond any Llama."},
      {"\"rms_norm_eps\": 1e-05", "\"rms_norm_eps\": -1", "rms_norm_eps is -1, not a number from 0 to 1."},
      {"\"rope_theta\": 500000.0", "\"rope_theta\": 0", "rope_theta is 0, not a number from 1 to 1e+15."},
      {"\"tie_word_embeddings\": false", "\"tie_word_embeddings\": 0", "tie_word_embeddings is 0, not true or false."},
      {"[128001, 128008, 128009]", "[128001, 128256]",
       "eos_token_id is [128001, 128256], not one or more ids below vocab_size (128256)."},
      {"[128001, 128008, 128009]", "\"</s>\"",
       "eos_token_id is \"</s>\", not one or more ids below vocab_size (128256)."},
      {"\"high_freq_factor\": 4.0", "\"high_freq_factor\": 1.0",
       "rope_scaling: high_freq_factor is 1, not above low_freq_factor."},
      {"\"factor\": 8.0, ", "", "rope_scaling: has no factor."},
      {"\"original_max_position_embeddings\": 8192, ", "", "rope_scaling: has no original_max_position_embeddings."},
      {", \"rope_type\": \"llama3\"", "", "rope_scaling: has no rope_type."},
      {"\"use_cache\": true", "\"rope_parameters\": {\"rope_type\": \"default\"}",
       "rope_parameters is {\"rope_type\": \"default\"}, not what rope_scaling says."},
  };
  for (const auto& one : cases) {
    const std::string found = refusal(with(one.from, one.to));
    CHECK(found.starts_with("bad-checkpoint: F/config.json: "));
    CHECK_EQ(found.substr(std::min(found.size(), size_t{31})), std::string(one.expected));
  }
}

TEST(refuses_a_broken_generation_config_by_its_own_name) {
  CHECK_EQ(refusal(kLlama31, R"({"temperature": -1})"),
           std::string("bad-checkpoint: F/generation_config.json: temperature is -1, not a number from 0 to 100."));
  CHECK_EQ(refusal(kLlama31, R"({"top_p": 1.5})"),
           std::string("bad-checkpoint: F/generation_config.json: top_p is 1.5, not a number from 0 to 1."));
  CHECK_EQ(refusal(kLlama31, R"({"do_sample": "yes"})"),
           std::string("bad-checkpoint: F/generation_config.json: do_sample is \"yes\", not true or false."));
  CHECK_EQ(
      refusal(kLlama31, " "),
      std::string(
          "bad-checkpoint: F/generation_config.json is no JSON: the text ends where a value is expected (byte 1)."));
}

TEST(sizes_within_the_limits_cannot_overflow_what_is_computed_from_them) {
  using Limits = ConfigLimits;
  int64_t product = 0;
  const auto times = [&product](int64_t factor) { CHECK(!__builtin_mul_overflow(product, factor, &product)); };
  // Bytes of the KV cache in double precision, of all matrices together, and of the logits of a whole context.
  product = 2 * 8;
  for (const int64_t factor : {Limits::kLayers, Limits::kContext, Limits::kProjection}) times(factor);
  product = 8 * 7;
  for (const int64_t factor : {Limits::kLayers, Limits::kDim, std::max(Limits::kFfn, Limits::kProjection)}) {
    times(factor);
  }
  product = 8;
  for (const int64_t factor : {Limits::kContext, Limits::kVocab}) times(factor);
  CHECK(Limits::kProjection <= INT32_MAX);
}

TEST(reads_a_folder_and_names_what_is_missing_there) {
  TempFolder folder;
  ModelConfig config;
  Status status = read_config(folder.path(), &config);
  CHECK_REASON(status, Reason::kNotFound);
  CHECK(status.detail.find(folder.file("config.json")) != std::string::npos);
  CHECK_REASON(read_config(folder.file("nowhere"), &config), Reason::kNotFound);

  folder.write("config.json", kLlama31);
  CHECK_OK(read_config(folder.path(), &config));
  CHECK_EQ(config.stop_tokens.size(), size_t{3});
  folder.write("generation_config.json", "");
  status = read_config(folder.path(), &config);
  CHECK_REASON(status, Reason::kBadCheckpoint);
  CHECK(status.detail.find("generation_config.json is no JSON") != std::string::npos);
  folder.write("generation_config.json", "{\"top_k\": 50}");
  CHECK_OK(read_config(folder.path(), &config));
  CHECK_EQ(config.generation.top_k, 50);
  folder.write("config.json", std::string(5 << 20, ' '));
  CHECK_REASON(read_config(folder.path(), &config), Reason::kBadCheckpoint);
}

TEST_MAIN()
