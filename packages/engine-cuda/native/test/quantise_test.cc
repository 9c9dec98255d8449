// Quantising on load: codes that hold a weight exactly give it back, errors are those of the schemes, and what cannot be
// quantised is refused.
#include "src/model/quantise.h"

#include <cmath>
#include <limits>

#include "test/check.h"

using namespace chasqui;

namespace {

// Nearly normal numbers, the same everywhere.
std::vector<float> normal_weights(int64_t count, float scale) {
  std::vector<float> weights(static_cast<size_t>(count));
  uint64_t state = 42;
  for (float& weight : weights) {
    float sum = 0;
    for (int i = 0; i < 12; i++) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      sum += static_cast<float>(state >> 40) * 0x1p-24f;
    }
    weight = (sum - 6.0f) * scale;
  }
  return weights;
}

MatrixView view_of(const std::vector<float>& values, int64_t rows) {
  MatrixView view;
  view.data = values.data();
  view.type = DType::kF32;
  view.rows = rows;
  view.cols = static_cast<int64_t>(values.size()) / rows;
  return view;
}

std::vector<float> round_trip(const std::vector<float>& values, int64_t rows, QuantScheme scheme, double* error) {
  QuantMatrix matrix;
  std::vector<float> back(values.size());
  CHECK_OK(quantise(view_of(values, rows), scheme, &matrix, error));
  for (int64_t row = 0; row < rows; row++) dequantise_row(matrix, row, &back[static_cast<size_t>(row * matrix.cols)]);
  return back;
}

}  // namespace

TEST(normal_weights_lose_what_the_schemes_lose) {
  const std::vector<float> weights = normal_weights(64 * 512, 0.02f);
  const struct {
    const char* name;
    QuantScheme scheme;
    double low;
    double high;
  } cases[] = {{"int8", QuantScheme::kInt8, 0.005, 0.009},
               {"fp8", QuantScheme::kFp8, 0.02, 0.03},
               {"nf4", QuantScheme::kNf4, 0.085, 0.096},  // 0.092 on a normal distribution
               {"int4", QuantScheme::kInt4, 0.08, 0.12}};
  for (const auto& one : cases) {
    double error = 0;
    const std::vector<float> back = round_trip(weights, 64, one.scheme, &error);
    std::printf("  %s: relative error %.4f\n", one.name, error);
    CHECK(error > one.low && error < one.high);
    double again = 0;
    double size = 0;
    for (size_t i = 0; i < back.size(); i++) {
      again += std::pow(static_cast<double>(back[i]) - weights[i], 2);
      size += std::pow(static_cast<double>(weights[i]), 2);
    }
    CHECK_NEAR(std::sqrt(again / size), error, 1e-12);
  }
}

TEST(weights_that_codes_hold_come_back_exactly) {
  const int64_t cols = 128;
  std::vector<float> int4(static_cast<size_t>(cols));
  std::vector<float> int8(int4.size());
  std::vector<float> fp8(int4.size());
  for (size_t i = 0; i < int4.size(); i++) {
    int4[i] = 0.25f * static_cast<float>(static_cast<int>(i % 16) - 8);
    int8[i] = 0.5f * (static_cast<float>(i) - 127.0f);
    fp8[i] = i == 127 ? -448.0f : e4m3_to_float(static_cast<uint8_t>(i));
  }
  double error = 1;
  CHECK(round_trip(int4, 1, QuantScheme::kInt4, &error) == int4);
  CHECK_EQ(error, 0.0);
  CHECK(round_trip(int8, 1, QuantScheme::kInt8, &error) == int8);
  CHECK(round_trip(fp8, 1, QuantScheme::kFp8, &error) == fp8);
  const std::vector<float> zeros(256, 0.0f);
  for (const QuantScheme scheme : {QuantScheme::kInt8, QuantScheme::kFp8, QuantScheme::kInt4, QuantScheme::kNf4}) {
    CHECK(round_trip(zeros, 2, scheme, &error) == zeros);
  }
}

TEST(e4m3_rounds_to_the_nearest_code_and_saturates) {
  for (int code = 0; code < 0x7f; code++) {
    const float value = e4m3_to_float(static_cast<uint8_t>(code));
    CHECK_EQ(float_to_e4m3(value), code);
    CHECK_EQ(float_to_e4m3(-value), code | 0x80);
    if (code == 0x7e) break;
    const float next = e4m3_to_float(static_cast<uint8_t>(code + 1));
    CHECK_EQ(float_to_e4m3((value + next) / 2), code % 2 == 0 ? code : code + 1);
    CHECK_EQ(float_to_e4m3(value + (next - value) * 0.49f), code);
    CHECK_EQ(float_to_e4m3(value + (next - value) * 0.51f), code + 1);
  }
  CHECK_EQ(float_to_e4m3(1e30f), 0x7e);
  CHECK_EQ(float_to_e4m3(-std::numeric_limits<float>::infinity()), 0xfe);
  CHECK_EQ(float_to_e4m3(std::nanf("")) & 0x7f, 0x7f);
}

TEST(groups_follow_the_number_of_inputs) {
  CHECK_EQ(scheme_group(QuantScheme::kInt4, 4096), 128);
  CHECK_EQ(scheme_group(QuantScheme::kInt4, 704), 64);
  CHECK_EQ(scheme_group(QuantScheme::kInt4, 96), 32);
  CHECK_EQ(scheme_group(QuantScheme::kInt4, 100), 0);
  CHECK_EQ(scheme_group(QuantScheme::kNf4, 96), 0);
  CHECK_EQ(scheme_group(QuantScheme::kInt8, 100), 100);
}

TEST(refuses_what_cannot_be_quantised) {
  QuantMatrix matrix;
  double error = 0;
  std::vector<float> weights(100, 1.0f);
  CHECK_REASON(quantise(view_of(weights, 1), QuantScheme::kInt4, &matrix, &error), Reason::kUnsupported);
  weights[7] = INFINITY;
  CHECK_REASON(quantise(view_of(weights, 1), QuantScheme::kInt8, &matrix, &error), Reason::kBadCheckpoint);
}

TEST_MAIN()
