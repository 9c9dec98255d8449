// Hopper's kernels against double precision, and what they share with the host: swizzles, descriptors, phases, tiles. On a CPU
// their instructions are stood in for (shim/hopper_words.h); on another GPU the portable siblings are checked once more.
#include <set>

#include "cuda_linear.h"
#include "src/backend/cuda/kernels/hopper_layout.h"
#include "src/backend/cuda/kernels/quantise_inputs.h"

namespace chasqui::cuda {
namespace {

// ---- layouts ----

// The PTX manual draws a swizzle of 128 bytes as eight rows of eight 16-byte pieces, piece p of row r where p xor r was; that of
// 64 bytes as rows of four pieces, two of which share a line of 128 bytes.
TEST(swizzles_are_those_of_the_manual) {
  for (uint32_t row = 0; row < 32; row++) {
    for (uint32_t piece = 0; piece < 8; piece++) {
      CHECK_EQ(swizzled(4096 + row * 128 + piece * 16 + 5, Swizzle::k128), 4096 + row * 128 + (piece ^ row % 8) * 16 + 5);
    }
    for (uint32_t piece = 0; piece < 4; piece++) {
      CHECK_EQ(swizzled(512 + row * 64 + piece * 16 + 3, Swizzle::k64), 512 + row * 64 + (piece ^ row / 2 % 4) * 16 + 3);
    }
  }
  for (const Swizzle swizzle : {Swizzle::k128, Swizzle::k64}) {
    std::set<uint32_t> places;
    for (uint32_t i = 0; i < atom_bytes(swizzle); i++) places.insert(swizzled(2048 + i, swizzle));
    CHECK(places.size() == atom_bytes(swizzle) && *places.begin() == 2048 && *places.rbegin() == 2048 + atom_bytes(swizzle) - 1);
    // Eight rows below each other meet eight different banks of 16 bytes.
    const uint32_t rows = 128 / row_bytes_of(swizzle) * 8 / 2;
    std::set<uint32_t> banks;
    for (uint32_t row = 0; row < 8; row++) banks.insert(swizzled(row * row_bytes_of(swizzle), swizzle) % 128 / 16);
    CHECK_EQ(banks.size(), size_t{8});
    (void)rows;
  }
}

// Start address in bits 0-13, leading offset in 16-29, stride in 32-45, all in units of 16 bytes; base offset 49-51; mode 62-63.
TEST(descriptors_have_their_fields_where_the_manual_has_them) {
  const uint64_t d = matrix_descriptor(0x2a400, 1024, 8192, Swizzle::k128);
  CHECK_EQ(d & 0x3fff, uint64_t{0x2a40});
  CHECK_EQ(d >> 16 & 0x3fff, uint64_t{512});
  CHECK_EQ(d >> 32 & 0x3fff, uint64_t{64});
  CHECK_EQ(d >> 46 & 0xffff, uint64_t{0});
  CHECK_EQ(d >> 62, uint64_t{1});
  CHECK_EQ(matrix_descriptor(0, 512, 16, Swizzle::k64) >> 62, uint64_t{2});
  CHECK_EQ(moved(d, 96), matrix_descriptor(0x2a400 + 96, 1024, 8192, Swizzle::k128));
  // The farthest place that a block's shared memory has stays within its field.
  CHECK_EQ(moved(matrix_descriptor(227 * 1024 - 64, 16, 16, Swizzle::kNone), 48) & 0x3fff, uint64_t{(227 * 1024 - 16) >> 4});
}

// A producer and a consumer with one barrier each, simulated: whoever may go goes, in every order that a seed gives.
TEST(rings_neither_overwrite_nor_read_what_is_not_there) {
  for (uint64_t seed = 1; seed < 40; seed++) {
    QuickRandom random(seed);
    const auto stages = static_cast<uint32_t>(1 + random.below(6));
    constexpr int32_t kSteps = 50;
    std::vector<uint32_t> full(stages, 0), empty(stages, 0);  // phases that are over
    std::vector<int32_t> holds(stages, -1);
    RingPlace writes, reads;
    int32_t written = 0, seen = 0;
    const auto is_over = [](uint32_t phases, uint32_t parity) { return phases % 2 != parity; };  // the current phase has the other parity
    while (seen < kSteps) {
      if (random.below(2) == 0 && written < kSteps && is_over(empty[writes.slot], writes.parity_of_empty())) {
        CHECK_EQ(holds[writes.slot], -1);
        holds[writes.slot] = written++;
        full[writes.slot]++;
        writes.advance(stages);
      } else if (is_over(full[reads.slot], reads.parity_of_full())) {
        CHECK_EQ(holds[reads.slot], seen);
        holds[reads.slot] = -1;
        seen++;
        empty[reads.slot]++;
        reads.advance(stages);
      }
    }
  }
}

TEST(every_tile_comes_once_and_bands_stay_together) {
  for (const int32_t rows : {1, 3, 32, 224}) {
    for (const int32_t columns : {1, 2, 7, 8, 9, 16, 33}) {
      std::set<std::pair<int32_t, int32_t>> seen;
      int32_t last_band = 0;
      for (int32_t i = 0; i < rows * columns; i++) {
        const TilePlace place = tile_place(i, rows, columns);
        CHECK(place.row_block >= 0 && place.row_block < rows && place.column_block >= 0 && place.column_block < columns);
        CHECK(place.column_block / kBand >= last_band);
        last_band = place.column_block / kBand;
        seen.insert({place.row_block, place.column_block});
      }
      CHECK_EQ(seen.size(), static_cast<size_t>(rows * columns));
    }
  }
}

// ---- products ----

TEST(bf16_products) {
  with_hopper([] {
    check_residual({150, 141, 272, 64, 3}, kPlain);    // fewer steps than stages
    check_residual({300, 290, 400, 384, 3}, kPlain);   // several tiles to a block, columns that are not live
    check_residual({530, 200, 136, 320, 2}, kPlain);   // a tile of columns without a live one
  });
}

TEST(bf16_products_with_every_ending) {
  with_hopper([] {
    check_gate({140, 133, 2 * 72, 192, 3}, kPlain);
    check_gate({140, 140, 2 * 64, 128, 3}, {WeightKind::kBF16, 0, ScaleKind::kF32, false, true});
    check_qkv({4, 2, 64}, 130, 129, 128, kPlain, KvKind::kBF16);
    check_qkv({2, 1, 128}, 131, 131, 128, kPlain, KvKind::kFp8);
    check_head(200, 3, 140, 331, kPlain);
  });
}

TEST(fp8_products) {
  with_hopper([] {
    check_residual({150, 141, 272, 128, 3}, {WeightKind::kFp8, 0, ScaleKind::kF32, false, false});
    check_residual({270, 262, 144, 1152, 2}, {WeightKind::kFp8, 128, ScaleKind::kBF16, false, false});
    check_residual({130, 130, 136, 1024, 2}, {WeightKind::kFp8, 256, ScaleKind::kF32, false, false});
    check_residual({1100, 1090, 24, 128, 5}, {WeightKind::kFp8, 0, ScaleKind::kF16, false, false});  // more rows than are quantised at once
  });
}

// Left to the sibling: an odd number of packed steps, groups within a stage.
TEST(fp8_products_that_the_tile_kernel_keeps) {
  asks_for_hopper() = true;
  QuickRandom random(1);
  TestDevice device;
  const Work work(device, {256, 256, 4, 1, 64, 64}, 130, 1);
  asks_for_hopper() = false;
  if (device.is_real()) return;
  for (const auto& [in, group] : {std::pair{192, 0}, std::pair{256, 64}}) {
    const MatrixOptions options{WeightKind::kFp8, group, ScaleKind::kF32, false, false};
    TestMatrix matrix;
    make_matrix(device, &random, &matrix, 128, in, options);
    const std::vector<uint16_t> input = random_bf16(&random, 130 * in);
    const std::vector<float> x(130 * 128, 0.0f);
    Activations activations;
    activations.x = device.put(x);
    activations.attended = device.put(input);
    activations.normed = device.room<uint16_t>(130 * 256);
    const TestStep step(device, 130, 130, 64);
    o_residual(work.target, {128, 256, in / 64, 1, 64, 64}, step.step, 130, matrix.linear, activations);
    std::vector<double> row;
    for (int32_t k = 0; k < in; k++) row.push_back(bf16_to_float(input[static_cast<size_t>(k)]));
    CHECK_NEAR(widest_error(device.get(activations.x, 128).data(), times(matrix, row)), 0.0, sum_tolerance(matrix, row) + 3e-7);
  }
}

}  // namespace
}  // namespace chasqui::cuda

TEST_MAIN()
