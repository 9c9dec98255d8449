// The meaning of the common form, one weight at a time. Kernels are compared with this, so it is written to be read.
#include "quant.h"

#include <cmath>
#include <limits>

namespace chasqui {

float e4m3_to_float(uint8_t code) {
  const int exponent = code >> 3 & 15;
  const int fraction = code & 7;
  const float sign = code >> 7 ? -1.0f : 1.0f;
  if (exponent == 15 && fraction == 7) return std::numeric_limits<float>::quiet_NaN();
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -9);
  return sign * std::ldexp(static_cast<float>(8 + fraction), exponent - 10);
}

void dequantise_row(const QuantMatrix& matrix, int64_t row, float* out) {
  const uint8_t* codes = matrix.codes.get() + row * matrix.row_bytes();
  const int64_t first_group = row * matrix.groups();
  for (int64_t j = 0; j < matrix.cols; j++) {
    const size_t group = static_cast<size_t>(first_group + j / matrix.group);
    const int nibble = codes[j / 2] >> (j % 2 == 0 ? 0 : 4) & 15;  // of the kinds that have two codes to a byte
    float value = 0.0f;
    switch (matrix.kind) {
      case QuantKind::kInt4:
        value = static_cast<float>(nibble - (matrix.zeros.empty() ? 8 : matrix.zeros[group]));
        break;
      case QuantKind::kInt8:
        value = static_cast<float>(static_cast<int8_t>(codes[j]) - (matrix.zeros.empty() ? 0 : matrix.zeros[group]));
        break;
      case QuantKind::kFp8: value = e4m3_to_float(codes[j]); break;
      case QuantKind::kTable4: value = matrix.table[static_cast<size_t>(nibble)]; break;
    }
    out[matrix.order.empty() ? j : matrix.order[static_cast<size_t>(j)]] = value * matrix.scales[group];
  }
}

}  // namespace chasqui
