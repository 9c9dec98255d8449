// Each kernel of each instruction set that runs here against double arithmetic, for all row counts; and that a row has the
// same bits whatever rows are beside it.
#include "src/backend/cpu/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "random_model.h"
#include "test/check.h"

using namespace chasqui;
using namespace chasqui::cpu;

namespace {

std::vector<const Kernels*> tables() {
  std::vector<const Kernels*> all;
  for (const char* name : {"portable", "avx2", "avx512", "avx512bf16"}) {
    const Kernels* kernels = kernels_named(name);
    if (kernels == nullptr) {
      check::skip(std::string(name) + " kernels do not run on this processor");
    } else {
      all.push_back(kernels);
    }
  }
  return all;
}

std::vector<float> random_floats(size_t n, QuickRandom* random, float scale = 1.0f) {
  std::vector<float> values(n);
  for (float& value : values) value = scale * random->symmetric();
  return values;
}

// `values` (lines, 32 or 16) as a kernel expects them, and what they are after rounding to the type.
struct Lines {
  std::vector<uint32_t> storage;
  std::vector<float> values;
  const void* data() const { return storage.data(); }
};

Lines make_lines(const std::vector<float>& values, DType type, int32_t line) {
  Lines lines;
  const size_t width = static_cast<size_t>(line);
  lines.storage.resize(values.size() + width);
  lines.values.resize(values.size());
  for (size_t i = 0; i < values.size(); i++) {
    if (type == DType::kF32) {
      std::memcpy(&lines.storage[i], &values[i], 4);
      lines.values[i] = values[i];
      continue;
    }
    const uint16_t bits = type == DType::kBF16 ? float_to_bf16(values[i]) : float_to_half(values[i]);
    const size_t row = i / width, column = i % width;
    // bf16 panels hold two steps of an output side by side.
    const size_t at = type == DType::kF16 ? i : line == kPanel ? row / 2 * 2 * width + column * 2 + row % 2 : i - column + (column < width / 2 ? 2 * column : 2 * (column - width / 2) + 1);
    reinterpret_cast<uint16_t*>(lines.storage.data())[at] = bits;
    lines.values[i] = type == DType::kBF16 ? bf16_to_float(bits) : half_to_float(bits);
  }
  return lines;
}

WeightType weight_of(DType type) {
  return type == DType::kF32 ? kWeightF32 : type == DType::kF16 ? kWeightF16 : kWeightBF16;
}

constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kBF16};

}  // namespace

TEST(tiles_multiply) {
  QuickRandom random(1);
  for (const Kernels* kernels : tables()) {
    for (const DType type : kTypes) {
      for (const int64_t k : {1, 2, 3, 5, 64, 257}) {
        const Lines panel = make_lines(random_floats(static_cast<size_t>(k) * kPanel, &random), type, kPanel);
        for (int32_t rows = 1; rows <= kernels->tile_rows; rows++) {
          const auto a = random_floats(static_cast<size_t>(k * rows), &random);
          const int64_t ldc = 40;
          auto c = random_floats(static_cast<size_t>(ldc * rows), &random);
          const auto before = c;
          kernels->tile[weight_of(type)][rows](a.data(), panel.data(), k, c.data(), ldc);
          for (int64_t row = 0; row < rows; row++) {
            for (int64_t column = 0; column < ldc; column++) {
              const size_t at = static_cast<size_t>(row * ldc + column);
              double want = before[at];
              if (column < kPanel) {
                for (int64_t i = 0; i < k; i++) {
                  want += static_cast<double>(a[static_cast<size_t>(i * rows + row)]) *
                          panel.values[static_cast<size_t>(i * kPanel + column)];
                }
              }
              CHECK_NEAR(c[at], want, 2e-6 * std::sqrt(static_cast<double>(k)));
            }
          }
        }
      }
    }
  }
}

TEST(a_row_has_the_same_bits_in_every_tile) {
  QuickRandom random(2);
  const int64_t k = 300;
  for (const Kernels* kernels : tables()) {
    for (const DType type : kTypes) {
      const Lines panel = make_lines(random_floats(static_cast<size_t>(k) * kPanel, &random), type, kPanel);
      const auto x = random_floats(static_cast<size_t>(k), &random);
      std::vector<float> alone(kPanel, 0.0f);
      kernels->tile[weight_of(type)][1](x.data(), panel.data(), k, alone.data(), kPanel);
      for (int32_t rows = 2; rows <= kernels->tile_rows; rows++) {
        for (int32_t place = 0; place < rows; place++) {
          auto a = random_floats(static_cast<size_t>(k * rows), &random);
          for (int64_t i = 0; i < k; i++) a[static_cast<size_t>(i * rows + place)] = x[static_cast<size_t>(i)];
          std::vector<float> c(static_cast<size_t>(rows * kPanel), 0.0f);
          // In two stretches, as the loops above the kernels do.
          const int64_t width = kPanel * dtype_bytes(type);
          kernels->tile[weight_of(type)][rows](a.data(), panel.data(), 100, c.data(), kPanel);
          kernels->tile[weight_of(type)][rows](a.data() + 100 * rows, static_cast<const char*>(panel.data()) + 100 * width,
                                               k - 100, c.data(), kPanel);
          CHECK(std::memcmp(c.data() + place * kPanel, alone.data(), kPanel * sizeof(float)) == 0);
        }
      }
    }
  }
}

TEST(halves_of_every_kind_are_read) {
  for (const Kernels* kernels : tables()) {
    for (uint32_t first = 0; first < 65536; first += kPanel) {
      uint16_t line[kPanel];
      float c[kPanel] = {};
      for (uint32_t i = 0; i < kPanel; i++) line[i] = static_cast<uint16_t>(first + i);
      const float one = 1.0f;
      kernels->tile[kWeightF16][1](&one, line, 1, c, kPanel);
      for (uint32_t i = 0; i < kPanel; i++) {
        const float want = half_to_float(line[i]);
        CHECK(std::isnan(want) ? std::isnan(c[i]) : c[i] == want);
      }
    }
  }
}

TEST(scores_and_mix_attend_to_pages) {
  QuickRandom random(3);
  for (const Kernels* kernels : tables()) {
    for (const DType type : {DType::kF32, DType::kBF16}) {
      const KvElement element = type == DType::kF32 ? kKvF32 : kKvBF16;
      for (const int32_t width : {16, 48, 64, 128}) {
        constexpr int32_t kPages = 3;
        std::vector<Lines> keys, values;
        const void* key_pages[kPages];
        const void* value_pages[kPages];
        for (int32_t p = 0; p < kPages; p++) {
          keys.push_back(make_lines(random_floats(static_cast<size_t>(width * kKvTile), &random), type, kKvTile));
          values.push_back(make_lines(random_floats(static_cast<size_t>(width * kKvTile), &random), type, kKvTile));
        }
        for (int32_t p = 0; p < kPages; p++) {
          key_pages[p] = keys[static_cast<size_t>(p)].data();
          value_pages[p] = values[static_cast<size_t>(p)].data();
        }
        for (int32_t rows = 1; rows <= kernels->attend_rows; rows++) {
          const int32_t head_dim = width - (rows % 2) * 4;  // a head may be narrower than its tile
          const auto q = random_floats(static_cast<size_t>(head_dim * rows), &random);
          const int64_t lds = 56;
          std::vector<float> s(static_cast<size_t>(lds * rows), -7.0f);
          kernels->scores[element][rows](q.data(), head_dim, key_pages, value_pages, kPages, s.data(), lds);
          const int32_t n_keys = 37;
          auto o = random_floats(static_cast<size_t>(rows * width), &random);
          const auto before = o;
          const auto p = random_floats(static_cast<size_t>(rows * lds), &random);
          kernels->mix[element][rows](p.data(), lds, value_pages, n_keys, width, o.data(), width);
          for (int32_t row = 0; row < rows; row++) {
            for (int32_t key = 0; key < lds; key++) {
              double want = key < kPages * kKvTile ? 0 : -7.0;
              for (int32_t d = 0; d < head_dim && key < kPages * kKvTile; d++) {
                want += static_cast<double>(q[static_cast<size_t>(d * rows + row)]) *
                        keys[static_cast<size_t>(key / kKvTile)].values[static_cast<size_t>(d * kKvTile + key % kKvTile)];
              }
              CHECK_NEAR(s[static_cast<size_t>(row * lds + key)], want, 1e-5);
            }
            for (int32_t d = 0; d < width; d++) {
              double want = before[static_cast<size_t>(row * width + d)];
              for (int32_t key = 0; key < n_keys; key++) {
                want += static_cast<double>(p[static_cast<size_t>(row * lds + key)]) *
                        values[static_cast<size_t>(key / kKvTile)].values[static_cast<size_t>(key % kKvTile * width + d)];
              }
              CHECK_NEAR(o[static_cast<size_t>(row * width + d)], want, 1e-5);
            }
          }
        }
      }
    }
  }
}

TEST(softmax_in_blocks_is_softmax) {
  QuickRandom random(4);
  for (const Kernels* kernels : tables()) {
    for (const float scale : {1.0f, 30.0f, 300.0f}) {
      for (const int32_t n : {1, 5, 16, 31, 100}) {
        const auto scores = random_floats(static_cast<size_t>(2 * n), &random, scale);
        double top = scores[0], total = 0;
        for (const float s : scores) top = std::max<double>(top, s);
        for (const float s : scores) total += std::exp(s - top);
        float max = -std::numeric_limits<float>::infinity(), sum = 0;
        std::vector<float> first(112, 9.0f), second(112, 9.0f);
        std::copy(scores.begin(), scores.begin() + n, first.begin());
        std::copy(scores.begin() + n, scores.end(), second.begin());
        const float nothing = kernels->softmax_block(first.data(), n, &max, &sum);
        CHECK_EQ(nothing, 0.0f);  // what was there before counts for nothing
        const float factor = kernels->softmax_block(second.data(), n, &max, &sum);
        CHECK_EQ(static_cast<double>(max), top);
        CHECK_NEAR(sum / total, 1.0, 2e-6);
        for (int32_t i = 0; i < n; i++) {
          const size_t at = static_cast<size_t>(i), after = static_cast<size_t>(n + i);
          CHECK_NEAR(first[at] * factor, std::exp(scores[at] - top), 2e-6 * (1 + std::fabs(scores[at] - top)));
          CHECK_NEAR(second[at], std::exp(scores[after] - top), 2e-6);
        }
        for (int32_t i = n; i < (n + 15) / 16 * 16; i++) CHECK_EQ(first[static_cast<size_t>(i)], 0.0f);
      }
    }
  }
}

TEST(silu_holds_over_the_whole_range) {
  for (const Kernels* kernels : tables()) {
    for (int step = -2000; step <= 2000; step += kPanel) {
      float gate[kPanel], up[kPanel], out[kPanel];
      for (int i = 0; i < kPanel; i++) {
        gate[i] = static_cast<float>(step + i) * 0.1f;
        up[i] = 1.0f + static_cast<float>(i);
      }
      kernels->silu_multiply(gate, up, out);
      for (int i = 0; i < kPanel; i++) {
        const double g = gate[i];
        const double want = g / (1.0 + std::exp(-g)) * up[i];
        CHECK_NEAR(out[i], want, 1e-30 + 5e-7 * std::fabs(want));
      }
    }
  }
}

TEST(sums_of_squares_and_scaling_take_any_length) {
  QuickRandom random(5);
  for (const Kernels* kernels : tables()) {
    for (const size_t n : {1u, 7u, 8u, 16u, 33u, 2048u}) {
      auto x = random_floats(n, &random);
      double want = 0;
      for (const float value : x) want += static_cast<double>(value) * value;
      CHECK_NEAR(kernels->sum_squares(x.data(), static_cast<int64_t>(n)) / want, 1.0, 1e-5);
      auto scaled = x;
      kernels->scale(scaled.data(), static_cast<int64_t>(n), 0.5f);
      for (size_t i = 0; i < n; i++) CHECK_EQ(scaled[i], x[i] * 0.5f);
    }
  }
}

TEST_MAIN()
