// See sampler.h. Order of the steps: bias, repetition, frequency and presence penalties, special tokens, mask,
// temperature, top-k, top-p (over what top-k left), min-p.
#include "sampler.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "philox.h"

namespace chasqui {
namespace {

constexpr float kImpossible = -std::numeric_limits<float>::infinity();
constexpr double kLog2E = 1.4426950408889634;
constexpr float kGreatestRate = 1e30f;  // of a temperature next to zero
// How far below the highest logit candidates are looked for first, as an exponent of two: enough for nearly every nucleus.
constexpr float kFirstDepth = 10.0f;

bool in_vocab(int32_t token, int32_t vocab) { return token >= 0 && token < vocab; }

// Calls change(token, logit, from) for each logit that bias, penalties or rights touch; `to` is what it becomes.
template <typename Change>
void for_penalised(float* logits, int32_t vocab, const SamplingContext& context, Change change) {
  const SamplingParams& params = *context.params;
  const auto set = [&](int32_t token, float to) { change(token, &logits[token], to); };
  for (const auto& [token, bias] : params.logit_bias) {
    if (in_vocab(token, vocab)) set(token, logits[token] + bias);
  }
  if (params.repetition_penalty != 1.0f) {
    const auto penalise = [&](int32_t token) {
      if (!in_vocab(token, vocab)) return;
      const float logit = logits[token];
      set(token, logit > 0.0f ? logit / params.repetition_penalty : logit * params.repetition_penalty);
    };
    for (const auto& [token, count] : *context.prompt_counts) penalise(token);
    for (const auto& [token, count] : *context.output_counts) {
      if (!context.prompt_counts->contains(token)) penalise(token);
    }
  }
  if (params.frequency_penalty != 0.0f || params.presence_penalty != 0.0f) {
    for (const auto& [token, count] : *context.output_counts) {
      if (!in_vocab(token, vocab)) continue;
      set(token, logits[token] - (params.frequency_penalty * static_cast<float>(count) + params.presence_penalty));
    }
  }
  if (context.banned != nullptr) {
    for (const int32_t token : *context.banned) {
      if (in_vocab(token, vocab)) set(token, kImpossible);
    }
  }
}

RowScale scale_of(float highest, double temperature) { return {highest, rate_of(temperature)}; }

// floor(bits / 2^53 * total)
uint64_t share(uint64_t bits, uint64_t total) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>(Wide{bits} * total >> 53);
}

}  // namespace

float rate_of(double temperature) { return std::min(static_cast<float>(kLog2E / temperature), kGreatestRate); }

float min_p_exponent(float min_p) { return std::log2(min_p) - 0.01f; }

Sampler::Sampler(int32_t vocab, const RowKernels* kernels)
    : vocab_(vocab), kernels_(kernels), block_highest_(static_cast<size_t>((vocab + kRowBlock - 1) / kRowBlock)),
      block_sums_(block_highest_.size()), ids_(static_cast<size_t>(vocab)), gathered_(ids_.size()), weights_(ids_.size()) {}

SampledToken Sampler::sample(float* logits, const SamplingContext& context) {
  SampledToken sampled;
  if (context.top_logprobs < 0) {
    for_penalised(logits, vocab_, context, [](int32_t, float* logit, float to) { *logit = to; });
    sampled.token = choose(logits, context);
    return sampled;
  }
  const double log_total = log_sum_exp(logits);
  sampled.top = most_likely(logits, context.top_logprobs, log_total);
  changed_.clear();
  for_penalised(logits, vocab_, context, [&](int32_t token, float* logit, float to) {
    changed_.emplace_back(token, *logit);
    *logit = to;
  });
  sampled.token = choose(logits, context);
  if (sampled.token >= 0) {
    const auto before = std::find_if(changed_.begin(), changed_.end(), [&](const auto& change) { return change.first == sampled.token; });
    const float own = before == changed_.end() ? logits[sampled.token] : before->second;
    sampled.logprob = static_cast<float>(static_cast<double>(own) - log_total);
  }
  return sampled;
}

int32_t Sampler::choose(float* logits, const SamplingContext& context) {
  if (context.mask != nullptr) kernels_->forbid(logits, vocab_, context.mask->words().data());
  const float highest = kernels_->highest(logits, vocab_, block_highest_.data());
  if (highest == kImpossible) return -1;
  // An infinite logit comes of a bias of plus infinity.
  if (context.params->temperature == 0.0f || std::isinf(highest)) return first_of_highest(logits, highest);
  return draw(logits, scale_of(highest, context.params->temperature), context);
}

int32_t Sampler::first_of_highest(const float* logits, float highest) const {
  const auto block = std::find(block_highest_.begin(), block_highest_.end(), highest) - block_highest_.begin();
  auto token = static_cast<int32_t>(block) * kRowBlock;
  while (logits[token] != highest) ++token;
  return token;
}

int32_t Sampler::draw(const float* logits, RowScale scale, const SamplingContext& context) {
  const SamplingParams& params = *context.params;
  const uint64_t bits = bits_at(params.seed, context.position);
  const bool nucleus = params.top_p < 1.0f;
  const auto target = [&](uint64_t total) {
    const double part = std::ceil(static_cast<double>(params.top_p) * static_cast<double>(total));
    return std::clamp<uint64_t>(static_cast<uint64_t>(part), 1, total);
  };
  const auto total_of_candidates = [&] {
    uint64_t total = 0;
    for (const Candidate& candidate : candidates_) total += candidate.weight;
    return total;
  };
  if (params.top_k > 0) {
    gather_likeliest(logits, scale, params.top_k);
    keep_top_k(params.top_k, &candidates_);
    if (nucleus) keep_weight(target(total_of_candidates()), &candidates_);
  } else if (nucleus || params.min_p == 0.0f) {
    const uint64_t total = kernels_->sum(logits, vocab_, scale, block_highest_.data(), block_sums_.data());
    if (!nucleus) return draw_from_all(logits, scale, total, bits);
    gather_weight(logits, scale, target(total));
    keep_weight(target(total), &candidates_);
  } else {
    gather_down_to(logits, scale, min_p_exponent(params.min_p));
  }
  if (params.min_p > 0.0f) {
    const double least = static_cast<double>(params.min_p) * static_cast<double>(uint64_t{1} << kUnitBits);
    std::erase_if(candidates_, [&](const Candidate& candidate) { return static_cast<double>(candidate.weight) < least; });
  }
  uint64_t left = share(bits, total_of_candidates());
  for (const Candidate& candidate : candidates_) {
    if (left < candidate.weight) return candidate.token;
    left -= candidate.weight;
  }
  return -1;  // not reached: the highest logit is a candidate and has a weight
}

// The n likeliest tokens and as few others as can be had in one pass.
void Sampler::gather_likeliest(const float* logits, RowScale scale, int32_t n) {
  gather(logits, scale, std::max(bound_of_likeliest(n), scale.highest + kLeastExponent / scale.rate));
}

// At least n logits are as high as this: each of the n highest blocks has one.
float Sampler::bound_of_likeliest(int32_t n) {
  if (static_cast<size_t>(n) > block_highest_.size()) return kImpossible;
  ranked_ = block_highest_;
  std::nth_element(ranked_.begin(), ranked_.begin() + (n - 1), ranked_.end(), std::greater<>());
  return ranked_[static_cast<size_t>(n - 1)];
}

// From the highest logit down until the candidates weigh this much.
void Sampler::gather_weight(const float* logits, RowScale scale, uint64_t wanted) {
  float depth = kFirstDepth;
  while (gather_down_to(logits, scale, -depth) < wanted && depth < -kLeastExponent) depth *= 1.5f;
}

uint64_t Sampler::gather_down_to(const float* logits, RowScale scale, float exponent) {
  return gather(logits, scale, scale.highest + std::max(exponent, kLeastExponent) / scale.rate);
}

// All tokens with at least this logit; gives the sum of their weights.
uint64_t Sampler::gather(const float* logits, RowScale scale, float least) {
  const float bound = std::max(least, std::numeric_limits<float>::lowest());
  const int32_t n = kernels_->gather(logits, vocab_, bound, block_highest_.data(), ids_.data());
  for (int32_t i = 0; i < n; ++i) gathered_[static_cast<size_t>(i)] = logits[ids_[static_cast<size_t>(i)]];
  kernels_->weigh(gathered_.data(), n, scale, weights_.data());
  uint64_t total = 0;
  candidates_.resize(static_cast<size_t>(n));
  for (size_t i = 0; i < candidates_.size(); ++i) {
    candidates_[i] = {ids_[i], gathered_[i], weights_[i]};
    total += weights_[i];
  }
  return total;
}

int32_t Sampler::draw_from_all(const float* logits, RowScale scale, uint64_t total, uint64_t bits) const {
  uint64_t left = share(bits, total);
  size_t block = 0;
  while (left >= block_sums_[block]) left -= block_sums_[block++];
  const auto begin = static_cast<int32_t>(block) * kRowBlock;
  uint64_t weights[kRowBlock];
  kernels_->weigh(logits + begin, std::min(kRowBlock, vocab_ - begin), scale, weights);
  int32_t at = 0;
  while (left >= weights[at]) left -= weights[at++];
  return begin + at;
}

double Sampler::log_sum_exp(const float* logits) {
  const float highest = kernels_->highest(logits, vocab_, block_highest_.data());
  if (std::isinf(highest)) return static_cast<double>(highest);
  const uint64_t total = kernels_->sum(logits, vocab_, scale_of(highest, 1.0), block_highest_.data(), block_sums_.data());
  return static_cast<double>(highest) + std::log(std::ldexp(static_cast<double>(total), -kUnitBits));
}

// Likeliest first, the lower id among equals. The highest of each block are known from log_sum_exp.
std::vector<std::pair<int32_t, float>> Sampler::most_likely(const float* logits, int32_t n, double log_total) {
  std::vector<std::pair<int32_t, float>> best;
  if (n == 0 || std::isinf(log_total)) return best;
  const float bound = std::max(bound_of_likeliest(n), std::numeric_limits<float>::lowest());
  const int32_t found = kernels_->gather(logits, vocab_, bound, block_highest_.data(), ids_.data());
  const int32_t kept = std::min(n, found);
  std::partial_sort(ids_.begin(), ids_.begin() + kept, ids_.begin() + found, [&](int32_t a, int32_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
  for (int32_t i = 0; i < kept; ++i) {
    const int32_t token = ids_[static_cast<size_t>(i)];
    best.emplace_back(token, static_cast<float>(static_cast<double>(logits[token]) - log_total));
  }
  return best;
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
  std::vector<int32_t> biased;
  for (const auto& [token, bias] : params.logit_bias) biased.push_back(token);
  std::sort(biased.begin(), biased.end());
  const auto twice = std::adjacent_find(biased.begin(), biased.end());
  if (twice != biased.end()) return bad("logitBias: token id", *twice, "each token at most once");
  return {};
}

}  // namespace chasqui
