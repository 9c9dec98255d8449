// One function to a method. What cannot change how a matrix is read (calibration settings, lists of modules) is ignored;
// what would change it and is not known is refused by name.
#include "quant_config.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>

namespace chasqui {
namespace {

constexpr char kOtherForm[] = "Use another form of the checkpoint; docs/checkpoints.md lists what is supported.";

// One object of the configuration, with the messages about it. A null member counts as absent.
class Section {
 public:
  Section(const JsonValue& object, std::string place) : object_(object), place_(std::move(place)) {}

  const JsonValue* find(const char* key) const {
    const JsonValue* value = object_.find(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  // Lower case, since writers differ; `otherwise` where the field is absent or no string.
  std::string word(const char* key, const char* otherwise) const {
    const JsonValue* value = find(key);
    if (value == nullptr || value->string() == nullptr) return otherwise;
    std::string text = *value->string();
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    return text;
  }
  bool truth(const char* key, bool otherwise) const {
    const JsonValue* value = find(key);
    return value == nullptr || value->boolean() == nullptr ? otherwise : *value->boolean();
  }
  // A whole number within limits; `otherwise` where the field is absent.
  Status whole(const char* key, int64_t low, int64_t high, int64_t otherwise, int64_t* out) const {
    const JsonValue* value = find(key);
    *out = otherwise;
    if (value == nullptr) return {};
    const int64_t* number = value->integer();
    if (number == nullptr || *number < low || *number > high) {
      return failure(Reason::kBadCheckpoint, place_ + ": " + key + " is " + value->brief() + ".",
                     "Give the config.json that belongs to the checkpoint.");
    }
    *out = *number;
    return {};
  }
  // A text field that must be one of a few; absent counts as the first.
  Status one_of(const char* key, std::initializer_list<const char*> allowed, std::string* out) const {
    *out = word(key, *allowed.begin());
    for (const char* one : allowed) {
      if (*out == one) return {};
    }
    return unsupported(std::string(key) + " is " + json_quoted(*out));
  }
  Status unsupported(const std::string& what) const {
    return failure(Reason::kUnsupported, place_ + ": " + what + ", which is not supported.", kOtherForm);
  }
  Section inside(const char* key) const { return Section(*find(key), place_ + "." + key); }
  const JsonValue& object() const { return object_; }
  const std::string& place() const { return place_; }

 private:
  const JsonValue& object_;
  std::string place_;
};

Status parse_awq(const Section& section, QuantConfig* config) {
  std::string version;
  int64_t bits = 0;
  if (Status status = section.one_of("version", {"gemm"}, &version); !status.ok()) return status;
  if (Status status = section.whole("bits", 1, 16, 4, &bits); !status.ok()) return status;
  if (bits != 4) return section.unsupported("bits is " + std::to_string(bits));
  if (!section.truth("zero_point", true)) return section.unsupported("zero_point is false");
  config->bits = 4;
  return section.whole("group_size", -1, 1 << 20, 0, &config->group_size);
}

Status parse_gptq(const Section& section, QuantConfig* config) {
  std::string format;
  int64_t bits = 0;
  if (Status status = section.one_of("checkpoint_format", {"gptq", "gptq_v2"}, &format); !status.ok()) return status;
  if (section.truth("is_marlin_format", false)) return section.unsupported("is_marlin_format is true");
  if (Status status = section.whole("bits", 1, 16, 4, &bits); !status.ok()) return status;
  if (bits != 4 && bits != 8) return section.unsupported("bits is " + std::to_string(bits));
  if (Status status = section.whole("group_size", -1, 1 << 20, 0, &config->group_size); !status.ok()) return status;
  config->bits = static_cast<int32_t>(bits);
  config->zero_offset = format == "gptq" ? 1 : 0;
  const JsonValue* overrides = section.find("dynamic");
  if (overrides != nullptr && overrides->object() != nullptr && !overrides->object()->empty()) {
    config->bits = 0;  // modules have sizes of their own, which their shapes tell
    config->group_size = 0;
  }
  return {};
}

// [rows, cols] of a block of weights that shares a scale.
Status parse_block(const Section& section, const char* key, QuantConfig* config) {
  const JsonValue* block = section.find(key);
  if (block == nullptr) return {};
  const JsonArray* sizes = block->array();
  const bool pair =
      sizes != nullptr && sizes->size() == 2 && (*sizes)[0].integer() != nullptr && (*sizes)[1].integer() != nullptr;
  if (!pair || *(*sizes)[0].integer() < 1 || *(*sizes)[1].integer() < 1 || *(*sizes)[0].integer() > 1 << 20 ||
      *(*sizes)[1].integer() > 1 << 20) {
    return section.unsupported(std::string(key) + " is " + block->brief());
  }
  config->block_rows = static_cast<int32_t>(*(*sizes)[0].integer());
  config->block_cols = static_cast<int32_t>(*(*sizes)[1].integer());
  return {};
}

Status parse_fp8(const Section& section, QuantConfig* config) {
  std::string scheme;
  std::string format;
  if (Status status = section.one_of("activation_scheme", {"dynamic", "static"}, &scheme); !status.ok()) return status;
  if (Status status = section.one_of("fmt", {"e4m3", "float8_e4m3fn"}, &format); !status.ok()) return status;
  config->activation.kind = scheme == "static" ? ActivationScheme::Kind::kPerTensor : ActivationScheme::Kind::kPerToken;
  return parse_block(section, "weight_block_size", config);
}

Status parse_fbgemm(const Section& section, QuantConfig* config) {
  config->activation.kind = ActivationScheme::Kind::kPerToken;
  double bound = 1200.0;
  const JsonValue* given = section.find("activation_scale_ub");
  if (given != nullptr && (!given->number(&bound) || !(bound > 0.0 && bound < 1e30))) {
    return section.unsupported("activation_scale_ub is " + given->brief());
  }
  config->activation.bound = static_cast<float>(bound);
  return {};
}

// One of config_groups: its weights must be int4, int8 or float8, scaled in a way that a matrix's tensors show.
Status parse_group(const Section& group, QuantConfig* config) {
  std::string format;
  if (Status status = group.one_of(
          "format", {"", "pack-quantized", "int-quantized", "float-quantized", "naive-quantized"}, &format);
      !status.ok()) {
    return status;
  }
  if (group.find("weights") == nullptr) return group.unsupported("a group without weights");
  const Section weights = group.inside("weights");
  std::string type;
  std::string strategy;
  int64_t bits = 0;
  if (Status status = weights.one_of("type", {"int", "float"}, &type); !status.ok()) return status;
  if (Status status = weights.one_of("strategy", {"tensor", "channel", "group", "block"}, &strategy); !status.ok()) {
    return status;
  }
  if (Status status = weights.whole("num_bits", 1, 32, 8, &bits); !status.ok()) return status;
  if (bits != 8 && !(bits == 4 && type == "int")) return weights.unsupported(std::to_string(bits) + "-bit " + type);
  if (strategy == "block") {
    if (Status status = parse_block(weights, "block_structure", config); !status.ok()) return status;
    if (config->block_rows == 0) return weights.unsupported("block_structure is missing");
  }
  if (group.find("input_activations") == nullptr) return {};
  const JsonValue* dynamic = group.inside("input_activations").find("dynamic");
  const bool fixed = dynamic != nullptr && dynamic->boolean() != nullptr && !*dynamic->boolean();
  config->activation.kind = fixed ? ActivationScheme::Kind::kPerTensor : ActivationScheme::Kind::kPerToken;
  return {};
}

Status parse_compressed_tensors(const Section& section, QuantConfig* config) {
  std::string format;
  if (Status status = section.one_of(
          "format",
          {"", "dense", "pack-quantized", "int-quantized", "float-quantized", "naive-quantized", "mixed-precision"},
          &format);
      !status.ok()) {
    return status;
  }
  if (section.find("sparsity_config") != nullptr) {
    const Section sparsity = section.inside("sparsity_config");
    if (sparsity.word("format", "dense") != "dense") {
      return sparsity.unsupported("format is " + json_quoted(sparsity.word("format", "")));
    }
  }
  for (const char* key : {"transform_config", "transforms_config"}) {
    const JsonValue* transform = section.find(key);
    const JsonValue* groups = transform == nullptr ? nullptr : transform->find("config_groups");
    if (groups != nullptr && groups->object() != nullptr && !groups->object()->empty()) return section.unsupported(key);
  }
  const JsonValue* groups = section.find("config_groups");
  if (groups == nullptr || groups->object() == nullptr || groups->object()->empty()) {
    return section.unsupported("config_groups is missing or empty");
  }
  for (const JsonMember& member : *groups->object()) {
    if (Status status = parse_group(Section(member.value, section.place() + ".config_groups." + member.key), config);
        !status.ok()) {
      return status;
    }
  }
  return {};
}

Status parse_bitsandbytes(const Section& section) {
  const bool four = section.truth("load_in_4bit", false) || section.truth("_load_in_4bit", false);
  const bool eight = section.truth("load_in_8bit", false) || section.truth("_load_in_8bit", false);
  if (four == eight) return section.unsupported("neither load_in_4bit nor load_in_8bit alone is true");
  std::string type;
  return section.one_of("bnb_4bit_quant_type", {"nf4", "fp4"}, &type);
}

}  // namespace

const char* quant_method_name(QuantMethod method) {
  switch (method) {
    case QuantMethod::kNone: return "none";
    case QuantMethod::kFp8: return "fp8";
    case QuantMethod::kFbgemmFp8: return "fbgemm_fp8";
    case QuantMethod::kCompressedTensors: return "compressed-tensors";
    case QuantMethod::kAwq: return "awq";
    case QuantMethod::kGptq: return "gptq";
    case QuantMethod::kBitsAndBytes: return "bitsandbytes";
  }
  return "none";
}

Status parse_quant_config(const JsonValue& object, const std::string& place, QuantConfig* config) {
  const Section section(object, place);
  if (object.object() == nullptr) return section.unsupported("a value that is no object");
  const std::string method = section.word("quant_method", "");
  QuantConfig read;
  Status status;
  if (method == "awq") {
    read.method = QuantMethod::kAwq;
    status = parse_awq(section, &read);
  } else if (method == "gptq") {
    read.method = QuantMethod::kGptq;
    status = parse_gptq(section, &read);
  } else if (method == "fp8") {
    read.method = QuantMethod::kFp8;
    status = parse_fp8(section, &read);
  } else if (method == "fbgemm_fp8") {
    read.method = QuantMethod::kFbgemmFp8;
    status = parse_fbgemm(section, &read);
  } else if (method == "compressed-tensors") {
    read.method = QuantMethod::kCompressedTensors;
    status = parse_compressed_tensors(section, &read);
  } else if (method == "bitsandbytes") {
    read.method = QuantMethod::kBitsAndBytes;
    status = parse_bitsandbytes(section);
  } else {
    status = section.unsupported("quant_method is " + json_quoted(method));
  }
  if (status.ok()) *config = read;
  return status;
}

}  // namespace chasqui
