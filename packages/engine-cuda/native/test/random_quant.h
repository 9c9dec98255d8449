// Quantised matrices that no file holds: random codes, scales, zeros and orders of any geometry, and the floats that they
// stand for. Seeded.
#pragma once

#include <algorithm>
#include <memory>
#include <numeric>

#include "random_model.h"
#include "src/checkpoint/quant.h"
#include "src/model/precision.h"

namespace chasqui {

struct QuantShape {
  QuantKind kind;
  int64_t group;
  bool has_zeros;
  bool is_ordered;
  QuantScale scale;
  uint64_t order_seed = 0;  // of the order of the inputs; 0: that of the matrix
};

// A scale that its type holds exactly, about 0.01 to 0.03.
inline float random_scale(QuickRandom* random, QuantScale type) {
  const float value = 0.02f + 0.01f * random->symmetric();
  if (type == QuantScale::kF16) return half_to_float(float_to_half(value));
  return type == QuantScale::kBF16 ? bf16_to_float(float_to_bf16(value)) : value;
}

inline void fill_random_quant(const QuantShape& shape, int64_t rows, int64_t cols, uint64_t seed, QuantMatrix* matrix) {
  QuickRandom random(seed);
  *matrix = {};
  matrix->kind = shape.kind;
  matrix->rows = rows;
  matrix->cols = cols;
  matrix->group = shape.group;
  const int64_t bytes = rows * matrix->row_bytes();
  matrix->codes = std::make_unique<uint8_t[]>(static_cast<size_t>(bytes));
  for (int64_t i = 0; i < bytes; i++) {
    uint8_t code = static_cast<uint8_t>(random.below(256));
    if (shape.kind == QuantKind::kFp8 && (code & 0x7f) == 0x7f) code = 0x38;  // no number
    matrix->codes[static_cast<size_t>(i)] = code;
  }
  for (int64_t i = 0; i < rows * matrix->groups(); i++) {
    matrix->scales.push_back(random_scale(&random, shape.scale));
    if (!shape.has_zeros) continue;
    matrix->zeros.push_back(static_cast<int8_t>(shape.kind == QuantKind::kInt4 ? random.below(16) : random.below(256) - 128));
  }
  if (shape.is_ordered) {
    matrix->order.resize(static_cast<size_t>(cols));
    std::iota(matrix->order.begin(), matrix->order.end(), 0);
    if (shape.order_seed != 0) random = QuickRandom(shape.order_seed);
    for (int32_t i = static_cast<int32_t>(cols) - 1; i > 0; i--) {
      std::swap(matrix->order[static_cast<size_t>(i)], matrix->order[static_cast<size_t>(random.below(i + 1))]);
    }
  }
  matrix->table = kNf4Table;
}

// The matrix as a file would give it, and the same in floats.
inline MatrixView random_quant(const QuantShape& shape, int64_t rows, int64_t cols, uint64_t seed) {
  auto source = std::make_shared<QuantSource>();
  source->kind = shape.kind;
  source->group = shape.group;
  source->scale = shape.scale;
  source->has_zeros = shape.has_zeros;
  source->is_ordered = shape.is_ordered;
  source->unpack = [=](QuantMatrix* matrix) {
    fill_random_quant(shape, rows, cols, seed, matrix);
    return Status{};
  };
  MatrixView view;
  view.rows = rows;
  view.cols = cols;
  view.quant = std::move(source);
  return view;
}

inline MatrixView dequantised(RandomModel* keeper, const MatrixView& view) {
  if (view.quant == nullptr) return view;
  QuantMatrix matrix;
  (void)view.quant->unpack(&matrix);
  keeper->storage.emplace_back(static_cast<size_t>(view.rows * view.cols));
  auto* values = reinterpret_cast<float*>(keeper->storage.back().data());
  for (int64_t row = 0; row < view.rows; row++) dequantise_row(matrix, row, values + row * view.cols);
  return {values, DType::kF32, view.rows, view.cols, nullptr};
}

}  // namespace chasqui
