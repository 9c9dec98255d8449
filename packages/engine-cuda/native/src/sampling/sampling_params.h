// How the tokens of one request are drawn: plain values, already checked by check_sampling.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "../status.h"

namespace chasqui {

struct SamplingParams {
  float temperature = 0.0f;         // 0: the most likely token, the lowest id among equals
  int32_t top_k = 0;                // keep the k most likely; 0 keeps all
  float top_p = 1.0f;               // keep the fewest most likely tokens whose probabilities reach this
  float min_p = 0.0f;               // keep tokens at least this fraction as likely as the likeliest
  float repetition_penalty = 1.0f;  // logits of tokens of prompt and output: divided if positive, multiplied if not
  float frequency_penalty = 0.0f;   // subtracted per occurrence in the output
  float presence_penalty = 0.0f;    // subtracted once if in the output
  std::vector<std::pair<int32_t, float>> logit_bias;  // no token twice
  uint64_t seed = 0;

  // Whether it matters which tokens the output has and how often.
  bool counts_output() const { return repetition_penalty != 1.0f || frequency_penalty != 0.0f || presence_penalty != 0.0f; }
};

// Names the first value that is out of range.
Status check_sampling(const SamplingParams& params, int32_t vocab);

}  // namespace chasqui
