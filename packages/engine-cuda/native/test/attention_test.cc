// Paged attention against a softmax in double: grouped heads, odd head sizes, contexts over several segments, and the same
// bits however rows and segments are shared out.
#include "src/backend/cpu/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "random_model.h"
#include "src/checkpoint/quant.h"
#include "src/reference/reference_llama.h"
#include "test/check.h"

using namespace chasqui;
using namespace chasqui::cpu;

namespace {

// A cache of one sequence with random keys and values, and what they are after rounding to the cache's type.
struct Sequence {
  KvShape shape;
  PagedCache cache;
  std::vector<int32_t> pages;
  std::vector<float> keys, values;  // (positions, n_kv_heads, head_dim)
};

constexpr int32_t kLayer = 1;

float cached(float value, KvType type) {
  if (type == KvType::kFp8) return e4m3_to_float(float_to_e4m3(value));
  return type == KvType::kF32 ? value : bf16_to_float(float_to_bf16(value));
}

void fill(Sequence* sequence, const KvShape& shape, int32_t positions, bool scattered, uint64_t seed) {
  sequence->shape = shape;
  CHECK_OK(sequence->cache.claim(shape));
  // Nothing but what is stored may have an effect: all else is NaN.
  for (Memory* memory : {&sequence->cache.keys, &sequence->cache.values}) {
    std::memset(memory->as<char>(), 0xff, static_cast<size_t>(memory->bytes()));
  }
  const int32_t count = (positions + kPageTokens - 1) / kPageTokens;
  for (int32_t i = 0; i < count; i++) sequence->pages.push_back(scattered ? (i * 7 + 3) % shape.n_pages : i);
  QuickRandom random(seed);
  std::vector<float> padding(static_cast<size_t>(shape.head_dim));
  for (int32_t position = 0; position < positions; position++) {
    for (int32_t head = 0; head < shape.n_kv_heads; head++) {
      std::vector<float> key(padding), value(padding);
      for (float& each : key) each = random.symmetric() * 2;
      for (float& each : value) each = random.symmetric();
      sequence->cache.store(kLayer, sequence->pages[static_cast<size_t>(position / kPageTokens)], head, position % kPageTokens,
                            key.data(), value.data());
      for (const float each : key) sequence->keys.push_back(cached(each, shape.type));
      for (const float each : value) sequence->values.push_back(cached(each, shape.type));
    }
  }
}

std::vector<float> random_queries(int32_t rows, int32_t width, uint64_t seed) {
  QuickRandom random(seed);
  std::vector<float> q(static_cast<size_t>(rows) * static_cast<size_t>(width));
  for (float& value : q) value = random.symmetric() * 2;
  return q;
}

double plain(double value) { return value; }
double to_bf16(double value) { return rounded(value, Rounding::kBF16); }

// One row by definition: (n_heads, head_dim). `round` is what happens to queries and exponentials; the latter count from the
// highest score so far, block by block of a segment, and so does what is rounded.
std::vector<double> expected(const Sequence& sequence, int32_t n_heads, const float* q, int32_t position,
                             double (*round)(double) = plain) {
  const KvShape& shape = sequence.shape;
  std::vector<double> out;
  for (int32_t head = 0; head < n_heads; head++) {
    const int32_t kv_head = head / (n_heads / shape.n_kv_heads);
    const auto at = [&](int32_t p) { return static_cast<size_t>((p * shape.n_kv_heads + kv_head) * shape.head_dim); };
    std::vector<double> scores;
    for (int32_t p = 0; p <= position; p++) {
      double score = 0;
      for (int32_t d = 0; d < shape.head_dim; d++) {
        score += round(static_cast<double>(q[head * shape.head_dim + d])) * sequence.keys[at(p) + static_cast<size_t>(d)];
      }
      scores.push_back(score / std::sqrt(static_cast<double>(shape.head_dim)));
    }
    const double top = *std::max_element(scores.begin(), scores.end());
    double total = 0, so_far = 0;
    std::vector<double> weights;
    for (size_t p = 0; p < scores.size(); p++) {
      if (p % kAttendBlock == 0) {
        const double highest = *std::max_element(scores.begin() + static_cast<int64_t>(p), scores.begin() + static_cast<int64_t>(std::min(scores.size(), p + kAttendBlock)));
        so_far = p % kAttendSegment == 0 ? highest : std::max(so_far, highest);
      }
      weights.push_back(round(std::exp(scores[p] - so_far)) * std::exp(so_far - top));
      total += weights.back();
    }
    for (int32_t d = 0; d < shape.head_dim; d++) {
      double sum = 0;
      for (int32_t p = 0; p <= position; p++) {
        sum += weights[static_cast<size_t>(p)] * sequence.values[at(p) + static_cast<size_t>(d)];
      }
      out.push_back(sum / total);
    }
  }
  return out;
}

std::vector<float> attended(const Sequence& sequence, int32_t n_heads, const Kernels& kernels, int32_t threads,
                            const std::vector<BatchSpan>& spans, const std::vector<float>& q) {
  ThreadPool pool(threads);
  const Attend& attend = kernels.attend[sequence.cache.element];
  Attention attention;
  const int64_t width = n_heads * sequence.shape.head_dim;
  CHECK_OK(attention.prepare({n_heads, sequence.shape.n_kv_heads, sequence.shape.head_dim}, threads));
  CHECK_OK(attention.plan(spans));
  std::vector<float> out(q.size(), 7.0f);
  attention.run(pool, kernels, attend, sequence.cache, kLayer, spans, q.data(), width, out.data(), width);
  return out;
}

BatchSpan span_of(const Sequence& sequence, int32_t first, int32_t n) {
  BatchSpan span;
  span.position = first;
  span.n_tokens = n;
  span.pages = sequence.pages.data();
  return span;
}

struct Case {
  int32_t n_heads, n_kv_heads, head_dim;
  KvType type;
};

const Case kCases[] = {
    {4, 4, 32, KvType::kBF16}, {4, 2, 64, KvType::kF32}, {8, 2, 64, KvType::kBF16}, {8, 1, 128, KvType::kBF16},
    {8, 2, 64, KvType::kFp8},  {8, 1, 128, KvType::kFp8}, {3, 1, 18, KvType::kFp8},
    {6, 2, 20, KvType::kF32},  {3, 1, 18, KvType::kBF16}, {80, 1, 16, KvType::kBF16},  // more rows than a task has at once
};

// Attends to 300 positions with random queries and gives check(sequence, query, row, what came) every thirteenth of them.
template <typename Check>
void each_row_attended(const Case& each, const Kernels& kernels, uint64_t seed, const Check& check) {
  Sequence sequence;
  const int32_t positions = 300;
  fill(&sequence, {2, each.n_kv_heads, each.head_dim, 40, each.type}, positions, true, seed);
  const int64_t width = each.n_heads * each.head_dim;
  const auto q = random_queries(positions, each.n_heads * each.head_dim, seed + 1);
  const auto got = attended(sequence, each.n_heads, kernels, 2, {span_of(sequence, 0, positions)}, q);
  for (int32_t row = 0; row < positions; row += 13) check(sequence, q.data() + row * width, row, got.data() + row * width);
}

}  // namespace

TEST(attention_agrees_with_a_double_softmax) {
  for (const char* name : {"portable", "avx2", "avx512"}) {
    const Kernels* kernels = kernels_named(name);
    if (kernels == nullptr) {
      check::skip(std::string(name) + " kernels do not run on this processor");
      continue;
    }
    uint64_t seed = 1;
    for (const Case& each : kCases) {
      each_row_attended(each, *kernels, seed, [&](const Sequence& sequence, const float* query, int32_t row, const float* got) {
        const auto want = expected(sequence, each.n_heads, query, row);
        for (size_t i = 0; i < want.size(); i++) CHECK_NEAR(got[i], want[i], 3e-6);
      });
      seed += 2;
    }
  }
}

// A float score a hair away from a double rounds an exponential to the other neighbour now and then: hence nearly all values,
// and the others within what one rounding of a likely position makes.
TEST(rounded_attention_agrees_with_a_double_softmax_that_rounds_at_the_same_points) {
  const Kernels* kernels = kernels_named("avx512bf16");
  if (kernels == nullptr) {
    check::skip("this processor multiplies no bf16");
    return;
  }
  uint64_t seed = 70;
  int64_t near = 0, near_exact = 0, all = 0;
  for (const Case& each : kCases) {
    if (each.type == KvType::kF32) continue;
    each_row_attended(each, *kernels, seed, [&](const Sequence& sequence, const float* query, int32_t row, const float* got) {
      const auto want = expected(sequence, each.n_heads, query, row, to_bf16);
      const auto exact = expected(sequence, each.n_heads, query, row);
      for (size_t i = 0; i < want.size(); i++, all++) {
        CHECK_NEAR(got[i], want[i], 2e-3);
        near += std::fabs(got[i] - want[i]) < 3e-6;
        near_exact += std::fabs(got[i] - exact[i]) < 3e-6;
      }
    });
    seed += 2;
  }
  std::printf("  %.1f %% agree to 3e-6, without rounding %.1f %%\n", 100.0 * static_cast<double>(near) / static_cast<double>(all), 100.0 * static_cast<double>(near_exact) / static_cast<double>(all));
  CHECK(near * 100 > all * 90);
  CHECK(near_exact * 100 < all * 20);
}

TEST(long_contexts_over_several_segments_agree_too) {
  Sequence sequence;
  const int32_t positions = 2 * kAttendSegment + 700;
  fill(&sequence, {2, 2, 64, positions / kPageTokens + 8, KvType::kBF16}, positions, true, 30);
  const int32_t width = 4 * 64;
  const auto q = random_queries(20, width, 31);
  for (const Kernels* kernels : {kernels_named("float"), best_kernels()}) {
    const bool rounds = kernels->attend[kKvBF16].input == kInputBF16;
    const auto got = attended(sequence, 4, *kernels, 3, {span_of(sequence, positions - 20, 20)}, q);
    for (int32_t row = 0; row < 20; row++) {
      const auto want = expected(sequence, 4, q.data() + static_cast<int64_t>(row) * width, positions - 20 + row, rounds ? to_bf16 : plain);
      for (size_t i = 0; i < want.size(); i++) CHECK_NEAR(got[static_cast<size_t>(row * width) + i], want[i], rounds ? 3e-5 : 3e-6);
    }
  }
}

// On every table, with codes of every size: subnormal ones and what lies above the largest.
TEST(an_fp8_cache_attends_with_the_bits_of_a_bf16_cache_of_the_rounded_values) {
  const int32_t positions = kAttendSegment + 300;
  const KvShape shape = {2, 2, 20, positions / kPageTokens + 8, KvType::kFp8};
  Sequence coded;
  fill(&coded, shape, positions, true, 50);
  KvShape wide = shape;
  wide.type = KvType::kBF16;
  Sequence plain;
  fill(&plain, wide, positions, true, 50);
  QuickRandom random(51);
  for (int32_t position = 0; position < positions; position++) {
    const int32_t page = coded.pages[static_cast<size_t>(position / kPageTokens)];
    for (int32_t head = 0; head < 2; head++) {
      std::vector<float> key(20), value(20);
      for (float& each : key) each = std::ldexp(random.symmetric(), random.below(14) - 12);
      for (float& each : value) each = std::ldexp(random.symmetric(), random.below(22) - 12);
      coded.cache.store(kLayer, page, head, position % kPageTokens, key.data(), value.data());
      for (float& each : key) each = cached(each, KvType::kFp8);
      for (float& each : value) each = cached(each, KvType::kFp8);
      plain.cache.store(kLayer, page, head, position % kPageTokens, key.data(), value.data());
    }
  }
  const auto q = random_queries(30, 4 * 20, 52);
  for (const char* name : {"portable", "avx2", "avx512", "avx512bf16", "amx-emulated"}) {
    const Kernels* kernels = kernels_named(name);
    if (kernels == nullptr) continue;
    const auto want = attended(plain, 4, *kernels, 1, {span_of(plain, positions - 30, 30)}, q);
    const auto whole = attended(coded, 4, *kernels, 2, {span_of(coded, positions - 30, 30)}, q);
    CHECK(std::memcmp(want.data(), whole.data(), want.size() * sizeof(float)) == 0);
    const auto cut = attended(coded, 4, *kernels, 3, {span_of(coded, positions - 30, 1), span_of(coded, positions - 29, 29)}, q);
    CHECK(std::memcmp(want.data(), cut.data(), want.size() * sizeof(float)) == 0);
  }
}

TEST(rows_have_the_same_bits_alone_and_in_any_span) {
  Sequence sequence;
  const int32_t positions = 2 * kAttendSegment + 90;
  fill(&sequence, {2, 2, 32, positions / kPageTokens + 8, KvType::kBF16}, positions, false, 40);
  const int32_t width = 4 * 32;
  const int32_t rows = 120;  // crosses into the third segment
  const int32_t first = positions - rows;
  const auto q = random_queries(rows, width, 41);
  const auto whole = attended(sequence, 4, *best_kernels(), 1, {span_of(sequence, first, rows)}, q);
  const auto shared = attended(sequence, 4, *best_kernels(), 3, {span_of(sequence, first, rows)}, q);
  CHECK(std::memcmp(whole.data(), shared.data(), whole.size() * sizeof(float)) == 0);
  // Every row as a decode of its own, all in one step: segments are shared among threads and merged.
  std::vector<BatchSpan> decodes;
  for (int32_t row = 0; row < rows; row++) decodes.push_back(span_of(sequence, first + row, 1));
  const auto one_by_one = attended(sequence, 4, *best_kernels(), 2, decodes, q);
  CHECK(std::memcmp(whole.data(), one_by_one.data(), whole.size() * sizeof(float)) == 0);
  const auto cut = attended(sequence, 4, *best_kernels(), 2,
                            {span_of(sequence, first, 7), span_of(sequence, first + 7, 100), span_of(sequence, first + 107, 13)}, q);
  CHECK(std::memcmp(whole.data(), cut.data(), whole.size() * sizeof(float)) == 0);
}

TEST_MAIN()
