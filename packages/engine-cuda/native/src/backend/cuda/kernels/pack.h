// The order in which quantised weights lie in device memory, and the way into it on the host. Eight rows lie together, and
// what one lane of a warp loads with one 16-byte access is one piece of one row:
//
//   codes [row / 8][k / step][lane = row % 8 * 4 + t][16 bytes]      step = 64 inputs of 8 bits, 128 of 4 bits
//
// The 16 bytes hold, for j = 0 .. step / 16 - 1, the inputs k = j * 16 + t * 4 + 0 .. 3 of the step: what mma.m16n8k16
// wants from lane t in its j-th turn. 8 bits: word j holds inputs 0 2 1 3 in bytes 0 1 2 3, so that the two halves of a
// register are a mask and a shift away. 4 bits: word j / 2 holds two turns; see nibble_of().
//
// Rows are padded to 16 and inputs to a whole step; padded inputs meet zeros, so their codes count as nothing.
#pragma once

#include <cstdint>

#include "launch.h"

namespace chasqui::cuda {

// Inputs of one step of a kind; 0 for kBF16, which is not packed.
int32_t pack_step(WeightKind kind);

// Of `out` rows of `in` inputs.
int64_t packed_code_bytes(WeightKind kind, int32_t out, int32_t in);
// Elements of the scales (and zeros) of such a matrix: (ceil(out / 16) * 2, groups, 8). group 0: one group.
int64_t packed_scale_count(int32_t out, int32_t in, int32_t group);

// Writes rows [first_row, first_row + rows) of a packed matrix of `in` inputs. `codes`: (rows, row bytes) as QuantMatrix
// has them: bytes, or two codes to a byte with the low nibble first. Call once for each part; parts begin at a multiple of
// 8 rows. Clear the memory first: padding is not written.
void pack_codes(WeightKind kind, const uint8_t* codes, int32_t rows, int32_t in, int32_t first_row, uint8_t* packed);

// The same for scales: (rows, groups) of floats to `kind`, and zeros. `group` as in DeviceLinear. Scales that `kind` does
// not hold exactly are rounded: ask scales_fit() first.
void pack_scales(ScaleKind kind, const float* scales, int32_t rows, int32_t groups, int32_t first_row, void* packed);
void pack_zeros(const int8_t* zeros, int32_t rows, int32_t groups, int32_t first_row, int8_t* packed);
bool scales_fit(ScaleKind kind, const float* scales, int64_t n);

}  // namespace chasqui::cuda
