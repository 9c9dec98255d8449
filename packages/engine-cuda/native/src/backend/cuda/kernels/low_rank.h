// The launchers of low_rank.cu, for the operations that adapters change.
#pragma once

#include "epilogue.cuh"

namespace chasqui::cuda {

struct LowRankArguments {
  const DeviceLowRank* entries = nullptr;  // by slot
  const int32_t* slots = nullptr;          // (rows); -1: no adapter
  const int32_t* live = nullptr;           // rows of the step
  int32_t in = 0;
  // The rows: to be normed here (x, norm_weight), or ready.
  const float* x = nullptr;                // (rows, in)
  const float* norm_weight = nullptr;      // (in)
  float eps = 0.0f;
  const uint16_t* ready = nullptr;         // (rows, in)
  float* hidden = nullptr;                 // (rows, stride): h
  int32_t stride = 0;
  const float* sums = nullptr;             // (rows, outputs): of the product
};

// h of every row that has an adapter; `ranks`: the most of any adapter of the layer.
void shrink(const Target& target, int32_t rows, int32_t ranks, const LowRankArguments& arguments);
// ending(sums + B h)
void expand(const Target& target, int32_t rows, const LowRankArguments& arguments, const Ending& ending, const RowMap& map);

}  // namespace chasqui::cuda
