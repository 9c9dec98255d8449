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

// Steps of 16 lanes or more as lines: in bf16 two neighbouring steps of a lane lie side by side.
struct Page {
  std::vector<uint32_t> storage;
  std::vector<float> values;  // (steps, width), after rounding to the element
};

Page make_page(const std::vector<float>& values, KvElement element, size_t width) {
  Page page{std::vector<uint32_t>(values.size()), values};
  for (size_t i = 0; i < values.size(); i++) {
    if (element == kKvF32) {
      std::memcpy(&page.storage[i], &values[i], 4);
      continue;
    }
    const uint16_t bits = float_to_bf16(values[i]);
    reinterpret_cast<uint16_t*>(page.storage.data())[(i / width / 2 * width + i % width) * 2 + i / width % 2] = bits;
    page.values[i] = bf16_to_float(bits);
  }
  return page;
}

float as_input(float value, const Attend& attend) {
  return attend.input == kInputBF16 ? bf16_to_float(float_to_bf16(value)) : value;
}

struct AttendCase {
  const Kernels* kernels;
  const Attend* attend;
  KvElement element;
};

std::vector<AttendCase> attend_cases() {
  std::vector<AttendCase> cases;
  for (const Kernels* kernels : tables()) {
    for (const KvElement element : {kKvF32, kKvBF16}) cases.push_back({kernels, &kernels->attend[element], element});
  }
  return cases;
}

TEST(scores_and_mix_attend_to_pages) {
  QuickRandom random(3);
  constexpr int32_t kPages = 7;  // one at a time and as many as a kernel takes at once
  constexpr int64_t kRow = 120;
  for (const auto& [kernels, attend, element] : attend_cases()) {
    for (const int32_t width : {16, 48, 64, 128}) {
      std::vector<Page> keys, values;
      const void* key_pages[kPages];
      const void* value_pages[kPages];
      for (int32_t p = 0; p < kPages; p++) {
        keys.push_back(make_page(random_floats(static_cast<size_t>(width * kKvTile), &random), element, kKvTile));
        values.push_back(make_page(random_floats(static_cast<size_t>(width * kKvTile), &random), element, static_cast<size_t>(width)));
      }
      for (int32_t p = 0; p < kPages; p++) {
        key_pages[p] = keys[static_cast<size_t>(p)].storage.data();
        value_pages[p] = values[static_cast<size_t>(p)].storage.data();
      }
      const int32_t n_keys = 101;
      // What lies beside the last value has not been written yet.
      if (element == kKvBF16) {
        auto* last = reinterpret_cast<uint16_t*>(values[static_cast<size_t>(n_keys / kKvTile)].storage.data());
        for (int32_t d = 0; d < width; d++) last[(n_keys % kKvTile / 2 * width + d) * 2 + 1] = 0xffff;
      }
      for (int32_t rows = 1; rows <= attend->rows; rows++) {
        const int32_t head_dim = width - (rows % 2) * 4;  // a head may be narrower than its tile
        const auto q = random_floats(static_cast<size_t>(head_dim * rows), &random);
        std::vector<float> packed(q.size() + 64);
        for (int32_t row = 0; row < rows; row++) kernels->pack[attend->input](q.data() + row * head_dim, head_dim, attend->chunk, rows, row, packed.data());
        std::vector<float> s(static_cast<size_t>(kRow * rows), -7.0f);
        attend->scores[rows](packed.data(), head_dim, key_pages, value_pages, kPages, s.data(), kRow);
        auto o = random_floats(static_cast<size_t>(rows * width), &random);
        const auto before = o;
        const auto p = random_floats(static_cast<size_t>(rows * kRow), &random);
        auto given = p;
        for (size_t i = 0; i < p.size() && attend->input == kInputBF16; i++) {
          reinterpret_cast<uint16_t*>(given.data() + i / kRow * kRow)[i % kRow] = float_to_bf16(p[i]);
        }
        attend->mix[rows](given.data(), kRow, value_pages, key_pages, n_keys, width, o.data(), width);
        for (int32_t row = 0; row < rows; row++) {
          for (int32_t key = 0; key < kRow; key++) {
            double want = key < kPages * kKvTile ? 0 : -7.0;
            for (int32_t d = 0; d < head_dim && key < kPages * kKvTile; d++) {
              want += static_cast<double>(as_input(q[static_cast<size_t>(row * head_dim + d)], *attend)) *
                      keys[static_cast<size_t>(key / kKvTile)].values[static_cast<size_t>(d * kKvTile + key % kKvTile)];
            }
            CHECK_NEAR(s[static_cast<size_t>(row * kRow + key)], want, 1e-5);
          }
          for (int32_t d = 0; d < width; d++) {
            double want = before[static_cast<size_t>(row * width + d)];
            for (int32_t key = 0; key < n_keys; key++) {
              want += static_cast<double>(as_input(p[static_cast<size_t>(row * kRow + key)], *attend)) *
                      values[static_cast<size_t>(key / kKvTile)].values[static_cast<size_t>(key % kKvTile * width + d)];
            }
            CHECK_NEAR(o[static_cast<size_t>(row * width + d)], want, 2e-5);
          }
        }
      }
    }
  }
}

// A row of what softmax has made, as floats.
std::vector<float> exponentials(const std::vector<float>& row, const Attend& attend) {
  if (attend.input == kInputF32) return row;
  std::vector<float> values;
  for (size_t i = 0; i < row.size(); i++) values.push_back(bf16_to_float(reinterpret_cast<const uint16_t*>(row.data())[i]));
  return values;
}

TEST(softmax_in_blocks_is_softmax) {
  QuickRandom random(4);
  constexpr float kScale = 0.25f;
  for (const auto& [kernels, attend, element] : attend_cases()) {
    const double digits = attend->input == kInputBF16 ? 1.0 / 256 : 2e-6;
    for (const float scale : {1.0f, 30.0f, 300.0f}) {
      for (const int32_t n : {1, 5, 16, 31, 100}) {
        const auto scores = random_floats(static_cast<size_t>(2 * n), &random, scale / kScale);
        double top = -1e9, total = 0;
        for (const float s : scores) top = std::max<double>(top, s * kScale);
        for (const float s : scores) total += std::exp(s * kScale - top);
        float max = -std::numeric_limits<float>::infinity(), sum = 0;
        const int32_t padded = 112;
        std::vector<float> first(padded + 16, 9.0f), second(padded + 16, 9.0f);
        std::copy(scores.begin(), scores.begin() + n, first.begin());
        std::copy(scores.begin() + n, scores.end(), second.begin());
        const float nothing = attend->softmax(first.data(), n, padded, kScale, &max, &sum);
        CHECK_EQ(nothing, 0.0f);  // what was there before counts for nothing
        const float factor = attend->softmax(second.data(), n, padded, kScale, &max, &sum);
        CHECK_EQ(static_cast<double>(max), top);
        CHECK_NEAR(sum / total, 1.0, digits);
        const auto a = exponentials(first, *attend), b = exponentials(second, *attend);
        double added = 0;
        for (int32_t i = 0; i < n; i++) {
          const size_t at = static_cast<size_t>(i), after = static_cast<size_t>(n + i);
          const double want = std::exp(scores[at] * kScale - top), also = std::exp(scores[after] * kScale - top);
          CHECK_NEAR(a[at] * factor, want, digits * want + 2e-6 * (1 + std::fabs(scores[at] * kScale - top)));
          CHECK_NEAR(b[at], also, digits * also + 2e-6);
          added += static_cast<double>(a[at]) * factor + b[at];
        }
        CHECK_NEAR(sum / added, 1.0, 2e-6);  // of the exponentials as they are rounded
        for (int32_t i = n; i < padded; i++) CHECK_EQ(a[static_cast<size_t>(i)], 0.0f);
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
