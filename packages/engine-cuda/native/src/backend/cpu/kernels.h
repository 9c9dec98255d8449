// The inner loops of the CPU backend as a table of functions, one table per instruction set, chosen once at start.
//
// All arithmetic is float with float accumulation. Every sum runs in one fixed order, whatever the number of rows that
// are worked on together: an element of a product is a chain c = fma(a[k], w[k], c) over k = 0, 1, 2, ... in a lane of its
// own. So a row has the same bits alone and in a batch, with one thread and with many.
//
// Panels. A weight matrix (rows out, cols in) is stored as panels of 32 outputs: panel p holds, for k = 0 .. in-1, the 32
// weights of outputs 32p .. 32p+31 side by side. bf16 weights lie within that line as 0, 16, 1, 17, ..., 15, 31, so that a
// shift and a mask give two vectors of neighbouring outputs. The KV cache uses the same idea with lines of 16.
// Quantised panels are made of groups of steps of k (quantise.h): a bf16 line of 32 scales, then units of 64 bytes, 16
// words each. Word j of a unit holds 2 steps (int8) or 4 steps (int4) of outputs j and 16 + j: lowest bits first, step 0 of
// j, step 0 of 16 + j, step 1 of j, ... A group's sum is taken with the integers and then multiplied by the scale.
#pragma once

#include <cstdint>

#include "quant_panel_tile.h"
#include "quantise.h"

namespace chasqui::cpu {

constexpr int32_t kMaxTileRows = 12;  // rows of a tile on the widest instruction set
constexpr int32_t kKvTile = 16;       // positions of a page, and dimensions of a value, that lie side by side

enum WeightType : uint8_t { kWeightF32, kWeightF16, kWeightBF16, kWeightInt8, kWeightInt4, kWeightTypes };
enum KvElement : uint8_t { kKvF32, kKvBF16, kKvElements };

// c (rows, ldc)[.., 0..31] += a (k, rows) * panel (k, 32). A quantised panel is entered at the beginning of a group.
using Tile = void (*)(const float* a, const void* panel, int64_t k, float* c, int64_t ldc);

// s (rows, lds)[.., 16 * n_pages] = q (head_dim, rows) against the keys of whole pages, each (head_dim, 16). The values of
// the same pages are only asked for from memory.
using Scores = void (*)(const float* q, int32_t head_dim, const void* const* pages, const void* const* value_pages,
                        int32_t n_pages, float* s, int64_t lds);

// o (rows, ldo)[.., 0..width-1] += p (rows, ldp)[.., 0..n_keys-1] * values, pages of (16, width), width % 16 == 0
using Mix = void (*)(const float* p, int64_t ldp, const void* const* pages, int32_t n_keys, int32_t width, float* o,
                     int64_t ldo);

struct Kernels {
  const char* name;
  int32_t tile_rows;     // most rows of one tile
  int32_t attend_rows;   // most rows of one call of scores and mix
  Tile tile[kWeightTypes][kMaxTileRows + 1];        // [type][rows]
  QuantTile quant_tile[kPanelCodes][kMaxTileRows + 1];  // [code][rows]
  Scores scores[kKvElements][kMaxTileRows + 1];     // [element][rows]
  Mix mix[kKvElements][kMaxTileRows + 1];           // [element][rows]
  // sum of x[i]^2
  float (*sum_squares)(const float* x, int64_t n);
  // out[i] = silu(gate[i]) * up[i], i < 32
  void (*silu_multiply)(const float* gate, const float* up, float* out);
  // Softmax of a row, 16-padded, a block at a time. s holds n scores and becomes exp(s - max) with zeros up to the next
  // multiple of 16; *max and *sum are the running maximum and sum, brought up to date. Returns the factor by which what
  // was added up before must be multiplied.
  float (*softmax_block)(float* s, int32_t n, float* max, float* sum);
  // x[i] *= factor
  void (*scale)(float* x, int64_t n, float factor);
};

// Tables; null where the processor (or the build) has no such instructions.
const Kernels* portable_kernels();
const Kernels* avx2_kernels();
const Kernels* avx512_kernels();
// AMX comes here: tiles of its own with weights packed for them.

// The best table for this processor. `name` narrows the choice ("portable", "avx2", "avx512"); null if it cannot run here.
const Kernels* best_kernels();
const Kernels* kernels_named(const char* name);

}  // namespace chasqui::cpu
