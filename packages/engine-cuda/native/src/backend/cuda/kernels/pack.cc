// Plain loops over the codes; loading is bound by reading the file.
#include "pack.h"

#include <cstring>

#include "../../../model/precision.h"

namespace chasqui::cuda {

namespace {

constexpr int32_t kRowsTogether = 8;
constexpr int32_t kRun = 32;  // inputs of two turns

bool is_4_bit(WeightKind kind) { return kind == WeightKind::kInt4 || kind == WeightKind::kTable4; }

int32_t steps_of(const PackShape& shape) { return (shape.in + pack_step(shape.kind) - 1) / pack_step(shape.kind); }

// Groups of a row as the checkpoint has them.
int32_t stored_groups(const PackShape& shape) {
  return shape.group == 0 ? 1 : (shape.in + shape.group - 1) / shape.group;
}

// Where input i (0 .. 3) of a turn stands, as a shift of the word that holds the turn.
int32_t shift_of(WeightKind kind, int32_t turn, int32_t i) {
  constexpr int32_t kBytes[4] = {0, 2, 1, 3};
  constexpr int32_t kNibbles[4] = {0, 4, 1, 5};
  if (!is_4_bit(kind)) return 8 * kBytes[i];
  if (kind == WeightKind::kTable4) return 4 * (turn % 2 * 4 + i);
  return 4 * (kNibbles[i] + turn % 2 * 2);
}

// The place of a row's scale of its group 0, and of the next group's 8 further on.
int64_t scale_place(const PackShape& shape, int64_t row) {
  return row / kRowsTogether * packed_groups(shape) * kRowsTogether + row % kRowsTogether;
}

}  // namespace

int32_t pack_step(WeightKind kind) { return is_4_bit(kind) ? 128 : 64; }

int32_t packed_groups(const PackShape& shape) {
  if (shape.group == 0) return 1;
  const int32_t padded = steps_of(shape) * pack_step(shape.kind);
  return (padded + shape.group - 1) / shape.group;
}

int64_t packed_code_bytes(const PackShape& shape) {
  const int64_t groups_of_rows = (static_cast<int64_t>(shape.out) + 15) / 16 * 2;
  return groups_of_rows * steps_of(shape) * 32 * 16;
}

int64_t packed_scale_count(const PackShape& shape) {
  return (static_cast<int64_t>(shape.out) + 15) / 16 * 2 * packed_groups(shape) * kRowsTogether;
}

void pack_codes(const PackShape& shape, const uint8_t* codes, int32_t rows, int32_t first_row, uint8_t* packed) {
  const bool nibbles = is_4_bit(shape.kind);
  const int32_t step = pack_step(shape.kind);
  const int64_t row_bytes = nibbles ? shape.in / 2 : shape.in;
  for (int32_t r = 0; r < rows; r++) {
    const int64_t row = static_cast<int64_t>(first_row) + r;
    const uint8_t* from = codes + r * row_bytes;
    uint8_t* to_row = packed + row / kRowsTogether * steps_of(shape) * 512 + row % kRowsTogether * 64;
    for (int32_t k = 0; k < shape.in; k++) {
      const uint32_t code = nibbles ? from[k / 2] >> (k % 2 * 4) & 15u : from[k];
      const int32_t turn = k % step / kRun * 2 + k % 8 / 4, t = k % kRun / 8, i = k % 4;
      const int32_t word = nibbles ? turn / 2 : turn;
      uint8_t* to = to_row + k / step * 512 + t * 16 + word * 4;
      uint32_t value;
      std::memcpy(&value, to, 4);
      value |= code << shift_of(shape.kind, turn, i);
      std::memcpy(to, &value, 4);
    }
  }
}

void pack_scales(const PackShape& shape, ScaleKind kind, const float* scales, int32_t rows, int32_t first_row, void* packed) {
  const int32_t groups = stored_groups(shape);
  for (int32_t r = 0; r < rows; r++) {
    for (int32_t group = 0; group < groups; group++) {
      const int64_t to = scale_place(shape, static_cast<int64_t>(first_row) + r) + group * kRowsTogether;
      const float scale = scales[static_cast<int64_t>(r) * groups + group];
      if (kind == ScaleKind::kF32) {
        static_cast<float*>(packed)[to] = scale;
      } else {
        static_cast<uint16_t*>(packed)[to] = kind == ScaleKind::kF16 ? float_to_half(scale) : float_to_bf16(scale);
      }
    }
  }
}

void pack_zeros(const PackShape& shape, const int8_t* zeros, int32_t rows, int32_t first_row, int8_t* packed) {
  const int32_t groups = stored_groups(shape);
  for (int32_t r = 0; r < rows; r++) {
    for (int32_t group = 0; group < groups; group++) {
      const int64_t to = scale_place(shape, static_cast<int64_t>(first_row) + r) + group * kRowsTogether;
      packed[to] = zeros[static_cast<int64_t>(r) * groups + group];
    }
  }
}

bool scales_fit(ScaleKind kind, const float* scales, int64_t n) {
  if (kind == ScaleKind::kF32) return true;
  for (int64_t i = 0; i < n; i++) {
    const float back = kind == ScaleKind::kF16 ? half_to_float(float_to_half(scales[i])) : bf16_to_float(float_to_bf16(scales[i]));
    if (back != scales[i]) return false;
  }
  return true;
}

}  // namespace chasqui::cuda
