// Finds where the most likely tokens end, for top-k and top-p, without sorting: a descent over the bits of the ordered
// logits, 11 + 11 + 10, that looks at each candidate at most three times whatever the distribution.
#pragma once

#include <cstdint>
#include <vector>

namespace chasqui {

struct Candidate {
  int32_t token = 0;
  float logit = 0.0f;   // after penalties, before temperature
  uint64_t weight = 0;  // see row.h: the probability but for its scale
};

// Both keep their candidates in order of id; among equal logits lower ids count as more likely.
void keep_top_k(int32_t k, std::vector<Candidate>* candidates);
// The fewest, most likely first, whose weights add up to at least `target`, which is at most the sum of all.
void keep_weight(uint64_t target, std::vector<Candidate>* candidates);

}  // namespace chasqui
