// The AMX kernels, over amx_tiles.h. Included in an anonymous namespace after CHASQUI_AMX says which tiles are meant.
//
// A tile function takes up to 32 rows and a panel of 32 outputs: two input tiles by two weight tiles, four tiles of sums,
// each loaded tile used twice. Chunks of the input are what an input tile has in a row (32 steps in bf16, 64 in int8), so a
// block of packed rows is a row of tiles. Panels are stored as the weight tiles want them; int4 is unpacked to int8.

constexpr int kRowsOfTile = 32;

// What differs between the row counts is data, not code; but a table wants a function for each.
template <int kRows>
void bf16_tile(const void* input, const void* panel, int64_t k, float* c, int64_t ldc) {
  constexpr TileRows rows = {kRows > 16 ? 16 : kRows, kRows > 16 ? kRows - 16 : 0};
  shape_tiles(rows);
  const char* a = static_cast<const char*>(input);
  const char* weights = static_cast<const char*>(panel);
  const int64_t stride = ldc * 4;
  float* second = c + 16 * ldc;
  tile_load(0, c, stride);
  tile_load(1, c + 16, stride);
  if (rows.second > 0) {
    tile_load(2, second, stride);
    tile_load(3, second + 16, stride);
  }
  for (int64_t i = 0; i < k; i += 32, a += kRows * 64, weights += 16 * 128) {
    for (int line = 0; line < 16 * 128; line += 64) __builtin_prefetch(weights + 4096 + line, 0, kRows <= 16 ? 3 : 2);
    tile_load(6, weights, 128);
    tile_load(7, weights + 64, 128);
    tile_load(4, a, 64);
    tile_bf16(0, 4, 6);
    tile_bf16(1, 4, 7);
    if (rows.second > 0) {
      tile_load(5, a + 16 * 64, 64);
      tile_bf16(2, 5, 6);
      tile_bf16(3, 5, 7);
    }
  }
  tile_store(0, c, stride);
  tile_store(1, c + 16, stride);
  if (rows.second > 0) {
    tile_store(2, second, stride);
    tile_store(3, second + 16, stride);
  }
}

// Integer sums of a group of 64 steps times the scales of rows and outputs, added to c as the other kernels do it.
inline void add_scaled(const int32_t* sums, int rows, const float* input_scales, const float* scales, float* c, int64_t ldc) {
  for (int row = 0; row < rows; row++) {
    const float scale = input_scales[row];
    for (int column = 0; column < 32; column++) {
      float* to = c + row * ldc + column;
      *to = __builtin_fmaf(static_cast<float>(sums[row * 32 + column]) * scale, scales[column], *to);
    }
  }
}

template <int kGroup, int kRows>
void int8_tile(const void* input, const void* panel, int64_t k, float* c, int64_t ldc) {
  constexpr TileRows rows = {kRows > 16 ? 16 : kRows, kRows > 16 ? kRows - 16 : 0};
  shape_tiles(rows);
  const char* a = static_cast<const char*>(input);
  const char* weights = static_cast<const char*>(panel);
  alignas(64) int32_t sums[kRows * 32];
  float scales[32];
  for (int64_t i = 0; i < k; i += kInputGroup) {
    if (i % kGroup == 0) {
      uint16_t line[32];
      std::memcpy(line, weights, sizeof line);
      for (int column = 0; column < 32; column++) {
        const uint32_t bits = static_cast<uint32_t>(line[column % 16 * 2 + column / 16]) << 16;
        std::memcpy(&scales[column], &bits, 4);
      }
      weights += 64;
    }
    tile_clear(0);
    tile_clear(1);
    tile_load(6, weights, 128);
    tile_load(7, weights + 64, 128);
    tile_load(4, a, 64);
    tile_int8(0, 4, 6);
    tile_int8(1, 4, 7);
    if (rows.second > 0) {
      tile_clear(2);
      tile_clear(3);
      tile_load(5, a + 16 * 64, 64);
      tile_int8(2, 5, 6);
      tile_int8(3, 5, 7);
      tile_store(2, sums + 16 * 32, 128);
      tile_store(3, sums + 16 * 32 + 16, 128);
    }
    tile_store(0, sums, 128);
    tile_store(1, sums + 16, 128);
    add_scaled(sums, kRows, reinterpret_cast<const float*>(a + kInputGroup * kRows), scales, c, ldc);
    a += (kInputGroup + 8) * kRows;
    weights += 16 * 128;
  }
}

// A stretch of an int4 panel as an int8 panel with the same groups.
void int4_to_int8(const void* panel, int64_t k, void* block) {
  const char* from = static_cast<const char*>(panel);
  char* to = static_cast<char*>(block);
  for (int64_t start = 0; start < k; start += kInt4Scheme.group) {
    std::memcpy(to, from, 64);
    from += 64;
    to += 64;
    for (int unit = 0; unit < kInt4Scheme.group / 8; unit++, from += 128, to += 256) {
      for (int i = 0; i < 128; i++) {
        const int byte = static_cast<uint8_t>(from[i]);
        to[i] = static_cast<char>(static_cast<int8_t>(byte << 4) >> 4);
        to[128 + i] = static_cast<char>(static_cast<int8_t>(byte) >> 4);
      }
    }
  }
}

#include "quant_panel_amx_body.h"

template <int kRows>
void add_tiles(Kernels* kernels) {
  add_quant_tiles<kRows>(&kernels->many[kWeightBF16], &kernels->many[kWeightInt8]);
  kernels->many[kWeightBF16].tile[kRows] = bf16_tile<kRows>;
  kernels->many[kWeightInt8].tile[kRows] = int8_tile<kInt8Scheme.group, kRows>;
  kernels->many[kWeightInt4].tile[kRows] = int8_tile<kInt4Scheme.group, kRows>;
  if constexpr (kRows > 1) add_tiles<kRows - 1>(kernels);
}

static_assert(kRowsOfTile <= kMaxTileRows);

// `narrow` gives all but the products of many rows. In int8 few rows are its affair too: integers have one sum. In bf16
// an AMX tile adds in an order of its own, so it does all rows.
Kernels make(const Kernels& narrow, const char* name) {
  Kernels kernels = narrow;
  kernels.name = name;
  for (int type = 0; type < kWeightTypes; type++) {
    if (kernels.unpack[type] != nullptr) kernels.few[type].rows = 0;  // through the bf16 product of this table
  }
  add_tiles<kRowsOfTile>(&kernels);
  Product* bf16 = &kernels.many[kWeightBF16];
  bf16->input = kInputBF16;
  bf16->chunk = 32;
  bf16->rows = kRowsOfTile;
  bf16->unpack = nullptr;
  kernels.few[kWeightBF16] = *bf16;
  kernels.many[kWeightInt8].quant_unpack[kCodeInt4] = unpack_int4_codes;
  for (int type = kWeightInt8; type <= kWeightInt4; type++) {
    Product* product = &kernels.many[type];
    product->input = kInputInt8;
    product->chunk = kInputGroup;
    product->rows = kRowsOfTile;
    product->unpack = type == kWeightInt4 ? int4_to_int8 : nullptr;
  }
  complete(&kernels);
  return kernels;
}
