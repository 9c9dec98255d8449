// A matrix as it is after quantisation: floats that a reference can be run with.
#pragma once

#include <vector>

#include "random_model.h"
#include "src/backend/backend.h"
#include "src/backend/cpu/quantise.h"
#include "src/checkpoint/quant.h"
#include "src/model/quantise_matrix.h"

namespace chasqui {

// `rounds_table`: the values of the table in bf16, as bf16 products take them.
inline MatrixView as_coded(RandomModel* keeper, const MatrixView& matrix, WeightFormat format, bool rounds_table = false) {
  QuantMatrix coded;
  const QuantKind kind = format == WeightFormat::kNf4 ? QuantKind::kTable4 : QuantKind::kFp8;
  (void)prepare_quantised(kind, matrix.rows, matrix.cols, &coded);
  keeper->storage.emplace_back(static_cast<size_t>(matrix.rows * matrix.cols));
  auto* values = reinterpret_cast<float*>(keeper->storage.back().data());
  for (int64_t row = 0; row < matrix.rows; row++) {
    quantise_row(matrix, row, &coded);
    const auto exact = coded.table;
    for (float& value : coded.table) value = rounds_table ? bf16_to_float(float_to_bf16(value)) : value;
    dequantise_row(coded, row, values + row * matrix.cols);
    coded.table = exact;
  }
  return {values, DType::kF32, matrix.rows, matrix.cols, nullptr};
}

inline MatrixView as_quantised(RandomModel* keeper, const MatrixView& matrix, WeightFormat format) {
  if (format == WeightFormat::kAsStored) return matrix;
  if (format == WeightFormat::kNf4 || format == WeightFormat::kFp8) return as_coded(keeper, matrix, format);
  const cpu::QuantScheme scheme = format == WeightFormat::kInt8 ? cpu::kInt8Scheme : cpu::kInt4Scheme;
  keeper->storage.emplace_back(static_cast<size_t>(matrix.rows * matrix.cols));
  auto* values = reinterpret_cast<float*>(keeper->storage.back().data());
  load_elements(matrix.data, matrix.type, matrix.rows * matrix.cols, values);
  std::vector<int8_t> q(static_cast<size_t>(scheme.group));
  for (int64_t row = 0; row < matrix.rows; row++) {
    for (int64_t first = 0; first < matrix.cols; first += scheme.group) {
      float* group = values + row * matrix.cols + first;
      const int32_t n = static_cast<int32_t>(std::min<int64_t>(scheme.group, matrix.cols - first));
      float scale;
      cpu::quantise_group(group, n, scheme.bits, q.data(), &scale);
      for (int32_t i = 0; i < n; i++) group[i] = scale * static_cast<float>(q[static_cast<size_t>(i)]);
    }
  }
  return {values, DType::kF32, matrix.rows, matrix.cols, nullptr};
}

// All matrices of a model as make_llama quantises them.
inline Weights as_quantised(RandomModel* keeper, const Weights& weights, WeightFormat format) {
  Weights result = weights;
  for (LayerWeights& layer : result.layers) {
    for (MatrixView* matrix : {&layer.q, &layer.k, &layer.v, &layer.o, &layer.gate, &layer.up, &layer.down}) {
      *matrix = as_quantised(keeper, *matrix, format);
    }
  }
  const bool is_small = format == WeightFormat::kInt4 || format == WeightFormat::kNf4;
  result.head = as_quantised(keeper, weights.head, is_small ? WeightFormat::kInt8 : format);
  return result;
}

}  // namespace chasqui
