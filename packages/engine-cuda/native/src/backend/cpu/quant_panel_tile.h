// Panels of quantised checkpoints as the tiles see them: codes of 4 or 8 bits in units, and beside them, in an order that
// any group size fits, a line of 32 scales for each group of steps and a line of zeros where the format has them.
//
//   weight[k][output] = (value(code) - zero[group][output]) * scale[group][output]
//
// Values, zeros and scales are those of the checkpoint. Where groups are runs of at least four steps, a run is summed with
// the values and multiplied by its scale afterwards; runs begin at fixed steps, so the sum has one order however k is cut.
// Else (parts whose inputs are ordered in different ways, odd group sizes) each step multiplies by its own scale.
//
// Three arithmetics, as for plain panels (kernels.h): float; bf16 pairs for tables and FP8, whose values are bf16 (those of
// FP8 exactly, those of a table after rounding); 8 bit integers for integers, with c = fma(float(sum - zero * sum of the
// inputs) * input scale, scale, c) for each 64 steps. Scales are never rounded.
#pragma once

#include <cstdint>

namespace chasqui::cpu {

constexpr int32_t kPanel = 32;  // outputs of a linear layer that lie side by side

// Units. Of 64 bytes, a word for outputs o and o + 16: two steps of kCodeFp8 (bytes: o and o + 16, then the next step), four
// of kCodeTable4 (nibbles: o and o + 16 of steps 0, 2 in the lower half, of steps 1, 3 in the upper). Of 128 bytes, as in
// kernels.h: four steps of kCodeInt8, eight of kCodeInt4. Codes are filled up to a multiple of 64 steps.
enum PanelCode : uint8_t { kCodeTable4, kCodeInt4, kCodeInt8, kCodeFp8, kPanelCodes };
constexpr int64_t kCodeSteps = 64;
enum ScaleType : uint8_t { kScaleF32, kScaleF16, kScaleBF16 };

struct QuantPanel {
  PanelCode code = kCodeTable4;
  ScaleType scale_type = kScaleF32;
  bool is_plain = false;                // `codes` holds an ordinary panel of weight type `plain` instead
  uint8_t plain = 0;
  int32_t group = 0;                    // steps to a line of scales
  int32_t run = 0;                      // steps that are summed before they are scaled; divides `group` or covers it
  const char* codes = nullptr;          // units
  const void* scales = nullptr;         // (groups, 32)
  const int8_t* zeros = nullptr;        // (groups, 32); null: 8 for kCodeInt4, else none
  const int32_t* group_of = nullptr;    // (in): group of each step; null: runs
  const float* table = nullptr;         // (16), of codes of four bits: their values; kCodeInt4 with zeros: codes
};

// c (rows, ldc)[.., 0..31] += a (k, rows), packed as the product wants it, * steps [first, first + k) of the panel. `codes`
// are those from step `first` on, as stored or as unpacked; first is a multiple of 256 or of a stretch's beginning.
using QuantTile = void (*)(const QuantPanel& panel, const char* codes, const void* a, int64_t first, int64_t k, float* c,
                           int64_t ldc);

// k steps of codes as other units: bf16 pairs of the values, or four steps of int8 to a word; zeros up to a multiple of 64.
using QuantUnpack = void (*)(const QuantPanel& panel, const char* codes, int64_t k, void* block);

}  // namespace chasqui::cpu
