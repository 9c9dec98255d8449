// Fields are read by name with their limits; the first fault is kept and ends the reading. Only what is understood is
// accepted: a configuration that asks for other arithmetic is refused, not approximated.
#include "config.h"

#include <algorithm>
#include <cmath>

#include "../checkpoint/mapped_file.h"
#include "../json.h"

namespace chasqui {
namespace {

constexpr size_t kMaxConfigBytes = size_t{4} << 20;
constexpr char kFix[] = "Give the config.json that belongs to the checkpoint.";

// The members of one JSON object, read by name. The first failure is kept and later reads do nothing, so that a caller
// reads all its fields in a row and asks once.
class Fields {
 public:
  Fields(const JsonValue& object, std::string place, Status* status)
      : object_(object), place_(std::move(place)), status_(status) {}

  // An absent field and a null are the same: that is how these files are written.
  const JsonValue* find(const char* key) const {
    const JsonValue* value = object_.find(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }

  void required_integer(const char* key, int64_t low, int64_t high, int32_t* out) {
    if (find(key) == nullptr) return missing(key);
    integer(key, low, high, out);
  }

  template <typename Integer>
  void integer(const char* key, int64_t low, int64_t high, Integer* out) {
    const JsonValue* value = find(key);
    if (value == nullptr) return;
    const int64_t* read = value->integer();
    if (read != nullptr && *read >= low && *read <= high) {
      *out = static_cast<Integer>(*read);
      return;
    }
    bad(key, *value, "a whole number from " + std::to_string(low) + " to " + std::to_string(high));
  }

  void required_number(const char* key, double low, double high, double* out) {
    if (find(key) == nullptr) return missing(key);
    number(key, low, high, out);
  }

  void number(const char* key, double low, double high, double* out) {
    const JsonValue* value = find(key);
    if (value == nullptr) return;
    double read = 0;
    if (value->number(&read) && read >= low && read <= high) {
      *out = read;
      return;
    }
    bad(key, *value, "a number from " + JsonValue(low).brief() + " to " + JsonValue(high).brief());
  }

  void boolean(const char* key, bool* out) {
    const JsonValue* value = find(key);
    if (value == nullptr) return;
    if (value->boolean() == nullptr) return bad(key, *value, "true or false");
    *out = *value->boolean();
  }

  void string(const char* key, std::string* out) {
    const JsonValue* value = find(key);
    if (value == nullptr) return;
    if (value->string() == nullptr) return bad(key, *value, "a string");
    *out = *value->string();
  }

  void missing(const char* key) { fail(Reason::kBadCheckpoint, std::string("has no ") + key, kFix); }
  void bad(const char* key, const JsonValue& found, const std::string& expected) {
    fail(Reason::kBadCheckpoint, std::string(key) + " is " + found.brief() + ", not " + expected, kFix);
  }
  void unsupported(const std::string& what, const std::string& fix) { fail(Reason::kUnsupported, what, fix); }
  void fail(Reason reason, const std::string& what, const std::string& fix) {
    if (status_->ok()) *status_ = failure(reason, place_ + ": " + what + ".", fix);
  }

 private:
  const JsonValue& object_;
  std::string place_;
  Status* status_;
};

Status parse_object(std::string_view text, const std::string& path, JsonValue* object) {
  JsonLimits limits;
  limits.bytes = kMaxConfigBytes;
  std::string error;
  if (!parse_json(text, limits, object, &error)) {
    return failure(Reason::kBadCheckpoint, path + " is no JSON: " + error + ".",
                   "The file is damaged: download it again.");
  }
  if (object->object() == nullptr) return failure(Reason::kBadCheckpoint, path + " is no JSON object.", kFix);
  return {};
}

// Only LlamaForCausalLM; anything else is refused by its own name.
void check_architecture(Fields* fields) {
  const std::string fix = "Use a Llama checkpoint (model_type llama, LlamaForCausalLM).";
  std::string model_type;
  fields->string("model_type", &model_type);
  if (!model_type.empty() && model_type != "llama") {
    return fields->unsupported("model_type is " + json_quoted(model_type), fix);
  }
  const JsonValue* architectures = fields->find("architectures");
  if (architectures == nullptr) {
    if (model_type.empty()) fields->missing("model_type");
    return;
  }
  if (architectures->array() == nullptr) return fields->bad("architectures", *architectures, "a list of names");
  for (const JsonValue& name : *architectures->array()) {
    if (name.string() != nullptr && *name.string() == "LlamaForCausalLM") return;
  }
  fields->unsupported("architectures is " + architectures->brief(), fix);
}

// What a Llama configuration can ask for and this engine does not do.
void check_variants(Fields* fields) {
  for (const char* key : {"attention_bias", "mlp_bias"}) {
    bool bias = false;
    fields->boolean(key, &bias);
    if (bias) {
      fields->unsupported(std::string(key) + " is true; projections with bias are not supported",
                          "Use a checkpoint without biases.");
    }
  }
  std::string activation = "silu";
  fields->string("hidden_act", &activation);
  if (activation != "silu") {
    fields->unsupported("hidden_act is " + json_quoted(activation) + "; only silu is supported", "Use a SiLU Llama.");
  }
  const JsonValue* window = fields->find("sliding_window");
  bool use_window = true;
  fields->boolean("use_sliding_window", &use_window);
  if (window != nullptr && use_window) {
    fields->unsupported("sliding_window is " + window->brief() + "; attention over a window is not supported",
                        "Use a checkpoint with full attention.");
  }
  double rotary_part = 1.0;
  fields->number("partial_rotary_factor", 0.0, 1.0, &rotary_part);
  if (rotary_part != 1.0) {
    fields->unsupported("partial_rotary_factor is not 1", "Use a checkpoint that rotates whole heads.");
  }
}

Status read_quantization(const Fields& fields, const std::string& path, QuantConfig* quantization) {
  for (const char* key : {"quantization_config", "compression_config"}) {
    if (const JsonValue* object = fields.find(key)) return parse_quant_config(*object, path + ": " + key, quantization);
  }
  return {};
}

// rope_scaling (older files) or rope_parameters (newer ones, with rope_theta inside).
void read_rope(const JsonValue& object, const std::string& place, Status* status, RopeScaling* rope, double* theta) {
  if (object.object() == nullptr) {
    if (status->ok()) {
      *status = failure(Reason::kBadCheckpoint, place + " is " + object.brief() + ", not an object.", kFix);
    }
    return;
  }
  Fields fields(object, place, status);
  std::string type;
  fields.string("type", &type);
  fields.string("rope_type", &type);
  if (type.empty()) return fields.missing("rope_type");
  fields.number("rope_theta", 1.0, 1e15, theta);
  double rotary_part = 1.0;
  fields.number("partial_rotary_factor", 0.0, 1.0, &rotary_part);
  if (rotary_part != 1.0) {
    return fields.unsupported("partial_rotary_factor is not 1", "Use a checkpoint that rotates whole heads.");
  }
  if (type == "default") return;
  if (type != "llama3") {
    return fields.unsupported("rope_type is " + json_quoted(type) + "; supported are llama3 and default",
                              "Use a checkpoint of Llama 3.1 or later, or one without rope scaling.");
  }
  fields.required_number("factor", 1.0, 1e6, &rope->factor);
  fields.required_number("low_freq_factor", 1e-6, 1e6, &rope->low_freq_factor);
  fields.required_number("high_freq_factor", 1e-6, 1e6, &rope->high_freq_factor);
  if (fields.find("original_max_position_embeddings") == nullptr) {
    return fields.missing("original_max_position_embeddings");
  }
  fields.integer("original_max_position_embeddings", 1, ConfigLimits::kContext, &rope->original_context);
  if (status->ok() && rope->high_freq_factor <= rope->low_freq_factor) {
    fields.bad("high_freq_factor", *fields.find("high_freq_factor"), "above low_freq_factor");
  }
}

void read_rope_fields(const std::string& path, Fields* fields, Status* status, ModelConfig* config) {
  double theta = 10000.0;  // what a file that says nothing means
  fields->number("rope_theta", 1.0, 1e15, &theta);
  const JsonValue* scaling = fields->find("rope_scaling");
  const JsonValue* parameters = fields->find("rope_parameters");
  RopeScaling rope;
  double theta_inside = theta;
  if (scaling != nullptr) read_rope(*scaling, path + ": rope_scaling", status, &rope, &theta_inside);
  if (parameters != nullptr) {
    RopeScaling newer;
    double theta_newer = theta_inside;
    read_rope(*parameters, path + ": rope_parameters", status, &newer, &theta_newer);
    const bool same = newer.factor == rope.factor && newer.low_freq_factor == rope.low_freq_factor &&
                      newer.high_freq_factor == rope.high_freq_factor &&
                      newer.original_context == rope.original_context;
    if (scaling != nullptr && !same) fields->bad("rope_parameters", *parameters, "what rope_scaling says");
    rope = newer;
    theta_inside = theta_newer;
  }
  if (fields->find("rope_theta") != nullptr && theta != theta_inside) {
    fields->bad("rope_theta", *fields->find("rope_theta"),
                "what the rope parameters say (" + JsonValue(theta_inside).brief() + ")");
  }
  config->rope_theta = theta_inside;
  config->rope = rope;
}

// eos_token_id: one id or a list of ids, appended to `stop_tokens`.
void read_stop_tokens(Fields* fields, int32_t vocab, std::vector<int32_t>* stop_tokens) {
  const JsonValue* eos = fields->find("eos_token_id");
  if (eos == nullptr) return;
  const JsonArray one = {*eos};
  const JsonArray& ids = eos->array() != nullptr ? *eos->array() : one;
  if (ids.size() > 1024) return fields->bad("eos_token_id", *eos, "a list of at most 1024 ids");
  for (const JsonValue& id : ids) {
    if (id.integer() == nullptr || *id.integer() < 0 || *id.integer() >= vocab) {
      return fields->bad("eos_token_id", *eos, "one or more ids below vocab_size (" + std::to_string(vocab) + ")");
    }
    stop_tokens->push_back(static_cast<int32_t>(*id.integer()));
  }
}

void read_shape(Fields* fields, Status* status, ModelConfig* config) {
  using Limits = ConfigLimits;
  fields->required_integer("num_hidden_layers", 1, Limits::kLayers, &config->n_layers);
  fields->required_integer("hidden_size", 1, Limits::kDim, &config->dim);
  fields->required_integer("intermediate_size", 1, Limits::kFfn, &config->ffn);
  fields->required_integer("num_attention_heads", 1, Limits::kHeads, &config->n_heads);
  config->n_kv_heads = config->n_heads;
  fields->integer("num_key_value_heads", 1, Limits::kHeads, &config->n_kv_heads);
  fields->required_integer("vocab_size", 1, Limits::kVocab, &config->vocab);
  fields->required_integer("max_position_embeddings", 1, Limits::kContext, &config->context);
  fields->required_number("rms_norm_eps", 0.0, 1.0, &config->norm_eps);
  fields->boolean("tie_word_embeddings", &config->tied_head);
  if (!status->ok()) return;

  if (config->n_heads % config->n_kv_heads != 0) {
    return fields->bad("num_key_value_heads", *fields->find("num_key_value_heads"),
                       "a divisor of num_attention_heads (" + std::to_string(config->n_heads) + ")");
  }
  if (fields->find("head_dim") != nullptr) {
    fields->integer("head_dim", 2, Limits::kHeadDim, &config->head_dim);
    if (!status->ok()) return;
  } else if (config->dim % config->n_heads == 0) {
    config->head_dim = config->dim / config->n_heads;
  } else {
    return fields->bad(
        "hidden_size", *fields->find("hidden_size"),
        "a multiple of num_attention_heads (" + std::to_string(config->n_heads) + "), and there is no head_dim");
  }
  const std::string found = "the head size is " + std::to_string(config->head_dim);
  if (config->head_dim % 2 != 0) {
    return fields->fail(Reason::kBadCheckpoint, found + ", which is odd: rope rotates pairs", kFix);
  }
  if (config->head_dim > Limits::kHeadDim || int64_t{config->n_heads} * config->head_dim > Limits::kProjection) {
    fields->fail(Reason::kBadCheckpoint,
                 found + " with " + std::to_string(config->n_heads) + " heads, beyond any Llama", kFix);
  }
}

Status read_generation(std::string_view text, const std::string& path, ModelConfig* config) {
  JsonValue object;
  if (Status status = parse_object(text, path, &object); !status.ok()) return status;
  Status status;
  Fields fields(object, path, &status);
  read_stop_tokens(&fields, config->vocab, &config->stop_tokens);
  fields.boolean("do_sample", &config->generation.do_sample);
  fields.number("temperature", 0.0, 100.0, &config->generation.temperature);
  fields.number("top_p", 0.0, 1.0, &config->generation.top_p);
  fields.integer("top_k", 0, ConfigLimits::kVocab, &config->generation.top_k);
  return status;
}

}  // namespace

Status read_config(const std::string& folder, ModelConfig* config) {
  const std::string config_path = folder + "/config.json";
  const std::string generation_path = folder + "/generation_config.json";
  std::string config_text;
  std::string generation_text;
  if (Status status = read_small_file(config_path, kMaxConfigBytes, &config_text); !status.ok()) return status;
  if (path_exists(generation_path)) {
    if (Status status = read_small_file(generation_path, kMaxConfigBytes, &generation_text); !status.ok()) {
      return status;
    }
    if (generation_text.empty()) generation_text = " ";  // an empty file is a damaged one, not an absent one
  }
  return parse_config(config_text, config_path, generation_text, generation_path, config);
}

Status parse_config(std::string_view config_text, const std::string& config_path, std::string_view generation_text,
                    const std::string& generation_path, ModelConfig* config) {
  JsonValue object;
  if (Status status = parse_object(config_text, config_path, &object); !status.ok()) return status;
  ModelConfig read;
  Status status;
  Fields fields(object, config_path, &status);
  check_architecture(&fields);
  check_variants(&fields);
  read_shape(&fields, &status, &read);
  if (!status.ok()) return status;
  read_rope_fields(config_path, &fields, &status, &read);
  read_stop_tokens(&fields, read.vocab, &read.stop_tokens);
  if (status.ok()) status = read_quantization(fields, config_path, &read.quantization);
  if (!status.ok()) return status;
  if (!generation_text.empty()) {
    status = read_generation(generation_text, generation_path, &read);
    if (!status.ok()) return status;
  }
  std::sort(read.stop_tokens.begin(), read.stop_tokens.end());
  read.stop_tokens.erase(std::unique(read.stop_tokens.begin(), read.stop_tokens.end()), read.stop_tokens.end());
  *config = std::move(read);
  return {};
}

}  // namespace chasqui
