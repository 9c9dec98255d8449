// The matrix kernels on CPU fibers against double precision: every weight format, few rows and many, with each ending.
#include "check.h"
#include "cuda_kernels.h"

namespace chasqui::cuda {
namespace {

// A step of `rows` rows at scattered positions of sequences with scattered pages.
struct TestStep {
  StepCounts counts;
  std::vector<int32_t> tokens, positions, page_starts, pages, wanted;
  Step step;

  void make(int32_t rows, int32_t live) {
    counts.rows = counts.wanted = live;
    for (int32_t row = 0; row < rows; row++) {
      tokens.push_back(row * 7 % 50);
      positions.push_back(row * 13 % 80);
      page_starts.push_back(row * 5);
      for (int32_t page = 0; page < 5; page++) pages.push_back((row * 5 + page) * 11 % (rows * 5));
      wanted.push_back(rows - 1 - row);
    }
    if (rows * 5 % 11 == 0) {
      for (size_t i = 0; i < pages.size(); i++) pages[i] = static_cast<int32_t>(i);
    }
    step.counts = &counts;
    step.tokens = tokens.data();
    step.positions = positions.data();
    step.page_starts = page_starts.data();
    step.pages = pages.data();
    step.wanted = wanted.data();
  }
};

std::vector<double> normed(const std::vector<float>& x, int64_t row, const std::vector<float>& weight, float eps) {
  const size_t dim = weight.size();
  double sum = 0.0;
  for (size_t i = 0; i < dim; i++) sum += static_cast<double>(x[row * dim + i]) * x[row * dim + i];
  const double scale = 1.0 / std::sqrt(sum / static_cast<double>(dim) + eps);
  std::vector<double> out(dim);
  for (size_t i = 0; i < dim; i++) {
    out[i] = bf16_to_float(float_to_bf16(static_cast<float>(x[row * dim + i] * scale * weight[i])));
  }
  return out;
}

std::vector<double> times(const TestMatrix& matrix, const std::vector<double>& x) {
  std::vector<double> y(static_cast<size_t>(matrix.linear.out), 0.0);
  for (size_t r = 0; r < y.size(); r++) {
    for (size_t k = 0; k < x.size(); k++) y[r] += matrix.values[r * x.size() + k] * x[k];
  }
  return y;
}

// Around 2e-6 sqrt(K) rms(a) rms(w) 8, and for inputs that may round the other way once in a while.
double tolerance_of(const TestMatrix& matrix, const std::vector<double>& x) {
  double a = 0.0, w = 0.0;
  for (const double value : x) a += value * value;
  for (const double value : matrix.values) w += value * value;
  const double n = static_cast<double>(x.size());
  return 1.6e-5 * std::sqrt(n) * std::sqrt(a / n) * std::sqrt(w / static_cast<double>(matrix.values.size()));
}

double widest_error(const float* got, const std::vector<double>& expected) {
  double widest = 0.0;
  for (size_t i = 0; i < expected.size(); i++) widest = std::max(widest, std::fabs(static_cast<double>(got[i]) - expected[i]));
  return std::isnan(widest) ? 1e30 : widest;
}

// x += W attended, for `rows` of which `live` count.
void check_residual(const shim::Schedule& schedule, int32_t rows, int32_t live, int32_t out, int32_t in, const MatrixOptions& options,
                    int32_t sms) {
  QuickRandom random(static_cast<uint64_t>(rows * 31 + out + in) + static_cast<uint64_t>(options.kind) * 7);
  TestMatrix matrix;
  make_matrix(&random, &matrix, out, in, options);
  CHECK(refuses(matrix.linear) == nullptr);
  const ModelShape shape{out, in, in / 64, 1, 64, 64};
  TestDevice device(schedule, shape, rows, 1, sms);
  TestStep step;
  step.make(rows, live);
  const std::vector<float> x = random_floats(&random, static_cast<int64_t>(rows) * out, 0.0f, 1.0f);
  const std::vector<uint16_t> attended = random_bf16(&random, static_cast<int64_t>(rows) * in);
  std::vector<float> result = x;
  std::vector<uint16_t> normed_rows(static_cast<size_t>(rows) * std::max(out, in));
  Activations work;
  work.x = result.data();
  work.attended = const_cast<uint16_t*>(attended.data());
  work.normed = normed_rows.data();
  o_residual(device.target, shape, step.step, rows, matrix.linear, work);
  for (int32_t row = 0; row < rows; row++) {
    std::vector<double> input;
    for (int32_t k = 0; k < in; k++) input.push_back(bf16_to_float(attended[static_cast<size_t>(row) * in + k]));
    std::vector<double> expected = row < live ? times(matrix, input) : std::vector<double>(static_cast<size_t>(out), 0.0);
    for (int32_t i = 0; i < out; i++) expected[static_cast<size_t>(i)] += x[static_cast<size_t>(row) * out + i];
    CHECK_NEAR(widest_error(result.data() + static_cast<int64_t>(row) * out, expected), 0.0,
               row < live ? tolerance_of(matrix, input) + 3e-7 : 0.0);
  }
}

const MatrixOptions kFormats[] = {
    {WeightKind::kBF16, 0, ScaleKind::kF32, false, false},   {WeightKind::kBF16, 0, ScaleKind::kF32, false, true},
    {WeightKind::kFp8, 0, ScaleKind::kF32, false, false},    {WeightKind::kFp8, 128, ScaleKind::kBF16, false, false},
    {WeightKind::kInt8, 0, ScaleKind::kF32, false, false},   {WeightKind::kInt8, 128, ScaleKind::kBF16, false, false},
    {WeightKind::kInt8, 32, ScaleKind::kF16, true, false},   {WeightKind::kInt4, 128, ScaleKind::kF16, false, false},
    {WeightKind::kInt4, 32, ScaleKind::kF32, true, false},   {WeightKind::kInt4, 64, ScaleKind::kBF16, true, true},
    {WeightKind::kInt4, 0, ScaleKind::kF32, false, false},   {WeightKind::kTable4, 64, ScaleKind::kF32, false, false},
    {WeightKind::kTable4, 256, ScaleKind::kF16, false, true}};

TEST(few_rows_in_every_format) {
  for (const shim::Schedule& schedule : few_schedules()) {
    for (const MatrixOptions& options : kFormats) {
      check_residual(schedule, 1, 1, 256, 704, options, 3);
      check_residual(schedule, 11, 10, 48, 576, options, 2);
    }
  }
}

}  // namespace
}  // namespace chasqui::cuda

TEST_MAIN()
