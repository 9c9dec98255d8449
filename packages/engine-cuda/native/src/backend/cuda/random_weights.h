// Weights, tables and caches full of random values made on the device, of the size and form of real ones: for benches, which
// ask how fast a model is and not what it says.
#pragma once

#include <cstdint>

#include "objects.h"

namespace chasqui::cuda {

struct RandomWeights {
  WeightKind layers = WeightKind::kBF16;
  WeightKind head = WeightKind::kBF16;
};

// Values of about unit variance after the product. Scales as checkpoints have them: int4 one in bf16 for 128 inputs, int8
// the same, fp8 a float for each row, 4-bit tables one in float for 64 inputs.
Status random_linear(const Target& target, Runtime& runtime, Pool& pool, WeightKind kind, int64_t out, int64_t in, uint64_t seed,
                     CudaLinear* made);
int64_t random_linear_bytes(WeightKind kind, int64_t out, int64_t in);

void random_bf16(const Target& target, const Buffer& buffer, float scale, uint64_t seed);
void random_codes(const Target& target, const Buffer& buffer, uint64_t seed);

}  // namespace chasqui::cuda
