// Products of packed layers as the backend takes them, for tests of panels.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "src/backend/cpu/linear.h"
#include "src/model/precision.h"

namespace chasqui::cpu {

// What a product sees of rows (.., in): as they are, in bf16, or as integers with a scale for each 64 steps, `order` being
// the input of each step.
inline std::vector<float> as_seen(std::vector<float> x, InputType input, int64_t in, const int32_t* order = nullptr) {
  const size_t width = static_cast<size_t>(in);
  const auto at = [&](size_t row, size_t k) -> float& { return x[row + (order != nullptr ? static_cast<size_t>(order[k]) : k)]; };
  for (size_t row = 0; row < x.size(); row += width) {
    for (size_t k = 0; k < width && input == kInputBF16; k++) x[row + k] = bf16_to_float(float_to_bf16(x[row + k]));
    for (size_t first = 0; first < width && input == kInputInt8; first += kInputGroup) {
      const size_t end = std::min(width, first + kInputGroup);
      float most = 0;
      for (size_t k = first; k < end; k++) most = std::max(most, std::fabs(at(row, k)));
      const float inverse = most == 0.0f ? 0.0f : 127.0f / most;
      for (size_t k = first; k < end; k++) at(row, k) = std::nearbyint(at(row, k) * inverse) * (most / 127.0f);
    }
  }
  return x;
}

// out (rows, outputs): stacked as they come; of a pair first one, then the other.
inline std::vector<float> product(const PanelLinear& linear, const Kernels& kernels, int32_t threads,
                                  const std::vector<float>& x, int32_t rows) {
  ThreadPool pool(threads);
  std::vector<float> scratch(static_cast<size_t>(threads * kMultiplyScratch));
  const int64_t outputs = linear.out * linear.step;
  std::vector<float> out(static_cast<size_t>(rows * outputs), -1.0f);
  const Product& how = product_of(kernels, linear, rows);
  std::vector<char> memory(static_cast<size_t>(most_input_bytes(linear.in, rows)), 0x7f);  // NaN where nothing is written
  const PackedRows packed{&how, RowBlocks(rows, how.rows), memory.data()};
  std::vector<float> ordered(static_cast<size_t>(linear.in));
  for (int32_t block = 0; block < packed.blocks.count; block++) {
    for (int32_t i = 0; i < packed.blocks.size(block); i++) {
      const float* row = x.data() + (packed.blocks.first(block) + i) * linear.in;
      for (int64_t k = 0; k < linear.in; k++) ordered[static_cast<size_t>(k)] = row[linear.order() != nullptr ? linear.order()[k] : k];
      kernels.pack[how.input](ordered.data(), linear.in, how.chunk, packed.blocks.size(block), i,
                              packed.block(block, linear.in));
    }
  }
  multiply(pool, kernels, linear, packed, scratch.data(), [&](int32_t row, int64_t panel, const float* sums) {
    for (int32_t half = 0; half < linear.step; half++) {
      for (int64_t i = 0; i < kPanel; i++) {
        const int64_t output = panel / linear.step * kPanel + i;
        if (output < linear.out) out[static_cast<size_t>(row * outputs + half * linear.out + output)] = sums[half * kPanel + i];
      }
    }
  });
  return out;
}

}  // namespace chasqui::cpu
