// Launch parameters for models and chips of every size: what a kernel is launched with must exist on the chip, and scratch
// memory must hold what it leaves there. Runs no kernel.
#include "check.h"
#include "src/backend/cuda/kernels/launch.h"
#include "src/backend/cuda/kernels/plan.h"

namespace chasqui::cuda {
namespace {

class Recording final : public Stream {
 public:
  void launch(const Launch& launch, const void*, void**) override { launches.push_back(launch); }
  std::vector<Launch> launches;
};

const ModelShape kModels[] = {
    {2048, 8192, 32, 8, 64, 128256},    // 1B
    {3072, 8192, 24, 8, 128, 128256},   // 3B
    {4096, 14336, 32, 8, 128, 128256},  // 8B
    {8192, 28672, 64, 8, 128, 128256},  // 70B
    {256, 704, 4, 2, 64, 2048},         // tiny
};

const DeviceLimits kChips[] = {
    {132, 90, 227 * 1024, 228 * 1024}, {108, 80, 163 * 1024, 164 * 1024}, {128, 89, 99 * 1024, 100 * 1024}, {2, 86, 99 * 1024, 100 * 1024}};

constexpr WeightKind kKinds[] = {WeightKind::kBF16, WeightKind::kFp8, WeightKind::kInt8, WeightKind::kInt4, WeightKind::kTable4};

DeviceLinear linear_of(WeightKind kind, int32_t out, int32_t in) {
  DeviceLinear linear;
  linear.kind = kind;
  linear.out = out;
  linear.in = in;
  return linear;
}

void check_plans(const ModelShape& shape, const DeviceLimits& chip, WeightKind kind, int32_t rows, const ScratchSizes& scratch) {
  const int32_t heads = shape.n_heads * shape.head_dim, qkv = heads + 2 * shape.n_kv_heads * shape.head_dim;
  for (const DeviceLinear& linear : {linear_of(kind, qkv, shape.dim), linear_of(kind, shape.dim, heads), linear_of(kind, 2 * shape.ffn, shape.dim),
                                     linear_of(kind, shape.dim, shape.ffn), linear_of(kind, shape.vocab, shape.dim)}) {
    if (rows > kSkinnyRows) {
      const GemmPlan plan = gemm_plan(linear, rows, chip);
      CHECK(gemm_shared_bytes(kind, plan.columns) <= chip.shared_per_block);
      CHECK(plan.row_blocks * 128 >= linear.out && plan.column_blocks * plan.columns >= rows && plan.slices >= 1 && plan.slices <= plan.steps);
      const int64_t blocks = static_cast<int64_t>(plan.row_blocks) * plan.column_blocks;
      if (plan.slices > 1) CHECK(blocks * plan.slices * 128 * plan.columns * 4 <= scratch.partial_bytes && blocks * 4 <= scratch.counter_bytes);
      continue;
    }
    const SkinnyPlan plan = skinny_plan(linear, rows, chip);
    CHECK(plan.shared_bytes > 0 && plan.shared_bytes <= chip.shared_per_block);
    CHECK(plan.tiles * 16 >= linear.out && plan.columns >= rows && plan.blocks >= 1 && plan.blocks <= plan.tiles);
    CHECK(plan.slices >= 1 && plan.slices <= plan.steps);
    const int64_t warps = static_cast<int64_t>(plan.tiles) * plan.columns / 4;
    if (plan.slices > 1) CHECK(warps * plan.slices * 32 * 8 <= scratch.partial_bytes && warps * 4 <= scratch.counter_bytes);
  }
}

TEST(every_plan_fits_its_chip) {
  for (const DeviceLimits& chip : kChips) {
    for (const ModelShape& shape : kModels) {
      CHECK(refuses(shape) == nullptr);
      const ScratchSizes scratch = scratch_sizes(shape, 2048, 64, chip);
      for (const WeightKind kind : kKinds) {
        for (int32_t rows = 1; rows <= 64; rows++) check_plans(shape, chip, kind, rows, scratch);
      }
    }
  }
}

// Of the bandwidth that all blocks together could draw, how much the longest-running block leaves unused.
double balance(const SkinnyPlan& plan) {
  const double slice = static_cast<double>(plan.steps) / plan.slices;
  const double longest = std::ceil(static_cast<double>(plan.tiles) / plan.blocks) * std::ceil(slice / kSkinnyWarps) * kSkinnyWarps;
  return plan.tiles * static_cast<double>(plan.steps) / (longest * plan.blocks * plan.slices);
}

TEST(decode_of_large_models_is_balanced_on_an_h200) {
  for (const ModelShape& shape : {kModels[2], kModels[3]}) {
    const int32_t heads = shape.n_heads * shape.head_dim, qkv = heads + 2 * shape.n_kv_heads * shape.head_dim;
    for (const DeviceLinear& linear : {linear_of(WeightKind::kBF16, qkv, shape.dim), linear_of(WeightKind::kBF16, shape.dim, heads),
                                       linear_of(WeightKind::kBF16, 2 * shape.ffn, shape.dim), linear_of(WeightKind::kBF16, shape.dim, shape.ffn),
                                       linear_of(WeightKind::kBF16, shape.vocab, shape.dim)}) {
      const SkinnyPlan plan = skinny_plan(linear, 1, kChips[0]);
      CHECK(balance(plan) > 0.93);
      CHECK(plan.blocks * plan.slices >= 240);  // two for each multiprocessor, or nearly
    }
  }
}

// Every operation once, for buckets of all sizes.
TEST(every_launch_exists) {
  for (const DeviceLimits& chip : kChips) {
    for (const ModelShape& shape : kModels) {
      for (const int32_t rows : {1, 4, 5, 16, 17, 64, 65, 512, 8192}) {
        Recording stream;
        const Target target{&stream, chip, {}};
        const StepCounts counts{};
        Step step;
        step.counts = &counts;
        const Activations work;
        const DeviceKv kv{nullptr, nullptr, rows % 2 == 0 ? KvKind::kBF16 : KvKind::kFp8, 32, 4096};
        const int32_t heads = shape.n_heads * shape.head_dim, qkv = heads + 2 * shape.n_kv_heads * shape.head_dim;
        embed(target, shape, step, rows, {}, work);
        for (const WeightKind kind : kKinds) {
          norm_qkv_rope_store(target, shape, step, rows, {}, linear_of(kind, qkv, shape.dim), {}, kv, 31, work);
          o_residual(target, shape, step, rows, linear_of(kind, shape.dim, heads), work);
          norm_gateup_silu(target, shape, step, rows, {}, linear_of(kind, 2 * shape.ffn, shape.dim), work);
          down_residual(target, shape, step, rows, linear_of(kind, shape.dim, shape.ffn), work);
          head(target, shape, step, 0, std::min(rows, 64), {}, linear_of(kind, shape.vocab, shape.dim), work);
        }
        attend_decode(target, shape, step, rows, 131072, kv, 31, work);
        attend_prefill(target, shape, step, (rows + prefill_tile_rows(shape) - 1) / prefill_tile_rows(shape), kv, 31, work);
        copy_page(target, shape, kv, 0, 1);
        sample(target, shape.vocab, {}, std::min(rows, 64), nullptr, nullptr, nullptr);
        for (const Launch& launch : stream.launches) {
          const bool fits = launch.shared_bytes <= static_cast<uint32_t>(chip.shared_per_block) && launch.grid.x >= 1 && launch.grid.y >= 1 &&
                            launch.grid.z >= 1 && launch.grid.y <= 65535 && launch.grid.z <= 65535 && launch.block.x % 32 == 0 && launch.block.x <= 1024;
          if (!fits) check::fail(__FILE__, __LINE__, std::string(launch.kernel) + " does not fit");
        }
      }
    }
  }
}

// Hopper's kernels are taken on Hopper, for many rows, and only where they are asked for.
TEST(kernels_of_hopper_are_chosen_by_chip_and_rows) {
  const ModelShape& shape = kModels[2];
  const auto names = [&](const DeviceLimits& chip, bool untried, int32_t rows, WeightKind kind, KvKind kv_kind) {
    Recording stream;
    const StepCounts counts{};
    Step step;
    step.counts = &counts;
    const Target target{&stream, chip, {}, untried};
    o_residual(target, shape, step, rows, linear_of(kind, shape.dim, shape.dim), {});
    attend_prefill(target, shape, step, 4, {nullptr, nullptr, kv_kind, 32, 4096}, 0, {});
    std::string all;
    for (const Launch& launch : stream.launches) {
      all += launch.kernel;
      all += ' ';
    }
    return all;
  };
  using enum WeightKind;
  CHECK_EQ(names(kChips[0], true, 512, kBF16, KvKind::kBF16), std::string("gemm_wgmma_bf16 attend_prefill128_wgmma "));
  CHECK_EQ(names(kChips[0], true, 1500, kFp8, KvKind::kBF16),
           std::string("quantise_inputs gemm_wgmma_fp8 quantise_inputs gemm_wgmma_fp8 attend_prefill128_wgmma "));
  CHECK_EQ(names(kChips[0], true, 512, kInt4, KvKind::kFp8), std::string("gemm128_int4 attend_prefill128_fp8 "));
  CHECK_EQ(names(kChips[0], true, 100, kBF16, KvKind::kBF16), std::string("gemm128_bf16 attend_prefill128_wgmma "));
  CHECK_EQ(names(kChips[0], false, 512, kBF16, KvKind::kBF16), std::string("gemm128_bf16 attend_prefill128_bf16 "));
  CHECK_EQ(names(kChips[1], true, 512, kBF16, KvKind::kBF16), std::string("gemm128_bf16 attend_prefill128_bf16 "));
}

}  // namespace
}  // namespace chasqui::cuda

TEST_MAIN()
