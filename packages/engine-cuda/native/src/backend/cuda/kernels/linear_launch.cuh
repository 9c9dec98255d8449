// From a plan to a launch, for one weight format. A unit says CHASQUI_LINEAR(name, Format) and is done.
#pragma once

#include "gemm.cuh"
#include "linear.h"
#include "middle.cuh"
#include "skinny.cuh"

namespace chasqui::cuda {

template <typename Format>
void launch_skinny(const Target& target, const SkinnyPlan& plan, const SkinnyArguments& arguments, const char* name) {
  Launch launch;
  launch.kernel = name;
  launch.grid = {static_cast<uint32_t>(plan.blocks), static_cast<uint32_t>(plan.slices), 1};
  launch.block.x = kSkinnyWarps * 32;
  launch.shared_bytes = static_cast<uint32_t>(plan.shared_bytes);
  launch.overlaps = true;
  if (plan.columns == 8) {
    start(*target.stream, launch, skinny_kernel<Format, 8>, arguments);
  } else {
    start(*target.stream, launch, skinny_kernel<Format, 16>, arguments);
  }
}

// Rows of a step that a block of 32 columns takes; plans make blocks of 64 at least.
constexpr int32_t kFewColumns = 32;

template <typename Format>
void launch_middle(const Target& target, Launch launch, const GemmArguments& arguments) {
  constexpr int kFew = middle_stages(Format::kKind, kFewColumns, false);
  constexpr int kDeep = middle_stages(Format::kKind, 64, true), kShallow = middle_stages(Format::kKind, 64, false);
  const auto fits = [&](int32_t bytes) { return bytes <= target.limits.shared_per_block; };
  if (arguments.rows <= kFewColumns && fits(Middle<Format, kFewColumns, kFew>::kSharedBytes)) {
    launch.shared_bytes = Middle<Format, kFewColumns, kFew>::kSharedBytes;
    start(*target.stream, launch, middle_kernel<Format, kFewColumns, kFew>, arguments);
  } else if (fits(Middle<Format, 64, kDeep>::kSharedBytes)) {
    launch.shared_bytes = Middle<Format, 64, kDeep>::kSharedBytes;
    start(*target.stream, launch, middle_kernel<Format, 64, kDeep>, arguments);
  } else {
    launch.shared_bytes = Middle<Format, 64, kShallow>::kSharedBytes;
    start(*target.stream, launch, middle_kernel<Format, 64, kShallow>, arguments);
  }
}

template <typename Format>
void launch_gemm(const Target& target, const GemmPlan& plan, const GemmArguments& arguments, const char* name) {
  Launch launch;
  launch.kernel = name;
  launch.grid = {static_cast<uint32_t>(plan.row_blocks), static_cast<uint32_t>(plan.column_blocks), static_cast<uint32_t>(plan.slices)};
  launch.block.x = kGemmThreads;
  launch.overlaps = true;
  if (plan.columns == 128) {
    launch.shared_bytes = Gemm<Format, 128>::kSharedBytes;
    start(*target.stream, launch, gemm_kernel<Format, 128>, arguments);
  } else if constexpr (Format::kPacked) {
    launch_middle<Format>(target, launch, arguments);
  } else {
    launch.shared_bytes = Gemm<Format, 64>::kSharedBytes;
    start(*target.stream, launch, gemm_kernel<Format, 64>, arguments);
  }
}

#define CHASQUI_LINEAR(name, Format)                                                                          \
  namespace chasqui::cuda {                                                                                   \
  void skinny_##name(const Target& target, const SkinnyPlan& plan, const SkinnyArguments& arguments) {        \
    launch_skinny<Format>(target, plan, arguments, plan.columns == 8 ? "skinny8_" #name : "skinny16_" #name); \
  }                                                                                                           \
  void gemm_##name(const Target& target, const GemmPlan& plan, const GemmArguments& arguments) {              \
    launch_gemm<Format>(target, plan, arguments, plan.columns == 64 ? "gemm64_" #name : "gemm128_" #name);    \
  }                                                                                                           \
  }

}  // namespace chasqui::cuda
