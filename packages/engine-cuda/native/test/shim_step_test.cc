// How a step is described to the kernels: what lies in device memory is what the spans say, and which sizes launches are made
// for.
#include <map>
#include <set>

#include "cuda_model.h"
#include "src/backend/cuda/device_runtime_shim.h"
#include "src/backend/cuda/step_block.h"

using namespace cuda_model;
using namespace chasqui::cuda;

namespace {

struct Described {
  ShimRuntime runtime{ShimOptions{}};
  Pool pool{runtime};
  StepBlock block;
};

std::unique_ptr<Described> described(int32_t max_rows) {
  auto made = std::make_unique<Described>();
  CHECK_OK(made->block.claim(made->runtime, made->pool, max_rows));
  return made;
}

constexpr StepLimits kLimits{256, 64, 16, 131072, false};

struct Spans {
  std::vector<std::vector<int32_t>> tokens, pages;
  std::vector<BatchSpan> spans;
  std::vector<int32_t> wanted;

  void add(int32_t n, int32_t position, QuickRandom* random) {
    tokens.push_back(random_tokens(n, 1000, random->next()));
    pages.emplace_back();
    for (int32_t i = 0; i < (position + n + 15) / 16; i++) pages.back().push_back(random->below(100000));
    int32_t rows = 0;
    for (const BatchSpan& span : spans) rows += span.n_tokens;
    spans.push_back({nullptr, n, position, nullptr, false, true});
    wanted.push_back(rows + n - 1);
    for (size_t i = 0; i < spans.size(); i++) {
      spans[i].tokens = tokens[i].data();
      spans[i].pages = pages[i].data();
    }
  }
};

// Everything that a kernel can read of a step is as the spans say.
void expect_described(const StepBlock& block, const Spans& given, int32_t tile_rows) {
  const Step& step = block.device();
  CHECK_EQ(step.counts->rows, block.counts().rows);
  CHECK_EQ(step.counts->wanted, static_cast<int32_t>(given.wanted.size()));
  for (size_t i = 0; i < given.wanted.size(); i++) CHECK_EQ(step.wanted[i], given.wanted[i]);
  std::multiset<int32_t> attending(step.decode_rows, step.decode_rows + step.counts->decode_rows);
  for (int32_t i = 0; i < step.counts->tiles; i++) {
    const PrefillTile& tile = step.tiles[i];
    CHECK(tile.n_rows >= 1 && tile.n_rows <= tile_rows);
    for (int32_t row = tile.first_row; row < tile.first_row + tile.n_rows; row++) {
      attending.insert(row);
      CHECK_EQ(step.page_starts[row], step.page_starts[tile.first_row]);  // of one span
    }
  }
  int32_t row = 0;
  for (const BatchSpan& span : given.spans) {
    for (int32_t i = 0; i < span.n_tokens; i++, row++) {
      CHECK_EQ(step.tokens[row], span.tokens[i]);
      CHECK_EQ(step.positions[row], span.position + i);
      CHECK_EQ(attending.count(row), size_t{1});
      for (int32_t p = 0; p <= span.position + i; p += 16) CHECK_EQ(step.pages[step.page_starts[row] + p / 16], span.pages[p / 16]);
    }
  }
  CHECK_EQ(step.counts->rows, row);
  CHECK_EQ(static_cast<int32_t>(attending.size()), row);
}

}  // namespace

TEST(a_step_is_described_as_its_spans_say) {
  auto on = described(256);
  QuickRandom random(1);
  for (int32_t round = 0; round < 200; round++) {
    Spans given;
    int32_t room = 256;
    for (int32_t i = 1 + random.below(12); i > 0 && room > 0; i--) {
      const int32_t n = random.below(2) == 0 ? 1 : 1 + random.below(std::min(room, 90));
      given.add(std::min(n, room), random.below(3000), &random);
      room -= std::min(n, room);
    }
    CHECK_OK(on->block.load(given.spans, given.wanted, kLimits));
    expect_described(on->block, given, kLimits.tile_rows);
    const Buckets& sizes = on->block.buckets();
    CHECK(sizes.rows >= on->block.counts().rows && sizes.decode_rows >= on->block.counts().decode_rows);
    CHECK(sizes.tiles >= on->block.counts().tiles && sizes.rows <= 256);
  }
}

TEST(few_rows_without_tiles_are_rounded_up_to_buckets) {
  auto on = described(256);
  QuickRandom random(2);
  const std::map<int32_t, int32_t> buckets = {{1, 1}, {2, 2}, {3, 4}, {5, 8}, {8, 8}, {9, 16}, {33, 64}, {64, 64}};
  for (const auto& [rows, bucket] : buckets) {
    Spans given;
    for (int32_t i = 0; i < rows; i++) given.add(1, 100 + i, &random);
    CHECK_OK(on->block.load(given.spans, given.wanted, kLimits));
    CHECK_EQ(on->block.buckets().rows, bucket);
    CHECK_EQ(on->block.buckets().decode_rows, bucket);
    CHECK_EQ(on->block.buckets().wanted, bucket);
    CHECK_EQ(on->block.buckets().max_length, 512);
    CHECK(on->block.buckets().recordable);
  }
  // More rows than one call of `head` has, a prompt, or nobody who waits: as they are.
  Spans many;
  for (int32_t i = 0; i < 65; i++) many.add(1, 5, &random);
  CHECK_OK(on->block.load(many.spans, many.wanted, kLimits));
  CHECK_EQ(on->block.buckets().rows, 65);
  CHECK(!on->block.buckets().recordable);
  Spans prompt;
  prompt.add(9, 0, &random);
  CHECK_OK(on->block.load(prompt.spans, prompt.wanted, kLimits));
  CHECK_EQ(on->block.counts().tiles, 1);
  CHECK(!on->block.buckets().recordable);
  Spans unread;
  unread.add(1, 5, &random);
  CHECK_OK(on->block.load(unread.spans, {}, kLimits));
  CHECK(!on->block.buckets().recordable);
}

TEST(the_bucket_of_lengths_holds_the_longest_row) {
  auto on = described(64);
  QuickRandom random(3);
  for (const auto& [position, bucket] : std::map<int32_t, int32_t>{{0, 512}, {511, 512}, {512, 1024}, {5000, 8192}, {131071, 131072}}) {
    Spans given;
    given.add(1, 7, &random);
    given.add(1, position, &random);
    CHECK_OK(on->block.load(given.spans, given.wanted, kLimits));
    CHECK_EQ(on->block.buckets().max_length, bucket);
  }
}

TEST(independent_of_the_batch_means_one_size_for_all_steps) {
  auto on = described(256);
  QuickRandom random(4);
  StepLimits limits = kLimits;
  limits.fixed = true;
  Spans small, large;
  small.add(1, 3, &random);
  large.add(200, 0, &random);
  CHECK_OK(on->block.load(small.spans, small.wanted, limits));
  const Buckets first = on->block.buckets();
  CHECK_OK(on->block.load(large.spans, large.wanted, limits));
  CHECK(first == on->block.buckets());
  CHECK_EQ(on->block.counts().tiles, 0);
  CHECK_EQ(first.max_length, 131072);
}

TEST(longer_page_tables_move_the_block_and_say_so) {
  auto on = described(64);
  QuickRandom random(5);
  const uint64_t before = on->block.generation();
  Spans given;
  for (int32_t i = 0; i < 5; i++) given.add(1, 100000, &random);
  CHECK_OK(on->block.load(given.spans, given.wanted, kLimits));
  CHECK(on->block.generation() != before);
  expect_described(on->block, given, kLimits.tile_rows);
}

TEST_MAIN()
