// Packed linear layers against double products: every type, stacked, paired and mixed parts, any number of rows and threads.
#include "src/backend/cpu/linear.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "linear_product.h"
#include "quantised_weights.h"
#include "random_model.h"
#include "test/check.h"

using namespace chasqui;
using namespace chasqui::cpu;

namespace {

struct Case {
  std::vector<int64_t> rows;  // of the parts
  int64_t cols;
  std::vector<DType> types;
  LinearLayout layout;
};

const Case kCases[] = {
    {{64}, 128, {DType::kBF16}, LinearLayout::kStacked},
    {{1}, 1, {DType::kF32}, LinearLayout::kStacked},
    {{70}, 33, {DType::kF16}, LinearLayout::kStacked},
    {{40, 20, 20}, 600, {DType::kBF16, DType::kBF16, DType::kBF16}, LinearLayout::kStacked},
    {{40, 20, 20}, 48, {DType::kBF16, DType::kF16, DType::kF32}, LinearLayout::kStacked},
    {{100, 100}, 1100, {DType::kBF16, DType::kBF16}, LinearLayout::kPaired},
    {{33, 33}, 31, {DType::kF32, DType::kF32}, LinearLayout::kPaired},
};

constexpr WeightFormat kFormats[] = {WeightFormat::kAsStored, WeightFormat::kInt8, WeightFormat::kInt4, WeightFormat::kNf4,
                                       WeightFormat::kFp8};

double weight(const MatrixView& view, int64_t row, int64_t column) {
  return load_element(view.data, view.type, row * view.cols + column);
}

}  // namespace

// Every product of a case with rows of random numbers.
void check_products(const Case& each, WeightFormat format, const Kernels& kernels, uint64_t seed) {
  RandomModel model;
  QuickRandom random(seed);
  std::vector<MatrixView> parts, stored;
  const bool is_table = format == WeightFormat::kNf4 && kernels.few[kWeightBF16].input == kInputBF16;
  for (size_t i = 0; i < each.rows.size(); i++) {
    parts.push_back(random_matrix(&model, &random, each.rows[i], each.cols, each.types[i], 0.0f, 1.0f));
    stored.push_back(is_table ? as_coded(&model, parts.back(), format, true) : as_quantised(&model, parts.back(), format));
  }
  ThreadPool pool(2);
  PanelLinear linear;
  CHECK_OK(make_panel_linear(parts, each.layout, format, pool, &linear));
  const int64_t claimed = linear.quant == nullptr ? linear.data.bytes() : linear.quant->data.bytes();
  if (linear.quant == nullptr) CHECK_EQ(claimed, linear.n_panels * linear.panel_bytes);
  CHECK(panel_linear_bytes(parts, format) >= claimed);
  for (const int32_t rows : {1, 2, 3, 4, 5, 6, 13, 131}) {
    std::vector<float> x(static_cast<size_t>(rows * each.cols));
    for (float& value : x) value = random.symmetric();
    const auto got = product(linear, kernels, 2, x, rows);
    const InputType input = product_of(kernels, linear, rows).input;
    // A panel of several parts holds floats, and then all of the layer is multiplied in float: with the table as it is.
    if (is_table && input != kInputBF16) return;
    x = as_seen(x, input, each.cols);
    const double rms = std::sqrt(1.0 / 3.0);
    const double tolerance = 2e-6 * std::sqrt(static_cast<double>(each.cols)) * rms * rms * 8;
    size_t at = 0;
    for (int32_t row = 0; row < rows; row++) {
      for (const MatrixView& part : stored) {
        for (int64_t output = 0; output < part.rows; output++) {
          double want = 0;
          for (int64_t k = 0; k < each.cols; k++) want += weight(part, output, k) * x[static_cast<size_t>(row * each.cols + k)];
          CHECK_NEAR(got[at++], want, tolerance);
        }
      }
    }
  }
}

TEST(products_agree_with_double_arithmetic) {
  uint64_t seed = 1;
  for (const char* name : {"portable", "avx2", "avx512", "avx512bf16", "amx-emulated", "amx"}) {
    const Kernels* kernels = kernels_named(name);
    if (kernels == nullptr) {
      check::skip(std::string(name) + " kernels do not run on this processor");
      continue;
    }
    for (const WeightFormat format : kFormats) {
      for (const Case& each : kCases) check_products(each, format, *kernels, seed++);
    }
  }
}

TEST(rows_and_threads_do_not_change_a_bit) {
  for (const char* name : {"float", "avx512bf16", "amx-emulated"}) {
    const Kernels* kernels = kernels_named(name);
    if (kernels == nullptr) continue;
    for (const WeightFormat format : kFormats) {
      RandomModel model;
      QuickRandom random(50);
      ThreadPool pool(1);
      PanelLinear linear;
      const std::vector<MatrixView> parts = {random_matrix(&model, &random, 200, 700, DType::kBF16, 0.0f, 1.0f)};
      CHECK_OK(make_panel_linear(parts, LinearLayout::kStacked, format, pool, &linear));
      const int32_t rows = 110;
      std::vector<float> x(static_cast<size_t>(rows * 700));
      for (float& value : x) value = random.symmetric();
      const auto all = product(linear, *kernels, 3, x, rows);
      for (const int32_t count : {1, 2, 3, 4, 5, 6, 7, 17, 33, 100}) {
        const auto some = product(linear, *kernels, 1, std::vector<float>(x.begin(), x.begin() + count * 700), count);
        CHECK(std::memcmp(some.data(), all.data(), some.size() * sizeof(float)) == 0);
      }
    }
  }
}

TEST(eight_bit_products_have_the_same_bits_on_tiles_and_on_vectors) {
  const Kernels* vectors = kernels_named("avx512bf16");
  const Kernels* tiles = kernels_named("amx-emulated");
  if (vectors == nullptr || tiles == nullptr) {
    check::skip("this processor has no AVX-512 BF16");
    return;
  }
  for (const WeightFormat format : {WeightFormat::kInt8, WeightFormat::kInt4}) {
    RandomModel model;
    QuickRandom random(60);
    ThreadPool pool(1);
    PanelLinear linear;
    CHECK_OK(make_panel_linear({random_matrix(&model, &random, 90, 500, DType::kBF16, 0.0f, 1.0f)}, LinearLayout::kStacked,
                               format, pool, &linear));
    std::vector<float> x(static_cast<size_t>(50 * 500));
    for (float& value : x) value = random.symmetric();
    const auto a = product(linear, *vectors, 1, x, 50), b = product(linear, *tiles, 1, x, 50);
    CHECK(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
  }
}

TEST(row_blocks_cover_all_rows_evenly) {
  for (int32_t most = 1; most <= 12; most++) {
    for (int32_t rows = 1; rows <= 100; rows++) {
      const RowBlocks blocks(rows, most);
      int32_t next = 0;
      for (int32_t block = 0; block < blocks.count; block++) {
        CHECK_EQ(blocks.first(block), next);
        CHECK(blocks.size(block) >= 1 && blocks.size(block) <= most);
        CHECK(blocks.size(block) >= rows / blocks.count);
        for (; next < blocks.first(block) + blocks.size(block); next++) CHECK_EQ(blocks.of(next), block);
      }
      CHECK_EQ(next, rows);
    }
  }
}

TEST(memory_that_is_not_there_is_a_status) {
  Memory memory;
  CHECK_REASON(memory.claim(int64_t{1} << 60, "a test"), Reason::kOutOfMemory);
  CHECK_OK(memory.claim(1 << 20, "a test"));
  CHECK_EQ(memory.as<char>()[(1 << 20) - 1], 0);
  const DeviceMemory machine = machine_memory();
  CHECK(machine.total_bytes > 0 && machine.available_bytes > 0 && machine.available_bytes <= machine.total_bytes);
}

TEST_MAIN()
