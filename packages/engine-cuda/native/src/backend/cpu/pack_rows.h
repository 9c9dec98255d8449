// The input rows of a product: normed where a norm belongs to it, rounded and laid out as its tiles want them.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels.h"
#include "linear.h"
#include "objects.h"
#include "thread_pool.h"

namespace chasqui::cpu {

constexpr int64_t kSharedWork = 64 * 1024;  // elements from which a simple loop over rows is shared among threads

// row_of(i) gives the i-th row, (in), `order` the input of each step (null: as they come). The result lies in `work` until
// the next call.
template <typename RowOf>
PackedRows pack_rows(ThreadPool& pool, const Kernels& kernels, const Product& product, CpuWorkspace& work, int64_t in,
                     int32_t rows, const CpuNorm* norm, const int32_t* order, const RowOf& row_of) {
  const PackedRows packed{&product, RowBlocks(rows, product.rows), work.packed.as<char>()};
  const PackRow pack_row = kernels.pack[product.input];
  const auto one_block = [&](int32_t block, int32_t thread) {
    const int32_t size = packed.blocks.size(block);
    for (int32_t i = 0; i < size; i++) {
      const float* from = row_of(packed.blocks.first(block) + i);
      float* normed = work.rows_of_threads.as<float>() + thread * work.widest();
      if (norm != nullptr) {
        const double mean = static_cast<double>(kernels.sum_squares(from, in)) / static_cast<double>(in);
        const float scale = static_cast<float>(1.0 / std::sqrt(mean + norm->eps));
        const float* weight = norm->weight.data();
        if (order != nullptr) {
          for (int64_t k = 0; k < in; k++) normed[k] = from[order[k]] * scale * weight[order[k]];
        } else {
          for (int64_t k = 0; k < in; k++) normed[k] = from[k] * scale * weight[k];
        }
        from = normed;
      } else if (order != nullptr) {
        for (int64_t k = 0; k < in; k++) normed[k] = from[order[k]];
        from = normed;
      }
      pack_row(from, in, product.chunk, size, i, packed.block(block, in));
    }
  };
  if (rows * in < kSharedWork) {
    for (int32_t block = 0; block < packed.blocks.count; block++) one_block(block, 0);
  } else {
    pool.run(packed.blocks.count, one_block);
  }
  return packed;
}

}  // namespace chasqui::cpu
