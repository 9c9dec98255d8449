// How a linear layer is cut into blocks: the one place where launch parameters of the matrix kernels come from. Plain
// arithmetic on shapes; knows no CUDA.
#pragma once

#include <cstdint>

#include "launch.h"

namespace chasqui::cuda {

constexpr int32_t kSkinnyWarps = 8;
constexpr int32_t kSkinnyRows = 16;       // most rows of a step that the skinny kernel takes
constexpr int32_t kFusedNormRows = 4;     // most rows for which it computes the norm itself

// ---- What both matrix kernels are made of, known when they are compiled ----

// Inputs of one step of a kind.
constexpr int32_t step_of(WeightKind kind) { return kind == WeightKind::kInt4 || kind == WeightKind::kTable4 ? 128 : 64; }

// Shared memory of one step of 16 weight rows: codes, then scales and zeros.
constexpr int32_t stage_bytes(WeightKind kind) {
  if (kind == WeightKind::kBF16) return 2048;
  return 1024 + 256 + (kind == WeightKind::kInt4 || kind == WeightKind::kInt8 ? 64 : 0);
}

constexpr int32_t table_bytes(WeightKind kind) { return kind == WeightKind::kTable4 ? 256 * 32 * 4 : 0; }

// Steps that are under way at once, and the one that is worked on.
constexpr int32_t skinny_stages(WeightKind kind) { return stage_bytes(kind) > 1500 || table_bytes(kind) > 0 ? 4 : 6; }
constexpr int32_t gemm_stages(WeightKind kind) { return table_bytes(kind) > 0 ? 2 : 3; }

constexpr int32_t gemm_shared_bytes(WeightKind kind, int32_t columns) {
  return gemm_stages(kind) * (8 * stage_bytes(kind) + columns * step_of(kind) * 2) + table_bytes(kind);
}

// ---- Plans ----

// The skinny kernel: every block holds the activations of its slice of the inputs in shared memory and runs through tiles
// of 16 weight rows, its warps sharing the steps of the slice.
struct SkinnyPlan {
  int32_t tiles = 0;
  int32_t steps = 0;        // of a whole row of weights
  int32_t slices = 1;       // of the inputs; more than one: partial sums meet in Scratch
  int32_t blocks = 1;       // of a slice
  int32_t columns = 8;      // 8 or 16: rows of the step, padded
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

}  // namespace chasqui::cuda
