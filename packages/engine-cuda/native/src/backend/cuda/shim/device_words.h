// The words of CUDA that kernels use, for a plain C++ compiler. Only kernels/portable.h includes this.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "block.h"

struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};
struct alignas(8) uint2 {
  uint32_t x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define threadIdx (::chasqui::cuda::shim::block().current().thread)
#define blockIdx (::chasqui::cuda::shim::block().index)
#define blockDim (::chasqui::cuda::shim::block().dim)
#define gridDim (::chasqui::cuda::shim::block().grid)

__attribute__((always_inline)) inline void __syncthreads() { chasqui::cuda::shim::block().barrier(); }

namespace chasqui::cuda::shim {

struct Unchanged {
  void operator()(uint8_t (*)[kSlotBytes]) const {}
};

inline uint32_t lane() { return block().current().index % kLanes; }

template <typename T>
T read_slot(const uint8_t* slot) {
  T value;
  std::memcpy(&value, slot, sizeof value);
  return value;
}

template <typename T>
__attribute__((always_inline)) inline T shuffle(T value, uint32_t from) {
  const auto slots = block().meet(WarpOp::kShuffle, &value, sizeof value, Unchanged{});
  return read_slot<T>(slots[from % kLanes]);
}

// The butterfly of shuffles in one meeting: the same additions in the same order, so the same bits.
template <typename Combine>
__attribute__((always_inline)) inline float butterfly(WarpOp op, float value, const Combine& combine) {
  const auto slots = block().meet(op, &value, sizeof value, [&](uint8_t (*all)[kSlotBytes]) {
    float from[kLanes], to[kLanes];
    for (uint32_t i = 0; i < kLanes; i++) from[i] = read_slot<float>(all[i]);
    for (uint32_t offset = kLanes / 2; offset > 0; offset /= 2) {
      for (uint32_t i = 0; i < kLanes; i++) to[i] = combine(from[i], from[i ^ offset]);
      std::memcpy(from, to, sizeof from);
    }
    for (uint32_t i = 0; i < kLanes; i++) std::memcpy(all[i], &from[i], sizeof(float));
  });
  return read_slot<float>(slots[lane()]);
}

inline float from_bf16(uint32_t bits) {
  const uint32_t wide = bits << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

// d += a b for the fragments of mma.m16n8k16: words 0-3 of a slot are a, 4-5 b, 6-9 d; d is written back.
inline void multiply_fragments(uint8_t (*slots)[kSlotBytes]) {
  alignas(64) float a[16][16], b[16][8], d[16][8];
  for (uint32_t l = 0; l < kLanes; l++) {
    uint32_t words[6];
    std::memcpy(words, slots[l], sizeof words);
    const uint32_t g = l / 4, t = l % 4;
    for (uint32_t r = 0; r < 4; r++) {
      a[g + r % 2 * 8][t * 2 + r / 2 * 8] = from_bf16(words[r] & 0xffff);
      a[g + r % 2 * 8][t * 2 + r / 2 * 8 + 1] = from_bf16(words[r] >> 16);
    }
    for (uint32_t r = 0; r < 2; r++) {
      b[t * 2 + r * 8][g] = from_bf16(words[4 + r] & 0xffff);
      b[t * 2 + r * 8 + 1][g] = from_bf16(words[4 + r] >> 16);
    }
    for (uint32_t e = 0; e < 4; e++) d[g + e / 2 * 8][t * 2 + e % 2] = read_slot<float>(slots[l] + 24 + e * 4);
  }
  for (uint32_t i = 0; i < 16; i++) {
    for (uint32_t k = 0; k < 16; k++) {
      for (uint32_t j = 0; j < 8; j++) d[i][j] += a[i][k] * b[k][j];
    }
  }
  for (uint32_t l = 0; l < kLanes; l++) {
    const uint32_t g = l / 4, t = l % 4;
    for (uint32_t e = 0; e < 4; e++) std::memcpy(slots[l] + 24 + e * 4, &d[g + e / 2 * 8][t * 2 + e % 2], 4);
  }
}

// Slots hold addresses of rows of 16 bytes; each lane gets its piece of four 8 x 8 matrices of 16-bit elements.
__attribute__((always_inline)) inline void load_matrices(const void* row, bool transposed, uint32_t (&words)[4]) {
  const auto slots = block().meet(WarpOp::kLoadMatrix, &row, sizeof row, [transposed](uint8_t (*all)[kSlotBytes]) {
    uint16_t elements[4][8][8];
    for (uint32_t m = 0; m < 4; m++) {
      for (uint32_t r = 0; r < 8; r++) std::memcpy(elements[m][r], read_slot<const void*>(all[m * 8 + r]), 16);
    }
    for (uint32_t l = 0; l < kLanes; l++) {
      const uint32_t g = l / 4, t = l % 4;
      for (uint32_t m = 0; m < 4; m++) {
        const uint32_t low = transposed ? elements[m][t * 2][g] : elements[m][g][t * 2];
        const uint32_t high = transposed ? elements[m][t * 2 + 1][g] : elements[m][g][t * 2 + 1];
        const uint32_t word = low | high << 16;
        std::memcpy(all[l] + m * 4, &word, 4);
      }
    }
  });
  std::memcpy(words, slots[lane()], sizeof words);
}

inline void start_copy(void* to, const void* from, uint32_t bytes, uint32_t zeros) {
  Fiber& fiber = block().current();
  if (!block().eager_copies()) {
    fiber.copies.push_back({to, from, bytes, zeros, fiber.copy_group});
    return;
  }
  std::memcpy(to, from, bytes);
  std::memset(static_cast<uint8_t*>(to) + bytes, 0, zeros);
}

inline void end_copy_group() { block().current().copy_group++; }

__attribute__((always_inline)) inline void wait_for_copies(int32_t groups) {
  const int32_t groups_left = block().groups_left(groups, place());
  Fiber& fiber = block().current();
  size_t landed = 0;
  for (; landed < fiber.copies.size(); landed++) {
    const PendingCopy& copy = fiber.copies[landed];
    if (copy.group >= fiber.copy_group - groups_left) break;
    std::memcpy(copy.to, copy.from, copy.bytes);
    std::memset(static_cast<uint8_t*>(copy.to) + copy.bytes, 0, copy.zeros);
  }
  fiber.copies.erase(fiber.copies.begin(), fiber.copies.begin() + static_cast<std::ptrdiff_t>(landed));
}

template <typename... P>
struct Call {
  static void run(void (*kernel)(), void** arguments) {
    at(kernel, arguments, std::index_sequence_for<P...>{});
  }
  template <size_t... I>
  static void at(void (*kernel)(), void** arguments, std::index_sequence<I...>) {
    reinterpret_cast<void (*)(P...)>(kernel)(*static_cast<P*>(arguments[I])...);
  }
};

}  // namespace chasqui::cuda::shim
