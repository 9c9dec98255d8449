// What the CUDA backend makes and takes back. Each holds its device memory and the struct of pointers that the launchers
// take.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "../backend.h"
#include "kernels/launch.h"
#include "memory.h"
#include "sample_block.h"
#include "step_block.h"

namespace chasqui::cuda {

struct CudaEmbedding final : Embedding {
  Buffer memory;
  DeviceTable table;
};

struct CudaNorm final : Norm {
  Buffer memory;
  DeviceNorm norm;
};

// What one adapter adds to a layer.
struct CudaAdaptation {
  Buffer a, b;
  DeviceLowRank entry;
};

struct CudaLinear final : Linear {
  Buffer codes, scales, zeros, table, order;
  DeviceLinear linear;
  std::vector<int64_t> part_rows;
  std::map<int32_t, CudaAdaptation> adaptations;  // by the adapter's number
  Buffer entries;                                 // of all slots, claimed with the first
};

struct CudaRope final : Rope {
  Buffer memory;
  DeviceRope rope;
  int32_t context = 0;
};

struct CudaKvCache final : KvCache {
  Buffer keys, values;
  DeviceKv kv;
  int32_t n_kv_heads = 0;
  int32_t head_dim = 0;
};

struct CudaWorkspace final : Workspace {
  WorkShape shape;
  ModelShape model;
  StepBlock step;
  SampleBlock draw;
  Buffer x, normed, q, attended, hidden, logits, partials, counters;
  Pinned read;  // (max_logits, vocab) floats: logits on their way to the host
  Activations work;
  Scratch scratch;
  const CudaRope* rope = nullptr;  // of the step
};

}  // namespace chasqui::cuda
