// The AMX kernels, over amx_tiles.h. Included in an anonymous namespace after CHASQUI_AMX says which tiles are meant.
//
// A tile function takes up to 32 rows and a panel of 32 outputs: two input tiles by two weight tiles, four tiles of sums,
// each loaded tile used twice. Chunks of the input are what an input tile has in a row (32 steps in bf16, 64 in int8), so a
// block of packed rows is a row of tiles. Panels are stored as the weight tiles want them; int4 is unpacked to int8.

constexpr int kRowsOfTile = 32;

// What differs between the row counts is data, not code; but a table wants a function for each.
template <int kRows>
constexpr TileRows kTileRows = {kRows > 16 ? 16 : kRows, kRows > 16 ? kRows - 16 : 0};

// The tiles of sums, (kRows, 32) in memory.
template <int kRows>
inline void clear_sums() {
  tile_clear(0);
  tile_clear(1);
  if constexpr (kRows > 16) {
    tile_clear(2);
    tile_clear(3);
  }
}

template <int kRows>
inline void load_sums(const float* from, int64_t stride) {
  tile_load(0, from, stride * 4);
  tile_load(1, from + 16, stride * 4);
  if constexpr (kRows > 16) {
    tile_load(2, from + 16 * stride, stride * 4);
    tile_load(3, from + 16 * stride + 16, stride * 4);
  }
}

template <int kRows, typename Sum>
inline void store_sums(Sum* to, int64_t stride) {
  tile_store(0, to, stride * 4);
  tile_store(1, to + 16, stride * 4);
  if constexpr (kRows > 16) {
    tile_store(2, to + 16 * stride, stride * 4);
    tile_store(3, to + 16 * stride + 16, stride * 4);
  }
}

// sums += a chunk of all rows (32 steps of bf16, 64 of int8) * 16 units of the panel.
#define CHASQUI_ADD_CHUNK(name, multiply)                   \
  template <int kRows>                                      \
  inline void name(const char* a, const char* units) {      \
    tile_load(6, units, 128);                               \
    tile_load(7, units + 64, 128);                          \
    tile_load(4, a, 64);                                    \
    multiply(0, 4, 6);                                      \
    multiply(1, 4, 7);                                      \
    if constexpr (kRows > 16) {                             \
      tile_load(5, a + 16 * 64, 64);                        \
      multiply(2, 5, 6);                                    \
      multiply(3, 5, 7);                                    \
    }                                                       \
  }
CHASQUI_ADD_CHUNK(add_bf16, tile_bf16)
CHASQUI_ADD_CHUNK(add_int8, tile_int8)

constexpr int64_t kUnits = 16 * 128;  // bytes of a chunk's units

template <int kRows>
void bf16_tile(const void* input, const void* panel, int64_t k, float* c, int64_t ldc) {
  shape_tiles(kTileRows<kRows>);
  const char* a = static_cast<const char*>(input);
  const char* units = static_cast<const char*>(panel);
  load_sums<kRows>(c, ldc);
  for (int64_t i = 0; i < k; i += 32, a += kRows * 64, units += kUnits) {
    for (int line = 0; line < kUnits; line += 64) __builtin_prefetch(units + 4096 + line, 0, kRows <= 16 ? 3 : 2);
    add_bf16<kRows>(a, units);
  }
  store_sums<kRows>(c, ldc);
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
  shape_tiles(kTileRows<kRows>);
  const char* a = static_cast<const char*>(input);
  const char* units = static_cast<const char*>(panel);
  alignas(64) int32_t sums[kRows * 32];
  float scales[32];
  for (int64_t i = 0; i < k; i += kInputGroup) {
    if (i % kGroup == 0) {
      uint16_t line[32];
      std::memcpy(line, units, sizeof line);
      for (int column = 0; column < 32; column++) {
        const uint32_t bits = static_cast<uint32_t>(line[column % 16 * 2 + column / 16]) << 16;
        std::memcpy(&scales[column], &bits, 4);
      }
      units += 64;
    }
    clear_sums<kRows>();
    add_int8<kRows>(a, units);
    store_sums<kRows>(sums, 32);
    add_scaled(sums, kRows, reinterpret_cast<const float*>(a + kInputGroup * kRows), scales, c, ldc);
    a += (kInputGroup + 8) * kRows;
    units += kUnits;
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
