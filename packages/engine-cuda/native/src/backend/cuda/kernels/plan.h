// How a linear layer is cut into blocks: the one place where launch parameters of the matrix kernels come from. Plain
// arithmetic on shapes; knows no CUDA.
#pragma once

#include <cstdint>

#include "launch.h"

namespace chasqui::cuda {

constexpr int32_t kSkinnyWarps = 8;
constexpr int32_t kSkinnyRows = 16;       // most rows of a step that the skinny kernel takes
constexpr int32_t kFusedNormRows = 4;     // most rows for which it computes the norm itself

// The skinny kernel: every block holds the activations of its slice of the inputs in shared memory and runs through tiles
// of 16 weight rows, its warps sharing the steps of the slice.
struct SkinnyPlan {
  int32_t tiles = 0;
  int32_t steps = 0;        // of a whole row of weights
  int32_t slices = 1;       // of the inputs; more than one: partial sums meet in Scratch
  int32_t blocks = 1;       // of a slice
  int32_t columns = 8;      // 8 or 16: rows of the step, padded
  int32_t stage_bytes = 0;  // of a warp
  int32_t stages = 0;
  int32_t shared_bytes = 0;
};

SkinnyPlan skinny_plan(const DeviceLinear& linear, int32_t rows, const DeviceLimits& limits);

// The tile kernel for more rows: blocks of 128 weight rows and 64 or 128 rows of the step.
struct GemmPlan {
  int32_t row_blocks = 0;     // of the weights
  int32_t column_blocks = 0;  // of the step
  int32_t columns = 64;       // of a block
  int32_t slices = 1;
  int32_t steps = 0;
};

GemmPlan gemm_plan(const DeviceLinear& linear, int32_t rows, const DeviceLimits& limits);

constexpr int32_t kMostPositions = 1 << 27;  // of a sequence: no model has more

// Blocks that one row and key-value head are split into.
int32_t decode_splits(const ModelShape& shape, int32_t decode_rows, int32_t max_length, const DeviceLimits& limits);

// Inputs of one step of a kind in the matrix kernels.
int32_t step_of(WeightKind kind);

}  // namespace chasqui::cuda
