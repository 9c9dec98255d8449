// Launchers of the small kernels (small.cu) that operations.cu puts between the large ones.
#pragma once

#include "launch.h"

namespace chasqui::cuda {

// out[i] = bf16(norm(x[which[i]])), by code order where `order` is given. which: null: i. Rows from *live - first on are
// left alone.
void norm_rows(const Target& target, int32_t rows, int32_t dim, const float* x, const int32_t* which, const DeviceNorm& norm,
               const int32_t* order, const int32_t* live, int32_t first, uint16_t* out);

// out[i][j] = in[i][order[j]]
void reorder_rows(const Target& target, int32_t rows, int32_t width, const uint16_t* in, const int32_t* order,
                  const int32_t* live, uint16_t* out);

}  // namespace chasqui::cuda
