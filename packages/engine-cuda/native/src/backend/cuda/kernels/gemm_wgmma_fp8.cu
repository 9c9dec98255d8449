// e4m3 weights on Hopper, by inputs that become e4m3 too: a scale for each row of the step, so that its largest is 448. Twice
// the rate of bf16, and a rounding of the inputs that the portable sibling does not have. Tiles of 128 weight rows by 128 rows
// of the step, 128 inputs to a stage; the matrix unit's own sums are short, so they are added to floats after every stage,
// with the weights' scale where there is one for each group of inputs. See gemm_hopper.cuh.
//
// Weights stay as pack.h has them: eight rows of 64 bytes are what a swizzle of 64 bytes calls an atom. Within the 64 inputs
// their order is the packed one, so the inputs are put in that order when they are quantised.
#include "gemm_hopper.cuh"
#include "linear.h"
#include "quantise_inputs.h"

namespace chasqui::cuda {

namespace {

struct HopperFp8 {
  static constexpr int kColumns = 128, kStages = 6, kStep = 128;
  static constexpr int kWeightBytes = kHopperRows * 128, kStageBytes = kWeightBytes + kColumns * 128;
  static constexpr int kInputHalf = kColumns * 64;  // bytes of 64 inputs of all columns
  static constexpr bool kQuantisesInputs = true;

#ifdef CHASQUI_HOPPER
  // Two steps of eight rows are 16 rows of 64 bytes below each other.
  DEVICE static void copy_run(const HopperArguments& a, const TensorMap& map, uint8_t* to, int32_t row, int32_t step, uint64_t* full) {
    const int32_t eight = row < 0 ? (a.gemm.weights.out + 15) / 16 * 2 : row / 8;
    copy_box(to, map, 0, (eight * a.gemm.weights.steps + step * 2) * 8, full);
  }
  DEVICE static void copy_inputs(const TensorMap& map, uint8_t* to, int32_t first_column, int32_t step, uint64_t* full) {
    copy_box(to, map, step * kStep, first_column, full);
    copy_box(to + kInputHalf, map, step * kStep + 64, first_column, full);
  }

  DEVICE static void load_scales(const HopperGemm<HopperFp8>& on, int32_t tile, int32_t step, float (&scales)[2]) {
    const WeightSource& w = on.a.gemm.weights;
    scales[0] = scales[1] = 1.0f;
    if (tile >= on.a.gemm.tiles) return;
    const int32_t group = w.group == 0 ? 0 : step * kStep >> w.group_bits;
    const int64_t g = on.lane / 4;
UNROLL
    for (int side = 0; side < 2; side++) {
      const int64_t eight = (w.map.base(tile) + (side != 0 ? w.map.delta : 0)) / 8;
      scales[side] = scale_at(w.scales, w.scale_kind, (eight * w.groups + group) * 8 + g);
    }
  }

  DEVICE static void sum(const HopperGemm<HopperFp8>& on, int32_t tile, RingPlace& at, float (&total)[kColumns / 8][4]) {
    float part[kColumns / 8][4];
UNROLL
    for (int i = 0; i < kColumns / 2; i++) total[i / 4][i % 4] = 0.0f;
    for (int32_t step = 0; step < on.a.steps; step++) {
      float scales[2];
      load_scales(on, tile, step, scales);
      phase_wait(on.full + at.slot, at.parity_of_full());
      const uint8_t* stage = on.stage(at.slot);
      const uint64_t w = matrix_descriptor(shared_address(stage) + on.warp / 4 * 8192, 1024, 16, Swizzle::k64);
      const uint64_t x = matrix_descriptor(shared_address(stage) + kWeightBytes, 512, 16, Swizzle::k64);
      products_begin();
UNROLL
      for (uint32_t k = 0; k < 4; k++) {
        multiply_fp8_128(part, moved(w, k / 2 * 512 + k % 2 * 32), moved(x, k / 2 * kInputHalf + k % 2 * 32), k > 0);
      }
      products_commit();
      products_wait<0>();
      settle(part);
      on.release(at.slot);
      at.advance(kStages);
UNROLL
      for (int i = 0; i < kColumns / 2; i++) total[i / 4][i % 4] += part[i / 4][i % 4] * scales[i % 4 / 2];
    }
  }
#endif
};

}  // namespace

bool gemm_wgmma_fp8(const Target& target, const GemmArguments& arguments) {
  const WeightSource& w = arguments.weights;
  const bool grouped_by_stages = w.group == 0 || w.group >= HopperFp8::kStep;
  if (!has_hopper(target, hopper_shared_bytes<HopperFp8>()) || w.steps % 2 != 0 || !grouped_by_stages) return false;
  const TensorShape weights{w.codes, 1, 64, int64_t{(w.out + 15) / 16 * 2} * w.steps * 8, 64, 16, Swizzle::k64};
  for (int32_t first = 0; first < arguments.rows; first += kQuantisedRows) {
    HopperArguments hopper;
    hopper.gemm = arguments;
    hopper.gemm.rows = arguments.rows - first < kQuantisedRows ? arguments.rows - first : kQuantisedRows;
    hopper.steps = w.in / HopperFp8::kStep;
    hopper.first_row = first;
    const QuantisedInputs inputs = quantised_inputs(target.scratch);
    hopper.input_scales = inputs.scales;
    quantise_inputs(target, hopper.gemm.rows, w.in, arguments.input + static_cast<int64_t>(first) * w.in, arguments.ending.live,
                    arguments.ending.first_row + first, inputs);
    if (!launch_hopper<HopperFp8>(target, hopper, weights,
                                  {inputs.codes, 1, w.in, hopper.gemm.rows, w.in, HopperFp8::kColumns, Swizzle::k64}, "gemm_wgmma_fp8")) {
      return false;
    }
  }
  return true;
}

}  // namespace chasqui::cuda
