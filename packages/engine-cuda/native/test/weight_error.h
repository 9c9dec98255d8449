// How far quantised weights are from plain ones: relative RMS for each kind of matrix, over all layers.
#pragma once

#include <cmath>
#include <vector>

#include "src/model/precision.h"
#include "src/model/weights.h"

namespace chasqui {

constexpr const char* kMatrixKinds[] = {"q", "k", "v", "o", "gate", "up", "down"};
constexpr MatrixView LayerWeights::*kMatrices[] = {&LayerWeights::q,    &LayerWeights::k,  &LayerWeights::v,   &LayerWeights::o,
                                                   &LayerWeights::gate, &LayerWeights::up, &LayerWeights::down};

// (7), in the order of kMatrixKinds. Both are plain: see model/dequantise.h.
inline std::vector<double> weight_errors(const Weights& exact, const Weights& rounded) {
  std::vector<double> errors;
  for (const auto matrix : kMatrices) {
    double difference = 0, size = 0;
    for (size_t i = 0; i < exact.layers.size(); i++) {
      const MatrixView& a = exact.layers[i].*matrix;
      const MatrixView& b = rounded.layers[i].*matrix;
      for (int64_t at = 0; at < a.rows * a.cols; at++) {
        const double x = load_element(a.data, a.type, at);
        difference += std::pow(load_element(b.data, b.type, at) - x, 2);
        size += x * x;
      }
    }
    errors.push_back(std::sqrt(difference / size));
  }
  return errors;
}

}  // namespace chasqui
