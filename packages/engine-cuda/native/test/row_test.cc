// The row kernels: every table gives the bits of the portable one, whatever the length and the values; weights agree with
// the exponential in double precision; a sampler gives the same tokens with each of them.
#include "src/sampling/row.h"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "check.h"
#include "src/sampling/sampler.h"

using namespace chasqui;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<const RowKernels*> others() {
  std::vector<const RowKernels*> found;
  for (const RowKernels* kernels : {avx2_row_kernels(), avx512_row_kernels()}) {
    if (kernels != nullptr) found.push_back(kernels);
  }
  if (found.empty()) check::skip("this processor has only the portable kernels");
  return found;
}

// All that the kernels say of a row.
struct Answer {
  std::vector<float> permitted;
  std::vector<float> of_blocks;
  float highest = 0.0f;
  uint64_t total = 0;
  std::vector<uint64_t> sums;
  std::vector<uint64_t> weights;
  std::vector<int32_t> ids;
  bool operator==(const Answer&) const = default;
};

Answer ask(const RowKernels& kernels, std::vector<float> logits, const std::vector<uint32_t>& words, double temperature, float depth) {
  Answer answer;
  const auto n = static_cast<int32_t>(logits.size());
  const auto blocks = static_cast<size_t>((n + kRowBlock - 1) / kRowBlock);
  kernels.forbid(logits.data(), n, words.data());
  for (float& logit : logits) answer.permitted.push_back(std::isnan(logit) ? 12345.0f : logit);
  answer.of_blocks.resize(blocks);
  answer.highest = kernels.highest(logits.data(), n, answer.of_blocks.data());
  if (std::isinf(answer.highest)) return answer;
  const RowScale scale{answer.highest, static_cast<float>(1.4426950408889634 / temperature)};
  answer.sums.resize(blocks);
  answer.total = kernels.sum(logits.data(), n, scale, answer.of_blocks.data(), answer.sums.data());
  answer.weights.resize(logits.size());
  kernels.weigh(logits.data(), n, scale, answer.weights.data());
  answer.ids.resize(logits.size());
  const float least = std::max(answer.highest - depth, std::numeric_limits<float>::lowest());
  answer.ids.resize(static_cast<size_t>(kernels.gather(logits.data(), n, least, answer.of_blocks.data(), answer.ids.data())));
  return answer;
}

std::vector<float> random_row(std::mt19937_64& random, size_t n) {
  std::normal_distribution<double> normal(0.0, static_cast<double>(1 + random() % 12));
  const float extremes[] = {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(), 0.0f, -0.0f, 1e-40f,
                            std::numeric_limits<float>::lowest(), std::numeric_limits<float>::max()};
  std::vector<float> row(n);
  for (float& logit : row) logit = static_cast<float>(normal(random));
  if (random() % 3 == 0) {
    for (uint64_t i = 0; i < 1 + n / 8; ++i) row[random() % n] = extremes[random() % (random() % 2 == 0 ? 8 : 5)];
  }
  return row;
}

}  // namespace

TEST(every_table_gives_the_bits_of_the_portable_one) {
  std::mt19937_64 random(1);
  for (int32_t round = 0; round < 1500; ++round) {
    const size_t n = 1 + random() % (round % 10 == 0 ? 3000 : 600);
    const std::vector<float> row = random_row(random, n);
    std::vector<uint32_t> words((n + 31) / 32);
    for (uint32_t& word : words) word = random() % 4 == 0 ? 0 : static_cast<uint32_t>(random() | (random() % 2 == 0 ? random() : 0));
    if (round % 3 == 0) words.assign(words.size(), 0xffffffffu);
    const double temperature = std::pow(10.0, static_cast<double>(random() % 600) / 100.0 - 3.0);
    const float depth = static_cast<float>(random() % 400) / 10.0f;
    const Answer expected = ask(*portable_row_kernels(), row, words, temperature, depth);
    for (const RowKernels* kernels : others()) CHECK(ask(*kernels, row, words, temperature, depth) == expected);
  }
}

TEST(the_portable_table_gives_what_it_says) {
  std::mt19937_64 random(2);
  for (int32_t round = 0; round < 300; ++round) {
    const std::vector<float> row = random_row(random, 1 + random() % 700);
    const Answer answer = ask(*portable_row_kernels(), row, std::vector<uint32_t>(row.size() / 32 + 1, 0xffffffffu), 1.0, 5.0f);
    float highest = -kInfinity;
    for (const float logit : row) highest = logit > highest ? logit : highest;
    CHECK_EQ(answer.highest, highest);
    if (std::isinf(highest)) continue;
    uint64_t total = 0;
    std::vector<int32_t> ids;
    for (size_t i = 0; i < row.size(); ++i) {
      total += answer.weights[i];
      if (row[i] >= highest - 5.0f) ids.push_back(static_cast<int32_t>(i));
      const double given = std::isnan(row[i]) ? -100.0 : static_cast<double>(row[i]) - static_cast<double>(highest);
      const double expected = std::exp(given);
      // The exponent is rounded to float, so its error grows with it.
      const double tolerance = expected * (4e-7 + 2e-7 * std::min(std::fabs(given), 100.0)) + 0x1p-41;
      CHECK_NEAR(static_cast<double>(answer.weights[i]) * 0x1p-41, expected, tolerance);
      if (row[i] == highest) CHECK_EQ(answer.weights[i], uint64_t{1} << kUnitBits);
    }
    CHECK_EQ(answer.total, total);
    CHECK(answer.ids == ids);
  }
}

TEST(a_sampler_gives_the_same_tokens_with_every_table) {
  std::mt19937_64 random(3);
  const std::unordered_map<int32_t, int32_t> none;
  for (int32_t round = 0; round < 600; ++round) {
    const auto vocab = static_cast<int32_t>(300 + random() % 4000);
    const std::vector<float> row = random_row(random, static_cast<size_t>(vocab));
    SamplingParams params;
    params.temperature = static_cast<float>(random() % 30) / 10.0f;
    params.top_k = random() % 2 == 0 ? 0 : static_cast<int32_t>(1 + random() % 100);
    params.top_p = random() % 2 == 0 ? 1.0f : static_cast<float>(1 + random() % 99) / 100.0f;
    params.min_p = random() % 2 == 0 ? 0.0f : static_cast<float>(random() % 90) / 100.0f;
    params.seed = random();
    SamplingContext context;
    context.params = &params;
    context.prompt_counts = &none;
    context.output_counts = &none;
    context.top_logprobs = random() % 4 == 0 ? 7 : -1;
    const auto sampled = [&](const RowKernels* kernels) {
      Sampler sampler(vocab, kernels);
      std::vector<float> logits = row;
      return sampler.sample(logits.data(), context);
    };
    const SampledToken expected = sampled(portable_row_kernels());
    for (const RowKernels* kernels : others()) {
      const SampledToken other = sampled(kernels);
      CHECK_EQ(other.token, expected.token);
      CHECK(other.logprob == expected.logprob || (std::isnan(other.logprob) && std::isnan(expected.logprob)));
      CHECK(other.top == expected.top);
    }
  }
}

// Weights of equal logits at the greatest vocabulary that a checkpoint may have.
TEST(the_longest_row_does_not_overflow) {
  const std::vector<float> row(1 << 22, 3.0f);
  std::vector<float> of_blocks(row.size() / kRowBlock);
  std::vector<uint64_t> sums(of_blocks.size());
  for (const RowKernels* kernels : others()) {
    kernels->highest(row.data(), 1 << 22, of_blocks.data());
    CHECK_EQ(kernels->sum(row.data(), 1 << 22, {3.0f, 1.0f}, of_blocks.data(), sums.data()), uint64_t{1} << 63);
  }
}

TEST_MAIN()
