// Writes a random Llama checkpoint from the command line, for tests and benches in other languages:
//   make_checkpoint FOLDER [--layers N] [--dim N] [--ffn N] [--heads N] [--kv-heads N] [--head-dim N] [--vocab N]
//                   [--context N] [--dtype bf16|f16|f32] [--norm-dtype bf16|f16|f32] [--rope-factor X] [--rope-theta X]
//                   [--original-context N] [--tied] [--shards N] [--seed N]
// What is not given is as in random_checkpoint.h. A config that our own reader refuses ends with its message and code 1.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "random_checkpoint.h"
#include "src/model/config.h"

namespace {

using chasqui::DType;
using chasqui::RandomCheckpoint;

bool parse_type(const char* text, DType* type) {
  if (std::strcmp(text, "bf16") == 0) *type = DType::kBF16;
  else if (std::strcmp(text, "f16") == 0) *type = DType::kF16;
  else if (std::strcmp(text, "f32") == 0) *type = DType::kF32;
  else return false;
  return true;
}

bool parse_whole(const char* text, int64_t low, int64_t high, int64_t* value) {
  char* end = nullptr;
  *value = std::strtoll(text, &end, 10);
  return end != text && *end == '\0' && *value >= low && *value <= high;
}

bool parse_real(const char* text, double* value) {
  char* end = nullptr;
  *value = std::strtod(text, &end);
  return end != text && *end == '\0' && *value >= 1.0 && *value <= 1e15;
}

// One option with its value; false where either is wrong.
bool parse_option(const std::string& name, const char* value, RandomCheckpoint* shape) {
  struct SizeOption {
    const char* name;
    int32_t* size;
    int64_t high;
  };
  using Limits = chasqui::ConfigLimits;
  const SizeOption sizes[] = {
      {"--layers", &shape->n_layers, Limits::kLayers},     {"--dim", &shape->dim, Limits::kDim},
      {"--ffn", &shape->ffn, Limits::kFfn},                {"--heads", &shape->n_heads, Limits::kHeads},
      {"--kv-heads", &shape->n_kv_heads, Limits::kHeads},  {"--head-dim", &shape->head_dim, Limits::kHeadDim},
      {"--vocab", &shape->vocab, Limits::kVocab},          {"--context", &shape->context, Limits::kContext},
      {"--shards", &shape->shards, 4096},                  {"--original-context", &shape->original_context, Limits::kContext},
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

int main(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') {
    std::fprintf(stderr, "usage: make_checkpoint FOLDER [--layers N] [--dim N] ... (see the top of make_checkpoint.cc)\n");
    return 2;
  }
  RandomCheckpoint shape;
  for (int i = 2; i < argc; i++) {
    if (std::strcmp(argv[i], "--tied") == 0) {
      shape.tied = true;
    } else if (i + 1 == argc || !parse_option(argv[i], argv[i + 1], &shape)) {
      std::fprintf(stderr, "make_checkpoint: wrong or incomplete option %s\n", argv[i]);
      return 2;
    } else {
      i++;
    }
  }
  chasqui::Status status = chasqui::write_random_checkpoint(argv[1], shape);
  chasqui::ModelConfig config;
  if (status.ok()) status = chasqui::read_config(argv[1], &config);
  if (!status.ok()) {
    std::fprintf(stderr, "make_checkpoint: %s %s\n", status.detail.c_str(), status.fix.c_str());
    return 1;
  }
  return 0;
}
