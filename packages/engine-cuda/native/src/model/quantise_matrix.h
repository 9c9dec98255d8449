// Plain matrices as quantised ones, on load: NF4 in blocks of 64 inputs as bitsandbytes makes them, and FP8 (e4m3) with a
// scale for each output. Row by row, so that a backend can share the rows among its threads.
#pragma once

#include "../checkpoint/quant.h"
#include "../status.h"
#include "weights.h"

namespace chasqui {

constexpr int64_t kNf4Block = 64;

// Room for a matrix of this shape as kTable4 (NF4) or kFp8; every row is then to be filled.
Status prepare_quantised(QuantKind kind, int64_t rows, int64_t cols, QuantMatrix* matrix);

// Row `row` of a plain matrix. What is no number becomes a code that dequantises to one. Rows may be filled in parallel.
void quantise_row(const MatrixView& view, int64_t row, QuantMatrix* matrix);

}  // namespace chasqui
