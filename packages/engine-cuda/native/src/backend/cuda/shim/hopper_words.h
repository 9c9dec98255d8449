// Hopper's words on a CPU, after the PTX manual and not after the kernels: barriers count arrivals and bytes, tensor copies
// land at once or only when somebody waits for them, products read their operands through descriptors when they are issued or
// only when their group is waited for. Only kernels/hopper.h includes this.
//
// Not seen here: which proxy sees what when, and whether a warpgroup's warps go together.
#pragma once

#include <cstring>

#include "../kernels/tensor_map.h"
#include "device_words.h"

namespace chasqui::cuda::shim {

inline uint32_t shared_address(const void* memory) {
  return kSharedBase + static_cast<uint32_t>(static_cast<const uint8_t*>(memory) - block().shared());
}

inline void phases_init(uint64_t* barrier, uint32_t arrivals) { block().phases_init(barrier, arrivals); }
inline void phase_arrive(uint64_t* barrier, uint32_t bytes) { block().phase_arrive(barrier, static_cast<int32_t>(bytes)); }
__attribute__((always_inline)) inline void phase_wait(uint64_t* barrier, uint32_t parity) { block().phase_wait(barrier, parity, place()); }
__attribute__((always_inline)) inline void sync_some(uint32_t id, uint32_t threads) { block().sync_some(id, threads, place()); }

inline void copy_box(void* to, const TensorMap& map, int32_t column, int32_t row, uint64_t* barrier) {
  TensorShape shape;
  std::memcpy(static_cast<void*>(&shape), &map, sizeof shape);
  block().copy_box({to, shape, column, row, barrier});
}

inline void products_begin() { block().products_begin(); }
inline void products_commit() { block().current().product_group++; }
// The lanes of a warp wait together: none goes on, and gives memory back, before the last one has read it.
__attribute__((always_inline)) inline void products_wait(int32_t groups) {
  block().products_wait(groups, place());
  block().meet(WarpOp::kSync, &groups, 0, Unchanged{});
}

__attribute__((always_inline)) inline void product(float* d, int32_t n, Elements elements, uint64_t a, uint64_t b, bool more) {
  const uint64_t both[2] = {a, b};
  block().meet(WarpOp::kProduct, both, sizeof both, Unchanged{});
  Product made;
  made.d = d, made.n = n, made.elements = elements, made.a = a, made.b = b, made.more = more;
  block().start_product(made);
}

// Rows of a lie in the registers of the four lanes of a row, which change before the product may have read them.
__attribute__((always_inline)) inline void product_of_registers(float* d, int32_t n, const uint32_t (&a)[4], uint64_t b, bool across, bool more) {
  const auto slots = block().meet(WarpOp::kProduct, a, sizeof a, Unchanged{});
  Product made;
  made.d = d, made.n = n, made.b = b, made.across = across, made.more = more, made.has_rows = true;
  for (uint32_t t = 0; t < 4; t++) {
    const uint8_t* slot = slots[lane() / 4 * 4 + t];
    for (uint32_t r = 0; r < 4; r++) {
      const auto pair = read_slot<uint32_t>(slot + r * 4);
      made.rows[r % 2][t * 2 + r / 2 * 8] = from_bf16(pair & 0xffff);
      made.rows[r % 2][t * 2 + r / 2 * 8 + 1] = from_bf16(pair >> 16);
    }
  }
  block().start_product(made);
}

}  // namespace chasqui::cuda::shim
