// Adapters with random matrices for tests, and the weights that a model has with one of them merged into it.
#pragma once

#include <cstdint>

#include "random_model.h"
#include "src/model/lora_adapter.h"
#include "src/model/precision.h"

namespace chasqui {

inline MatrixView LayerWeights::*const kProjections[] = {&LayerWeights::q,    &LayerWeights::k,  &LayerWeights::v,   &LayerWeights::o,
                                                  &LayerWeights::gate, &LayerWeights::up, &LayerWeights::down};

// Low-rank matrices for the projections of a mask, of different ranks and types.
inline LoraAdapter random_adapter(RandomModel* keeper, const Weights& weights, uint32_t projections, int32_t rank, uint64_t seed) {
  QuickRandom random(seed);
  LoraAdapter adapter;
  for (size_t layer = 0; layer < weights.layers.size(); layer++) {
    for (uint32_t p = 0; p < 7; p++) {
      if ((projections >> p & 1) == 0) continue;
      const MatrixView& base = weights.layers[layer].*kProjections[p];
      const int32_t own = rank + static_cast<int32_t>(p);
      LoraMatrix matrix;
      matrix.layer = static_cast<int32_t>(layer);
      matrix.projection = static_cast<Projection>(p);
      const DType type = p % 2 == 0 ? DType::kF32 : DType::kBF16;
      matrix.a = random_matrix(keeper, &random, own, base.cols, type, 0.0f, 0.3f);
      matrix.b = random_matrix(keeper, &random, base.rows, own, type, 0.0f, 0.3f);
      matrix.scale = 0.25f + 0.1f * static_cast<float>(p);
      adapter.matrices.push_back(matrix);
    }
  }
  return adapter;
}

// The weights with an adapter added to them, in float; the sums themselves are double.
inline Weights merged(RandomModel* keeper, const Weights& weights, const LoraAdapter& adapter) {
  Weights result = weights;
  for (const LoraMatrix& matrix : adapter.matrices) {
    MatrixView& view = result.layers[static_cast<size_t>(matrix.layer)].*kProjections[static_cast<size_t>(matrix.projection)];
    keeper->storage.emplace_back(static_cast<size_t>(view.rows * view.cols));
    auto* values = reinterpret_cast<float*>(keeper->storage.back().data());
    for (int64_t row = 0; row < view.rows; row++) {
      for (int64_t col = 0; col < view.cols; col++) {
        double sum = 0;
        for (int64_t r = 0; r < matrix.a.rows; r++) {
          sum += static_cast<double>(load_element(matrix.b.data, matrix.b.type, row * matrix.a.rows + r)) *
                 load_element(matrix.a.data, matrix.a.type, r * view.cols + col);
        }
        values[row * view.cols + col] =
            static_cast<float>(load_element(view.data, view.type, row * view.cols + col) + static_cast<double>(matrix.scale) * sum);
      }
    }
    view = {values, DType::kF32, view.rows, view.cols, nullptr};
  }
  return result;
}

}  // namespace chasqui
