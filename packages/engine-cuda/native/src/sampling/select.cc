// See select.h.
#include "select.h"

#include <algorithm>
#include <array>
#include <bit>

namespace chasqui {
namespace {

// Maps a float to an unsigned integer of the same order. The two zeros count as one.
uint32_t ordered(float value) {
  const auto bits = std::bit_cast<uint32_t>(value == 0.0f ? 0.0f : value);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

struct Digit {
  int shift;
  uint32_t bins;
};
constexpr std::array<Digit, 3> kDigits{{{21, 2048}, {10, 2048}, {0, 1024}}};

// Keeps the fewest candidates, most likely first, whose amounts add up to at least `target`.
template <typename Amount>
void keep_until(double target, Amount amount, std::vector<Candidate>* candidates) {
  uint32_t prefix = 0;       // the digits of the boundary's key found so far
  uint32_t prefix_mask = 0;  // which bits they cover
  double above = 0.0;        // amount of all candidates with a greater key
  for (const Digit digit : kDigits) {
    std::array<double, 2048> sums{};
    std::array<bool, 2048> present{};
    for (const Candidate& candidate : *candidates) {
      const uint32_t key = ordered(candidate.logit);
      if ((key & prefix_mask) != prefix) continue;
      const uint32_t bin = key >> digit.shift & (digit.bins - 1);
      sums[bin] += amount(candidate);
      present[bin] = true;
    }
    uint32_t lowest = digit.bins;  // present bin to fall back on when rounding keeps the sum below the target
    uint32_t chosen = digit.bins;
    for (uint32_t bin = digit.bins; bin-- > 0;) {
      if (!present[bin]) continue;
      lowest = bin;
      if (above + sums[bin] >= target) {
        chosen = bin;
        break;
      }
      above += sums[bin];
    }
    if (chosen == digit.bins) {
      if (lowest == digit.bins) return;
      chosen = lowest;
      above -= sums[lowest];
    }
    prefix |= chosen << digit.shift;
    prefix_mask |= (digit.bins - 1) << digit.shift;
  }
  // `prefix` is now the key of the last kept logit; of those equal to it, the lowest ids are kept until the target.
  size_t kept = 0;
  for (const Candidate& candidate : *candidates) {
    const uint32_t key = ordered(candidate.logit);
    if (key < prefix) continue;
    if (key == prefix) {
      if (above >= target) continue;
      above += amount(candidate);
    }
    (*candidates)[kept++] = candidate;
  }
  candidates->resize(kept);
}

}  // namespace

void keep_top_k(int32_t k, std::vector<Candidate>* candidates) {
  if (k <= 0 || static_cast<size_t>(k) >= candidates->size()) return;
  keep_until(k, [](const Candidate&) { return 1.0; }, candidates);
}

void keep_top_p(double p, std::vector<Candidate>* candidates) {
  if (p >= 1.0) return;
  double total = 0.0;
  for (const Candidate& candidate : *candidates) total += candidate.weight;
  keep_until(p * total, [](const Candidate& candidate) { return candidate.weight; }, candidates);
}

}  // namespace chasqui
