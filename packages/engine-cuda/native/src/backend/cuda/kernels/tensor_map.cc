// See tensor_map.h.
#include "tensor_map.h"

#include <cstring>

#ifndef CHASQUI_SHIM
#include <cuda.h>
#include <cuda_runtime_api.h>
#endif

namespace chasqui::cuda {

#ifdef CHASQUI_SHIM

bool make_tensor_map(const TensorShape& shape, TensorMap* map) {
  static_assert(sizeof(TensorShape) <= sizeof(TensorMap));
  if (shape.pitch % 16 != 0 || shape.box_rows < 1 || shape.box_rows > 256 || shape.rows < 1 || shape.columns < 1) return false;
  std::memset(map, 0, sizeof *map);
  std::memcpy(map, &shape, sizeof shape);
  return true;
}

#else

namespace {

using Encode = decltype(&cuTensorMapEncodeTiled);

// Found in the driver that is loaded, not linked: the addon also loads where there is none.
Encode encoder() {
  static const Encode found = []() -> Encode {
    void* address = nullptr;
    cudaDriverEntryPointQueryResult result;
#if CUDART_VERSION >= 12050
    constexpr unsigned kCameWith = 12000;
    const cudaError_t error = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &address, kCameWith, cudaEnableDefault, &result);
#else
    const cudaError_t error = cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &address, cudaEnableDefault, &result);
#endif
    if (error != cudaSuccess || result != cudaDriverEntryPointSuccess) return nullptr;
    return reinterpret_cast<Encode>(address);
  }();
  return found;
}

}  // namespace

bool make_tensor_map(const TensorShape& shape, TensorMap* map) {
  static_assert(sizeof(CUtensorMap) == sizeof(TensorMap) && alignof(TensorMap) >= alignof(CUtensorMap));
  const Encode encode = encoder();
  if (encode == nullptr) return false;
  const cuuint64_t sizes[2] = {static_cast<cuuint64_t>(shape.columns), static_cast<cuuint64_t>(shape.rows)};
  const cuuint64_t pitches[1] = {static_cast<cuuint64_t>(shape.pitch)};
  const cuuint32_t box[2] = {row_bytes_of(shape.swizzle) / static_cast<cuuint32_t>(shape.element_bytes), static_cast<cuuint32_t>(shape.box_rows)};
  const cuuint32_t every[2] = {1, 1};
  const CUtensorMapDataType type = shape.element_bytes == 2 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_UINT8;
  const CUtensorMapSwizzle swizzle = shape.swizzle == Swizzle::k128 ? CU_TENSOR_MAP_SWIZZLE_128B
                                     : shape.swizzle == Swizzle::k64 ? CU_TENSOR_MAP_SWIZZLE_64B
                                                                     : CU_TENSOR_MAP_SWIZZLE_NONE;
  return encode(reinterpret_cast<CUtensorMap*>(map), type, 2, const_cast<void*>(shape.base), sizes, pitches, box, every,
                CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

#endif

}  // namespace chasqui::cuda
