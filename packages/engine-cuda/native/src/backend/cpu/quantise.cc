#include "quantise.h"

#include <algorithm>
#include <cmath>

#include "../../model/precision.h"

namespace chasqui::cpu {

void quantise_group(const float* w, int32_t n, int32_t bits, int8_t* q, float* scale) {
  const int32_t lowest = -(1 << (bits - 1));
  float largest = 0.0f;
  for (int32_t i = 0; i < n; i++) {
    if (std::fabs(w[i]) > std::fabs(largest)) largest = w[i];
  }
  *scale = bf16_to_float(float_to_bf16(largest / static_cast<float>(lowest)));
  const float inverse = *scale == 0.0f || !std::isfinite(*scale) ? 0.0f : 1.0f / *scale;
  for (int32_t i = 0; i < n; i++) {
    const float nearest = std::nearbyint(w[i] * inverse);
    // Written so that a NaN becomes the lowest integer rather than an undefined conversion.
    const float bounded = nearest >= static_cast<float>(lowest) ? std::min(nearest, static_cast<float>(-lowest - 1))
                                                                : static_cast<float>(lowest);
    q[i] = static_cast<int8_t>(bounded);
  }
}

}  // namespace chasqui::cpu
