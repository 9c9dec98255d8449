// What the tensor copies of Hopper want to know of a matrix in device memory. Made on the host by the driver, which is asked
// for the function when it is first needed; the CPU that stands in for a GPU reads the same fields itself.
#pragma once

#include <cstdint>

#include "hopper_layout.h"

namespace chasqui::cuda {

#ifdef CHASQUI_SHIM
constexpr int kTensorMapAlign = 8;  // copies of arguments are aligned to no more
#else
constexpr int kTensorMapAlign = 128;
#endif

struct alignas(kTensorMapAlign) TensorMap {
  uint64_t words[16];
};

// A matrix whose rows lie `pitch` bytes apart, copied in boxes of `box_rows` rows by row_bytes_of(swizzle) bytes. What a box
// has outside of the matrix becomes zeros.
struct TensorShape {
  const void* base = nullptr;  // 16-byte aligned
  int32_t element_bytes = 2;   // 2: bf16, 1: bytes
  int64_t columns = 0;         // elements
  int64_t rows = 0;
  int64_t pitch = 0;           // bytes, a multiple of 16
  int32_t box_rows = 0;        // at most 256
  Swizzle swizzle = Swizzle::k128;
};

// False where the driver has no such function or refuses the shape: use a kernel without tensor copies.
bool make_tensor_map(const TensorShape& shape, TensorMap* map);

}  // namespace chasqui::cuda
