// What becomes of the sums of a linear layer, the same behind every kernel that makes them. Sums come in pairs of rows that
// belong together: of a query or key head the two dimensions that rope turns, of gate and up the same row, else a row and the
// one 8 further on. A tile of 16 rows is 8 such pairs, and mma gives both rows of a pair to one lane.
#pragma once

#include "portable.h"

namespace chasqui::cuda {

enum class After : uint8_t { kStoreQkv, kAddToX, kGate, kLogits };

// Which rows make up tile i: base .. base + 7 and base + delta .. base + delta + 7.
struct RowMap {
  int32_t per_run = 1;     // tiles in a run of tiles 8 rows apart
  int32_t run_rows = 16;   // rows from one run to the next
  int32_t delta = 8;

  DEVICE int32_t base(int32_t tile) const { return tile / per_run * run_rows + tile % per_run * 8; }
};

// Everything that some ending needs; unused parts stay empty.
struct Ending {
  After after = After::kLogits;
  int32_t rows = 0;                 // of the weights: pairs beyond are padding
  const int32_t* live = nullptr;    // live rows of the step are *live - first_row
  int32_t first_row = 0;
  float* floats = nullptr;          // kAddToX: x; kLogits: logits. (rows of the step, rows)
  uint16_t* hidden = nullptr;       // kGate: (rows of the step, rows / 2)
  // kStoreQkv
  uint16_t* q = nullptr;            // (rows of the step, n_heads * head_dim)
  void* keys = nullptr;             // of the layer: (n_pages, n_kv_heads, 16, head_dim)
  void* values = nullptr;
  const float* turns = nullptr;     // (context, head_dim / 2, 2)
  const int32_t* positions = nullptr;
  const int32_t* page_starts = nullptr;
  const int32_t* pages = nullptr;
  int32_t n_heads = 0;
  int32_t n_kv_heads = 0;
  int32_t head_dim = 0;
  KvKind kv_kind = KvKind::kBF16;
  float inverse_key_scale = 1.0f;
  float inverse_value_scale = 1.0f;
};

// Nearest e4m3, ties to even, at most 448. On every chip by the same arithmetic, so that caches are equal.
DEVICE uint8_t e4m3_of(float value) {
  const uint32_t bits = bits_as<uint32_t>(value);
  const uint32_t sign = bits >> 24 & 0x80;
  const float size = fabsf(value);
  if (!(size < 448.0f)) return static_cast<uint8_t>(sign | (size != size ? 0x7f : 0x7e));
  if (size < 0x1p-6f) return static_cast<uint8_t>(sign | static_cast<uint32_t>(rintf(size * 512.0f)));
  const uint32_t at = bits & 0x7fffffff;
  const uint32_t rounded = at + 0x7ffff + (at >> 20 & 1);
  const uint32_t code = (rounded >> 20) - (120u << 3);
  return static_cast<uint8_t>(sign | (code > 0x7e ? 0x7e : code));
}

DEVICE void store_kv(void* pool, KvKind kind, int64_t at, float value, float inverse_scale) {
  if (kind == KvKind::kBF16) {
    static_cast<uint16_t*>(pool)[at] = bf16_of(value);
  } else {
    static_cast<uint8_t*>(pool)[at] = e4m3_of(value * inverse_scale);
  }
}

// One head's dimensions j and j + head_dim / 2 of row `row`.
DEVICE void store_qkv(const Ending& to, int32_t row, int32_t base, int32_t g, float low, float high) {
  const int32_t half = to.head_dim / 2;
  const int32_t head = base / to.head_dim;
  const int32_t j = base % to.head_dim + g;
  const int32_t position = to.positions[row];
  if (head < to.n_heads + to.n_kv_heads) {
    const float2 turn = reinterpret_cast<const float2*>(to.turns)[static_cast<int64_t>(position) * half + j];
    const float turned = low * turn.x - high * turn.y;
    high = high * turn.x + low * turn.y;
    low = turned;
  }
  if (head < to.n_heads) {
    uint16_t* q = to.q + (static_cast<int64_t>(row) * to.n_heads + head) * to.head_dim + j;
    q[0] = bf16_of(low);
    q[half] = bf16_of(high);
    return;
  }
  const bool is_key = head < to.n_heads + to.n_kv_heads;
  const int32_t kv_head = head - to.n_heads - (is_key ? 0 : to.n_kv_heads);
  const int64_t page = to.pages[to.page_starts[row] + position / kPage];
  const int64_t at = ((page * to.n_kv_heads + kv_head) * kPage + position % kPage) * to.head_dim + j;
  void* pool = is_key ? to.keys : to.values;
  const float inverse_scale = is_key ? to.inverse_key_scale : to.inverse_value_scale;
  store_kv(pool, to.kv_kind, at, low, inverse_scale);
  store_kv(pool, to.kv_kind, at + half, high, inverse_scale);
}

// Pair g of a tile with these rows, for row `row` of the step, which is live.
DEVICE void finish_pair(const Ending& to, int32_t row, int32_t base, int32_t delta, int32_t g, float low, float high) {
  if (base + g >= to.rows) return;
  if (to.after == After::kStoreQkv) {
    store_qkv(to, row, base, g, low, high);
    return;
  }
  if (to.after == After::kGate) {
    to.hidden[static_cast<int64_t>(row) * (to.rows / 2) + base + g] = bf16_of(silu(low) * high);
    return;
  }
  float* out = to.floats + static_cast<int64_t>(row) * to.rows + base + g;
  const bool has_high = base + delta + g < to.rows;
  if (to.after == After::kAddToX) {
    out[0] += low;
    if (has_high) out[delta] += high;
  } else {
    out[0] = low;
    if (has_high) out[delta] = high;
  }
}

DEVICE int32_t live_rows(const Ending& to, int32_t at_most) {
  const int32_t live = *to.live - to.first_row;
  return live < 0 ? 0 : live < at_most ? live : at_most;
}

}  // namespace chasqui::cuda
