// What the two attention kernels share: keys and values of either kind as operands of mma, and places in shared memory.
//
// Scores are q k^T with the rows of q as the A operand; the lane's inputs of a dot product may be any as long as q and k
// agree, so a lane takes 16 bytes of k as they lie. Weighted values want pairs of positions, which ldmatrix makes on the
// way (transposed). e4m3 codes become bf16 in registers; pairs of codes then stand in the order 0 2 1 3, and q is put into
// registers in that order too.
#pragma once

#include <cmath>

#include "dequant.cuh"
#include "plan.h"

namespace chasqui::cuda {

struct AttendArguments {
  Step step;
  const uint16_t* q = nullptr;  // (rows, n_heads, head_dim)
  uint16_t* out = nullptr;      // (rows, n_heads, head_dim)
  const uint8_t* keys = nullptr;  // of the layer: (n_pages, n_kv_heads, 16, head_dim)
  const uint8_t* values = nullptr;
  float* partials = nullptr;
  uint32_t* counters = nullptr;
  int32_t n_heads = 0;
  int32_t n_kv_heads = 0;
  float scale = 0.0f;        // of scores, log2(e) included
  float value_scale = 1.0f;
};

inline AttendArguments attend_arguments(const Target& target, const ModelShape& shape, const Step& step, const DeviceKv& kv,
                                        int32_t layer, const Activations& work) {
  AttendArguments arguments;
  const int64_t element = kv.kind == KvKind::kBF16 ? 2 : 1;
  const int64_t layer_bytes = static_cast<int64_t>(kv.n_pages) * shape.n_kv_heads * kPage * shape.head_dim * element;
  arguments.step = step;
  arguments.q = work.q;
  arguments.out = work.attended;
  arguments.keys = static_cast<const uint8_t*>(kv.keys) + layer * layer_bytes;
  arguments.values = static_cast<const uint8_t*>(kv.values) + layer * layer_bytes;
  arguments.partials = target.scratch.partials;
  arguments.counters = target.scratch.counters;
  arguments.n_heads = shape.n_heads;
  arguments.n_kv_heads = shape.n_kv_heads;
  constexpr double kLog2E = 1.4426950408889634;
  arguments.scale = static_cast<float>(kLog2E / sqrt(static_cast<double>(shape.head_dim)) * static_cast<double>(kv.key_scale));
  arguments.value_scale = kv.value_scale;
  return arguments;
}

// The sibling of attend_prefill on Hopper; false: not on this device or not for this cache, and nothing was launched.
bool attend_prefill_wgmma(const Target& target, const ModelShape& shape, int32_t tiles, const DeviceKv& kv, const AttendArguments& arguments);

template <KvKind kKind, int kDim>
struct KvTile {
  static constexpr KvKind kForm = kKind;
  static constexpr int kWidth = kDim;
  static constexpr int kElement = kKind == KvKind::kBF16 ? 2 : 1;
  static constexpr int kRowBytes = kDim * kElement;
  static constexpr int kPieces = kRowBytes / 16;     // of a row
  static constexpr int kRuns = kPieces / 4;          // of 16 bytes for each of the four lanes of a row
  static constexpr int kTurns = kDim / 16;           // mma along a dot product
  static constexpr int kPageBytes = kPage * kRowBytes;

  // Where piece `piece` of row `row` lies in shared memory: eight rows below each other meet eight different banks.
  DEVICE static int32_t place(int32_t row, int32_t piece) {
    const int32_t turned = kPieces >= 8 ? piece ^ (row & 7) : piece ^ (row >> 1 & 3);
    return (row * kPieces + turned) * 16;
  }

  // A lane's inputs of turn `turn` from its words of a row of keys.
  DEVICE static void key_pairs(const uint32_t (&words)[4], int turn_of_run, uint32_t (&pairs)[2]) {
    if constexpr (kKind == KvKind::kBF16) {
      pairs[0] = words[turn_of_run * 2];
      pairs[1] = words[turn_of_run * 2 + 1];
    } else {
      Fp8::expand_word(words[turn_of_run], pairs);
    }
  }
  static constexpr int kTurnsOfRun = kKind == KvKind::kBF16 ? 2 : 4;

  // The same inputs of a row of q, which is bf16 in memory.
  DEVICE static void query_pairs(const uint16_t* row, uint32_t t, int turn, uint32_t (&pairs)[2]) {
    const int run = turn / kTurnsOfRun, turn_of_run = turn % kTurnsOfRun;
    const int at = run * (64 / kElement) + static_cast<int>(t) * (16 / kElement) + turn_of_run * 4;
    const uint2 four = *reinterpret_cast<const uint2*>(row + at);
    if constexpr (kKind == KvKind::kBF16) {
      pairs[0] = four.x;
      pairs[1] = four.y;
    } else {
      pairs[0] = (four.x & 0xffffu) | four.y << 16;
      pairs[1] = four.x >> 16 | (four.y & 0xffff0000u);
    }
  }

  // Tiles of 8 columns that one transposed load of 16 positions by 32 bytes gives: two of 8 dimensions, or of e4m3 four
  // whose columns are every second one of 16.
  static constexpr int kTilesOfLoad = kKind == KvKind::kBF16 ? 2 : 4;
  static constexpr int kLoads = kRowBytes / 32;
  static constexpr int kTiles = kDim / 8;

  // Operands (two registers each) of the tiles of load `load`, for 16 rows of values from `first_row` on.
  DEVICE static void value_pairs(const uint8_t* tile, int32_t first_row, int load, uint32_t lane, uint32_t (&pairs)[kTilesOfLoad][2]) {
    uint32_t words[4];
    const auto row = first_row + static_cast<int32_t>(lane % 16);
    load_matrices_transposed(words, tile + place(row, load * 2 + static_cast<int32_t>(lane / 16)));
    if constexpr (kKind == KvKind::kBF16) {
      pairs[0][0] = words[0], pairs[0][1] = words[1], pairs[1][0] = words[2], pairs[1][1] = words[3];
    } else {
      UNROLL
      for (int half = 0; half < 2; half++) {
        uint32_t first[2], second[2];
        Fp8::expand_word(words[half * 2], first);
        Fp8::expand_word(words[half * 2 + 1], second);
        pairs[half * 2][0] = first[0], pairs[half * 2][1] = second[0];
        pairs[half * 2 + 1][0] = first[1], pairs[half * 2 + 1][1] = second[1];
      }
    }
  }

  // A lane's share of one row: values times `scale`, rounded, at `out` (kDim). `side`: 0, or 1 for the row eight further on.
  DEVICE static void store_row(uint16_t* out, uint32_t t, const float (&values)[kTiles][4], int side, float scale) {
    UNROLL
    for (int i = 0; i < kTiles; i++) {
      const float first = values[i][side * 2] * scale, second = values[i][side * 2 + 1] * scale;
      if constexpr (kKind == KvKind::kBF16) {
        *reinterpret_cast<uint32_t*>(out + dim_of(i, t, 0)) = bf16_pair(first, second);
      } else {
        out[dim_of(i, t, 0)] = bf16_of(first);
        out[dim_of(i, t, 1)] = bf16_of(second);
      }
    }
  }

  // The dimension of column 2 t + e of a tile.
  DEVICE static int32_t dim_of(int tile, uint32_t t, int e) {
    if constexpr (kKind == KvKind::kBF16) {
      return tile * 8 + static_cast<int32_t>(t) * 2 + e;
    } else {
      return tile / 2 * 16 + (static_cast<int32_t>(t) * 2 + e) * 2 + tile % 2;
    }
  }
};

// Where head `head` of the group that shares a key-value head begins, in q and in out.
DEVICE int64_t head_place(const AttendArguments& a, int32_t row, int32_t kv_head, int32_t head, int32_t dim) {
  return (static_cast<int64_t>(row) * a.n_heads + kv_head * (a.n_heads / a.n_kv_heads) + head) * dim;
}

// go(KvTile) for the cache's form; `names`: the kernel's, by kind and then 64 or 128 dimensions.
template <typename Go>
void with_kv_tile(const DeviceKv& kv, int32_t head_dim, const char* const (&names)[2][2], const Go& go) {
  const bool fp8 = kv.kind == KvKind::kFp8, wide = head_dim == 128;
  const char* name = names[fp8 ? 1 : 0][wide ? 1 : 0];
  if (fp8 && wide) return go(KvTile<KvKind::kFp8, 128>{}, name);
  if (fp8) return go(KvTile<KvKind::kFp8, 64>{}, name);
  if (wide) return go(KvTile<KvKind::kBF16, 128>{}, name);
  return go(KvTile<KvKind::kBF16, 64>{}, name);
}

// Over the four lanes that share a row.
DEVICE float quad_max(float value) {
  value = fmaxf(value, shuffle_xor(value, 1));
  return fmaxf(value, shuffle_xor(value, 2));
}
DEVICE float quad_sum(float value) {
  value += shuffle_xor(value, 1);
  return value + shuffle_xor(value, 2);
}

constexpr float kNoScore = -1e30f;  // less than any score, and exp2 of it is 0

}  // namespace chasqui::cuda
