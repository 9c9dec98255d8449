// Weights as small integers with a scale for each group: w = scale * q. What goes in are floats of one output along k,
// what comes out are integers and a scale that bf16 holds exactly.
#pragma once

#include <cstdint>

namespace chasqui::cpu {

struct QuantScheme {
  int32_t bits;   // 8 or 4
  int32_t group;  // weights of one output that share a scale
};

constexpr QuantScheme kInt8Scheme{8, 128};  // 8.125 bits a weight
constexpr QuantScheme kInt4Scheme{4, 64};   // 4.25 bits a weight

// q[i] in [-2^(bits-1), 2^(bits-1) - 1], the nearest to w[i] / *scale; n <= group. The weight of the largest magnitude
// becomes the lowest integer, of which there is one more than of positive ones, so the scale may be negative.
void quantise_group(const float* w, int32_t n, int32_t bits, int8_t* q, float* scale);

}  // namespace chasqui::cpu
