// Values come from integers, in a stream for each tensor; files are written in one pass, so that a shape of billions of
// weights takes no memory.
#include "random_checkpoint.h"

#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "src/json.h"

namespace chasqui {
namespace {

constexpr int32_t kBytes = 256;
constexpr const char* kSpecialTokens[] = {
    "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
    "<|eot_id|>",        "<|eom_id|>",      "<|python_tag|>",      "<|finetune_right_pad_id|>"};
constexpr int32_t kSpecials = 8;  // the last ids of the vocabulary

struct TensorPlan {
  std::string name;
  int64_t rows;  // 1 for a vector
  int64_t cols;
  bool is_norm;
  DType type;

  int64_t bytes() const { return rows * cols * dtype_bytes(type); }
};

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

Status cannot_write(const std::string& path) {
  return failure(Reason::kInternal, "Cannot write " + path + ": " + std::strerror(errno) + ".",
                 "Check the folder and the free space.");
}

Status write_text(const std::string& path, const std::string& text) {
  File file(std::fopen(path.c_str(), "wb"));
  if (!file || std::fwrite(text.data(), 1, text.size(), file.get()) != text.size()) return cannot_write(path);
  return {};
}

std::vector<TensorPlan> plan_tensors(const RandomCheckpoint& shape) {
  std::vector<TensorPlan> plan;
  const auto matrix = [&](std::string name, int64_t rows, int64_t cols) {
    plan.push_back({std::move(name), rows, cols, false, shape.type});
  };
  const auto norm = [&](std::string name) { plan.push_back({std::move(name), 1, shape.dim, true, shape.norm_type}); };
  const int64_t q_dim = int64_t{shape.n_heads} * shape.head_dim;
  const int64_t kv_dim = int64_t{shape.n_kv_heads} * shape.head_dim;
  matrix("model.embed_tokens.weight", shape.vocab, shape.dim);
  for (int32_t i = 0; i < shape.n_layers; i++) {
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    norm(prefix + "input_layernorm.weight");
    matrix(prefix + "self_attn.q_proj.weight", q_dim, shape.dim);
    matrix(prefix + "self_attn.k_proj.weight", kv_dim, shape.dim);
    matrix(prefix + "self_attn.v_proj.weight", kv_dim, shape.dim);
    matrix(prefix + "self_attn.o_proj.weight", shape.dim, q_dim);
    norm(prefix + "post_attention_layernorm.weight");
    matrix(prefix + "mlp.gate_proj.weight", shape.ffn, shape.dim);
    matrix(prefix + "mlp.up_proj.weight", shape.ffn, shape.dim);
    matrix(prefix + "mlp.down_proj.weight", shape.dim, shape.ffn);
  }
  norm("model.norm.weight");
  if (!shape.tied) matrix("lm_head.weight", shape.vocab, shape.dim);
  return plan;
}

// ---- Values: integers only up to the last step, so that every machine writes the same bytes ----

uint64_t splitmix64(uint64_t* state) {
  uint64_t z = *state += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

uint64_t seed_of(const std::string& name, uint64_t seed) {
  uint64_t hash = 0xCBF29CE484222325u ^ seed * 0x9E3779B97F4A7C15u;
  for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001B3u;
  return hash;
}

// Near enough to a standard normal: the sum of four 16-bit uniforms, centred and scaled. Within +-3.5.
float normal(uint64_t* state) {
  const uint64_t bits = splitmix64(state);
  const int32_t sum =
      static_cast<int32_t>((bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48));
  return static_cast<float>(sum - 131070) * (1.0f / 37837.227f);
}

uint16_t to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

// Round to nearest even; the values here are far from the largest half.
uint16_t to_f16(float value) {
  const uint32_t sign = std::bit_cast<uint32_t>(value) >> 16 & 0x8000;
  const float size = std::fabs(value);
  if (size < 0x1p-14f) return static_cast<uint16_t>(sign | static_cast<uint32_t>(std::nearbyintf(size * 0x1p24f)));
  const uint32_t bits = std::bit_cast<uint32_t>(size);
  const uint32_t rounded = bits + 0xFFF + (bits >> 13 & 1);
  return static_cast<uint16_t>(sign | (rounded - (112u << 23)) >> 13);
}

void append_value(float value, DType type, std::vector<char>* out) {
  char bytes[4];
  const size_t size = static_cast<size_t>(dtype_bytes(type));
  if (type == DType::kF32) {
    std::memcpy(bytes, &value, 4);
  } else {
    const uint16_t half = type == DType::kBF16 ? to_bf16(value) : to_f16(value);
    std::memcpy(bytes, &half, 2);
  }
  out->insert(out->end(), bytes, bytes + size);
}

// Matrices have standard deviation 1 / sqrt(inputs), norms lie around 1.
bool write_values(const TensorPlan& tensor, uint64_t seed, std::FILE* file) {
  constexpr int64_t kChunk = 1 << 16;
  uint64_t state = seed_of(tensor.name, seed);
  const float scale = tensor.is_norm ? 0.1f : 1.0f / std::sqrt(static_cast<float>(tensor.cols));
  const float centre = tensor.is_norm ? 1.0f : 0.0f;
  std::vector<char> buffer;
  for (int64_t left = tensor.rows * tensor.cols; left > 0; left -= kChunk) {
    buffer.clear();
    for (int64_t i = 0; i < std::min(left, kChunk); i++) {
      append_value(centre + scale * normal(&state), tensor.type, &buffer);
    }
    if (std::fwrite(buffer.data(), 1, buffer.size(), file) != buffer.size()) return false;
  }
  return true;
}

// ---- Files ----

const char* safetensors_name(DType type) { return type == DType::kF32 ? "F32" : type == DType::kF16 ? "F16" : "BF16"; }
const char* torch_name(DType type) {
  return type == DType::kF32 ? "float32" : type == DType::kF16 ? "float16" : "bfloat16";
}

Status write_safetensors(const std::string& path, const TensorPlan* begin, const TensorPlan* end, uint64_t seed) {
  std::string header = "{\"__metadata__\":{\"format\":\"pt\"}";
  int64_t offset = 0;
  for (const TensorPlan* tensor = begin; tensor != end; tensor++) {
    const std::string sizes = tensor->is_norm ? std::to_string(tensor->cols)
                                              : std::to_string(tensor->rows) + "," + std::to_string(tensor->cols);
    header += ",\"" + tensor->name + "\":{\"dtype\":\"" + safetensors_name(tensor->type) + "\",\"shape\":[" + sizes +
              "],\"data_offsets\":[" + std::to_string(offset) + "," + std::to_string(offset + tensor->bytes()) + "]}";
    offset += tensor->bytes();
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  char length[8];
  for (int i = 0; i < 8; i++) length[i] = static_cast<char>(header.size() >> 8 * i);

  File file(std::fopen(path.c_str(), "wb"));
  if (!file) return cannot_write(path);
  bool written = std::fwrite(length, 1, 8, file.get()) == 8 &&
                 std::fwrite(header.data(), 1, header.size(), file.get()) == header.size();
  for (const TensorPlan* tensor = begin; tensor != end && written; tensor++) {
    written = write_values(*tensor, seed, file.get());
  }
  if (!written || std::fflush(file.get()) != 0) return cannot_write(path);
  return {};
}

Status write_shards(const std::string& folder, const RandomCheckpoint& shape, const std::vector<TensorPlan>& plan) {
  const size_t shards = static_cast<size_t>(shape.shards);
  int64_t total = 0;
  std::string map;
  for (size_t shard = 0; shard < shards; shard++) {
    char name[64];
    std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", shard + 1, shards);
    const TensorPlan* begin = plan.data() + plan.size() * shard / shards;
    const TensorPlan* end = plan.data() + plan.size() * (shard + 1) / shards;
    if (Status status = write_safetensors(folder + "/" + name, begin, end, shape.seed); !status.ok()) return status;
    for (const TensorPlan* tensor = begin; tensor != end; tensor++) {
      map += std::string(map.empty() ? "" : ",") + "\n    \"" + tensor->name + "\": \"" + name + "\"";
      total += tensor->bytes();
    }
  }
  return write_text(
      folder + "/model.safetensors.index.json",
      "{\n  \"metadata\": {\"total_size\": " + std::to_string(total) + "},\n  \"weight_map\": {" + map + "\n  }\n}\n");
}

// end_of_text, eom and eot where the vocabulary has room for special tokens, else its last id.
std::string stop_tokens(const RandomCheckpoint& shape) {
  const int32_t first = shape.vocab - kSpecials;
  char text[64];
  if (shape.vocab < kBytes + kSpecials) {
    std::snprintf(text, sizeof text, "[%d]", shape.vocab - 1);
  } else {
    std::snprintf(text, sizeof text, "[%d, %d, %d]", first + 1, first + 5, first + 4);
  }
  return text;
}

std::string config_text(const RandomCheckpoint& shape) {
  std::string text =
      "{\n  \"architectures\": [\"LlamaForCausalLM\"],\n  \"model_type\": \"llama\",\n  \"hidden_act\": \"silu\",\n";
  const auto field = [&text](const char* name, const std::string& value) {
    text += "  \"" + std::string(name) + "\": " + value + ",\n";
  };
  const auto number = [](double value) { return JsonValue(value).brief(); };
  field("attention_bias", "false");
  field("mlp_bias", "false");
  field("hidden_size", std::to_string(shape.dim));
  field("intermediate_size", std::to_string(shape.ffn));
  field("num_hidden_layers", std::to_string(shape.n_layers));
  field("num_attention_heads", std::to_string(shape.n_heads));
  field("num_key_value_heads", std::to_string(shape.n_kv_heads));
  field("head_dim", std::to_string(shape.head_dim));
  field("max_position_embeddings", std::to_string(shape.context));
  field("rms_norm_eps", "1e-05");
  field("rope_theta", number(shape.rope_theta));
  field("rope_scaling", shape.rope_factor == 1.0
                            ? "null"
                            : "{\"rope_type\": \"llama3\", \"factor\": " + number(shape.rope_factor) +
                                  ", \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
                                  "\"original_max_position_embeddings\": " +
                                  std::to_string(shape.original_context) + "}");
  field("tie_word_embeddings", shape.tied ? "true" : "false");
  field("torch_dtype", std::string("\"") + torch_name(shape.type) + "\"");
  field("eos_token_id", stop_tokens(shape));
  return text + "  \"vocab_size\": " + std::to_string(shape.vocab) + "\n}\n";
}

// ---- Tokenizer: the 256 bytes, then words of two or three bytes that nothing merges to, then the special tokens ----

void append_utf8(uint32_t code, std::string* out) {
  if (code < 0x80) {
    *out += static_cast<char>(code);
  } else {
    *out += static_cast<char>(0xC0 | code >> 6);
    *out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

// The printable stand-ins of byte-level BPE: bytes without a printable form are U+0100 and up, in order.
std::vector<std::string> byte_letters() {
  std::vector<std::string> letters(kBytes);
  uint32_t next = 256;
  for (uint32_t byte = 0; byte < 256; byte++) {
    const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    append_utf8(printable ? byte : next++, &letters[byte]);
  }
  return letters;
}

std::string tokenizer_text(const RandomCheckpoint& shape) {
  const std::vector<std::string> letters = byte_letters();
  const int32_t first_special = shape.vocab - kSpecials;
  std::string added;
  for (int32_t i = 0; i < kSpecials; i++) {
    added +=
        std::string(i > 0 ? "," : "") + "\n    {\"id\": " + std::to_string(first_special + i) + ", \"content\": \"" +
        kSpecialTokens[i] +
        "\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": true}";
  }
  std::string vocab;
  for (int32_t id = 0; id < first_special; id++) {
    const uint32_t word = static_cast<uint32_t>(id - kBytes);
    std::string text = id < kBytes ? letters[static_cast<size_t>(id)] : letters[word & 255] + letters[word >> 8 & 255];
    if (id >= kBytes && word > 0xFFFF) text += letters[word >> 16 & 255];
    vocab += (id > 0 ? ",\n      " : "\n      ") + json_quoted(text) + ": " + std::to_string(id);
  }
  const char* pattern =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| "
      "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+";
  return "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  \"added_tokens\": [" + added +
         "\n  ],\n  \"normalizer\": null,\n  \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [\n"
         "    {\"type\": \"Split\", \"pattern\": {\"Regex\": \"" +
         pattern +
         "\"}, \"behavior\": \"Isolated\", \"invert\": false},\n"
         "    {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": false}]},\n"
         "  \"post_processor\": null,\n"
         "  \"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, \"use_regex\": "
         "true},\n"
         "  \"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, \"continuing_subword_prefix\": "
         "null, "
         "\"end_of_word_suffix\": null, \"fuse_unk\": false, \"byte_fallback\": false, \"ignore_merges\": true,\n"
         "    \"vocab\": {" +
         vocab + "},\n    \"merges\": []}\n}\n";
}

}  // namespace

Status write_random_checkpoint(const std::string& folder, const RandomCheckpoint& shape) {
  if (::mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) return cannot_write(folder);
  const std::vector<TensorPlan> plan = plan_tensors(shape);
  Status status = write_text(folder + "/config.json", config_text(shape));
  if (status.ok()) {
    status = write_text(folder + "/generation_config.json",
                        "{\n  \"eos_token_id\": " + stop_tokens(shape) +
                            ",\n  \"do_sample\": true,\n  \"temperature\": 0.6,\n  \"top_p\": 0.9\n}\n");
  }
  if (status.ok() && shape.vocab >= kBytes + kSpecials) {
    status = write_text(folder + "/tokenizer.json", tokenizer_text(shape));
  }
  if (!status.ok()) return status;
  if (shape.shards > 1) return write_shards(folder, shape, plan);
  std::remove((folder + "/model.safetensors.index.json").c_str());  // of an earlier form in the same folder
  return write_safetensors(folder + "/model.safetensors", plan.data(), plan.data() + plan.size(), shape.seed);
}

}  // namespace chasqui
