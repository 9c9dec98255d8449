// Panels of quantised checkpoints as the tiles see them: codes of 4 or 8 bits in the units of kernels.h, and beside them,
// in an order that any group size fits, a line of 32 scales for each group of steps and a line of zeros where the
// format has them.
//
//   weight[k][output] = (value(code) - zero[group][output]) * scale[group][output]
//
// Values, zeros and scales are those of the checkpoint, exactly. Where groups are runs of at least four steps, a run is
// summed with the values and multiplied by its scale afterwards; runs begin at fixed steps, so the sum has one order
// however k is cut. Else (inputs ordered by activation, odd group sizes) each step multiplies by its own scale.
#pragma once

#include <cstdint>

namespace chasqui::cpu {

constexpr int32_t kPanel = 32;  // outputs of a linear layer that lie side by side

// Two steps of two outputs to a word (kCodeInt8, kCodeFp8), or four steps (kCodeTable4).
enum PanelCode : uint8_t { kCodeTable4, kCodeInt8, kCodeFp8, kPanelCodes };
enum ScaleType : uint8_t { kScaleF32, kScaleF16, kScaleBF16 };

struct QuantPanel {
  PanelCode code = kCodeTable4;
  ScaleType scale_type = kScaleF32;
  bool is_plain = false;                // `codes` holds an ordinary panel of weight type `plain` instead
  uint8_t plain = 0;
  int32_t group = 0;                    // steps to a line of scales
  int32_t run = 0;                      // steps that are summed before they are scaled; divides `group` or covers it
  const char* codes = nullptr;          // units of 64 bytes
  const void* scales = nullptr;         // (groups, 32)
  const int8_t* zeros = nullptr;        // (groups, 32); null: none
  const int32_t* group_of = nullptr;    // (in): group of each step; null: runs
  const float* table = nullptr;         // (16), of kCodeTable4
};

// c (rows, ldc)[.., 0..31] += a (k, rows) * steps [first, first + k) of the panel; first is a multiple of the run.
using QuantTile = void (*)(const QuantPanel& panel, const float* a, int64_t first, int64_t k, float* c, int64_t ldc);

}  // namespace chasqui::cpu
