// The matrix kernels against double precision: every weight format, few rows and many, with each ending.
#include "cuda_linear.h"

namespace chasqui::cuda {
namespace {

TEST(few_rows_in_every_format) {
  each_schedule(is_slow(), [] {
    for (const MatrixOptions& options : kFormats) {
      check_residual({1, 1, 256, 704, 3}, options);
      check_residual({11, 10, 48, 576, 2}, options);
    }
  });
}

TEST(many_rows_in_every_format) {
  each_schedule(is_slow(), [] {
    for (const MatrixOptions& options : kFormats) check_residual({21, 20, 144, 320, 1}, options);
    check_residual({77, 70, 136, 256, 1}, kPlain);
    check_residual({77, 70, 136, 256, 1}, {WeightKind::kInt4, 32, ScaleKind::kF16, true, false});
  });
}

// 33 to 64 rows: a block of 64 columns, in both depths of its ring.
TEST(middle_batches_in_every_format) {
  each_schedule(is_slow(), [] {
    for (const MatrixOptions& options : kFormats) check_residual({37, 35, 144, 320, 1}, options);
  });
  check_residual({64, 64, 128, 1536, 132}, {WeightKind::kInt4, 128, ScaleKind::kF16, false, false});
  check_residual({40, 40, 136, 1088, 132}, {WeightKind::kFp8, 0, ScaleKind::kF32, false, false});
  check_residual({40, 40, 128, 1088, 132}, {WeightKind::kTable4, 64, ScaleKind::kF32, false, false});
}

TEST(inputs_cut_into_slices) {
  each_schedule(is_slow(), [] {
    for (const WeightKind kind : {WeightKind::kBF16, WeightKind::kInt4}) {
      const MatrixOptions options{kind, kind == WeightKind::kInt4 ? 64 : 0, ScaleKind::kF32, false, false};
      check_residual({1, 1, 64, 2048, 40}, options);
      check_residual({9, 8, 80, 1088, 40}, options);
      check_residual({40, 40, 128, 1024, 16}, options);
    }
  });
}

// As many inputs as layers of 1B, 3B, 8B and 70B have, cut as on an H200.
TEST(inputs_of_real_layers) {
  if (!is_slow()) {
    check_residual({1, 1, 64, 4096, 132}, kPlain);
    check_residual({2, 2, 32, 14336, 132}, {WeightKind::kInt4, 128, ScaleKind::kF16, false, false});
    return;
  }
  for (const int32_t in : {2048, 3072, 4096, 8192, 14336, 28672}) {
    for (const int32_t rows : {1, 4, 9, 16, 40}) {
      check_residual({rows, rows, 256, in, 132}, kPlain);
      check_residual({rows, rows, 256, in, 132}, {WeightKind::kFp8, 0, ScaleKind::kF32, false, false});
      check_residual({rows, rows, 256, in, 132}, {WeightKind::kInt4, 128, ScaleKind::kF16, true, false});
    }
  }
}

TEST(gate_and_up) {
  each_schedule(is_slow(), [] {
    check_gate({1, 1, 2 * 704, 256, 3}, kPlain);
    check_gate({4, 3, 2 * 64, 256, 3}, {WeightKind::kInt8, 128, ScaleKind::kBF16, false, false});
    check_gate({4, 4, 2 * 64, 192, 3}, {WeightKind::kInt4, 64, ScaleKind::kF32, true, true});
    check_gate({6, 6, 2 * 64, 192, 3}, {WeightKind::kInt4, 64, ScaleKind::kF32, true, true});
    check_gate({33, 31, 2 * 72, 192, 3}, {WeightKind::kFp8, 0, ScaleKind::kF32, false, true});
  });
}

TEST(qkv_with_rope_and_cache) {
  each_schedule(is_slow(), [] {
    check_qkv({4, 2, 64}, 1, 1, 256, kPlain, KvKind::kBF16);
    check_qkv({4, 1, 128}, 3, 2, 128, kPlain, KvKind::kFp8);
    check_qkv({8, 1, 64}, 12, 12, 128, {WeightKind::kInt4, 128, ScaleKind::kF16, false, false}, KvKind::kBF16);
    check_qkv({2, 2, 128}, 19, 18, 128, kPlain, KvKind::kFp8);
  });
}

TEST(head_of_wanted_rows) {
  each_schedule(is_slow(), [] {
    check_head(3, 0, 3, 1003, kPlain);  // no multiple of anything
    check_head(9, 7, 4, 264, {WeightKind::kInt8, 128, ScaleKind::kBF16, false, false});
    check_head(30, 5, 8, 331, kPlain);
    check_head(30, 4, 20, 331, kPlain);
  });
}

}  // namespace
}  // namespace chasqui::cuda

TEST_MAIN()
