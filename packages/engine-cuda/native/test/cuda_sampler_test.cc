// The sampler of the device draws the tokens that sampling/sampler.cc draws, from the same logits with the same options.
#include <limits>
#include <set>
#include <unordered_map>

#include "check.h"
#include "cuda_kernels.h"
#include "src/sampling/sampler.h"

namespace chasqui::cuda {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// What one row is sampled with, in the form of either side.
struct RowCase {
  SamplingParams params;
  std::unordered_map<int32_t, int32_t> output, prompt;
  std::vector<int32_t> banned;
  bool has_mask = false;
  uint64_t position = 0;
  bool logprob = false;
  std::vector<float> logits;
};

RowCase random_case(QuickRandom* random, int32_t vocab, int32_t index) {
  RowCase c;
  SamplingParams& params = c.params;
  params.temperature = index % 5 == 0 ? 0.0f : 0.3f + 0.2f * static_cast<float>(random->below(8));
  if (random->below(3) == 0) params.top_k = 1 + random->below(60);
  if (random->below(2) == 0) params.top_p = 0.2f + 0.1f * static_cast<float>(random->below(8));
  if (random->below(3) == 0) params.min_p = 0.05f * static_cast<float>(1 + random->below(5));
  if (random->below(3) == 0) params.repetition_penalty = 1.3f;
  if (random->below(3) == 0) params.frequency_penalty = 0.37f;
  if (random->below(3) == 0) params.presence_penalty = -0.21f;
  params.seed = random->next();
  c.position = random->next() >> 20;
  c.logprob = random->below(2) == 0;
  for (int i = random->below(6); i > 0; i--) params.logit_bias.emplace_back(random->below(vocab), 5.0f * random->symmetric());
  if (index % 17 == 3) params.logit_bias.emplace_back(params.logit_bias.empty() ? 5 : params.logit_bias[0].first, 1.25f);
  if (index % 19 == 4) params.logit_bias.emplace_back(random->below(vocab), kInfinity);
  for (int i = random->below(40); i > 0; i--) c.output[random->below(vocab)] += 1 + random->below(3);
  for (int i = random->below(40); i > 0; i--) c.prompt[random->below(vocab)]++;
  for (int i = random->below(4); i > 0; i--) c.banned.push_back(random->below(vocab));
  c.has_mask = random->below(3) == 0;
  // Spread wide, narrow, in steps (ties), and all alike.
  const int32_t form = random->below(5);
  for (int32_t i = 0; i < vocab; i++) {
    const float value = random->symmetric() + random->symmetric() + random->symmetric();
    c.logits.push_back(form == 0 ? 8.0f * value : form == 1 ? 2.0f * value : form == 2 ? std::nearbyint(3.0f * value) : form == 3 ? 1.5f : 40.0f * value);
  }
  if (index % 7 == 1) c.logits[static_cast<size_t>(random->below(vocab))] = std::nanf("");
  if (index % 11 == 1) c.logits[static_cast<size_t>(random->below(vocab))] = -kInfinity;
  return c;
}

struct Batch {
  std::vector<SampleRow> rows;
  std::vector<TokenAmount> lists;
  std::vector<int32_t> banned;
  std::vector<uint32_t> masks;
  std::vector<float> logits;

  void add(const RowCase& c, const TokenMask& mask, int32_t words) {
    SampleRow row;
    row.temperature = c.params.temperature;
    row.top_k = c.params.top_k;
    row.top_p = c.params.top_p;
    row.min_p = c.params.min_p;
    row.repetition_penalty = c.params.repetition_penalty;
    row.frequency_penalty = c.params.frequency_penalty;
    row.presence_penalty = c.params.presence_penalty;
    row.seed = c.params.seed;
    row.position = c.position;
    row.with_logprob = c.logprob ? 1 : 0;
    row.first_bias = static_cast<int32_t>(lists.size());
    row.n_biases = static_cast<int32_t>(c.params.logit_bias.size());
    for (const auto& [token, bias] : c.params.logit_bias) lists.push_back({token, bias});
    row.first_occurrence = static_cast<int32_t>(lists.size());
    for (const auto& [token, count] : c.output) lists.push_back({token, static_cast<float>(count)});
    for (const auto& [token, count] : c.prompt) {
      if (!c.output.contains(token)) lists.push_back({token, 0.0f});
    }
    row.n_occurrences = static_cast<int32_t>(lists.size()) - row.first_occurrence;
    row.first_banned = static_cast<int32_t>(banned.size());
    row.n_banned = static_cast<int32_t>(c.banned.size());
    banned.insert(banned.end(), c.banned.begin(), c.banned.end());
    if (c.has_mask) {
      row.mask = static_cast<int32_t>(masks.size()) / words;
      masks.insert(masks.end(), mask.words().begin(), mask.words().end());
    }
    rows.push_back(row);
    logits.insert(logits.end(), c.logits.begin(), c.logits.end());
  }
};

void check_rows(int32_t vocab, int32_t n_rows, uint64_t seed) {
  QuickRandom random(seed);
  const int32_t words = (vocab + 31) / 32;
  std::vector<RowCase> cases;
  std::vector<TokenMask> masks;
  Batch batch;
  for (int32_t i = 0; i < n_rows; i++) {
    cases.push_back(random_case(&random, vocab, i));
    masks.emplace_back(vocab);
    for (int32_t token = 0; token < vocab; token++) {
      if (i % 13 != 5 && random.below(i % 3 == 0 ? 2 : 40) == 0) masks.back().permit(token);
    }
    batch.add(cases.back(), masks.back(), words);
  }
  TestDevice device;
  Target target;
  target.stream = &device.runtime().stream();
  SampleStep step;
  step.rows = device.put(batch.rows);
  step.lists = device.put(batch.lists);
  step.originals = device.room<float>(static_cast<int64_t>(batch.lists.size()));
  step.banned = device.put(batch.banned);
  batch.masks.resize(batch.masks.size() + static_cast<size_t>(words));
  step.masks = device.put(batch.masks);
  step.mask_words = words;
  step.live = device.put_one(n_rows - 1);
  auto* sampled = device.put(std::vector<Sampled>(static_cast<size_t>(n_rows), Sampled{-7, 0.0f, 0.0}));
  sample(target, vocab, step, n_rows, device.put(batch.logits), sampled);
  const std::vector<Sampled> got = device.get(sampled, n_rows);
  CHECK_EQ(got[static_cast<size_t>(n_rows) - 1].token, -7);
  Sampler sampler(vocab);
  for (int32_t i = 0; i + 1 < n_rows; i++) {
    RowCase& c = cases[static_cast<size_t>(i)];
    SamplingContext context;
    context.params = &c.params;
    context.output_counts = &c.output;
    context.prompt_counts = &c.prompt;
    context.banned = &c.banned;
    context.mask = c.has_mask ? &masks[static_cast<size_t>(i)] : nullptr;
    context.position = c.position;
    context.top_logprobs = c.logprob ? 0 : -1;
    const SampledToken expected = sampler.sample(c.logits.data(), context);
    CHECK_EQ(got[static_cast<size_t>(i)].token, expected.token);
    if (c.logprob && std::isfinite(expected.logprob)) CHECK_NEAR(got[static_cast<size_t>(i)].logprob, expected.logprob, 1e-5);
  }
}

TEST(draws_the_tokens_of_the_cpu) {
  each_schedule(is_slow(), [] { check_rows(1003, 60, 5); });
  check_rows(16384, 12, 6);
  if (!is_slow()) return;
  check_rows(128256, 60, 7);
  check_rows(3, 60, 8);
  check_rows(5000, 600, 9);
}

TEST(many_draws_cover_what_they_may) {
  // Two tokens that are equally likely: over many seeds both come, and the one that top-p cuts off never.
  constexpr int32_t kRows = 64, kVocab = 70;
  Batch batch;
  const TokenMask mask(kVocab);
  for (int32_t i = 0; i < kRows; i++) {
    RowCase c;
    c.params.temperature = 1.0f;
    c.params.top_p = 0.9f;
    c.params.seed = static_cast<uint64_t>(i) * 7919;
    c.logits.assign(kVocab, -20.0f);
    c.logits[9] = c.logits[60] = 2.0f;
    c.logits[30] = -1.0f;
    batch.add(c, mask, 3);
  }
  TestDevice device;
  Target target;
  target.stream = &device.runtime().stream();
  SampleStep step;
  step.rows = device.put(batch.rows);
  step.mask_words = 3;
  step.live = device.put_one(kRows);
  auto* sampled = device.room<Sampled>(kRows);
  sample(target, kVocab, step, kRows, device.put(batch.logits), sampled);
  std::set<int32_t> seen;
  for (const Sampled& one : device.get(sampled, kRows)) seen.insert(one.token);
  CHECK_EQ(seen.size(), 2u);
  CHECK(seen.contains(9) && seen.contains(60));
}

}  // namespace
}  // namespace chasqui::cuda

TEST_MAIN()
