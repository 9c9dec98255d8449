// Conversions of 16-bit floats: every half and bf16 there and back, and rounding to nearest with ties to even.
#include "src/model/precision.h"

#include <cmath>
#include <limits>

#include "test/check.h"

using namespace chasqui;

namespace {

double half_by_definition(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
  if (exponent == 0) return sign * std::ldexp(bits & 1023, -24);
  return sign * std::ldexp(1024 + (bits & 1023), exponent - 25);
}

}  // namespace

TEST(every_half_is_read_and_written_exactly) {
  for (uint32_t bits = 0; bits < 65536; bits++) {
    const uint16_t half = static_cast<uint16_t>(bits);
    if ((half & 0x7c00) == 0x7c00) continue;
    CHECK_EQ(static_cast<double>(half_to_float(half)), half_by_definition(half));
    CHECK_EQ(float_to_half(half_to_float(half)), half);
  }
}

TEST(halves_round_to_nearest_even) {
  for (uint32_t bits = 0; bits < 0x7bff; bits++) {
    const double low = half_by_definition(static_cast<uint16_t>(bits)), high = half_by_definition(static_cast<uint16_t>(bits + 1));
    const float middle = static_cast<float>((low + high) / 2);
    CHECK_EQ(float_to_half(middle), static_cast<uint16_t>(bits + (bits & 1)));
    CHECK_EQ(float_to_half(std::nextafter(middle, 0.0f)), static_cast<uint16_t>(bits));
    CHECK_EQ(float_to_half(std::nextafter(middle, 1e9f)), static_cast<uint16_t>(bits + 1));
  }
  CHECK_EQ(float_to_half(65519.0f), 0x7bff);
  CHECK_EQ(float_to_half(65520.0f), 0x7c00);
  CHECK_EQ(float_to_half(-1e30f), 0xfc00);
  CHECK_EQ(float_to_half(1e-30f), 0);
}

TEST(bf16_rounds_to_nearest_even) {
  CHECK_EQ(float_to_bf16(1.0f), 0x3f80);
  CHECK_EQ(float_to_bf16(1.00390625f), 0x3f80);   // half a step above an even value
  CHECK_EQ(float_to_bf16(1.01171875f), 0x3f82);   // half a step above an odd value
  CHECK_EQ(float_to_bf16(1.00390637f), 0x3f81);
  CHECK_EQ(float_to_bf16(3.4e38f), 0x7f80);
  for (uint32_t bits = 0; bits < 0x7f80; bits++) CHECK_EQ(float_to_bf16(bf16_to_float(static_cast<uint16_t>(bits))), bits);
}

TEST(infinities_and_nans_stay_what_they_are) {
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK_EQ(half_to_float(0x7c00), infinity);
  CHECK_EQ(half_to_float(0xfc00), -infinity);
  CHECK(std::isnan(half_to_float(0x7e01)));
  CHECK(std::isnan(half_to_float(float_to_half(std::nanf("")))));
  CHECK(std::isnan(bf16_to_float(float_to_bf16(std::nanf("")))));
  uint32_t low_nan = 0x7f800001;  // all of its significand is in the half that falls off
  float value;
  std::memcpy(&value, &low_nan, sizeof value);
  CHECK(std::isnan(bf16_to_float(float_to_bf16(value))));
  CHECK_EQ(bf16_to_float(float_to_bf16(infinity)), infinity);
}

TEST_MAIN()
