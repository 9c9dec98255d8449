// Products of packed layers as the backend takes them, for tests of panels.
#pragma once

#include <vector>

#include "src/backend/cpu/linear.h"

namespace chasqui::cpu {

inline std::vector<float> pack_rows(const std::vector<float>& x, int32_t rows, int64_t in, int32_t tile_rows) {
  std::vector<float> packed(x.size());
  const RowBlocks blocks(rows, tile_rows);
  for (int32_t block = 0; block < blocks.count; block++) {
    for (int32_t i = 0; i < blocks.size(block); i++) {
      for (int64_t k = 0; k < in; k++) {
        packed_block(packed.data(), blocks, block, in)[k * blocks.size(block) + i] =
            x[static_cast<size_t>((blocks.first(block) + i) * in + k)];
      }
    }
  }
  return packed;
}

// out (rows, outputs): stacked as they come; of a pair first one, then the other.
inline std::vector<float> product(const PanelLinear& linear, const Kernels& kernels, int32_t threads,
                                  const std::vector<float>& x, int32_t rows) {
  ThreadPool pool(threads);
  std::vector<float> scratch(static_cast<size_t>(threads * kMultiplyScratch));
  const int64_t outputs = linear.out * linear.step;
  std::vector<float> out(static_cast<size_t>(rows * outputs), -1.0f);
  const auto packed = pack_rows(x, rows, linear.in, kernels.tile_rows);
  multiply(pool, kernels, linear, packed.data(), rows, scratch.data(), [&](int32_t row, int64_t panel, const float* sums) {
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
