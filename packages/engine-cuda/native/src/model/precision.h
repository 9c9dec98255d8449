// Conversions between float and the two 16-bit formats of checkpoints, one value at a time: bf16 (the upper half of a
// float) and IEEE half. Rounding is to nearest, ties to even; infinities and NaNs stay what they are.
#pragma once

#include <cstdint>
#include <cstring>

#include "weights.h"

namespace chasqui {

inline float bf16_to_float(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

inline uint16_t float_to_bf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>((bits >> 16) | 0x40);  // keep NaN a NaN
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

float half_to_float(uint16_t bits);
uint16_t float_to_half(float value);

// Element `index` of an array of `type`.
float load_element(const void* data, DType type, int64_t index);

// Elements [0, n) of an array of `type` as floats.
void load_elements(const void* data, DType type, int64_t n, float* out);

}  // namespace chasqui
