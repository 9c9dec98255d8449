// The sampler against a slow one that sorts everything, its draws against known answers of Philox, its distributions by
// chi-square with fixed seeds.
#include "src/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "check.h"
#include "src/sampling/philox.h"

using namespace chasqui;

namespace {

using Counts = std::unordered_map<int32_t, int32_t>;

// Probability of each token, by the definitions: sort all, cut, renormalise.
std::vector<double> slow_distribution(const std::vector<float>& logits, const SamplingParams& params, const TokenMask* mask) {
  const size_t n = logits.size();
  std::vector<int32_t> order;
  for (int32_t token = 0; token < static_cast<int32_t>(n); ++token) {
    if ((mask == nullptr || mask->permits(token)) && logits[static_cast<size_t>(token)] > -std::numeric_limits<float>::infinity()) order.push_back(token);
  }
  const auto logit = [&](int32_t token) { return static_cast<double>(logits[static_cast<size_t>(token)]); };
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return logit(a) != logit(b) ? logit(a) > logit(b) : a < b; });
  if (params.top_k > 0 && order.size() > static_cast<size_t>(params.top_k)) order.resize(static_cast<size_t>(params.top_k));
  const double highest = logit(order[0]);
  const auto weight = [&](int32_t token) { return std::exp((logit(token) - highest) / static_cast<double>(params.temperature)); };
  double total = 0.0;
  for (const int32_t token : order) total += weight(token);
  if (params.top_p < 1.0f) {
    double sum = 0.0;
    size_t kept = 0;
    while (kept < order.size() && sum < static_cast<double>(params.top_p) * total) sum += weight(order[kept++]);
    order.resize(kept);
  }
  std::erase_if(order, [&](int32_t token) { return weight(token) < static_cast<double>(params.min_p); });
  std::vector<double> probability(n, 0.0);
  total = 0.0;
  for (const int32_t token : order) total += weight(token);
  for (const int32_t token : order) probability[static_cast<size_t>(token)] = weight(token) / total;
  return probability;
}

// The token that the definition of a draw gives: the first in order of id whose cumulative probability exceeds u.
int32_t slow_draw(const std::vector<double>& probability, double u) {
  double sum = 0.0;
  int32_t last = -1;
  for (size_t token = 0; token < probability.size(); ++token) {
    if (probability[token] == 0.0) continue;
    last = static_cast<int32_t>(token);
    sum += probability[token];
    if (u < sum) return last;
  }
  return last;
}

SampledToken draw(std::vector<float> logits, const SamplingParams& params, uint64_t position, const TokenMask* mask = nullptr, int32_t top_logprobs = -1) {
  static const Counts none;
  Sampler sampler(static_cast<int32_t>(logits.size()));
  SamplingContext context;
  context.params = &params;
  context.output_counts = &none;
  context.prompt_counts = &none;
  context.mask = mask;
  context.position = position;
  context.top_logprobs = top_logprobs;
  return sampler.sample(logits.data(), context);
}

std::vector<float> random_logits(std::mt19937_64& random, int32_t vocab, double spread) {
  std::normal_distribution<double> normal(0.0, spread);
  std::vector<float> logits(static_cast<size_t>(vocab));
  for (float& logit : logits) logit = static_cast<float>(normal(random));
  return logits;
}

// The 99.99 % point of chi-square with n degrees of freedom (Wilson and Hilferty's approximation).
double chi_square_limit(double n) {
  const double z = 3.719;
  const double cube = 1.0 - 2.0 / (9.0 * n) + z * std::sqrt(2.0 / (9.0 * n));
  return n * cube * cube * cube;
}

}  // namespace

// Known answers published with the algorithm (Random123, kat_vectors).
TEST(philox_gives_its_published_answers) {
  CHECK((philox({0, 0, 0, 0}, 0, 0) == PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t ones = 0xffffffff;
  CHECK((philox({ones, ones, ones, ones}, ones, ones) == PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  CHECK((philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0) ==
         PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(draws_equal_the_definition_for_random_logits_and_options) {
  std::mt19937_64 random(1);
  int32_t compared = 0;
  for (int32_t round = 0; round < 4000; ++round) {
    const int32_t vocab = 1 + static_cast<int32_t>(random() % 300);
    std::vector<float> logits = random_logits(random, vocab, 0.5 + static_cast<double>(random() % 8));
    if (round % 5 == 0) {
      for (float& logit : logits) logit = std::round(logit);  // many equal logits
    }
    if (round % 7 == 0) logits[random() % logits.size()] = -0.0f;
    SamplingParams params;
    params.temperature = 0.1f + static_cast<float>(random() % 20) / 10.0f;
    params.top_k = random() % 3 == 0 ? 0 : static_cast<int32_t>(random() % 40);
    params.top_p = random() % 3 == 0 ? 1.0f : static_cast<float>(1 + random() % 99) / 100.0f;
    params.min_p = random() % 2 == 0 ? 0.0f : static_cast<float>(random() % 50) / 100.0f;
    params.seed = random();
    TokenMask mask(vocab);
    for (int32_t token = 0; token < vocab; ++token) {
      if (random() % 3 != 0) mask.permit(token);
    }
    mask.permit(static_cast<int32_t>(random() % static_cast<uint64_t>(vocab)));
    const TokenMask* used = random() % 2 == 0 ? &mask : nullptr;
    const std::vector<double> expected = slow_distribution(logits, params, used);
    const uint64_t position = random() % 10000;
    CHECK_EQ(draw(logits, params, position, used).token, slow_draw(expected, uniform_at(params.seed, position)));
    ++compared;
  }
  CHECK_EQ(compared, 4000);
}

TEST(frequencies_follow_the_distribution) {
  std::mt19937_64 random(2);
  for (int32_t round = 0; round < 6; ++round) {
    const std::vector<float> logits = random_logits(random, 40, 1.5);
    SamplingParams params;
    params.temperature = round % 2 == 0 ? 1.0f : 0.7f;
    params.top_k = round % 3 == 1 ? 12 : 0;
    params.top_p = round % 3 == 2 ? 0.9f : 1.0f;
    params.seed = 1000 + static_cast<uint64_t>(round);
    const std::vector<double> expected = slow_distribution(logits, params, nullptr);
    std::vector<int32_t> seen(logits.size(), 0);
    const int32_t n = 40000;
    for (int32_t position = 0; position < n; ++position) ++seen[static_cast<size_t>(draw(logits, params, static_cast<uint64_t>(position)).token)];
    double statistic = 0.0;
    int32_t classes = 0;
    for (size_t token = 0; token < expected.size(); ++token) {
      if (expected[token] == 0.0) {
        CHECK_EQ(seen[token], 0);
        continue;
      }
      const double hoped = expected[token] * n;
      if (hoped < 5.0) continue;
      statistic += (seen[token] - hoped) * (seen[token] - hoped) / hoped;
      ++classes;
    }
    CHECK(classes > 5);
    CHECK(statistic < chi_square_limit(classes));
  }
}

TEST(draws_of_different_positions_are_independent) {
  // Pairs of successive draws from two equally likely tokens fall into four equal classes.
  const std::vector<float> logits{0.0f, 0.0f};
  SamplingParams params;
  params.temperature = 1.0f;
  params.seed = 77;
  std::array<int32_t, 4> seen{};
  const int32_t n = 40000;
  for (int32_t pair = 0; pair < n; ++pair) {
    const auto at = static_cast<uint64_t>(2 * pair);
    ++seen[static_cast<size_t>(2 * draw(logits, params, at).token + draw(logits, params, at + 1).token)];
  }
  double statistic = 0.0;
  for (const int32_t count : seen) statistic += (count - n / 4.0) * (count - n / 4.0) / (n / 4.0);
  CHECK(statistic < chi_square_limit(3));
}

TEST(greedy_takes_the_lowest_id_among_equals) {
  const SamplingParams greedy;
  CHECK_EQ(draw({1.0f, 3.0f, 3.0f, 2.0f}, greedy, 0).token, 1);
  TokenMask mask(4);
  mask.permit(2);
  mask.permit(3);
  CHECK_EQ(draw({1.0f, 3.0f, 3.0f, 2.0f}, greedy, 0, &mask).token, 2);
}

TEST(the_draw_depends_on_seed_and_position_only) {
  std::mt19937_64 random(3);
  const std::vector<float> logits = random_logits(random, 100, 1.0);
  SamplingParams params;
  params.temperature = 1.0f;
  params.seed = 5;
  const int32_t first = draw(logits, params, 9).token;
  for (int32_t i = 0; i < 10; ++i) CHECK_EQ(draw(logits, params, 9).token, first);
  int32_t different = 0;
  for (uint64_t position = 0; position < 50; ++position) different += draw(logits, params, position).token != first ? 1 : 0;
  CHECK(different > 30);
}

TEST(penalties_and_bias_change_logits_as_defined) {
  const Counts output{{0, 3}, {1, 1}};
  const Counts prompt{{1, 2}, {2, 1}};
  const std::vector<int32_t> banned{5};
  SamplingParams params;
  params.repetition_penalty = 2.0f;
  params.frequency_penalty = 0.5f;
  params.presence_penalty = 0.25f;
  params.logit_bias = {{4, 1.5f}, {3, -std::numeric_limits<float>::infinity()}};
  SamplingContext context;
  context.params = &params;
  context.output_counts = &output;
  context.prompt_counts = &prompt;
  context.banned = &banned;
  Sampler sampler(6);
  std::vector<float> logits{4.0f, -1.0f, 2.0f, 9.0f, 0.0f, 9.0f};
  CHECK_EQ(sampler.sample(logits.data(), context).token, 4);
  CHECK_NEAR(logits[0], 4.0 / 2.0 - 3 * 0.5 - 0.25, 1e-6);
  CHECK_NEAR(logits[1], -1.0 * 2.0 - 0.5 - 0.25, 1e-6);  // once for repetition, though in both
  CHECK_NEAR(logits[2], 1.0, 1e-6);
  CHECK_NEAR(logits[4], 1.5, 1e-6);
  CHECK(std::isinf(logits[3]) && std::isinf(logits[5]));
}

TEST(log_probabilities_are_the_models_own) {
  const std::vector<float> logits{1.0f, 2.0f, 3.0f, 2.0f};
  SamplingParams params;
  params.temperature = 0.5f;
  params.logit_bias = {{0, 100.0f}};
  const SampledToken sampled = draw(logits, params, 0, nullptr, 3);
  CHECK_EQ(sampled.token, 0);
  const double total = std::log(std::exp(1.0) + 2 * std::exp(2.0) + std::exp(3.0));
  CHECK_NEAR(sampled.logprob, 1.0 - total, 1e-6);
  CHECK_EQ(sampled.top.size(), size_t{3});
  CHECK_EQ(sampled.top[0].first, 2);
  CHECK_EQ(sampled.top[1].first, 1);  // of two equal ones the lower id first
  CHECK_EQ(sampled.top[2].first, 3);
  CHECK_NEAR(sampled.top[0].second, 3.0 - total, 1e-6);
}

TEST(impossible_rows_give_no_token) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  SamplingParams sampling;
  sampling.temperature = 1.0f;
  CHECK_EQ(draw({nan, nan}, {}, 0).token, -1);
  CHECK_EQ(draw({nan, nan}, sampling, 0).token, -1);
  CHECK_EQ(draw({nan, 0.0f}, sampling, 0).token, 1);
  const TokenMask empty(2);
  CHECK_EQ(draw({1.0f, 2.0f}, sampling, 0, &empty).token, -1);
}

TEST(bad_options_are_named) {
  const auto reason = [](auto change) {
    SamplingParams params;
    change(params);
    return check_sampling(params, 10);
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK_OK(reason([](SamplingParams&) {}));
  CHECK_REASON(reason([&](SamplingParams& p) { p.temperature = nan; }), Reason::kBadRequest);
  CHECK_REASON(reason([](SamplingParams& p) { p.temperature = -1.0f; }), Reason::kBadRequest);
  CHECK_REASON(reason([](SamplingParams& p) { p.top_k = -1; }), Reason::kBadRequest);
  CHECK_REASON(reason([](SamplingParams& p) { p.top_p = 0.0f; }), Reason::kBadRequest);
  CHECK_REASON(reason([](SamplingParams& p) { p.top_p = 1.5f; }), Reason::kBadRequest);
  CHECK_REASON(reason([](SamplingParams& p) { p.min_p = 1.0f; }), Reason::kBadRequest);
  CHECK_REASON(reason([](SamplingParams& p) { p.repetition_penalty = 0.0f; }), Reason::kBadRequest);
  CHECK_REASON(reason([&](SamplingParams& p) { p.frequency_penalty = nan; }), Reason::kBadRequest);
  CHECK_REASON(reason([](SamplingParams& p) { p.logit_bias = {{10, 1.0f}}; }), Reason::kBadRequest);
  CHECK_REASON(reason([](SamplingParams& p) { p.logit_bias = {{3, 1.0f}, {4, 1.0f}, {3, 2.0f}}; }), Reason::kBadRequest);
  CHECK(reason([](SamplingParams& p) { p.top_p = 1.5f; }).detail.find("topP") != std::string::npos);
}

TEST_MAIN()
