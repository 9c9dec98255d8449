// NF4: each block is divided by its largest magnitude; the nearest of sixteen values is taken. FP8: each row is scaled so
// that its largest magnitude becomes 448.
#include "quantise_matrix.h"

#include <algorithm>
#include <cmath>

#include "../checkpoint/quant_module.h"
#include "precision.h"

namespace chasqui {
namespace {

constexpr float kLargestE4m3 = 448.0f;

float largest_magnitude(const float* values, int64_t n) {
  float largest = 0.0f;
  for (int64_t i = 0; i < n; i++) {
    if (std::isfinite(values[i])) largest = std::max(largest, std::fabs(values[i]));
  }
  return largest;
}

// Code of the nearest value; of two as near, the lower. NaN is taken for 0.
uint8_t nearest_nf4(float value) {
  if (std::isnan(value)) return 7;
  uint8_t code = 0;
  while (code < 15 && value > 0.5f * (kNf4Table[code] + kNf4Table[code + 1u])) code++;
  return code;
}

void nf4_row(const std::vector<float>& values, uint8_t* codes, float* scales) {
  const int64_t cols = static_cast<int64_t>(values.size());
  for (int64_t first = 0; first < cols; first += kNf4Block) {
    const int64_t count = std::min(kNf4Block, cols - first);
    const float largest = largest_magnitude(values.data() + first, count);
    const float inverse = largest == 0.0f ? 0.0f : 1.0f / largest;
    scales[first / kNf4Block] = largest;
    for (int64_t i = first; i < first + count; i++) {
      const uint8_t code = nearest_nf4(values[static_cast<size_t>(i)] * inverse);
      codes[i / 2] = i % 2 == 0 ? code : static_cast<uint8_t>(codes[i / 2] | code << 4);
    }
  }
}

void fp8_row(const std::vector<float>& values, uint8_t* codes, float* scale) {
  const float largest = largest_magnitude(values.data(), static_cast<int64_t>(values.size()));
  *scale = largest / kLargestE4m3;
  // A row of subnormal numbers has a scale that nothing can be divided by: it becomes zeros.
  const bool empty = *scale < 1e-37f;
  if (empty) *scale = 0.0f;
  for (size_t i = 0; i < values.size(); i++) {
    codes[i] = empty || std::isnan(values[i]) ? 0 : float_to_e4m3(values[i] / *scale);
  }
}

}  // namespace

Status prepare_quantised(QuantKind kind, int64_t rows, int64_t cols, QuantMatrix* matrix) {
  const int64_t group = kind == QuantKind::kTable4 ? kNf4Block : cols;
  if (Status status = new_matrix(kind, rows, cols, group, matrix); !status.ok()) return status;
  matrix->scales.resize(static_cast<size_t>(rows * matrix->groups()));
  matrix->table = kNf4Table;
  return {};
}

void quantise_row(const MatrixView& view, int64_t row, QuantMatrix* matrix) {
  std::vector<float> values(static_cast<size_t>(view.cols));
  load_elements(static_cast<const char*>(view.data) + row * view.cols * dtype_bytes(view.type), view.type, view.cols,
                values.data());
  uint8_t* codes = matrix->codes.get() + row * matrix->row_bytes();
  float* scales = matrix->scales.data() + row * matrix->groups();
  if (matrix->kind == QuantKind::kTable4) return nf4_row(values, codes, scales);
  fp8_row(values, codes, scales);
}

}  // namespace chasqui
