// From one row of logits to one token: penalties, masks, temperature, top-k, top-p, min-p, and a draw that depends on seed
// and position only. Knows nothing of sequences or batches. All sums are of integers (row.h), so the same logits give the
// same token on every processor, and a GPU's sampler can give it too.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "row.h"
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

// log2(e) / temperature, finite.
float rate_of(double temperature);
// Down to where candidates for min-p are looked for, as an exponent of two: a little further than it allows, the weights decide.
float min_p_exponent(float min_p);

class Sampler {
 public:
  explicit Sampler(int32_t vocab, const RowKernels* kernels = best_row_kernels());

  // `logits`: (vocab); overwritten.
  SampledToken sample(float* logits, const SamplingContext& context);
  // log(sum(exp(logits))); minus or plus infinity where that is the highest logit.
  double log_sum_exp(const float* logits);

 private:
  int32_t choose(float* logits, const SamplingContext& context);
  int32_t first_of_highest(const float* logits, float highest) const;
  void gather_likeliest(const float* logits, RowScale scale, int32_t n);
  void gather_weight(const float* logits, RowScale scale, uint64_t wanted);
  uint64_t gather_down_to(const float* logits, RowScale scale, float exponent);
  uint64_t gather(const float* logits, RowScale scale, float least);
  float bound_of_likeliest(int32_t n);
  int32_t draw(const float* logits, RowScale scale, const SamplingContext& context);
  int32_t draw_from_all(const float* logits, RowScale scale, uint64_t total, uint64_t bits) const;
  std::vector<std::pair<int32_t, float>> most_likely(const float* logits, int32_t n, double log_total);

  int32_t vocab_;
  const RowKernels* kernels_;
  // Kept between calls for their memory.
  std::vector<float> block_highest_;   // (blocks of the row)
  std::vector<float> ranked_;          // the same, in part by size
  std::vector<uint64_t> block_sums_;   // (blocks of the row)
  std::vector<int32_t> ids_;           // (vocab)
  std::vector<float> gathered_;        // (vocab) their logits
  std::vector<uint64_t> weights_;      // (vocab) and weights
  std::vector<Candidate> candidates_;
  std::vector<std::pair<int32_t, float>> changed_;  // tokens and their logits before penalties
};

}  // namespace chasqui
