// What both siblings of prefill share: the tile of rows that a block takes, and which of its pairs (row, query head) a lane has.
#pragma once

#include "attend.cuh"

namespace chasqui::cuda {

struct PrefillBlock {
  const AttendArguments& a;
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
  const int32_t group = a.n_heads / a.n_kv_heads;
  const int32_t kv_head = static_cast<int32_t>(blockIdx.x);
  int32_t first_row = 0, n_pairs = 0, first_position = 0, end = 0;  // `end`: behind the last position of the tile
  const int32_t* table = nullptr;                                   // pages of the sequence

  // false: there is no tile for this block. The last tiles of a sequence have the most to do and come first.
  DEVICE bool take_tile() {
    const int32_t index = a.step.counts->tiles - 1 - static_cast<int32_t>(blockIdx.y);
    if (index < 0) return false;
    const PrefillTile tile = a.step.tiles[index];
    first_row = tile.first_row;
    n_pairs = tile.n_rows * group;
    first_position = a.step.positions[first_row];
    end = first_position + tile.n_rows;
    table = a.step.pages + a.step.page_starts[first_row];
    return true;
  }

  // A lane has two of its warp's sixteen pairs, `side` 0 and 1.
  DEVICE int32_t pair_of(int side) const { return static_cast<int32_t>(warp * 16 + g) + side * 8; }
  // Where its head begins, in q and in out.
  DEVICE int64_t head_at(int32_t pair, int32_t dim) const {
    return head_place(a, first_row + pair / group, kv_head, pair % group, dim);
  }
  // The last position that its row sees.
  DEVICE int32_t last_seen(int side) const { return first_position + pair_of(side) / group; }

  template <typename Tile>
  DEVICE void write(const float (&values)[Tile::kTiles][4], const float (&sum)[2]) const {
    UNROLL
    for (int side = 0; side < 2; side++) {
      const int32_t pair = pair_of(side);
      const float scale = a.value_scale / quad_sum(sum[side]);
      if (pair < n_pairs) Tile::store_row(a.out + head_at(pair, Tile::kWidth), t, values, side, scale);
    }
  }
};

// Weights of two tiles of 8 positions as the A operand of a product with 16 rows of values.
DEVICE void operand_of(const float (&early)[4], const float (&late)[4], uint32_t (&weights)[4]) {
  weights[0] = bf16_pair(early[0], early[1]);
  weights[1] = bf16_pair(early[2], early[3]);
  weights[2] = bf16_pair(late[0], late[1]);
  weights[3] = bf16_pair(late[2], late[3]);
}

}  // namespace chasqui::cuda
