// Products of packed layers as the backend takes them, for tests of panels.
#pragma once

#include <vector>

#include "src/backend/cpu/linear.h"

namespace chasqui::cpu {

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
  for (int32_t block = 0; block < packed.blocks.count; block++) {
    for (int32_t i = 0; i < packed.blocks.size(block); i++) {
      kernels.pack[how.input](x.data() + (packed.blocks.first(block) + i) * linear.in, linear.in, how.chunk,
                              packed.blocks.size(block), i, packed.block(block, linear.in));
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
