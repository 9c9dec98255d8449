// Kernels that do nothing but multiply matrices in registers or shared memory: the most that the tensor cores give.
#pragma once

#include <cstdint>

#include "src/backend/cuda/kernels/launch.h"

namespace chasqui::gpu {

// `blocks` blocks that multiply `rounds` times; gives the FLOP of the launch. `out`: a float for each block.
double launch_mma_peak(const cuda::Target& target, uint32_t blocks, int32_t rounds, float* out);
// The same with Hopper's instruction for four warps; 0 where the device has none.
double launch_wgmma_peak(const cuda::Target& target, uint32_t blocks, int32_t rounds, float* out);

}  // namespace chasqui::gpu
