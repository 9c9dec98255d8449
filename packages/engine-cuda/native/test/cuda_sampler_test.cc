// The sampler of the device draws the tokens that sampling/sampler.cc draws, from the same logits with the same options, and
// gives the same log-probabilities, all to the bit.
#include <limits>
#include <set>
#include <map>
#include <unordered_map>

#include "check.h"
#include "cuda_kernels.h"
#include "src/backend/cuda/sample_block.h"
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
  int32_t top_logprobs = -1;
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
  if (random->below(2) == 0) c.top_logprobs = random->below(3) == 0 ? 0 : random->below(65);
  std::map<int32_t, float> biases;
  for (int i = random->below(6); i > 0; i--) biases[random->below(vocab)] = 5.0f * random->symmetric();
  if (index % 19 == 4) biases[random->below(vocab)] = kInfinity;
  params.logit_bias.assign(biases.begin(), biases.end());
  for (int i = random->below(40); i > 0; i--) c.output[random->below(vocab)] += 1 + random->below(3);
  for (int i = random->below(40); i > 0; i--) c.prompt[random->below(vocab)]++;
  for (int i = random->below(4); i > 0; i--) c.banned.push_back(random->below(vocab));
  if (index % 3 == 0 && !biases.empty()) c.banned.push_back(biases.begin()->first);
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

// Cases with a mask of their own, and where they are sampled.
struct Rows {
  int32_t vocab;
  std::vector<RowCase> cases;
  std::vector<TokenMask> masks;

  std::vector<SamplingContext> contexts() const {
    std::vector<SamplingContext> made;
    for (size_t i = 0; i < cases.size(); i++) {
      const RowCase& c = cases[i];
      SamplingContext context;
      context.params = &c.params;
      context.output_counts = &c.output;
      context.prompt_counts = &c.prompt;
      context.banned = &c.banned;
      context.mask = c.has_mask ? &masks[i] : nullptr;
      context.position = c.position;
      context.top_logprobs = c.top_logprobs;
      made.push_back(context);
    }
    return made;
  }
  std::vector<float> logits() const {
    std::vector<float> all;
    for (const RowCase& c : cases) all.insert(all.end(), c.logits.begin(), c.logits.end());
    return all;
  }
};

Rows random_rows(int32_t vocab, int32_t n_rows, uint64_t seed) {
  QuickRandom random(seed);
  Rows rows{vocab, {}, {}};
  for (int32_t i = 0; i < n_rows; i++) {
    rows.cases.push_back(random_case(&random, vocab, i));
    rows.masks.emplace_back(vocab);
    for (int32_t token = 0; token < vocab; token++) {
      if (i % 13 != 5 && random.below(i % 3 == 0 ? 2 : 40) == 0) rows.masks.back().permit(token);
    }
  }
  return rows;
}

struct Device {
  TestDevice device;
  Pool pool{device.runtime()};
  SampleBlock block;

  Device(int32_t vocab, int32_t max_rows) { CHECK_OK(block.claim(device.runtime(), pool, vocab, max_rows)); }

  std::vector<SampledToken> draw(const Rows& rows, int32_t launched) {
    const auto count = static_cast<int32_t>(rows.cases.size());
    const std::vector<SamplingContext> contexts = rows.contexts();
    CHECK_OK(block.load(contexts.data(), count));
    Target target;
    target.stream = &device.runtime().stream();
    sample(target, rows.vocab, block.device(), launched, device.put(rows.logits()), block.sampled(), block.top());
    CHECK_OK(device.runtime().launched());
    CHECK_OK(block.fetch(count));
    CHECK_OK(device.runtime().wait());
    std::vector<SampledToken> drawn(rows.cases.size());
    block.take(count, drawn.data());
    return drawn;
  }
};

std::vector<SampledToken> drawn_by_cpu(const Rows& rows) {
  std::vector<SampledToken> drawn;
  Sampler sampler(rows.vocab);
  const std::vector<SamplingContext> contexts = rows.contexts();
  for (size_t i = 0; i < contexts.size(); i++) {
    std::vector<float> logits = rows.cases[i].logits;
    drawn.push_back(sampler.sample(logits.data(), contexts[i]));
  }
  return drawn;
}

bool same_float(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0; }

void expect_same(const std::vector<SampledToken>& got, const std::vector<SampledToken>& want) {
  CHECK_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size() && i < want.size(); i++) {
    CHECK_EQ(got[i].token, want[i].token);
    CHECK(same_float(got[i].logprob, want[i].logprob) || (std::isnan(got[i].logprob) && std::isnan(want[i].logprob)));
    CHECK_EQ(got[i].top.size(), want[i].top.size());
    for (size_t t = 0; t < got[i].top.size() && t < want[i].top.size(); t++) {
      CHECK_EQ(got[i].top[t].first, want[i].top[t].first);
      CHECK(same_float(got[i].top[t].second, want[i].top[t].second));
    }
  }
}

void check_rows(int32_t vocab, int32_t n_rows, uint64_t seed) {
  const Rows rows = random_rows(vocab, n_rows, seed);
  Device on(vocab, n_rows + 1);
  on.device.overwrite(on.block.sampled() + n_rows, std::vector<Sampled>{{-7, 0.0f, 0.0f, 0, 0}});
  expect_same(on.draw(rows, n_rows + 1), drawn_by_cpu(rows));
  CHECK_EQ(on.device.get(on.block.sampled() + n_rows, 1)[0].token, -7);  // a row that is not live
}

TEST(draws_the_tokens_of_the_cpu) {
  each_schedule(is_slow(), [] { check_rows(1003, 60, 5); });
  check_rows(16384, 16, 6);
  check_rows(262143, 3, 10);
  if (!is_slow()) return;
  check_rows(128256, 60, 7);
  check_rows(3, 60, 8);
  check_rows(5000, 600, 9);
}

TEST(many_draws_cover_what_they_may) {
  // Two tokens that are equally likely: over many seeds both come, and the one that top-p cuts off never.
  constexpr int32_t kRows = 64, kVocab = 70;
  Rows rows{kVocab, {}, std::vector<TokenMask>(kRows, TokenMask(kVocab))};
  for (int32_t i = 0; i < kRows; i++) {
    RowCase c;
    c.params.temperature = 1.0f;
    c.params.top_p = 0.9f;
    c.params.seed = static_cast<uint64_t>(i) * 7919;
    c.logits.assign(kVocab, -20.0f);
    c.logits[9] = c.logits[60] = 2.0f;
    c.logits[30] = -1.0f;
    rows.cases.push_back(c);
  }
  Device on(kVocab, kRows);
  std::set<int32_t> seen;
  for (const SampledToken& one : on.draw(rows, kRows)) seen.insert(one.token);
  CHECK_EQ(seen.size(), 2u);
  CHECK(seen.contains(9) && seen.contains(60));
}

TEST(a_mask_is_sent_once_as_long_as_some_row_has_it) {
  constexpr int32_t kRows = 8, kVocab = 1000;
  Rows rows = random_rows(kVocab, kRows, 11);
  Device on(kVocab, kRows);
  for (size_t i = 0; i < kRows; i++) {
    rows.cases[i].has_mask = true;
    rows.masks[i] = rows.masks[i % 2];  // two masks for eight rows
  }
  expect_same(on.draw(rows, kRows), drawn_by_cpu(rows));
  CHECK_EQ(on.block.masks_sent(), 2);
  std::swap(rows.masks[0], rows.masks[1]);  // the same ones for other rows
  expect_same(on.draw(rows, kRows), drawn_by_cpu(rows));
  CHECK_EQ(on.block.masks_sent(), 2);
  rows.masks[3].permit(17);
  rows.masks[3].forbid(18);
  rows.masks[5].permit(kVocab - 1);
  rows.masks[5].forbid(kVocab - 2);
  const Rows before = rows;
  expect_same(on.draw(rows, kRows), drawn_by_cpu(rows));
  const int64_t after_changes = on.block.masks_sent();
  CHECK(after_changes >= 3 && after_changes <= 4);
  // More masks over time than there is room for: old ones go, and come again.
  QuickRandom random(12);
  for (int32_t round = 0; round < 6; round++) {
    for (TokenMask& mask : rows.masks) {
      mask.clear();
      for (int32_t i = 0; i < 50; i++) mask.permit(random.below(kVocab));
    }
    expect_same(on.draw(rows, kRows), drawn_by_cpu(rows));
  }
  CHECK_EQ(on.block.masks_sent(), after_changes + 6 * kRows);
  expect_same(on.draw(before, kRows), drawn_by_cpu(before));
}

TEST(longer_lists_than_there_is_room_for_move_the_block) {
  constexpr int32_t kVocab = 60000;
  Rows rows = random_rows(kVocab, 2, 13);
  for (RowCase& c : rows.cases) {
    c.params.frequency_penalty = 0.5f;
    c.params.repetition_penalty = 1.2f;
    for (int32_t token = 0; token < 50000; token++) c.output[token] = 1 + token % 3;
  }
  Device on(kVocab, 2);
  expect_same(on.draw(rows, 2), drawn_by_cpu(rows));
  expect_same(on.draw(rows, 2), drawn_by_cpu(rows));
}

}  // namespace
}  // namespace chasqui::cuda

TEST_MAIN()
