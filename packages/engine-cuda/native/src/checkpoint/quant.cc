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

uint8_t float_to_e4m3(float value) {
  const uint8_t sign = std::signbit(value) ? 0x80 : 0;
  const float size = std::fabs(value);
  if (std::isnan(value)) return sign | 0x7f;
  if (size >= 448.0f) return sign | 0x7e;
  if (size < 0x1p-6f) return sign | static_cast<uint8_t>(std::nearbyint(size * 512.0f));  // 8 is the smallest normal one
  const int exponent = std::ilogb(size);
  const int digits = static_cast<int>(std::nearbyint(std::ldexp(size, 3 - exponent)));  // 8 .. 16; 16 carries over
  return sign | static_cast<uint8_t>((exponent + 7) * 8 + digits - 8);
}

const std::array<float, 16> kNf4Table = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f,
    -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
    0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

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
