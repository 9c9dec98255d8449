// Philox 4x32-10, a counter-based random generator: the draw is a function of key and counter alone, so a token's draw
// depends on the request's seed and the token's position, not on the batch or on what was drawn before.
// Source: J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once

#include <array>
#include <cstdint>

namespace chasqui {

using PhiloxBlock = std::array<uint32_t, 4>;

constexpr PhiloxBlock philox(PhiloxBlock counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key0, static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key1, static_cast<uint32_t>(product0)};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return counter;
}

// 53 random bits.
constexpr uint64_t bits_at(uint64_t seed, uint64_t position) {
  const PhiloxBlock block = philox({static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32), 0, 0},
                                   static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
  return (uint64_t{block[0]} << 32 | block[1]) >> 11;
}

// The same as a number in [0, 1).
constexpr double uniform_at(uint64_t seed, uint64_t position) { return static_cast<double>(bits_at(seed, position)) * 0x1.0p-53; }

}  // namespace chasqui
