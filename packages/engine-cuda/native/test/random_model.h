// A Llama with random weights in memory, for tests and benches of the forward pass: no files, any shape, seeded.
#pragma once

#include <cmath>
#include <cstdint>
#include <deque>
#include <random>
#include <vector>

#include "src/model/config.h"
#include "src/model/precision.h"
#include "src/model/weights.h"

namespace chasqui {

struct RandomModel {
  ModelConfig config;
  Weights weights;
  std::deque<std::vector<uint32_t>> storage;  // what the views point into
};

// xorshift: quick enough to fill a billion weights.
struct QuickRandom {
  uint64_t state;
  explicit QuickRandom(uint64_t seed) : state(seed * 0x9E3779B97F4A7C15u + 1) {}
  uint64_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
  }
  // Uniform in [-1, 1).
  float symmetric() { return static_cast<float>(static_cast<int64_t>(next() >> 40) - (1 << 23)) * 0x1p-23f; }
  int32_t below(int32_t n) { return static_cast<int32_t>((next() >> 33) % static_cast<uint64_t>(n)); }
};

inline MatrixView random_matrix(RandomModel* model, QuickRandom* random, int64_t rows, int64_t cols, DType type, float mean,
                                float scale) {
  model->storage.emplace_back(static_cast<size_t>((rows * cols * dtype_bytes(type) + 3) / 4));
  void* data = model->storage.back().data();
  for (int64_t i = 0; i < rows * cols; i++) {
    const float value = mean + scale * random->symmetric();
    if (type == DType::kF32) {
      static_cast<float*>(data)[i] = value;
    } else {
      static_cast<uint16_t*>(data)[i] = type == DType::kBF16 ? float_to_bf16(value) : float_to_half(value);
    }
  }
  return {data, type, rows, cols, nullptr};
}

// Fills `model` for its config: matrices with variance 1 / cols, norms around 1.
inline void fill_random(RandomModel* model, DType type, uint64_t seed) {
  const ModelConfig& config = model->config;
  QuickRandom random(seed);
  const auto matrix = [&](int64_t rows, int64_t cols) {
    return random_matrix(model, &random, rows, cols, type, 0.0f, std::sqrt(3.0f / static_cast<float>(cols)));
  };
  const auto norm = [&] { return random_matrix(model, &random, 1, config.dim, type, 1.0f, 0.2f); };
  Weights& weights = model->weights;
  weights.embed = random_matrix(model, &random, config.vocab, config.dim, type, 0.0f, 1.0f);
  for (int32_t i = 0; i < config.n_layers; i++) {
    LayerWeights layer;
    layer.attn_norm = norm();
    layer.q = matrix(config.q_dim(), config.dim);
    layer.k = matrix(config.kv_dim(), config.dim);
    layer.v = matrix(config.kv_dim(), config.dim);
    layer.o = matrix(config.dim, config.q_dim());
    layer.ffn_norm = norm();
    layer.gate = matrix(config.ffn, config.dim);
    layer.up = matrix(config.ffn, config.dim);
    layer.down = matrix(config.dim, config.ffn);
    weights.layers.push_back(layer);
  }
  weights.norm = norm();
  weights.head = config.tied_head ? weights.embed : matrix(config.vocab, config.dim);
}

}  // namespace chasqui
