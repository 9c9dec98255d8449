// bf16 weights on Hopper: tiles of 128 weight rows by 256 rows of the step, 64 inputs to a stage. See gemm_hopper.cuh.
#include "gemm_hopper.cuh"
#include "linear.h"

namespace chasqui::cuda {

namespace {

struct HopperBF16 {
  static constexpr int kColumns = 256, kStages = 4, kStep = 64;
  static constexpr int kWeightBytes = kHopperRows * 128, kStageBytes = kWeightBytes + kColumns * 128;
  static constexpr bool kQuantisesInputs = false;

#ifdef CHASQUI_HOPPER
  DEVICE static void copy_run(const HopperArguments& a, const TensorMap& map, uint8_t* to, int32_t row, int32_t step, uint64_t* full) {
    copy_box(to, map, step * kStep, row < 0 ? a.gemm.weights.out : row, full);
  }
  DEVICE static void copy_inputs(const TensorMap& map, uint8_t* to, int32_t first_column, int32_t step, uint64_t* full) {
    copy_box(to, map, step * kStep, first_column, full);
  }

  // One stage is being multiplied while the next is waited for.
  DEVICE static void sum(const HopperGemm<HopperBF16>& on, int32_t, RingPlace& at, float (&total)[kColumns / 8][4]) {
    uint32_t before = 0;
    for (int32_t step = 0; step < on.a.steps; step++) {
      phase_wait(on.full + at.slot, at.parity_of_full());
      const uint8_t* stage = on.stage(at.slot);
      const uint64_t w = matrix_descriptor(shared_address(stage) + on.warp / 4 * 8192, 1024, 16, Swizzle::k128);
      const uint64_t x = matrix_descriptor(shared_address(stage) + kWeightBytes, 1024, 16, Swizzle::k128);
      products_begin();
UNROLL
      for (uint32_t k = 0; k < kStep / 16; k++) multiply_256(total, moved(w, k * 32), moved(x, k * 32), step > 0 || k > 0);
      products_commit();
      products_wait<1>();
      if (step > 0) on.release(before);
      before = at.slot;
      at.advance(kStages);
    }
    products_wait<0>();
    on.release(before);
    settle(total);
  }
#endif
};

}  // namespace

bool gemm_wgmma(const Target& target, const GemmArguments& arguments) {
  if (!has_hopper(target, hopper_shared_bytes<HopperBF16>())) return false;
  const WeightSource& w = arguments.weights;
  const int64_t pitch = int64_t{w.in} * 2;
  HopperArguments hopper;
  hopper.gemm = arguments;
  hopper.steps = w.in / HopperBF16::kStep;
  return launch_hopper<HopperBF16>(target, hopper, {w.codes, 2, w.in, w.out, pitch, 8, Swizzle::k128},
                                   {arguments.input, 2, w.in, arguments.rows, pitch, HopperBF16::kColumns, Swizzle::k128}, "gemm_wgmma_bf16");
}

}  // namespace chasqui::cuda
