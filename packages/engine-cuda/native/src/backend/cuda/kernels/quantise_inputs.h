// Rows of bf16 as e4m3 codes with a scale for each row, for products of e4m3 by e4m3. The codes of every 64 inputs stand in
// the order of pack.h.
#pragma once

#include "launch.h"

namespace chasqui::cuda {

constexpr int32_t kQuantisedRows = 1024;  // most at once: longer steps go through the same memory in parts

struct QuantisedInputs {
  uint8_t* codes = nullptr;  // (rows, width)
  float* scales = nullptr;   // (rows)
};

// In the memory of partial sums, which products of e4m3 by e4m3 do not have.
QuantisedInputs quantised_inputs(const Scratch& scratch);
constexpr int64_t quantised_bytes(int64_t rows, int64_t width) {
  return int64_t{4} * kQuantisedRows + (rows < kQuantisedRows ? rows : kQuantisedRows) * width;
}

// Rows that are not live keep what lies there. in: (rows, width), width a multiple of 64.
void quantise_inputs(const Target& target, int32_t rows, int32_t width, const uint16_t* in, const int32_t* live, int32_t first_row,
                     const QuantisedInputs& out);

}  // namespace chasqui::cuda
