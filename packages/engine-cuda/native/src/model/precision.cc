// The bit work of IEEE half, and reading arrays of any weight type.
#include "precision.h"

namespace chasqui {

float half_to_float(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t magnitude = bits & 0x7fff;
  uint32_t wide;
  if (magnitude >= 0x7c00) {  // infinity, NaN
    wide = 0x7f800000 | ((magnitude & 0x3ff) << 13);
  } else if (magnitude >= 0x400) {
    wide = (magnitude << 13) + ((127 - 15) << 23);
  } else {  // subnormal: magnitude * 2^-24 is exact
    const float value = static_cast<float>(magnitude) * 5.9604644775390625e-8f;
    std::memcpy(&wide, &value, sizeof wide);
  }
  wide |= sign;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

uint16_t float_to_half(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;                       // NaN
  if (magnitude >= 0x47800000) return sign | 0x7c00;                      // 65536 and above
  if (magnitude < 0x33000000) return sign;                                // below half of the smallest subnormal
  const uint32_t exponent = magnitude >> 23;
  // Bits that fall off: 13 for a normal half, more for a subnormal one.
  const uint32_t shift = exponent > 112 ? 13 : 126 - exponent;
  const uint32_t significand = exponent > 112 ? magnitude - (112u << 23) : (magnitude & 0x7fffff) | 0x800000;
  const uint32_t kept = significand >> shift;
  const uint32_t lost = significand & ((1u << shift) - 1);
  const uint32_t tie = 1u << (shift - 1);
  const uint32_t up = lost > tie || (lost == tie && (kept & 1)) ? 1 : 0;
  return static_cast<uint16_t>(sign | (kept + up));  // a carry into the exponent is the right next value
}

float load_element(const void* data, DType type, int64_t index) {
  if (type == DType::kF32) {
    float value;
    std::memcpy(&value, static_cast<const char*>(data) + index * 4, sizeof value);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, static_cast<const char*>(data) + index * 2, sizeof bits);
  return type == DType::kBF16 ? bf16_to_float(bits) : half_to_float(bits);
}

void load_elements(const void* data, DType type, int64_t n, float* out) {
  if (type == DType::kF32) {
    std::memcpy(out, data, static_cast<size_t>(n) * 4);
    return;
  }
  for (int64_t i = 0; i < n; i++) out[i] = load_element(data, type, i);
}

}  // namespace chasqui
