// Every tensor of an adapter must be understood: one that is left aside would change what the model says.
#include "lora_adapter.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <map>
#include <utility>

#include "../json.h"
#include "fingerprint.h"
#include "plain_view.h"

namespace chasqui {
namespace {

constexpr size_t kMaxConfigBytes = size_t{1} << 20;
constexpr int64_t kMaxRank = 4096;
constexpr char kPrefix[] = "base_model.model.model.layers.";
constexpr char kMerge[] = "Merge the adapter into its base model (PEFT: merge_and_unload) and load the result.";

struct ProjectionName {
  Projection projection;
  std::string_view module;  // behind "model.layers.N."
};

constexpr ProjectionName kProjections[] = {
    {Projection::kQ, "self_attn.q_proj"}, {Projection::kK, "self_attn.k_proj"}, {Projection::kV, "self_attn.v_proj"},
    {Projection::kO, "self_attn.o_proj"}, {Projection::kGate, "mlp.gate_proj"}, {Projection::kUp, "mlp.up_proj"},
    {Projection::kDown, "mlp.down_proj"},
};

// (outputs, inputs) of a projection.
std::pair<int64_t, int64_t> shape_of(const ModelConfig& model, Projection projection) {
  switch (projection) {
    case Projection::kQ: return {model.q_dim(), model.dim};
    case Projection::kK:
    case Projection::kV: return {model.kv_dim(), model.dim};
    case Projection::kO: return {model.dim, model.q_dim()};
    case Projection::kGate:
    case Projection::kUp: return {model.ffn, model.dim};
    case Projection::kDown: return {model.dim, model.ffn};
  }
  return {};
}

Status unsupported(const std::string& place, const std::string& what) {
  return failure(Reason::kUnsupported, place + ": " + what + ", which is not supported.", kMerge);
}

Status damaged(const std::string& what) {
  return failure(Reason::kBadCheckpoint, what, "The adapter is damaged: download or save it again.");
}

// What adapter_config.json says of how large B A is.
struct LoraScaling {
  int64_t rank = 0;  // 0 where modules have ranks of their own
  double alpha = 0.0;
  bool by_root = false;                                // divide by sqrt(rank), not by rank
  std::vector<std::pair<std::string, double>> alphas;  // of modules whose path ends so
};

// alpha_pattern is keyed by regular expressions; those are supported that are plain names or paths.
Status read_alpha_pattern(const JsonValue& pattern, const std::string& path, LoraScaling* scaling) {
  if (pattern.object() == nullptr) return unsupported(path, "alpha_pattern is " + pattern.brief());
  for (const JsonMember& member : *pattern.object()) {
    double alpha = 0.0;
    const bool plain = std::all_of(member.key.begin(), member.key.end(), [](unsigned char letter) {
      return std::isalnum(letter) || letter == '_' || letter == '.';
    });
    if (!plain || member.key.empty() || !member.value.number(&alpha) || !(std::fabs(alpha) < 1e9)) {
      return unsupported(path, "alpha_pattern has " + json_quoted(member.key) + ": " + member.value.brief());
    }
    scaling->alphas.emplace_back(member.key, alpha);
  }
  return {};
}

// Settings under which B A added to a matrix is not all that the adapter does. `null`, false, empty and the listed
// words are harmless.
Status refuse_other_methods(const JsonValue& config, const std::string& path) {
  static constexpr const char* kForbidden[] = {"use_dora",
                                               "modules_to_save",
                                               "lora_bias",
                                               "fan_in_fan_out",
                                               "layer_replication",
                                               "use_qalora",
                                               "alora_invocation_tokens",
                                               "trainable_token_indices",
                                               "target_parameters"};
  for (const char* key : kForbidden) {
    const JsonValue* value = config.find(key);
    if (value == nullptr || value->is_null()) continue;
    const bool off = (value->boolean() != nullptr && !*value->boolean()) ||
                     (value->array() != nullptr && value->array()->empty()) ||
                     (value->object() != nullptr && value->object()->empty());
    if (!off) return unsupported(path, std::string(key) + " is " + value->brief());
  }
  const JsonValue* bias = config.find("bias");
  if (bias != nullptr && !bias->is_null() && (bias->string() == nullptr || *bias->string() != "none")) {
    return unsupported(path, "bias is " + bias->brief());
  }
  // These initialisations take something away from the base model, which is then not the one that we have.
  const JsonValue* initialisation = config.find("init_lora_weights");
  if (initialisation != nullptr && initialisation->string() != nullptr) {
    for (const char* name : {"pissa", "olora", "loftq", "corda"}) {
      if (initialisation->string()->starts_with(name)) {
        return unsupported(path, "init_lora_weights is " + initialisation->brief());
      }
    }
  }
  return {};
}

Status read_scaling(std::string_view text, const std::string& path, LoraScaling* scaling) {
  JsonLimits limits;
  limits.bytes = kMaxConfigBytes;
  JsonValue config;
  std::string error;
  if (!parse_json(text, limits, &config, &error) || config.object() == nullptr) {
    return failure(Reason::kBadCheckpoint, path + " is no JSON object" + (error.empty() ? "" : ": " + error) + ".",
                   "The file is damaged: download it again.");
  }
  const JsonValue* type = config.find("peft_type");
  if (type == nullptr || type->string() == nullptr || *type->string() != "LORA") {
    return unsupported(path, "peft_type is " + (type == nullptr ? "missing" : type->brief()));
  }
  if (Status status = refuse_other_methods(config, path); !status.ok()) return status;
  const auto bad = [&path](const char* key, const JsonValue* found) {
    return failure(Reason::kBadCheckpoint,
                   path + ": " + key + " is " + (found == nullptr ? "missing" : found->brief()) + ".",
                   "Give the adapter_config.json that belongs to the adapter.");
  };
  const JsonValue* rank = config.find("r");
  if (rank == nullptr || rank->integer() == nullptr || *rank->integer() < 1 || *rank->integer() > kMaxRank) {
    return bad("r", rank);
  }
  scaling->rank = *rank->integer();
  const JsonValue* alpha = config.find("lora_alpha");
  if (alpha == nullptr || !alpha->number(&scaling->alpha) || !(std::fabs(scaling->alpha) < 1e9)) {
    return bad("lora_alpha", alpha);
  }
  const JsonValue* by_root = config.find("use_rslora");
  scaling->by_root = by_root != nullptr && by_root->boolean() != nullptr && *by_root->boolean();
  const JsonValue* ranks = config.find("rank_pattern");
  if (ranks != nullptr && ranks->object() != nullptr && !ranks->object()->empty()) scaling->rank = 0;
  const JsonValue* alphas = config.find("alpha_pattern");
  return alphas == nullptr || alphas->is_null() ? Status{} : read_alpha_pattern(*alphas, path, scaling);
}

// The alpha of a module: of the pattern that its path ends with, at a dot, or the common one.
Status alpha_of(const LoraScaling& scaling, const std::string& module, const std::string& path, double* alpha) {
  int matches = 0;
  *alpha = scaling.alpha;
  for (const auto& [key, value] : scaling.alphas) {
    const bool ends =
        module.ends_with(key) && (module.size() == key.size() || module[module.size() - key.size() - 1] == '.');
    if (!ends) continue;
    if (matches++ > 0 && *alpha != value) return unsupported(path, "alpha_pattern says two things of " + module);
    *alpha = value;
  }
  return {};
}

struct LoraTensors {
  const Tensor* a = nullptr;
  const Tensor* b = nullptr;
};

// "base_model.model.model.layers.3.mlp.up_proj.lora_A.weight": layer, projection, and whether it is A.
bool parse_name(std::string_view name, int32_t n_layers, int32_t* layer, Projection* projection, bool* is_a) {
  if (!name.starts_with(kPrefix)) return false;
  name.remove_prefix(sizeof kPrefix - 1);
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), *layer);
  const size_t digits = static_cast<size_t>(end - name.data());
  if (error != std::errc() || digits == 0 || *layer < 0 || *layer >= n_layers || name.substr(digits, 1) != ".") {
    return false;
  }
  name.remove_prefix(digits + 1);
  for (const ProjectionName& one : kProjections) {
    if (!name.starts_with(one.module)) continue;
    *projection = one.projection;
    name.remove_prefix(one.module.size());
    *is_a = name == ".lora_A.weight";
    return *is_a || name == ".lora_B.weight";
  }
  return false;
}

Status check_shape(const Tensor& tensor, const std::vector<int64_t>& expected) {
  if (tensor.shape == expected) return {};
  return failure(Reason::kBadCheckpoint,
                 "Tensor " + json_quoted(tensor.name) + " in " + *tensor.file + " is " + describe(tensor) +
                     ", but the model asks for " + shape_text(expected) + ".",
                 "Use an adapter that was trained on this model, with its own adapter_config.json.");
}

using MatrixKey = std::pair<int32_t, Projection>;  // layer and projection

// The tensors of a file by what they adapt; a tensor that is neither A nor B of a projection is refused by name.
Status group_tensors(const TensorDirectory& directory, const ModelConfig& model,
                     std::map<MatrixKey, LoraTensors>* found) {
  for (const Tensor& tensor : directory.tensors()) {
    int32_t layer = 0;
    Projection projection = Projection::kQ;
    bool is_a = false;
    if (!parse_name(tensor.name, model.n_layers, &layer, &projection, &is_a)) {
      return unsupported(*tensor.file,
                         "tensor " + json_quoted(tensor.name) + " adapts no projection of a layer of this model");
    }
    LoraTensors& pair = (*found)[{layer, projection}];
    const Tensor*& place = is_a ? pair.a : pair.b;
    if (place != nullptr) {  // "layers.1" and "layers.01" are the same layer
      return damaged("Tensors " + json_quoted(place->name) + " and " + json_quoted(tensor.name) + " in " +
                     *tensor.file + " are the same matrix.");
    }
    place = &tensor;
  }
  for (const auto& [key, pair] : *found) {
    if (pair.a != nullptr && pair.b != nullptr) continue;
    const Tensor& other = pair.a == nullptr ? *pair.b : *pair.a;
    return damaged("Tensor " + json_quoted(other.name) + " in " + *other.file +
                   " has no partner: A and B belong together.");
  }
  return {};
}

// One pair of matrices, checked against the projection that it adapts.
Status read_matrix(const LoraTensors& pair, const LoraScaling& scaling, const std::string& path,
                   const ModelConfig& model, LoraAdapter* adapter, LoraMatrix* matrix) {
  const auto [outputs, inputs] = shape_of(model, matrix->projection);
  int64_t rank = scaling.rank;
  if (rank == 0 && !pair.a->shape.empty()) rank = std::clamp<int64_t>(pair.a->shape[0], 1, kMaxRank);
  Status status = check_shape(*pair.a, {rank, inputs});
  if (status.ok()) status = check_shape(*pair.b, {outputs, rank});
  if (status.ok()) status = plain_view(*pair.a, &matrix->a, &adapter->copies);
  if (status.ok()) status = plain_view(*pair.b, &matrix->b, &adapter->copies);
  double alpha = 0.0;
  const std::string module = pair.a->name.substr(0, pair.a->name.find(".lora_A."));
  if (status.ok()) status = alpha_of(scaling, module, path, &alpha);
  if (!status.ok()) return status;
  matrix->scale =
      static_cast<float>(alpha / (scaling.by_root ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank)));
  adapter->max_rank = std::max(adapter->max_rank, static_cast<int32_t>(rank));
  return {};
}

void add_matrix(const LoraMatrix& matrix, Fingerprint* print) {
  print->add(static_cast<uint64_t>(matrix.layer));
  print->add(static_cast<uint64_t>(matrix.projection));
  print->add(static_cast<double>(matrix.scale));
  for (const MatrixView* view : {&matrix.a, &matrix.b}) {
    print->add(static_cast<uint64_t>(view->type));
    print->add(static_cast<uint64_t>(view->rows));
    print->add(view->data, static_cast<size_t>(view->rows * view->cols * dtype_bytes(view->type)));
  }
}

}  // namespace

Status load_lora(const std::string& folder, const ModelConfig& model, LoraAdapter* adapter) {
  const std::string config_path = folder + "/adapter_config.json";
  const std::string weights_path = folder + "/adapter_model.safetensors";
  std::string text;
  std::shared_ptr<MappedFile> file;
  std::vector<Tensor> tensors;
  if (Status status = read_small_file(config_path, kMaxConfigBytes, &text); !status.ok()) return status;
  if (!path_exists(weights_path) && path_exists(folder + "/adapter_model.bin")) {
    return failure(Reason::kUnsupported, folder + " holds its adapter in adapter_model.bin, which is not supported.",
                   "Save the adapter as safetensors.");
  }
  if (Status status = open_safetensors(weights_path, &file, &tensors); !status.ok()) return status;
  return collect_lora(text, config_path, TensorDirectory(std::move(tensors), {file}), model, adapter);
}

Status collect_lora(std::string_view config_text, const std::string& path, const TensorDirectory& directory,
                    const ModelConfig& model, LoraAdapter* adapter) {
  LoraScaling scaling;
  std::map<MatrixKey, LoraTensors> found;
  if (Status status = read_scaling(config_text, path, &scaling); !status.ok()) return status;
  if (Status status = group_tensors(directory, model, &found); !status.ok()) return status;
  if (found.empty()) return damaged(path + ": the adapter holds no matrix.");
  LoraAdapter read;
  Fingerprint print;
  read.files = directory.files();
  for (const auto& [key, pair] : found) {
    LoraMatrix matrix;
    matrix.layer = key.first;
    matrix.projection = key.second;
    if (Status status = read_matrix(pair, scaling, path, model, &read, &matrix); !status.ok()) return status;
    add_matrix(matrix, &print);
    read.matrices.push_back(std::move(matrix));
  }
  read.fingerprint = print.value();
  *adapter = std::move(read);
  return {};
}

}  // namespace chasqui
