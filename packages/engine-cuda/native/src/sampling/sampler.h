// From one row of logits to one token: penalties, masks, temperature, top-k, top-p, min-p, and a draw that depends on seed
// and position only. Knows nothing of sequences or batches; a GPU's sampler has to give the same tokens.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sampling_params.h"
#include "select.h"
#include "token_mask.h"

namespace chasqui {

// What a row is sampled with besides its logits.
struct SamplingContext {
  const SamplingParams* params = nullptr;
  const std::unordered_map<int32_t, int32_t>* output_counts = nullptr;  // token to occurrences in the output
  const std::unordered_map<int32_t, int32_t>* prompt_counts = nullptr;  // only read for the repetition penalty
  const std::vector<int32_t>* banned = nullptr;                         // special tokens that may not be sampled
  const TokenMask* mask = nullptr;                                      // of a constraint; null permits all
  uint64_t position = 0;  // of the token to be drawn, in the sequence
  int32_t top_logprobs = -1;  // -1: none; n: the drawn token's log-probability and the n most likely tokens
};

struct SampledToken {
  int32_t token = -1;     // -1: no token is permitted, or all logits are NaN
  float logprob = 0.0f;   // natural, under the model's own logits (before penalties, masks and temperature)
  std::vector<std::pair<int32_t, float>> top;  // likeliest first
};

class Sampler {
 public:
  explicit Sampler(int32_t vocab) : vocab_(vocab) {}

  // `logits`: (vocab); overwritten.
  SampledToken sample(float* logits, const SamplingContext& context);

 private:
  int32_t greedy(const float* logits, const SamplingContext& context) const;
  int32_t draw(const float* logits, const SamplingContext& context);

  int32_t vocab_;
  std::vector<Candidate> candidates_;  // kept between calls for its memory
};

// log(sum(exp(logits))), in double precision.
double log_sum_exp(const float* logits, int32_t vocab);

}  // namespace chasqui
