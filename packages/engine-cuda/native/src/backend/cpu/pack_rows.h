// The input rows of a product: normed where a norm belongs to it, rounded and laid out as its tiles want them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels.h"
#include "linear.h"
#include "objects.h"
#include "thread_pool.h"

namespace chasqui::cpu {

// body(row, thread) for each row, which takes about so many nanoseconds.
template <typename Body>
void each_row(ThreadPool& pool, int32_t rows, int64_t nanoseconds_of_row, const Body& body) {
  constexpr int64_t kWorthTaking = 4'000;
  const int32_t run = static_cast<int32_t>(std::max<int64_t>(1, kWorthTaking / std::max<int64_t>(1, nanoseconds_of_row)));
  pool.run_on(pool.threads_for(rows * nanoseconds_of_row), (rows + run - 1) / run, [&](int32_t chunk, int32_t thread) {
    for (int32_t row = chunk * run; row < std::min(rows, (chunk + 1) * run); row++) body(row, thread);
  });
}

// row_of(i) gives the i-th row, (in), `order` the input of each step (null: as they come). The result lies in `work` until
// the next call.
template <typename RowOf>
PackedRows pack_rows(ThreadPool& pool, const Kernels& kernels, const Product& product, CpuWorkspace& work, int64_t in,
                     int32_t rows, const CpuNorm* norm, const int32_t* order, const RowOf& row_of) {
  const PackedRows packed{&product, RowBlocks(rows, product.rows), work.packed.as<char>()};
  const PackRow pack_row = kernels.pack[product.input];
  each_row(pool, rows, in / 2, [&](int32_t row, int32_t thread) {
    const float* from = row_of(row);
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
    const int32_t block = packed.blocks.of(row);
    pack_row(from, in, product.chunk, packed.blocks.size(block), row - packed.blocks.first(block), packed.block(block, in));
  });
  return packed;
}

}  // namespace chasqui::cpu
