// What Hopper's matrix instructions, its tensor copies and the host agree on, as plain arithmetic: swizzled places in shared
// memory, the descriptor of a matrix there, phases of a ring of stages, the order of tiles. Kernels and tests use the same
// functions; nothing here knows CUDA.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define ANYWHERE __host__ __device__ constexpr
#else
#define ANYWHERE constexpr
#endif

namespace chasqui::cuda {

// How 16-byte pieces are turned within rows, so that eight rows below each other meet eight different banks. The numbers are
// those of a matrix descriptor.
enum class Swizzle : uint8_t { kNone = 0, k128 = 1, k64 = 2 };

ANYWHERE uint32_t row_bytes_of(Swizzle swizzle) { return swizzle == Swizzle::k64 ? 64 : 128; }
// Eight rows: what a swizzled matrix is aligned to.
ANYWHERE uint32_t atom_bytes(Swizzle swizzle) { return 8 * row_bytes_of(swizzle); }

// Where the byte that would lie at `address` lies. Both of shared memory, whose 128-byte lines count.
ANYWHERE uint32_t swizzled(uint32_t address, Swizzle swizzle) {
  if (swizzle == Swizzle::k128) return address ^ (address >> 7 & 7) << 4;
  if (swizzle == Swizzle::k64) return address ^ (address >> 7 & 3) << 4;
  return address;
}

// A matrix in shared memory for wgmma. Rows of row_bytes_of(swizzle) bytes, eight of them to an atom.
//   along k      `stride`: bytes from eight rows to the next eight; `leading` is not used
//   transposed   a row is one k with 64 elements across; `stride`: from eight k to the next eight; `leading`: from 64
//                elements across to the next 64
ANYWHERE uint64_t matrix_descriptor(uint32_t address, uint32_t stride, uint32_t leading, Swizzle swizzle) {
  return static_cast<uint64_t>((address & 0x3ffff) >> 4) | static_cast<uint64_t>((leading & 0x3ffff) >> 4) << 16 |
         static_cast<uint64_t>((stride & 0x3ffff) >> 4) << 32 | static_cast<uint64_t>(swizzle) << 62;
}
// The same matrix from `bytes` further on; bytes within a row, or whole atoms.
ANYWHERE uint64_t moved(uint64_t descriptor, uint32_t bytes) { return descriptor + (bytes >> 4); }

// A place in a ring of stages that is run through again and again. A stage's two barriers, full and empty, change their phase
// once a round: who waits for a full stage waits for `parity`, who wants it empty waits for the other one, which the first
// round finds at once.
struct RingPlace {
  uint32_t slot = 0, parity = 0;

  ANYWHERE void advance(uint32_t stages) {
    slot++;
    if (slot < stages) return;
    slot = 0;
    parity ^= 1;
  }
  ANYWHERE uint32_t parity_of_full() const { return parity; }
  ANYWHERE uint32_t parity_of_empty() const { return parity ^ 1; }
};

// Tile `index` of a persistent kernel's way: bands of `kBand` column blocks, within a band all row blocks, so that blocks that
// run together share both operands in the second cache.
struct TilePlace {
  int32_t row_block = 0, column_block = 0;
};
constexpr int32_t kBand = 8;

ANYWHERE TilePlace tile_place(int32_t index, int32_t row_blocks, int32_t column_blocks) {
  const int32_t band = index / (kBand * row_blocks);
  const int32_t width = column_blocks - band * kBand < kBand ? column_blocks - band * kBand : kBand;
  const int32_t within = index - band * kBand * row_blocks;
  return {within / width, band * kBand + within % width};
}

}  // namespace chasqui::cuda
