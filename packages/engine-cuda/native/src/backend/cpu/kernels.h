// The inner loops of the CPU backend as a table of functions, one table per instruction set, chosen once at start. No
// inline function may stand here, nor a default initialiser: units for one instruction set include this file.
//
// Three arithmetics, each with one order for every sum, whatever the number of rows that are worked on together and
// whatever rows they are; so a row has the same bits alone and in a batch, with one thread and with many.
// - float: an element of a product is a chain c = fma(a[k], w[k], c) over k = 0, 1, 2, ... in a lane of its own.
// - bf16: input rows are rounded to bf16; the chain goes in pairs of k (or as an AMX tile does it). Sums are floats.
// - int8: input rows become 8 bit integers with a scale for each 64 steps of k; the sum over 64 is exact in integers, and
//   c = fma(float(sum) * input scale, weight scale, c).
// Float tables have the first only; the others are entered where the processor multiplies such numbers natively.
//
// Panels. A weight matrix (rows out, cols in) is stored as panels of 32 outputs, and these as units: the weights of a few
// steps of k, 32 words of outputs 0 .. 31 side by side (16-bit halves: 32 in a line). A word holds, lowest bits first,
//   float: one step;  bf16: two;  int8: four;  int4: eight, steps 0, 4, 1, 5, 2, 6, 3, 7.
// So a unit is what the instructions for bf16 pairs and int8 quads take as it is. Quantised panels are made of groups of
// steps of k (quantise.h): a line of 32 bf16 scales, in the order 0, 16, 1, 17, ..., 31, then units.
#pragma once

#include <cstdint>

#include "quant_panel_tile.h"
#include "quantise.h"

namespace chasqui::cpu {

constexpr int32_t kMaxTileRows = 32;  // rows of a tile on the widest instruction set
constexpr int32_t kKvTile = 16;       // positions of a page, and dimensions of a value, that lie side by side
constexpr int32_t kInputGroup = 64;   // steps of k of an input row that share a scale in int8
constexpr int32_t kBlockSteps = 32;   // bf16 panels and blocks are filled with zeros to a multiple of this

enum WeightType : uint8_t { kWeightF32, kWeightF16, kWeightBF16, kWeightInt8, kWeightInt4, kWeightTypes };
enum InputType : uint8_t { kInputF32, kInputBF16, kInputInt8, kInputTypes };
enum KvElement : uint8_t { kKvF32, kKvBF16, kKvElements };

// c (rows, ldc)[.., 0..31] += a * panel (k, 32); a as Product says. A quantised panel is entered at the beginning of a
// group. Without an unpack the panel is as stored, else as unpacked.
using Tile = void (*)(const void* a, const void* panel, int64_t k, float* c, int64_t ldc);

// k steps of a panel, from the beginning of a group on, as they are multiplied: in bf16 units of two steps,
// (ceil(k / 32) * 16, 32, 2), scales applied and the product rounded to bf16, zeros for the steps from k on.
using Unpack = void (*)(const void* panel, int64_t k, void* block);

// Row `index` of a block of `rows` rows as a Product takes it; see input_bytes in linear.h.
using PackRow = void (*)(const float* x, int64_t in, int32_t chunk, int32_t rows, int32_t index, void* packed);

// How a type of weights is multiplied. A packed block of rows is (k / chunk, rows, chunk): `chunk` neighbouring steps of
// one row side by side, zeros from the end of the row to the end of the chunk. In int8 each group of 64 steps is
// followed by the rows' scales (float) and sums (int32).
struct Product {
  InputType input;
  int32_t chunk;
  int32_t rows;   // most rows of a tile
  Unpack unpack;  // tiles work on what it makes of a stretch of a panel; null: on the panel itself
  Tile tile[kMaxTileRows + 1];
  // Panels of quantised checkpoints. Tiles work on what the unpack makes of their codes; null: on the codes.
  QuantUnpack quant_unpack[kPanelCodes];
  QuantTile quant[kPanelCodes][kMaxTileRows + 1];
};

// Attention. A page of keys is (head_dim, 16 positions), one of values (16 positions, width), width % 16 == 0; in bf16 two
// neighbouring dimensions of a key, and two neighbouring positions of a value, lie side by side: lines of 16 words.
//
// s (rows, lds)[.., 16 * n_pages] = q against the keys of whole pages; q is a packed block of rows, chunks as Attend says.
// The values of the same pages are only asked for from memory.
using Scores = void (*)(const void* q, int32_t head_dim, const void* const* pages, const void* const* value_pages,
                        int32_t n_pages, float* s, int64_t lds);

// Softmax of a row, a block at a time. s holds n scores, still to be multiplied by `scale`, and becomes exp(score - max) as
// `mix` takes them, with zeros from n to `padded`, a multiple of 16. *max and *sum are the running maximum and sum, brought
// up to date. Returns the factor by which what was added up before must be multiplied.
using Softmax = float (*)(float* s, int32_t n, int32_t padded, float scale, float* max, float* sum);

// o (rows, ldo)[.., 0..width-1] += p (rows)[.., 0..n_keys-1] * values; rows of p lie ldp floats apart. As many pages as there
// are of values lie in `next`: what is wanted next, which may be asked for from memory.
using Mix = void (*)(const float* p, int64_t ldp, const void* const* pages, const void* const* next, int32_t n_keys, int32_t width,
                     float* o, int64_t ldo);

// How rows attend to a cache of one type. In bf16 queries and exponentials are rounded, the sum of the exponentials is that
// of the rounded ones, and the chains of a score and of a mixed value go in pairs: of dimensions, of positions.
struct Attend {
  InputType input;  // of queries and exponentials
  int32_t chunk;    // dimensions of a query side by side
  int32_t rows;     // most rows of one call
  Scores scores[kMaxTileRows + 1];
  Softmax softmax;
  Mix mix[kMaxTileRows + 1];
};

// Lines of 16 codes of e4m3 as lines of bf16 in the same order: exact. n is the number of lines.
using ExpandKv = void (*)(const void* codes, int64_t n, void* lines);

struct Kernels {
  const char* name;
  int32_t tile_rows;     // most rows of one float tile
  Tile tile[kWeightTypes][kMaxTileRows + 1];            // float arithmetic: [type][rows]
  QuantTile quant_tile[kPanelCodes][kMaxTileRows + 1];  // float arithmetic: [code][rows]
  Unpack unpack[kWeightTypes];                          // to bf16, for types that have no product of their own
  Product few[kWeightTypes];                            // up to few[type].rows rows in a step
  Product many[kWeightTypes];                           // more
  Product in_float[kWeightTypes];                       // any number, in float
  PackRow pack[kInputTypes];
  Attend attend[kKvElements];                           // the quickest
  Attend attend_in_float[kKvElements];
  ExpandKv expand_kv;
  // sum of x[i]^2
  float (*sum_squares)(const float* x, int64_t n);
  // out[i] = silu(gate[i]) * up[i], i < 32
  void (*silu_multiply)(const float* gate, const float* up, float* out);
  // x[i] *= factor
  void (*scale)(float* x, int64_t n, float factor);
};

// Fills `in_float`, and `few`, `many` and `attend` where a unit has left them empty: through `unpack` and the bf16 product where
// there are both, else in float. Called once, when all else is in the table.
void complete(Kernels* kernels);

// Tables; null where the processor (or the build) has no such instructions.
const Kernels* portable_kernels();
const Kernels* avx2_kernels();
const Kernels* avx512_kernels();
const Kernels* avx512bf16_kernels();  // vdpbf16ps and vpdpbusd
const Kernels* amx_kernels();
const Kernels* emulated_amx_kernels();  // the same on any processor with AVX-512 BF16, slowly, for tests

// The best table for this processor. `name` narrows the choice ("portable", "avx2", "avx512", "avx512bf16", "amx", "amx-emulated",
// or "float" for the best of the first three, which compute in float); null if it cannot run here.
const Kernels* best_kernels();
const Kernels* kernels_named(const char* name);

}  // namespace chasqui::cpu
