// Rope frequencies against published values and against the reference's own computation.
#include "src/model/rope.h"

#include "src/reference/reference_llama.h"
#include "test/check.h"

using namespace chasqui;

TEST(frequencies_of_llama_3_1_8b_are_the_published_ones) {
  ModelConfig config;
  config.head_dim = 128;
  config.rope = {8.0, 1.0, 4.0, 8192};
  const auto frequencies = rope_inverse_frequencies(config);
  CHECK_EQ(frequencies.size(), 64u);
  const struct { size_t j; double value; } known[] = {
      {0, 1.0}, {20, 1.65604401e-2}, {32, 5.24846161e-4}, {40, 3.42810220e-5}, {63, 3.06892599e-7}};
  for (const auto& each : known) CHECK_NEAR(frequencies[each.j] / each.value, 1.0, 1e-6);
}

TEST(frequencies_equal_those_of_the_reference) {
  for (const double factor : {1.0, 8.0, 32.0}) {
    for (const int32_t head_dim : {20, 32, 64, 128}) {
      ModelConfig config;
      config.head_dim = head_dim;
      config.rope.factor = factor;
      const auto ours = rope_inverse_frequencies(config);
      const auto theirs = reference_rope_frequencies(config);
      CHECK_EQ(ours.size(), theirs.size());
      for (size_t j = 0; j < ours.size() && j < theirs.size(); j++) CHECK_NEAR(ours[j] / theirs[j], 1.0, 1e-14);
    }
  }
}

TEST_MAIN()
