// Group quantisation: error bounds, edge values, and the error it makes on Gaussian-like weights.
#include "src/backend/cpu/quantise.h"

#include <cmath>
#include <limits>
#include <vector>

#include "random_model.h"
#include "src/model/precision.h"
#include "test/check.h"

using namespace chasqui;
using namespace chasqui::cpu;

namespace {

float nearly_normal(QuickRandom* random) {
  float sum = 0;
  for (int i = 0; i < 12; i++) sum += random->symmetric();
  return sum / 2;  // variance 1
}

}  // namespace

TEST(each_weight_is_within_a_step_of_its_integer) {
  QuickRandom random(1);
  for (const QuantScheme& scheme : {kInt8Scheme, kInt4Scheme}) {
    const int32_t lowest = -(1 << (scheme.bits - 1));
    for (int round = 0; round < 500; round++) {
      const int32_t n = 1 + random.below(scheme.group);
      std::vector<float> w(static_cast<size_t>(n));
      const float size = std::exp(10 * random.symmetric());
      for (float& each : w) each = size * nearly_normal(&random);
      std::vector<int8_t> q(w.size());
      float scale;
      quantise_group(w.data(), n, scheme.bits, q.data(), &scale);
      CHECK_EQ(bf16_to_float(float_to_bf16(scale)), scale);
      bool reaches_lowest = false;
      for (size_t i = 0; i < w.size(); i++) {
        CHECK(q[i] >= lowest && q[i] < -lowest);
        reaches_lowest = reaches_lowest || q[i] <= lowest + 1;
        // Half a step; a whole one where the positive side ends before the magnitude of the largest.
        const double limit = (q[i] == -lowest - 1 ? 1.0 : 0.5) + std::ldexp(1.0, scheme.bits - 9);
        CHECK(std::fabs(w[i] - static_cast<double>(scale) * q[i]) <= limit * 1.0001 * std::fabs(scale));
      }
      CHECK(reaches_lowest);
    }
  }
}

TEST(zeros_stay_zero_and_what_is_no_number_breaks_nothing) {
  std::vector<float> w(64, 0.0f);
  int8_t q[64];
  float scale;
  quantise_group(w.data(), 64, 4, q, &scale);
  for (const int8_t each : q) CHECK_EQ(static_cast<int>(each) * scale, 0.0f);
  w[3] = std::numeric_limits<float>::infinity();
  w[9] = std::nanf("");
  quantise_group(w.data(), 64, 4, q, &scale);
  for (const int8_t each : q) CHECK(each >= -8 && each <= 7);
  w.assign(64, 1e-40f);
  quantise_group(w.data(), 64, 8, q, &scale);
  for (const int8_t each : q) CHECK(each >= -128);
}

TEST(errors_on_normal_weights_are_what_the_bits_allow) {
  QuickRandom random(2);
  const struct { QuantScheme scheme; double most; } cases[] = {{kInt8Scheme, 0.008}, {kInt4Scheme, 0.10}};
  for (const auto& each : cases) {
    double error = 0, size = 0;
    std::vector<float> w(static_cast<size_t>(each.scheme.group));
    std::vector<int8_t> q(w.size());
    for (int round = 0; round < 2000; round++) {
      for (float& value : w) value = nearly_normal(&random);
      float scale;
      quantise_group(w.data(), each.scheme.group, each.scheme.bits, q.data(), &scale);
      for (size_t i = 0; i < w.size(); i++) {
        error += std::pow(w[i] - static_cast<double>(scale) * q[i], 2);
        size += static_cast<double>(w[i]) * w[i];
      }
    }
    std::printf("  int%d, groups of %d: relative RMS error %.4f\n", each.scheme.bits, each.scheme.group, std::sqrt(error / size));
    CHECK(std::sqrt(error / size) < each.most);
  }
}

TEST_MAIN()
