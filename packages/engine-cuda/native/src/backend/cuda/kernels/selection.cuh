// The arithmetic that the sampler of the device has in common with sampling/: an order of logits, rounding without
// contraction, and the random number of a position.
#pragma once

#include "portable.h"

namespace chasqui::cuda {

// Keeps tokens whose key is greater, and of those with this key the ones up to an id.
struct Kept {
  uint32_t key = 0;
  int32_t last_id = 0x7fffffff;

  DEVICE bool has(uint32_t other, int32_t id) const { return other > key || (other == key && id <= last_id); }
};

// A float as an unsigned integer of the same order; the two zeros are one.
DEVICE uint32_t ordered(float value) {
  const uint32_t bits = bits_as<uint32_t>(value == 0.0f ? 0.0f : value);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
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

DEVICE uint32_t high_half(uint32_t a, uint32_t b) { return static_cast<uint32_t>(static_cast<uint64_t>(a) * b >> 32); }

// In [0, 1), 53 bits: sampling/philox.h.
DEVICE double uniform_of(uint64_t seed, uint64_t position) {
  uint32_t c[4] = {static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32), 0, 0};
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; round++) {
    const uint32_t high0 = high_half(0xD2511F53u, c[0]), low0 = 0xD2511F53u * c[0];
    const uint32_t high1 = high_half(0xCD9E8D57u, c[2]), low1 = 0xCD9E8D57u * c[2];
    c[0] = high1 ^ c[1] ^ k0, c[1] = low1, c[2] = high0 ^ c[3] ^ k1, c[3] = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return static_cast<double>((static_cast<uint64_t>(c[0]) << 32 | c[1]) >> 11) * 0x1p-53;
}

}  // namespace chasqui::cuda
