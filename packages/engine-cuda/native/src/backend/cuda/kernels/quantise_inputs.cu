// A block to a row: the largest, then the codes.
#include "quantise_inputs.h"

#include "epilogue.cuh"

namespace chasqui::cuda {

namespace {

constexpr uint32_t kThreads = 256;
constexpr float kLargest = 448.0f;  // of e4m3

// Codes of inputs k .. k + 3, a turn of pack.h: bytes 0 1 2 3 are inputs 0 2 1 3.
DEVICE uint32_t codes_of(const uint2& quad, float inverse) {
  return e4m3_of(low_of(quad.x) * inverse) | static_cast<uint32_t>(e4m3_of(low_of(quad.y) * inverse)) << 8 |
         static_cast<uint32_t>(e4m3_of(high_of(quad.x) * inverse)) << 16 | static_cast<uint32_t>(e4m3_of(high_of(quad.y) * inverse)) << 24;
}

__global__ void __launch_bounds__(kThreads)
    quantise_kernel(uint8_t* codes, float* scales, const uint16_t* in, const int32_t* live, int32_t first_row, int32_t width) {
  let_next_start();
  wait_for_earlier();
  const auto row = static_cast<int32_t>(blockIdx.x);
  if (row >= *live - first_row) return;
  auto* largest_of_warps = reinterpret_cast<float*>(shared_memory());
  const auto* from = reinterpret_cast<const uint2*>(in + static_cast<int64_t>(row) * width);
  float largest = 0.0f;
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < width / 4; i += kThreads) {
    const uint2 quad = from[i];
    largest = fmaxf(fmaxf(largest, fmaxf(fabsf(low_of(quad.x)), fabsf(high_of(quad.x)))), fmaxf(fabsf(low_of(quad.y)), fabsf(high_of(quad.y))));
  }
  largest = warp_max(largest);
  if (threadIdx.x % 32 == 0) largest_of_warps[threadIdx.x / 32] = largest;
  __syncthreads();
  for (uint32_t i = 0; i < kThreads / 32; i++) largest = fmaxf(largest, largest_of_warps[i]);
  const float inverse = largest > 0.0f ? kLargest / largest : 0.0f;
  if (threadIdx.x == 0) scales[row] = largest / kLargest;
  // Quad q of 64: run q / 8, lane t = q / 2 % 4, turn q % 2 of the run; word t * 4 + run * 2 + turn.
  auto* to = reinterpret_cast<uint32_t*>(codes + static_cast<int64_t>(row) * width);
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < width / 4; i += kThreads) {
    const int32_t q = i % 16;
    to[i / 16 * 16 + q / 2 % 4 * 4 + q / 8 * 2 + q % 2] = codes_of(from[i], inverse);
  }
}

}  // namespace

QuantisedInputs quantised_inputs(const Scratch& scratch) {
  // Scales first: what follows them stays aligned.
  return {reinterpret_cast<uint8_t*>(scratch.partials + kQuantisedRows), scratch.partials};
}

void quantise_inputs(const Target& target, int32_t rows, int32_t width, const uint16_t* in, const int32_t* live, int32_t first_row,
                     const QuantisedInputs& out) {
  Launch launch;
  launch.kernel = "quantise_inputs";
  launch.grid.x = static_cast<uint32_t>(rows);
  launch.block.x = kThreads;
  launch.shared_bytes = kThreads / 32 * sizeof(float);
  launch.overlaps = true;
  start(*target.stream, launch, quantise_kernel, out.codes, out.scales, in, live, first_row, width);
}

}  // namespace chasqui::cuda
