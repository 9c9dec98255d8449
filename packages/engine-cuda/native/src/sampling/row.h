// What sampling does with all logits of a row, as a table of functions, one table per instruction set, chosen once at start.
// Every table gives the same bits, so a seed gives the same tokens on every processor: a weight is an integer, so that sums
// have no order, and the arithmetic before it is float without contraction, the same operations in each table.
//
// The weight of a logit is 2^41 * 2^((logit - highest) * rate), cut to an integer; the highest logit has 2^41 exactly and
// whatever is below 2^-41 of it has none. NaN and minus infinity have none. A row of 2^22 logits cannot overflow a sum.
#pragma once

#include <cstdint>

namespace chasqui {

constexpr int kUnitBits = 41;
constexpr float kLeastExponent = -41.0f;
constexpr int32_t kRowBlock = 256;  // logits that share an entry of what is known by block

struct RowScale {
  float highest = 0.0f;  // finite
  float rate = 0.0f;     // log2(e) / temperature; finite
};

struct RowKernels {
  const char* name;
  // Minus infinity for each logit whose bit is clear. `words`: (ceil(n / 32))
  void (*forbid)(float* logits, int32_t n, const uint32_t* words);
  // The highest of all, which is returned, and of each block; NaN counts for nothing. `of_blocks`: (ceil(n / kRowBlock))
  float (*highest)(const float* logits, int32_t n, float* of_blocks);
  // The sum of all weights, which is returned, and of each block. `of_blocks` as given by highest; `sums`: as many
  uint64_t (*sum)(const float* logits, int32_t n, RowScale scale, const float* of_blocks, uint64_t* sums);
  // weights[i] of logits[i], i < n
  void (*weigh)(const float* logits, int32_t n, RowScale scale, uint64_t* weights);
  // Ids of the logits that are at least `least`, which is finite, in order; returns how many. `ids`: (n)
  int32_t (*gather)(const float* logits, int32_t n, float least, const float* of_blocks, int32_t* ids);
};

const RowKernels* portable_row_kernels();
// Null where the processor or the build has no such instructions.
const RowKernels* avx2_row_kernels();
const RowKernels* avx512_row_kernels();

const RowKernels* best_row_kernels();

}  // namespace chasqui
