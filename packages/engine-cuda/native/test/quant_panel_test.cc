// Panels of quantised checkpoints: every weight bit for bit, products against double arithmetic, parts of different formats
// side by side, and codes that are no numbers.
#include "src/backend/cpu/quant_panel.h"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "linear_product.h"
#include "random_quant.h"
#include "src/backend/cpu/linear.h"
#include "test/check.h"

using namespace chasqui;
using namespace chasqui::cpu;

namespace {

const QuantShape kShapes[] = {
    {QuantKind::kInt4, 128, true, false, QuantScale::kF16},    // AWQ, GPTQ
    {QuantKind::kInt4, 32, false, false, QuantScale::kBF16},   // compressed-tensors
    {QuantKind::kInt4, 128, true, true, QuantScale::kF16},     // GPTQ with desc_act
    {QuantKind::kInt4, 1 << 20, false, true, QuantScale::kF16},
    {QuantKind::kInt4, 20, true, false, QuantScale::kF32},     // runs of four
    {QuantKind::kInt4, 6, false, false, QuantScale::kF16},     // a scale for each step
    {QuantKind::kInt8, 128, true, false, QuantScale::kF16},
    {QuantKind::kInt8, 1 << 20, false, false, QuantScale::kF32},  // bitsandbytes
    {QuantKind::kInt8, 64, true, true, QuantScale::kF16},
    {QuantKind::kFp8, 1 << 20, false, false, QuantScale::kF32},
    {QuantKind::kFp8, 128, false, false, QuantScale::kBF16},   // in blocks
    {QuantKind::kTable4, 64, false, false, QuantScale::kF32},  // NF4
    {QuantKind::kInt4, 64, true, true, QuantScale::kF16, 77},  // desc_act: parts with one order
    {QuantKind::kInt8, 128, false, true, QuantScale::kBF16, 78},
    {QuantKind::kInt4, 1 << 20, true, false, QuantScale::kF32},
};

QuantShape fitted(QuantShape shape, int64_t cols) {
  if (shape.group > cols) shape.group = cols;
  return shape;
}

double weight(const MatrixView& view, int64_t row, int64_t column) {
  return load_element(view.data, view.type, row * view.cols + column);
}

const char* const kNames[] = {"portable", "avx2", "avx512"};
const char* const kRoundingNames[] = {"avx512bf16", "amx-emulated", "amx"};

// The float weights, with the table in bf16 where products round it.
MatrixView as_multiplied(RandomModel* keeper, const MatrixView& view, InputType input) {
  if (view.quant == nullptr || view.quant->kind != QuantKind::kTable4 || input != kInputBF16) return dequantised(keeper, view);
  MatrixView copy = view;
  const auto source = std::make_shared<QuantSource>(*view.quant);
  source->unpack = [inner = view.quant](QuantMatrix* matrix) {
    Status status = inner->unpack(matrix);
    for (float& value : matrix->table) value = bf16_to_float(float_to_bf16(value));
    return status;
  };
  copy.quant = source;
  return dequantised(keeper, copy);
}

}  // namespace

TEST(every_weight_of_every_format_comes_back_bit_for_bit) {
  uint64_t seed = 1;
  for (const char* name : kNames) {
    const Kernels* kernels = kernels_named(name);
    if (kernels == nullptr) {
      check::skip(std::string(name) + " kernels do not run on this processor");
      continue;
    }
    for (const QuantShape& shape : kShapes) {
      const int64_t rows = 40;
      const int64_t cols = 304;
      RandomModel model;
      const MatrixView view = random_quant(fitted(shape, cols), rows, cols, seed++);
      const MatrixView plain = dequantised(&model, view);
      ThreadPool pool(2);
      PanelLinear linear;
      CHECK_OK(make_panel_linear({view}, LinearLayout::kStacked, WeightFormat::kAsStored, pool, &linear));
      CHECK(linear.quant != nullptr);
      std::vector<float> x(static_cast<size_t>(cols * cols));  // one row for each input: 1 there, 0 elsewhere
      for (int64_t k = 0; k < cols; k++) x[static_cast<size_t>(k * cols + k)] = 1.0f;
      const auto got = product(linear, *kernels, 1, x, static_cast<int32_t>(cols));
      int64_t different = 0;
      for (int64_t k = 0; k < cols; k++) {
        for (int64_t row = 0; row < rows; row++) {
          different += got[static_cast<size_t>(k * rows + row)] != static_cast<float>(weight(plain, row, k));
        }
      }
      CHECK_EQ(different, 0);
    }
  }
}

// Parts of every two formats beside a plain one, stacked and paired.
void check_products(const std::vector<MatrixView>& parts, LinearLayout layout, const Kernels& kernels, uint64_t seed) {
  RandomModel model;
  QuickRandom random(seed);
  const int64_t cols = parts.front().cols;
  ThreadPool pool(2);
  PanelLinear linear;
  CHECK_OK(make_panel_linear(parts, layout, WeightFormat::kAsStored, pool, &linear));
  CHECK(panel_linear_bytes(parts, WeightFormat::kAsStored) >= linear.quant->data.bytes());
  const int32_t rows = 45;
  std::vector<float> x(static_cast<size_t>(rows * cols));
  for (float& value : x) value = random.symmetric();
  const auto all = product(linear, kernels, 2, x, rows);
  for (const int32_t few : {1, 2, 12, 13, 33}) {
    const auto some = product(linear, kernels, 1, std::vector<float>(x.begin(), x.begin() + few * cols), few);
    CHECK(std::memcmp(all.data(), some.data(), some.size() * sizeof(float)) == 0);
  }
  const InputType input = product_of(kernels, linear, rows).input;
  x = as_seen(x, input, cols, linear.order());
  std::vector<MatrixView> plain;
  for (const MatrixView& part : parts) plain.push_back(as_multiplied(&model, part, input));
  size_t at = 0;
  for (int32_t row = 0; row < rows; row++) {
    for (const MatrixView& part : plain) {
      for (int64_t output = 0; output < part.rows; output++) {
        double want = 0;
        double squares = 0;
        for (int64_t k = 0; k < cols; k++) {
          const double w = weight(part, output, k);
          want += w * x[static_cast<size_t>(row * cols + k)];
          squares += w * w;
        }
        const double tolerance = 2e-6 * std::sqrt(squares) * std::sqrt(1.0 / 3.0) * 8;
        CHECK_NEAR(all[at++], want, tolerance);
      }
    }
  }
}

TEST(products_agree_with_double_arithmetic_whatever_lies_side_by_side) {
  uint64_t seed = 100;
  std::vector<const char*> names(std::begin(kNames), std::end(kNames));
  names.insert(names.end(), std::begin(kRoundingNames), std::end(kRoundingNames));
  for (const char* name : names) {
    const Kernels* kernels = kernels_named(name);
    if (kernels == nullptr) continue;
    for (const QuantShape& shape : kShapes) {
      RandomModel model;
      QuickRandom random(seed);
      const int64_t cols = 392;
      const QuantShape fit = fitted(shape, cols);
      const MatrixView q = random_quant(fit, 64, cols, seed++);
      const MatrixView k = random_quant(fit, 32, cols, seed++);
      const MatrixView other = random_quant(fitted(kShapes[seed % std::size(kShapes)], cols), 40, cols, seed);
      const MatrixView plain = random_matrix(&model, &random, 64, cols, DType::kBF16, 0.0f, 0.5f);
      check_products({q, k, k}, LinearLayout::kStacked, *kernels, seed++);
      check_products({q, other, k}, LinearLayout::kStacked, *kernels, seed++);  // a panel with rows of two parts
      check_products({plain, q}, LinearLayout::kPaired, *kernels, seed++);
    }
  }
}

TEST(each_format_is_multiplied_in_the_arithmetic_that_suits_it) {
  const auto input_of = [](const std::vector<MatrixView>& parts) {
    ThreadPool pool(1);
    PanelLinear linear;
    CHECK_OK(make_panel_linear(parts, LinearLayout::kStacked, WeightFormat::kAsStored, pool, &linear));
    return linear.quant->input;
  };
  const auto of = [](const QuantShape& shape, uint64_t seed) { return random_quant(fitted(shape, 256), 32, 256, seed); };
  const InputType wanted[] = {kInputInt8, kInputBF16, kInputInt8, kInputInt8, kInputF32, kInputF32, kInputInt8, kInputInt8,
                              kInputInt8, kInputBF16, kInputBF16, kInputBF16, kInputInt8, kInputInt8, kInputInt8};
  for (size_t i = 0; i < std::size(kShapes); i++) CHECK_EQ(static_cast<int>(input_of({of(kShapes[i], i + 1)})), static_cast<int>(wanted[i]));
  const QuantShape ordered = {QuantKind::kInt4, 64, false, true, QuantScale::kF16};
  CHECK_EQ(static_cast<int>(input_of({of(ordered, 1), of(ordered, 2)})), static_cast<int>(kInputF32));  // two orders
  CHECK_EQ(static_cast<int>(input_of({of(kShapes[0], 1), of(kShapes[11], 2)})), static_cast<int>(kInputF32));
}

TEST(what_is_claimed_is_what_was_reckoned) {
  for (const QuantShape& shape : kShapes) {
    const int64_t cols = 384;
    const std::vector<MatrixView> parts = {random_quant(fitted(shape, cols), 64, cols, 1), random_quant(fitted(shape, cols), 32, cols, 2)};
    ThreadPool pool(1);
    PanelLinear linear;
    CHECK_OK(make_panel_linear(parts, LinearLayout::kStacked, WeightFormat::kAsStored, pool, &linear));
    CHECK_EQ(panel_linear_bytes(parts, WeightFormat::kAsStored), linear.quant->data.bytes());
    // Codes, and at most a quarter of a byte a weight for all else.
    const int64_t codes = 96 * cols * (shape.kind == QuantKind::kInt8 || shape.kind == QuantKind::kFp8 ? 2 : 1) / 2;
    CHECK(linear.quant->data.bytes() >= codes);
    if (shape.group >= 64) CHECK(linear.quant->data.bytes() <= codes + 96 * cols / 4);
  }
}

TEST(a_code_that_is_no_number_is_refused) {
  MatrixView view = random_quant({QuantKind::kFp8, 64, false, false, QuantScale::kF32}, 32, 64, 5);
  const auto source = std::make_shared<QuantSource>(*view.quant);
  source->unpack = [inner = view.quant](QuantMatrix* matrix) {
    Status status = inner->unpack(matrix);
    matrix->codes[77] = 0xff;
    return status;
  };
  view.quant = source;
  ThreadPool pool(1);
  PanelLinear linear;
  CHECK_REASON(make_panel_linear({view}, LinearLayout::kStacked, WeightFormat::kAsStored, pool, &linear), Reason::kBadCheckpoint);
}

TEST(e4m3_rounds_to_the_nearest_and_reads_back) {
  for (int code = 0; code < 256; code++) {
    const float value = e4m3_to_float(static_cast<uint8_t>(code));
    if (std::isnan(value)) continue;
    CHECK_EQ(static_cast<int>(float_to_e4m3(value)), code);
  }
  QuickRandom random(9);
  for (int i = 0; i < 20000; i++) {
    const float value = std::ldexp(random.symmetric(), random.below(24) - 12);
    const float got = e4m3_to_float(float_to_e4m3(value));
    double nearest = 1e9;
    for (int code = 0; code < 256; code++) {
      const float each = e4m3_to_float(static_cast<uint8_t>(code));
      if (!std::isnan(each)) nearest = std::min(nearest, std::fabs(static_cast<double>(each) - value));
    }
    CHECK_EQ(std::fabs(static_cast<double>(got) - value), nearest);
  }
  CHECK_EQ(e4m3_to_float(float_to_e4m3(1e9f)), 448.0f);
  CHECK_EQ(e4m3_to_float(float_to_e4m3(17.0f)), 16.0f);   // ties go to the even digit
  CHECK_EQ(e4m3_to_float(float_to_e4m3(19.0f)), 20.0f);
}

TEST_MAIN()
