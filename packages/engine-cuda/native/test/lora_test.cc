// LoRA adapters as PEFT writes them: what is read, and what is refused by name because it would change the result.
#include "src/model/lora_adapter.h"

#include <cmath>
#include <cstring>

#include "test/check.h"
#include "test/temp_folder.h"

using namespace chasqui;

namespace {

// A model of 2 layers, 8 wide, with 4 query heads of 4 and 2 key-value heads, 12 in the feed-forward part.
ModelConfig small_model() {
  ModelConfig model;
  model.n_layers = 2;
  model.dim = 8;
  model.ffn = 12;
  model.n_heads = 4;
  model.n_kv_heads = 2;
  model.head_dim = 4;
  model.vocab = 10;
  return model;
}

const char kConfig[] =
    R"({"peft_type": "LORA", "r": 2, "lora_alpha": 6, "bias": "none", "use_dora": false, "modules_to_save": null,
  "target_modules": ["q_proj", "down_proj"], "rank_pattern": {}, "alpha_pattern": {}, "fan_in_fan_out": false, "init_lora_weights": true})";

struct Entry {
  std::string name;
  std::vector<int64_t> shape;
};

std::vector<Entry> pair(const std::string& module, int64_t inputs, int64_t outputs, int64_t rank) {
  const std::string prefix = "base_model.model.model.layers." + module;
  return {{prefix + ".lora_A.weight", {rank, inputs}}, {prefix + ".lora_B.weight", {outputs, rank}}};
}

std::vector<Entry> operator+(std::vector<Entry> a, const std::vector<Entry>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// A safetensors file of float tensors that count up from 0.
std::string file_of(const std::vector<Entry>& entries) {
  std::string header;
  std::string data;
  float next = 0;
  for (const Entry& entry : entries) {
    const size_t begin = data.size();
    int64_t count = 1;
    for (const int64_t extent : entry.shape) count *= extent;
    for (int64_t i = 0; i < count; i++, next++) data.append(reinterpret_cast<const char*>(&next), 4);
    header += (header.empty() ? "{\"" : ",\"") + entry.name +
              "\":{\"dtype\":\"F32\",\"shape\":" + shape_text(entry.shape) + ",\"data_offsets\":[" +
              std::to_string(begin) + "," + std::to_string(data.size()) + "]}";
  }
  header += header.empty() ? "{}" : "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::string length(8, '\0');
  for (int i = 0; i < 8; i++) length[static_cast<size_t>(i)] = static_cast<char>(header.size() >> 8 * i);
  return length + header + data;
}

Status load(const std::string& config, const std::vector<Entry>& entries, LoraAdapter* adapter) {
  TempFolder folder;
  folder.write("adapter_config.json", config);
  folder.write("adapter_model.safetensors", file_of(entries));
  return load_lora(folder.path(), small_model(), adapter);
}

// kConfig with one more field.
std::string with(const std::string& field) { return "{" + field + ", " + (kConfig + 1); }

std::string without(const std::string& field, const std::string& instead) {
  std::string text = kConfig;
  const size_t at = text.find(field);
  CHECK(at != std::string::npos);
  return text.replace(at, field.size(), instead);
}

std::string refusal(const std::string& config, const std::vector<Entry>& entries) {
  LoraAdapter adapter;
  const Status status = load(config, entries, &adapter);
  CHECK(status.ok() || (adapter.matrices.empty() && !status.fix.empty()));
  if (status.ok()) return "taken";
  const size_t name = status.detail.rfind("/adapter_");  // the folder has another name each time
  return std::string(reason_name(status.reason)) + ": " +
         (name == std::string::npos ? status.detail : status.detail.substr(name + 1));
}

bool contains(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return true;
  std::printf("  (says: %s)\n", text.c_str());
  return false;
}

}  // namespace

TEST(reads_matrices_in_order_with_their_scales) {
  LoraAdapter adapter;
  CHECK_OK(load(
      kConfig,
      pair("1.mlp.down_proj", 12, 8, 2) + pair("0.self_attn.q_proj", 8, 16, 2) + pair("1.self_attn.k_proj", 8, 8, 2),
      &adapter));
  CHECK_EQ(adapter.matrices.size(), size_t{3});
  CHECK_EQ(adapter.max_rank, 2);
  CHECK(adapter.matrices[0].layer == 0 && adapter.matrices[0].projection == Projection::kQ);
  CHECK(adapter.matrices[1].layer == 1 && adapter.matrices[1].projection == Projection::kK);
  CHECK(adapter.matrices[2].layer == 1 && adapter.matrices[2].projection == Projection::kDown);
  CHECK(adapter.matrices[2].a.rows == 2 && adapter.matrices[2].a.cols == 12 && adapter.matrices[2].b.rows == 8 &&
        adapter.matrices[2].b.cols == 2);
  CHECK_EQ(adapter.matrices[0].scale, 3.0f);
  float value = 0;
  std::memcpy(&value, static_cast<const char*>(adapter.matrices[2].b.data) + 4, 4);  // the file stays mapped
  CHECK_EQ(value, 25.0f);
}

TEST(scales_by_the_root_of_the_rank_and_by_patterns) {
  LoraAdapter adapter;
  const std::vector<Entry> entries = pair("0.self_attn.q_proj", 8, 16, 2) + pair("1.self_attn.q_proj", 8, 16, 2);
  CHECK_OK(load(with("\"use_rslora\": true"), entries, &adapter));
  CHECK_NEAR(adapter.matrices[0].scale, 6 / std::sqrt(2.0), 1e-6);
  CHECK_OK(load(without("\"alpha_pattern\": {}", "\"alpha_pattern\": {\"layers.1.self_attn.q_proj\": 16}"), entries,
                &adapter));
  CHECK_EQ(adapter.matrices[0].scale, 3.0f);
  CHECK_EQ(adapter.matrices[1].scale, 8.0f);
  CHECK_OK(load(without("\"alpha_pattern\": {}", "\"alpha_pattern\": {\"proj\": 16}"), entries,
                &adapter));  // ends inside a name: no match
  CHECK_EQ(adapter.matrices[0].scale, 3.0f);
  CHECK_OK(load(without("\"rank_pattern\": {}", "\"rank_pattern\": {\"k_proj\": 4}"),
                entries + pair("0.self_attn.k_proj", 8, 8, 4), &adapter));
  CHECK_EQ(adapter.max_rank, 4);
  CHECK_EQ(adapter.matrices[1].scale, 1.5f);
}

TEST(the_fingerprint_covers_values_and_scales) {
  LoraAdapter a;
  LoraAdapter b;
  LoraAdapter c;
  CHECK_OK(load(kConfig, pair("0.self_attn.q_proj", 8, 16, 2), &a));
  CHECK_OK(load(kConfig, pair("0.self_attn.q_proj", 8, 16, 2), &b));
  CHECK_EQ(a.fingerprint, b.fingerprint);
  CHECK_OK(load(without("\"lora_alpha\": 6", "\"lora_alpha\": 7"), pair("0.self_attn.q_proj", 8, 16, 2), &b));
  CHECK(a.fingerprint != b.fingerprint);
  CHECK_OK(load(kConfig, pair("1.self_attn.q_proj", 8, 16, 2), &c));
  CHECK(a.fingerprint != c.fingerprint);
}

TEST(refuses_other_methods_by_name) {
  const std::vector<Entry> entries = pair("0.self_attn.q_proj", 8, 16, 2);
  CHECK_EQ(refusal(with("\"lora_bias\": false, \"layer_replication\": null"), entries), std::string("taken"));
  const struct {
    std::string config;
    const char* expected;
  } cases[] = {
      {without("\"LORA\"", "\"IA3\""), "peft_type is \"IA3\""},
      {"{}", "peft_type is missing"},
      {without("\"use_dora\": false", "\"use_dora\": true"), "use_dora is true"},
      {without("\"modules_to_save\": null", "\"modules_to_save\": [\"lm_head\"]"), "modules_to_save is [\"lm_head\"]"},
      {without("\"bias\": \"none\"", "\"bias\": \"all\""), "bias is \"all\""},
      {without("\"fan_in_fan_out\": false", "\"fan_in_fan_out\": true"), "fan_in_fan_out is true"},
      {without("\"init_lora_weights\": true", "\"init_lora_weights\": \"pissa_niter_16\""),
       "init_lora_weights is \"pissa_niter_16\""},
      {without("\"alpha_pattern\": {}", "\"alpha_pattern\": {\"^q.*\": 3}"), "alpha_pattern has \"^q.*\": 3"},
      {without("\"alpha_pattern\": {}", "\"alpha_pattern\": {\"q_proj\": 3, \"self_attn.q_proj\": 4}"),
       "alpha_pattern says two things of base_model.model.model.layers.0.self_attn.q_proj"},
      {with("\"layer_replication\": [[0, 1]]"), "layer_replication is [[0, 1]]"},
  };
  for (const auto& one : cases) {
    CHECK_EQ(refusal(one.config, entries),
             std::string("unsupported: adapter_config.json: ") + one.expected + ", which is not supported.");
  }
}

TEST(refuses_broken_adapters_by_tensor) {
  const std::vector<Entry> good = pair("0.self_attn.q_proj", 8, 16, 2);
  CHECK_EQ(refusal(without("\"r\": 2", "\"r\": 0"), good), std::string("bad-checkpoint: adapter_config.json: r is 0."));
  CHECK_EQ(refusal(without("\"lora_alpha\": 6", "\"lora_alpha\": \"6\""), good),
           std::string("bad-checkpoint: adapter_config.json: lora_alpha is \"6\"."));
  CHECK(contains(refusal("[", good), "is no JSON object"));
  CHECK(contains(refusal(kConfig, {}), "the adapter holds no matrix"));
  CHECK(contains(refusal(kConfig, {good[0]}), "has no partner"));
  CHECK(
      contains(refusal(kConfig, pair("0.self_attn.q_proj", 8, 16, 3)), "is [3, 8] F32, but the model asks for [2, 8]"));
  CHECK(
      contains(refusal(kConfig, pair("0.self_attn.q_proj", 8, 8, 2)), "is [8, 2] F32, but the model asks for [16, 2]"));
  CHECK(contains(refusal(without("\"rank_pattern\": {}", "\"rank_pattern\": {\"q_proj\": 0}"),
                         pair("0.self_attn.q_proj", 8, 16, 0)),
                 "is [0, 8] F32"));
  CHECK(contains(refusal(kConfig, pair("2.self_attn.q_proj", 8, 16, 2)),
                 "adapts no projection of a layer of this model"));
  CHECK(contains(refusal(kConfig, pair("00.self_attn.q_proj", 8, 16, 2) + good), "are the same matrix"));
  for (const char* name :
       {"base_model.model.lm_head.lora_A.weight", "base_model.model.model.embed_tokens.lora_embedding_A",
        "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector",
        "base_model.model.model.layers..self_attn.q_proj.lora_A.weight"}) {
    CHECK(contains(refusal(kConfig, good + std::vector<Entry>{{name, {2, 8}}}), name));
  }
}

TEST(names_the_files_that_are_missing) {
  TempFolder folder;
  LoraAdapter adapter;
  CHECK_REASON(load_lora(folder.path(), small_model(), &adapter), Reason::kNotFound);
  folder.write("adapter_config.json", kConfig);
  CHECK_REASON(load_lora(folder.path(), small_model(), &adapter), Reason::kNotFound);
  folder.write("adapter_model.bin", "x");
  CHECK_REASON(load_lora(folder.path(), small_model(), &adapter), Reason::kUnsupported);
}

TEST_MAIN()
