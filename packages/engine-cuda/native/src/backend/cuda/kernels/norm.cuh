// The scale of RMSNorm, in one order of additions wherever it is computed: 256 threads, each over every 256th group of four.
#pragma once

#include "portable.h"

namespace chasqui::cuda {

constexpr int32_t kNormThreads = 256;
constexpr int32_t kNormWarps = kNormThreads / 32;

// This thread's share of sum(x^2); dim is a multiple of 4.
DEVICE float norm_share(const float* x, int32_t dim) {
  const float4* quads = reinterpret_cast<const float4*>(x);
  float sum = 0.0f;
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < dim / 4; i += kNormThreads) {
    const float4 quad = quads[i];
    sum += quad.x * quad.x + quad.y * quad.y + quad.z * quad.z + quad.w * quad.w;
  }
  return sum;
}

// From the sums of the eight warps.
DEVICE float norm_scale(const float* sums_of_warps, int32_t dim, float eps) {
  float sum = 0.0f;
UNROLL
  for (int32_t i = 0; i < kNormWarps; i++) sum += sums_of_warps[i];
  return 1.0f / sqrtf(sum / static_cast<float>(dim) + eps);
}

}  // namespace chasqui::cuda
