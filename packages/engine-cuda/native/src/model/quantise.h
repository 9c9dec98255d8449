// Quantising plain weights while a model is loaded: a matrix of floats in, the common form of checkpoint/quant.h out, with
// the error that it cost. No calibration data, only the weights.
#pragma once

#include <cstdint>

#include "../checkpoint/quant.h"
#include "../status.h"
#include "weights.h"

namespace chasqui {

enum class QuantScheme : uint8_t {
  kInt8,  // a scale for each output, symmetric
  kFp8,   // e4m3, a scale for each output
  kInt4,  // a scale for each group of inputs (128, 64 or 32), symmetric, the scale of least squared error
  kNf4,   // a scale for each 64 inputs, the 16 values of NF4
};

// Inputs to a scale under a scheme; 0 where a matrix of so many inputs cannot be quantised by it.
int64_t scheme_group(QuantScheme scheme, int64_t cols);

// `relative_error`: root of (sum of squared differences / sum of squares). Fails with kUnsupported for a number of inputs
// that does not divide into groups, kBadCheckpoint for weights that are no finite numbers, kOutOfMemory.
Status quantise(const MatrixView& plain, QuantScheme scheme, QuantMatrix* matrix, double* relative_error);

// The nearest e4m3fn code, ties to even; beyond 448 the largest.
uint8_t float_to_e4m3(float value);

}  // namespace chasqui
