// See sampler.h. Order of the steps: bias, repetition, frequency and presence penalties, special tokens, mask,
// temperature, top-k, top-p (over what top-k left), min-p.
#include "sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "philox.h"

namespace chasqui {
namespace {

constexpr float kImpossible = -std::numeric_limits<float>::infinity();
constexpr double kNegligible = -60.0;  // exp(-60) of 2^17 tokens is below the rounding of a double sum

bool in_vocab(int32_t token, int32_t vocab) { return token >= 0 && token < vocab; }

void apply_penalties(float* logits, int32_t vocab, const SamplingContext& context) {
  const SamplingParams& params = *context.params;
  for (const auto& [token, bias] : params.logit_bias) {
    if (in_vocab(token, vocab)) logits[token] += bias;
  }
  if (params.repetition_penalty != 1.0f) {
    const auto penalise = [&](int32_t token) {
      if (!in_vocab(token, vocab)) return;
      float& logit = logits[token];
      logit = logit > 0.0f ? logit / params.repetition_penalty : logit * params.repetition_penalty;
    };
    for (const auto& [token, count] : *context.prompt_counts) penalise(token);
    for (const auto& [token, count] : *context.output_counts) {
      if (!context.prompt_counts->contains(token)) penalise(token);
    }
  }
  if (params.frequency_penalty != 0.0f || params.presence_penalty != 0.0f) {
    for (const auto& [token, count] : *context.output_counts) {
      if (in_vocab(token, vocab)) {
        logits[token] -= params.frequency_penalty * static_cast<float>(count) + params.presence_penalty;
      }
    }
  }
  if (context.banned != nullptr) {
    for (const int32_t token : *context.banned) {
      if (in_vocab(token, vocab)) logits[token] = kImpossible;
    }
  }
}

// Calls visit(token, logit) for each permitted token in order of id; NaN and minus infinity are never permitted.
template <typename Visit>
void for_permitted(const float* logits, int32_t vocab, const TokenMask* mask, Visit visit) {
  if (mask == nullptr) {
    for (int32_t token = 0; token < vocab; ++token) {
      if (logits[token] > kImpossible) visit(token, logits[token]);
    }
    return;
  }
  const std::vector<uint32_t>& words = mask->words();
  for (size_t i = 0; i < words.size(); ++i) {
    for (uint32_t word = words[i]; word != 0; word &= word - 1) {
      const int32_t token = static_cast<int32_t>(i * 32) + std::countr_zero(word);
      if (token < vocab && logits[token] > kImpossible) visit(token, logits[token]);
    }
  }
}

std::vector<std::pair<int32_t, float>> most_likely(const float* logits, int32_t vocab, int32_t n, double log_total) {
  std::vector<std::pair<int32_t, float>> best;  // logit descending, id ascending
  for (int32_t token = 0; token < vocab && n > 0; ++token) {
    const float logit = logits[token];
    if (std::isnan(logit)) continue;
    if (best.size() == static_cast<size_t>(n) && logit <= best.back().second) continue;
    const auto at = std::upper_bound(best.begin(), best.end(), logit, [](float value, const auto& entry) { return value > entry.second; });
    best.insert(at, {token, logit});
    if (best.size() > static_cast<size_t>(n)) best.pop_back();
  }
  for (auto& [token, logit] : best) logit = static_cast<float>(static_cast<double>(logit) - log_total);
  return best;
}

}  // namespace

SampledToken Sampler::sample(float* logits, const SamplingContext& context) {
  SampledToken sampled;
  if (context.top_logprobs < 0) {
    apply_penalties(logits, vocab_, context);
    sampled.token = context.params->temperature == 0.0f ? greedy(logits, context) : draw(logits, context);
    return sampled;
  }
  const double log_total = log_sum_exp(logits, vocab_);
  sampled.top = most_likely(logits, vocab_, context.top_logprobs, log_total);
  const std::vector<float> own(logits, logits + vocab_);
  apply_penalties(logits, vocab_, context);
  sampled.token = context.params->temperature == 0.0f ? greedy(logits, context) : draw(logits, context);
  if (sampled.token >= 0) {
    sampled.logprob = static_cast<float>(static_cast<double>(own[static_cast<size_t>(sampled.token)]) - log_total);
  }
  return sampled;
}

int32_t Sampler::greedy(const float* logits, const SamplingContext& context) const {
  int32_t best = -1;
  float highest = kImpossible;
  for_permitted(logits, vocab_, context.mask, [&](int32_t token, float logit) {
    if (logit > highest) {
      highest = logit;
      best = token;
    }
  });
  return best;
}

int32_t Sampler::draw(const float* logits, const SamplingContext& context) {
  const SamplingParams& params = *context.params;
  const double temperature = params.temperature;
  float highest = kImpossible;
  for_permitted(logits, vocab_, context.mask, [&](int32_t, float logit) { highest = std::max(highest, logit); });
  if (highest == kImpossible) return -1;
  if (std::isinf(highest)) return greedy(logits, context);  // a logit bias of plus infinity

  const double least = std::max(kNegligible, params.min_p > 0.0f ? std::log(static_cast<double>(params.min_p)) : kNegligible);
  candidates_.clear();
  for_permitted(logits, vocab_, context.mask, [&](int32_t token, float logit) {
    const double exponent = (static_cast<double>(logit) - static_cast<double>(highest)) / temperature;
    if (exponent >= kNegligible) candidates_.push_back({token, logit, std::exp(exponent)});
  });
  keep_top_k(params.top_k, &candidates_);
  keep_top_p(params.top_p, &candidates_);
  if (params.min_p > 0.0f) {
    std::erase_if(candidates_, [&](const Candidate& candidate) {
      return (static_cast<double>(candidate.logit) - static_cast<double>(highest)) / temperature < least;
    });
  }

  double total = 0.0;
  for (const Candidate& candidate : candidates_) total += candidate.weight;
  double left = uniform_at(params.seed, context.position) * total;
  for (const Candidate& candidate : candidates_) {
    left -= candidate.weight;
    if (left < 0.0) return candidate.token;
  }
  return candidates_.back().token;  // rounding of the sum
}

double log_sum_exp(const float* logits, int32_t vocab) {
  float highest = kImpossible;
  for (int32_t token = 0; token < vocab; ++token) highest = std::max(highest, logits[token]);
  if (std::isinf(highest)) return static_cast<double>(highest);
  double total = 0.0;
  for (int32_t token = 0; token < vocab; ++token) {
    const double exponent = static_cast<double>(logits[token]) - static_cast<double>(highest);
    if (exponent >= kNegligible) total += std::exp(exponent);
  }
  return static_cast<double>(highest) + std::log(total);
}

Status check_sampling(const SamplingParams& params, int32_t vocab) {
  const auto bad = [](const std::string& name, double value, const char* range) {
    return failure(Reason::kBadRequest, "Sampling option " + name + " is " + std::to_string(value) + ".",
                   std::string("Use ") + range + ".");
  };
  if (!(params.temperature >= 0.0f) || std::isinf(params.temperature)) return bad("temperature", params.temperature, "a finite number >= 0");
  if (params.top_k < 0) return bad("topK", params.top_k, "an integer >= 0");
  if (!(params.top_p > 0.0f && params.top_p <= 1.0f)) return bad("topP", params.top_p, "a number in (0, 1]");
  if (!(params.min_p >= 0.0f && params.min_p < 1.0f)) return bad("minP", params.min_p, "a number in [0, 1)");
  if (!(params.repetition_penalty > 0.0f) || std::isinf(params.repetition_penalty)) {
    return bad("repetitionPenalty", params.repetition_penalty, "a finite number > 0");
  }
  if (!std::isfinite(params.frequency_penalty)) return bad("frequencyPenalty", params.frequency_penalty, "a finite number");
  if (!std::isfinite(params.presence_penalty)) return bad("presencePenalty", params.presence_penalty, "a finite number");
  for (const auto& [token, bias] : params.logit_bias) {
    if (!in_vocab(token, vocab)) return bad("logitBias: token id", token, "ids of this model's tokenizer");
    if (std::isnan(bias)) return bad("logitBias: value", static_cast<double>(bias), "a number");
  }
  return {};
}

}  // namespace chasqui
