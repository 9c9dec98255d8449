// The arithmetic that the sampler of the device has in common with sampling/: an order of tokens, weights that are integers,
// and the random bits of a position. The same operations in the same order as row_body.h, each rounded by itself.
#pragma once

#include "portable.h"

namespace chasqui::cuda {

constexpr int kUnitBits = 41;           // of a weight, as sampling/row.h
constexpr float kLeastExponent = -41.0f;
constexpr int kIdBits = 18;             // of a code; a vocabulary has fewer than 2^18 tokens
constexpr int kCodeBits = 32 + kIdBits;

// A float as an unsigned integer of the same order; the two zeros are one.
DEVICE uint32_t ordered(float value) {
  const uint32_t bits = bits_as<uint32_t>(value == 0.0f ? 0.0f : value);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// A token's place in the order of likelihood: greater for a higher logit and, of equals, for a lower id. Never 0, which is
// for tokens that do not count: NaN and minus infinity.
DEVICE uint64_t code_of(float logit, int32_t id) {
  constexpr uint32_t kMostId = (1u << kIdBits) - 1;
  return logit > -INFINITY ? static_cast<uint64_t>(ordered(logit)) << kIdBits | (kMostId - static_cast<uint32_t>(id)) : 0;
}
DEVICE float logit_of(uint64_t code) {
  const auto key = static_cast<uint32_t>(code >> kIdBits);
  return bits_as<float>((key & 0x80000000u) != 0 ? key & 0x7fffffffu : ~key);
}
DEVICE int32_t id_of(uint64_t code) {
  constexpr uint32_t kMostId = (1u << kIdBits) - 1;
  return static_cast<int32_t>(kMostId - (static_cast<uint32_t>(code) & kMostId));
}

// Without contraction: these have to round as the CPU rounds.
DEVICE float plus(float a, float b) {
#ifdef __CUDACC__
  return __fadd_rn(a, b);
#else
  return a + b;
#endif
}
DEVICE float product(float a, float b) {
#ifdef __CUDACC__
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}

// 2^41 * 2^((logit - highest) * rate), cut to an integer.
DEVICE uint64_t weight_of(float logit, float highest, float rate) {
  const float x = product(plus(logit, -highest), rate);
  if (!(x >= kLeastExponent)) return 0;
  const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const float z = plus(x, magic);
  const float f = plus(x, -plus(z, -magic));
  const uint32_t shift = bits_as<uint32_t>(magic) - bits_as<uint32_t>(z);
  float p = 0.001326472731307149f;
  p = plus(product(p, f), 0.009671512991189957f);
  p = plus(product(p, f), 0.05550733581185341f);
  p = plus(product(p, f), 0.24022242426872253f);
  p = plus(product(p, f), 0.6931470036506653f);
  p = plus(product(p, f), 1.0f);
  return static_cast<uint64_t>(static_cast<uint32_t>(static_cast<int32_t>(product(p, 16777216.0f)))) << (kUnitBits - 24) >> shift;
}

// The logit with this exponent, as sampling/sampler.cc takes it.
DEVICE float bound_at(float exponent, float highest, float rate) {
  const float bound = plus(highest, (exponent > kLeastExponent ? exponent : kLeastExponent) / rate);
  return bound > -3.4028234663852886e38f ? bound : -3.4028234663852886e38f;
}

DEVICE uint32_t high_half(uint32_t a, uint32_t b) { return static_cast<uint32_t>(static_cast<uint64_t>(a) * b >> 32); }

// 53 random bits: sampling/philox.h.
DEVICE uint64_t bits_of(uint64_t seed, uint64_t position) {
  uint32_t c[4] = {static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32), 0, 0};
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; round++) {
    const uint32_t high0 = high_half(0xD2511F53u, c[0]), low0 = 0xD2511F53u * c[0];
    const uint32_t high1 = high_half(0xCD9E8D57u, c[2]), low1 = 0xCD9E8D57u * c[2];
    c[0] = high1 ^ c[1] ^ k0, c[1] = low1, c[2] = high0 ^ c[3] ^ k1, c[3] = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return (static_cast<uint64_t>(c[0]) << 32 | c[1]) >> 11;
}

// floor(bits / 2^53 * total) for 53 bits and a total below 2^63.
DEVICE uint64_t share(uint64_t bits, uint64_t total) {
#ifdef __CUDACC__
  return __umul64hi(bits << 11, total);
#else
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>(Wide{bits << 11} * total >> 64);
#endif
}

}  // namespace chasqui::cuda
