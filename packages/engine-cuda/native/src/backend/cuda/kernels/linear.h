// The matrix kernels of each weight format, compiled one format to a unit (linear_*.cu).
#pragma once

#include "plan.h"

namespace chasqui::cuda {

struct SkinnyArguments;
struct GemmArguments;

#define CHASQUI_FORMAT(name)                                                                         \
  void skinny_##name(const Target& target, const SkinnyPlan& plan, const SkinnyArguments& arguments); \
  void gemm_##name(const Target& target, const GemmPlan& plan, const GemmArguments& arguments);
CHASQUI_FORMAT(bf16)
CHASQUI_FORMAT(fp8)
CHASQUI_FORMAT(int8)
CHASQUI_FORMAT(int4)
CHASQUI_FORMAT(table4)
#undef CHASQUI_FORMAT

// The siblings of the tile kernel on Hopper; false: not on this device or not for these weights, and nothing was launched that
// matters. That for e4m3 weights rounds the inputs to e4m3.
bool gemm_wgmma(const Target& target, const GemmArguments& arguments);
bool gemm_wgmma_fp8(const Target& target, const GemmArguments& arguments);

}  // namespace chasqui::cuda
