// The order in which quantised weights lie in device memory, and the way into it on the host. Eight rows lie together, and
// what one lane of a warp loads with one 16-byte access is one piece of one row:
//
//   codes  [row / 8][k / step][lane = row % 8 * 4 + t][16 bytes]     step = 64 inputs of 8 bits, 128 of 4 bits
//   scales [row / 8][k / group][row % 8]                             zeros alike
//
// Lane t has the inputs t * 8 .. t * 8 + 7 of every run of 32, in two turns (mma.m16n8k16) of four: turn j, input i is
// j / 2 * 32 + t * 8 + j % 2 * 4 + i of the step. So a lane's inputs of two turns are neighbours among the activations as they
// lie. Within the 16 bytes codes stand so that two of them come into the halves of a register with a mask and a shift (see
// dequant.cuh):
//
//   8 bits   word j: bytes 0 1 2 3 hold i = 0 2 1 3
//   kInt4    word j / 2: nibbles 0 4 and 1 5 hold i = 0 1 and 2 3 of the even turn, 2 6 and 3 7 those of the odd one
//   kTable4  word j / 2: nibbles 0 to 3 hold i = 0 to 3 of the even turn, 4 to 7 those of the odd one
//
// Rows are padded to 16 and inputs to a whole step; padded inputs meet zeros, so their codes count as nothing.
#pragma once

#include <cstdint>

#include "launch.h"

namespace chasqui::cuda {

// What decides how a matrix is packed.
struct PackShape {
  WeightKind kind = WeightKind::kInt4;  // not kBF16
  int32_t out = 0;                      // rows of all parts together
  int32_t in = 0;
  int32_t group = 0;                    // inputs to a scale; 0: one scale for a row
};

// Inputs of one step of a kind.
int32_t pack_step(WeightKind kind);
// Groups of a row as they are packed: padded inputs have some too.
int32_t packed_groups(const PackShape& shape);

int64_t packed_code_bytes(const PackShape& shape);
// Elements of the scales, and of the zeros.
int64_t packed_scale_count(const PackShape& shape);

// These write rows [first_row, first_row + rows): call once for each part of a layer; parts begin at a multiple of 8 rows.
// Clear the memory first: padding is not written.
//
// codes: (rows, row bytes) as QuantMatrix has them: bytes, or two codes to a byte with the low nibble first.
void pack_codes(const PackShape& shape, const uint8_t* codes, int32_t rows, int32_t first_row, uint8_t* packed);
// scales, zeros: (rows, groups). Scales that `kind` does not hold exactly are rounded: ask scales_fit() first.
void pack_scales(const PackShape& shape, ScaleKind kind, const float* scales, int32_t rows, int32_t first_row, void* packed);
void pack_zeros(const PackShape& shape, const int8_t* zeros, int32_t rows, int32_t first_row, int8_t* packed);

bool scales_fit(ScaleKind kind, const float* scales, int64_t n);

}  // namespace chasqui::cuda
