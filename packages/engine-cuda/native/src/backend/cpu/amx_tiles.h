// The AMX tile instructions that the kernels use, under names of our own: the processor's where the unit is built for AMX,
// and otherwise a plain C++ emulation with the same meaning, so that the same kernels run and are tested anywhere.
// Included inside an anonymous namespace. Needs <cstdint>, <cstring>; <immintrin.h> where AMX is real.
//
// A tile has up to 16 rows of up to 64 bytes. Tiles 0 .. 3 are sums (rows of a, 16), 4 and 5 inputs (rows of a, 64 bytes),
// 6 and 7 weights (16, 64 bytes).

// Rows of the two input tiles; the second may have none.
struct TileRows {
  int first;
  int second;
};

#ifdef CHASQUI_AMX

struct TileShape {
  uint8_t palette, start, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};

// Sets the shapes of all tiles. A thread keeps its tiles until it sets others; the system saves them as it does registers.
inline __attribute__((always_inline)) void shape_tiles(TileRows rows) {
  static thread_local int shaped = -1;
  const int wanted = rows.first * 32 + rows.second;
  if (shaped == wanted) return;
  TileShape shape;
  std::memset(&shape, 0, sizeof shape);
  shape.palette = 1;
  const int second = rows.second > 0 ? rows.second : 1;
  const int of[8] = {rows.first, rows.first, second, second, rows.first, second, 16, 16};
  for (int i = 0; i < 8; i++) {
    shape.rows[i] = static_cast<uint8_t>(of[i]);
    shape.row_bytes[i] = 64;
  }
  _tile_loadconfig(&shape);
  shaped = wanted;
}

#define tile_clear(tile) _tile_zero(tile)
#define tile_load(tile, from, stride) _tile_loadd(tile, from, stride)
#define tile_store(tile, to, stride) _tile_stored(tile, to, stride)
#define tile_bf16(sum, a, b) _tile_dpbf16ps(sum, a, b)
#define tile_int8(sum, a, b) _tile_dpbssd(sum, a, b)

#else

struct Tile16 {
  int rows;
  char bytes[16][64];
};
thread_local Tile16 tiles[8];

inline void shape_tiles(TileRows rows) {
  const int of[8] = {rows.first, rows.first, rows.second, rows.second, rows.first, rows.second, 16, 16};
  for (int i = 0; i < 8; i++) tiles[i].rows = of[i];
}

inline void tile_clear(int tile) { std::memset(tiles[tile].bytes, 0, sizeof tiles[tile].bytes); }

inline void tile_load(int tile, const void* from, int64_t stride) {
  tile_clear(tile);
  for (int row = 0; row < tiles[tile].rows; row++) {
    std::memcpy(tiles[tile].bytes[row], static_cast<const char*>(from) + row * stride, 64);
  }
}

inline void tile_store(int tile, void* to, int64_t stride) {
  for (int row = 0; row < tiles[tile].rows; row++) {
    std::memcpy(static_cast<char*>(to) + row * stride, tiles[tile].bytes[row], 64);
  }
}

inline float emulated_bf16(const char* at) {
  uint16_t half;
  std::memcpy(&half, at, 2);
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

// Even and odd elements are summed apart, each product rounded once with its sum, and added at the end.
inline void tile_bf16(int sum, int a, int b) {
  for (int row = 0; row < tiles[sum].rows; row++) {
    for (int column = 0; column < 16; column++) {
      float even = 0, odd = 0, before;
      for (int pair = 0; pair < 16; pair++) {
        const char* x = tiles[a].bytes[row] + 4 * pair;
        const char* w = tiles[b].bytes[pair] + 4 * column;
        even = __builtin_fmaf(emulated_bf16(x), emulated_bf16(w), even);
        odd = __builtin_fmaf(emulated_bf16(x + 2), emulated_bf16(w + 2), odd);
      }
      char* at = tiles[sum].bytes[row] + 4 * column;
      std::memcpy(&before, at, 4);
      before += even + odd;
      std::memcpy(at, &before, 4);
    }
  }
}

inline void tile_int8(int sum, int a, int b) {
  for (int row = 0; row < tiles[sum].rows; row++) {
    for (int column = 0; column < 16; column++) {
      char* at = tiles[sum].bytes[row] + 4 * column;
      int32_t total;
      std::memcpy(&total, at, 4);
      for (int i = 0; i < 64; i++) {
        total += static_cast<int8_t>(tiles[a].bytes[row][i]) * static_cast<int8_t>(tiles[b].bytes[i / 4][4 * column + i % 4]);
      }
      std::memcpy(at, &total, 4);
    }
  }
}

#endif
