// A table of sizes with their limits, and the few options that are no sizes.
#include "checkpoint_options.h"

#include <cstdlib>

#include "src/model/config.h"

namespace chasqui {
namespace {

bool parse_type(const std::string& text, DType* type) {
  if (text == "bf16") return *type = DType::kBF16, true;
  if (text == "f16") return *type = DType::kF16, true;
  if (text == "f32") return *type = DType::kF32, true;
  return false;
}

bool parse_whole(const std::string& text, int64_t low, int64_t high, int64_t* value) {
  char* end = nullptr;
  *value = std::strtoll(text.c_str(), &end, 10);
  return !text.empty() && *end == '\0' && *value >= low && *value <= high;
}

bool parse_real(const std::string& text, double* value) {
  char* end = nullptr;
  *value = std::strtod(text.c_str(), &end);
  return !text.empty() && *end == '\0' && *value >= 1.0 && *value <= 1e15;
}

// One option with its value; false where either is wrong.
bool parse_option(const std::string& name, const std::string& value, RandomCheckpoint* shape) {
  using Limits = ConfigLimits;
  struct SizeOption {
    const char* name;
    int32_t* size;
    int64_t high;
  };
  const SizeOption sizes[] = {
      {"--layers", &shape->n_layers, Limits::kLayers},
      {"--dim", &shape->dim, Limits::kDim},
      {"--ffn", &shape->ffn, Limits::kFfn},
      {"--heads", &shape->n_heads, Limits::kHeads},
      {"--kv-heads", &shape->n_kv_heads, Limits::kHeads},
      {"--head-dim", &shape->head_dim, Limits::kHeadDim},
      {"--vocab", &shape->vocab, Limits::kVocab},
      {"--context", &shape->context, Limits::kContext},
      {"--original-context", &shape->original_context, Limits::kContext},
      {"--shards", &shape->shards, 4096},
  };
  int64_t whole = 0;
  for (const SizeOption& option : sizes) {
    if (name != option.name) continue;
    if (!parse_whole(value, 1, option.high, &whole)) return false;
    *option.size = static_cast<int32_t>(whole);
    return true;
  }
  if (name == "--seed") {
    if (!parse_whole(value, 0, INT64_MAX, &whole)) return false;
    shape->seed = static_cast<uint64_t>(whole);
    return true;
  }
  if (name == "--dtype") return parse_type(value, &shape->type);
  if (name == "--norm-dtype") return parse_type(value, &shape->norm_type);
  if (name == "--rope-factor") return parse_real(value, &shape->rope_factor);
  if (name == "--rope-theta") return parse_real(value, &shape->rope_theta);
  return false;
}

}  // namespace

Status parse_checkpoint_options(const std::vector<std::string>& options, RandomCheckpoint* shape) {
  for (size_t i = 0; i < options.size(); i++) {
    if (options[i] == "--tied") {
      shape->tied = true;
      continue;
    }
    const std::string value = i + 1 < options.size() ? options[i + 1] : "";
    if (!parse_option(options[i], value, shape)) {
      return failure(Reason::kBadRequest, "Option " + options[i] + " is unknown or does not take \"" + value + "\".",
                     "The options are listed at the top of native/test/checkpoint_options.h.");
    }
    i++;
  }
  return {};
}

}  // namespace chasqui
