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

// Keeps the fewest candidates, most likely first, whose amounts add up to at least `target`, which is at most their sum.
template <typename Amount>
void keep_until(uint64_t target, Amount amount, std::vector<Candidate>* candidates) {
  uint32_t prefix = 0;       // the digits of the boundary's key found so far
  uint32_t prefix_mask = 0;  // which bits they cover
  uint64_t above = 0;        // amount of all candidates with a greater key
  for (const Digit digit : kDigits) {
    std::array<uint64_t, 2048> sums{};
    for (const Candidate& candidate : *candidates) {
      const uint32_t key = ordered(candidate.logit);
      if ((key & prefix_mask) == prefix) sums[key >> digit.shift & (digit.bins - 1)] += amount(candidate);
    }
    uint32_t bin = digit.bins - 1;
    while (bin > 0 && above + sums[bin] < target) above += sums[bin--];
    prefix |= bin << digit.shift;
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
  keep_until(static_cast<uint64_t>(k), [](const Candidate&) { return uint64_t{1}; }, candidates);
}

void keep_weight(uint64_t target, std::vector<Candidate>* candidates) {
  keep_until(target, [](const Candidate& candidate) { return candidate.weight; }, candidates);
}

}  // namespace chasqui
