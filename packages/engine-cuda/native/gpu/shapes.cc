// See gpu.h.
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "gpu.h"

namespace chasqui::gpu {

namespace {

struct Shape {
  const char* name;
  int32_t n_layers, dim, ffn, n_heads, n_kv_heads, head_dim, vocab, context;
  bool tied;
};

constexpr Shape kShapes[] = {
    {"8b", 32, 4096, 14336, 32, 8, 128, 128256, 131072, false},   {"70b", 80, 8192, 28672, 64, 8, 128, 128256, 131072, false},
    {"1b", 16, 2048, 8192, 32, 8, 64, 128256, 131072, true},      {"3b", 28, 3072, 8192, 24, 8, 128, 128256, 131072, true},
    {"tiny", 6, 256, 704, 4, 2, 64, 2048, 2048, true},
};

}  // namespace

void print_device(cuda::Runtime& runtime) {
  const cuda::DeviceFacts& facts = runtime.facts();
  const DeviceMemory memory = runtime.memory();
  std::printf("device  %s, compute capability %d.%d, %d multiprocessors, %.1f of %.1f GiB free, driver for CUDA %d.%d, built with %d.%d\n",
              facts.name.c_str(), facts.major, facts.minor, facts.n_sms, static_cast<double>(memory.available_bytes) / (1 << 30),
              static_cast<double>(memory.total_bytes) / (1 << 30), facts.driver / 1000, facts.driver % 1000 / 10,
              facts.runtime / 1000, facts.runtime % 1000 / 10);
  if (!facts.is_real) std::printf("        no GPU: the times below say nothing\n");
  std::fflush(stdout);
}

Status shape_named(const std::string& name, ModelConfig* config) {
  std::string names;
  for (const Shape& shape : kShapes) {
    names += std::string(names.empty() ? "" : ", ") + shape.name;
    if (name != shape.name) continue;
    config->n_layers = shape.n_layers;
    config->dim = shape.dim;
    config->ffn = shape.ffn;
    config->n_heads = shape.n_heads;
    config->n_kv_heads = shape.n_kv_heads;
    config->head_dim = shape.head_dim;
    config->vocab = shape.vocab;
    config->context = shape.context;
    config->tied_head = shape.tied;
    config->rope = {8.0, 1.0, 4.0, 8192};
    return {};
  }
  return failure(Reason::kBadRequest, "There is no model shape \"" + name + "\".", "Use one of " + names + ".");
}

Weights hollow_weights(const ModelConfig& config) {
  static const char nothing = 0;
  const auto view = [](int64_t rows, int64_t cols) { return MatrixView{&nothing, DType::kBF16, rows, cols, nullptr}; };
  Weights weights;
  weights.embed = weights.head = view(config.vocab, config.dim);
  weights.norm = view(1, config.dim);
  const LayerWeights layer = {view(1, config.dim),
                              view(config.q_dim(), config.dim),
                              view(config.kv_dim(), config.dim),
                              view(config.kv_dim(), config.dim),
                              view(config.dim, config.q_dim()),
                              view(1, config.dim),
                              view(config.ffn, config.dim),
                              view(config.ffn, config.dim),
                              view(config.dim, config.ffn)};
  weights.layers.assign(static_cast<size_t>(config.n_layers), layer);
  return weights;
}

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0.0 : values[values.size() / 2];
}

}  // namespace chasqui::gpu
