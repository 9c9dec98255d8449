// The whole forward pass: against the double reference on random and trained checkpoints, and against itself, however the
// tokens are cut into steps, batches, pages and threads. Long because all of it stands on the same few helpers.
#include "src/model/llama.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "quantised_weights.h"
#include "random_model.h"
#include "relative_rms.h"
#include "src/backend/cpu/kernels.h"
#include "src/reference/reference_llama.h"
#include "test/check.h"

using namespace chasqui;

namespace {

ModelConfig small_config() {
  ModelConfig config;
  config.n_layers = 2;
  config.dim = 96;
  config.ffn = 200;  // not a multiple of 32: the last panel is partly empty
  config.n_heads = 4;
  config.n_kv_heads = 2;
  config.head_dim = 32;
  config.vocab = 301;
  config.context = 512;
  config.rope = {8.0, 1.0, 4.0, 64};
  return config;
}

RandomModel make_model(const ModelConfig& config, DType type, uint64_t seed) {
  RandomModel model;
  model.config = config;
  fill_random(&model, type, seed);
  return model;
}

std::vector<int32_t> random_tokens(int32_t n, int32_t vocab, uint64_t seed) {
  QuickRandom random(seed);
  std::vector<int32_t> tokens(static_cast<size_t>(n));
  for (int32_t& token : tokens) token = random.below(vocab);
  return tokens;
}

std::unique_ptr<Forward> make_forward(const ModelConfig& config, const Weights& weights, const LlamaOptions& options) {
  std::unique_ptr<Forward> forward;
  const Status made = make_llama(config, weights, options, &forward);
  CHECK_OK(made);
  return forward;
}

// The kernels that round what goes into products, where this processor has them.
LlamaOptions usual_mode() {
  LlamaOptions options;
  if (cpu::avx512bf16_kernels() != nullptr) options.backend.kernels = "avx512bf16";
  options.backend.threads = 2;
  options.kv_type = KvType::kF32;
  options.n_pages = 64;
  return options;
}

LlamaOptions float_mode() {
  LlamaOptions options = usual_mode();
  options.backend.kernels = "float";
  return options;
}

std::vector<int32_t> pages_from(int32_t first, int32_t n_tokens) {
  std::vector<int32_t> pages;
  for (int32_t i = 0; i < (n_tokens + kPageTokens - 1) / kPageTokens; i++) pages.push_back(first + i);
  return pages;
}

// Logits of all tokens, fed in chunks of `chunk`.
std::vector<float> run_chunks(Forward& forward, const std::vector<int32_t>& tokens, int32_t chunk,
                              const std::vector<int32_t>& pages) {
  const int32_t n = static_cast<int32_t>(tokens.size());
  std::vector<float> logits(static_cast<size_t>(n) * static_cast<size_t>(forward.vocab()));
  for (int32_t first = 0; first < n; first += chunk) {
    BatchSpan span;
    span.tokens = tokens.data() + first;
    span.n_tokens = std::min(chunk, n - first);
    span.position = first;
    span.pages = pages.data();
    span.all_logits = true;
    CHECK_OK(forward.run({span}, logits.data() + static_cast<int64_t>(first) * forward.vocab()));
  }
  return logits;
}

std::vector<double> reference_logits(const ModelConfig& config, const Weights& weights, const std::vector<int32_t>& tokens,
                                     const RoundingPoints& rounding) {
  ReferenceRun run;
  CHECK_OK(reference_forward(config, weights, tokens, rounding, &run));
  return run.logits;
}

void expect_same(const std::vector<float>& a, const std::vector<float>& b, const char* what) {
  CHECK_EQ(a.size(), b.size());
  if (a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0) return;
  check::fail(__FILE__, __LINE__, std::string(what) + ": the logits differ");
}

struct Shape {
  int32_t n_heads, n_kv_heads, head_dim, dim, ffn;
  bool tied;
  DType type;
  double rope_factor;
};

ModelConfig config_of(const Shape& shape) {
  ModelConfig config = small_config();
  config.n_heads = shape.n_heads;
  config.n_kv_heads = shape.n_kv_heads;
  config.head_dim = shape.head_dim;
  config.dim = shape.dim;
  config.ffn = shape.ffn;
  config.tied_head = shape.tied;
  config.rope.factor = shape.rope_factor;
  return config;
}

const Shape kShapes[] = {
    {4, 4, 32, 96, 200, false, DType::kBF16, 8.0},   // no grouping
    {4, 2, 32, 96, 200, true, DType::kBF16, 1.0},    // groups of 2, tied, no scaling
    {4, 1, 64, 128, 352, false, DType::kF16, 32.0},  // groups of 4
    {8, 2, 64, 128, 352, true, DType::kF32, 8.0},
    {2, 1, 128, 160, 96, false, DType::kF32, 1.0},
    {16, 2, 128, 64, 64, false, DType::kBF16, 8.0},  // groups of 8, q wider than x
    {6, 2, 20, 72, 100, false, DType::kF16, 8.0},    // nothing is a multiple of 16
};

}  // namespace

TEST(float_mode_agrees_with_the_double_reference) {
  for (const char* kernels : {"portable", "avx2", "avx512"}) {
    BackendOptions backend_options;
    backend_options.kernels = kernels;
    std::unique_ptr<Backend> probe;
    if (!make_backend(backend_options, &probe).ok()) {
      check::skip(std::string(kernels) + " kernels do not run on this processor");
      continue;
    }
    uint64_t seed = 1;
    for (const Shape& shape : kShapes) {
      const RandomModel model = make_model(config_of(shape), shape.type, seed++);
      const std::vector<int32_t> tokens = random_tokens(70, model.config.vocab, seed);
      LlamaOptions options = float_mode();
      options.backend.kernels = kernels;
      auto forward = make_forward(model.config, model.weights, options);
      if (forward == nullptr) continue;
      const auto got = run_chunks(*forward, tokens, 512, pages_from(3, 70));
      const double error = relative_rms(got, reference_logits(model.config, model.weights, tokens, {}));
      CHECK_NEAR(error, 0.0, 1e-5);
    }
  }
}

TEST(a_bf16_cache_agrees_with_a_reference_that_rounds_at_the_same_points) {
  uint64_t seed = 100;
  for (const Shape& shape : kShapes) {
    const RandomModel model = make_model(config_of(shape), shape.type, seed++);
    const std::vector<int32_t> tokens = random_tokens(70, model.config.vocab, seed);
    LlamaOptions options = float_mode();
    options.kv_type = KvType::kBF16;
    auto forward = make_forward(model.config, model.weights, options);
    if (forward == nullptr) continue;
    const auto got = run_chunks(*forward, tokens, 512, pages_from(3, 70));
    // A float a hair away from a double rounds to the other neighbour now and then: hence not 1e-5.
    CHECK_NEAR(relative_rms(got, reference_logits(model.config, model.weights, tokens, bf16_cache_points())), 0.0, 1e-3);
    CHECK_NEAR(relative_rms(got, reference_logits(model.config, model.weights, tokens, {})), 0.0, 0.05);
  }
}

TEST(an_fp8_cache_agrees_with_a_reference_that_rounds_at_the_same_points) {
  uint64_t seed = 150;
  RoundingPoints points = bf16_cache_points();
  points.cache = Rounding::kFp8;
  for (const Shape& shape : kShapes) {
    const RandomModel model = make_model(config_of(shape), shape.type, seed++);
    LlamaOptions options = float_mode();
    options.kv_type = KvType::kFp8;
    auto forward = make_forward(model.config, model.weights, options);
    if (forward == nullptr) continue;
    for (int32_t i = 0; i < 6; i++) {
      const std::vector<int32_t> token = random_tokens(1, model.config.vocab, seed++);
      // A tie between two codes moves a value by a sixteenth.
      CHECK_NEAR(relative_rms(run_chunks(*forward, token, 1, pages_from(3, 1)), reference_logits(model.config, model.weights, token, points)), 0.0, 1e-3);
    }
    const std::vector<int32_t> tokens = random_tokens(70, model.config.vocab, seed);
    const auto got = run_chunks(*forward, tokens, 512, pages_from(3, 70));
    CHECK_NEAR(relative_rms(got, reference_logits(model.config, model.weights, tokens, points)), 0.0, 0.02);
    expect_same(run_chunks(*forward, tokens, 9, pages_from(3, 70)), got, "a chunked prefill, fp8 cache");
  }
}

TEST(quantised_weights_agree_with_a_reference_that_has_the_same_weights) {
  uint64_t seed = 200;
  for (const WeightFormat format : {WeightFormat::kInt8, WeightFormat::kInt4, WeightFormat::kNf4, WeightFormat::kFp8}) {
    for (const Shape& shape : kShapes) {
      RandomModel model = make_model(config_of(shape), shape.type, seed++);
      const Weights quantised = as_quantised(&model, model.weights, format);
      const std::vector<int32_t> tokens = random_tokens(40, model.config.vocab, seed);
      LlamaOptions options = float_mode();
      options.weight_format = format;
      auto forward = make_forward(model.config, model.weights, options);
      if (forward == nullptr) continue;
      const auto whole = run_chunks(*forward, tokens, 512, pages_from(0, 40));
      CHECK_NEAR(relative_rms(whole, reference_logits(model.config, quantised, tokens, {})), 0.0, 1e-5);
      expect_same(run_chunks(*forward, tokens, 7, pages_from(0, 40)), whole, "a chunked prefill, quantised");
      expect_same(run_chunks(*forward, tokens, 1, pages_from(0, 40)), whole, "decodes, quantised");
    }
  }
}

// What 8 bit and bf16 products do to their inputs, done by the reference at the same points. A float a hair away from a
// double rounds to the other neighbour now and then, and from there on all later values round differently; so single
// tokens are compared, of which most meet no such tie. A point missed or added would leave none that agrees.
TEST(rounded_inputs_agree_with_a_reference_that_rounds_at_the_same_points) {
  if (cpu::avx512bf16_kernels() == nullptr) {
    check::skip("this processor multiplies neither bf16 nor 8 bit numbers");
    return;
  }
  uint64_t seed = 300;
  for (const WeightFormat format : {WeightFormat::kAsStored, WeightFormat::kInt8, WeightFormat::kInt4, WeightFormat::kFp8}) {
    const bool is_integer = format == WeightFormat::kInt8 || format == WeightFormat::kInt4;
    const Rounding inputs = is_integer ? Rounding::kInt8 : Rounding::kBF16;
    int32_t agree = 0, all = 0;
    for (const Shape& shape : kShapes) {
      RandomModel model = make_model(config_of(shape), DType::kBF16, seed++);
      const Weights weights = as_quantised(&model, model.weights, format);
      LlamaOptions options = usual_mode();
      options.kv_type = KvType::kBF16;
      options.weight_format = format;
      auto forward = make_forward(model.config, model.weights, options);
      if (forward == nullptr) continue;
      for (int32_t i = 0; i < 6; i++, all++) {
        const std::vector<int32_t> token = random_tokens(1, model.config.vocab, seed++);
        const auto got = run_chunks(*forward, token, 1, pages_from(3, 1));
        agree += relative_rms(got, reference_logits(model.config, weights, token, rounded_input_points(inputs))) < 1e-5;
      }
      const std::vector<int32_t> tokens = random_tokens(70, model.config.vocab, seed);
      const auto got = run_chunks(*forward, tokens, 512, pages_from(3, 70));
      CHECK_NEAR(relative_rms(got, reference_logits(model.config, weights, tokens, {})), 0.0, 0.05);
    }
    std::printf("  %d of %d tokens agree to 1e-5\n", agree, all);
    CHECK(agree * 2 > all);
  }
}

// Attention alone is rounded where weights are floats. Ties as above; a reference that rounds the cache only is much farther off.
TEST(rounded_attention_agrees_with_a_reference_that_rounds_at_the_same_points) {
  if (cpu::avx512bf16_kernels() == nullptr) {
    check::skip("this processor multiplies no bf16");
    return;
  }
  uint64_t seed = 400;
  for (const Shape& shape : kShapes) {
    const RandomModel model = make_model(config_of(shape), DType::kF32, seed++);
    LlamaOptions options = usual_mode();
    options.kv_type = KvType::kBF16;
    auto forward = make_forward(model.config, model.weights, options);
    if (forward == nullptr) continue;
    const std::vector<int32_t> tokens = random_tokens(70, model.config.vocab, seed++);
    const auto got = run_chunks(*forward, tokens, 512, pages_from(3, 70));
    const double same = relative_rms(got, reference_logits(model.config, model.weights, tokens, rounded_attention_points()));
    const double other = relative_rms(got, reference_logits(model.config, model.weights, tokens, bf16_cache_points()));
    std::printf("  relative RMS of logits: same rounding %.2e, rounded cache only %.2e\n", same, other);
    CHECK_NEAR(same, 0.0, 5e-4);
    CHECK(other > 2 * same);
    expect_same(run_chunks(*forward, tokens, 1, pages_from(3, 70)), got, "decodes");
  }
}

TEST(any_cut_into_steps_gives_the_same_bits) {
  const RandomModel model = make_model(small_config(), DType::kBF16, 7);
  const std::vector<int32_t> tokens = random_tokens(150, model.config.vocab, 8);
  LlamaOptions options = usual_mode();
  options.kv_type = KvType::kBF16;
  auto forward = make_forward(model.config, model.weights, options);
  if (forward == nullptr) return;
  const auto pages = pages_from(0, 150);
  const auto whole = run_chunks(*forward, tokens, 512, pages);
  for (int32_t chunk : {1, 2, 3, 5, 16, 17, 64, 149}) {
    expect_same(run_chunks(*forward, tokens, chunk, pages), whole, "a chunked prefill");
  }
}

TEST(threads_do_not_change_a_bit) {
  const RandomModel model = make_model(small_config(), DType::kBF16, 9);
  const std::vector<int32_t> tokens = random_tokens(120, model.config.vocab, 10);
  std::vector<float> one;
  for (int32_t threads : {1, 2, 3}) {
    LlamaOptions options = usual_mode();
    options.backend.threads = threads;
    auto forward = make_forward(model.config, model.weights, options);
    if (forward == nullptr) return;
    const auto logits = run_chunks(*forward, tokens, 40, pages_from(0, 120));
    if (threads == 1) one = logits;
    expect_same(logits, one, "more threads");
  }
}

TEST(pages_may_lie_anywhere) {
  const RandomModel model = make_model(small_config(), DType::kBF16, 11);
  const std::vector<int32_t> tokens = random_tokens(100, model.config.vocab, 12);
  auto forward = make_forward(model.config, model.weights, usual_mode());
  if (forward == nullptr) return;
  const auto straight = run_chunks(*forward, tokens, 30, pages_from(0, 100));
  expect_same(run_chunks(*forward, tokens, 30, {63, 2, 17, 5, 40, 41, 9}), straight, "scattered pages");
}

TEST(a_sequence_in_a_batch_gives_the_same_bits_as_alone) {
  const RandomModel model = make_model(small_config(), DType::kBF16, 13);
  LlamaOptions options = usual_mode();
  options.n_pages = 200;
  auto forward = make_forward(model.config, model.weights, options);
  if (forward == nullptr) return;
  // Sequences of different lengths: all but the last token prefilled one by one, then one step for all: decodes, chunks
  // and a whole prefill side by side.
  struct Sequence {
    std::vector<int32_t> tokens, pages;
    std::vector<float> alone;
    int32_t fed;
  };
  std::vector<Sequence> sequences;
  const int32_t lengths[] = {1, 33, 16, 90, 7, 120, 48, 64};
  const int32_t fed[] = {0, 32, 15, 60, 0, 119, 47, 20};
  for (int32_t i = 0; i < 8; i++) {
    Sequence each;
    each.tokens = random_tokens(lengths[i], model.config.vocab, 50 + static_cast<uint64_t>(i));
    each.pages = pages_from(i * 10, lengths[i]);
    each.fed = fed[i];
    const auto all = run_chunks(*forward, each.tokens, 512, pages_from(100, lengths[i]));
    each.alone.assign(all.end() - model.config.vocab, all.end());
    sequences.push_back(each);
  }
  std::vector<BatchSpan> batch;
  for (Sequence& each : sequences) {
    if (each.fed > 0) {
      BatchSpan span{each.tokens.data(), each.fed, 0, each.pages.data(), false, false};
      CHECK_OK(forward->run({span}, nullptr));
    }
    const int32_t rest = static_cast<int32_t>(each.tokens.size()) - each.fed;
    batch.push_back({each.tokens.data() + each.fed, rest, each.fed, each.pages.data(), false, true});
  }
  std::vector<float> logits(8 * static_cast<size_t>(model.config.vocab));
  CHECK_OK(forward->run(batch, logits.data()));
  for (size_t i = 0; i < 8; i++) {
    const auto begin = logits.begin() + static_cast<int64_t>(i) * model.config.vocab;
    expect_same(std::vector<float>(begin, begin + model.config.vocab), sequences[i].alone, "a row of a batch");
  }
}

TEST(a_copied_page_continues_like_the_original) {
  const RandomModel model = make_model(small_config(), DType::kBF16, 15);
  const std::vector<int32_t> tokens = random_tokens(40, model.config.vocab, 16);
  auto forward = make_forward(model.config, model.weights, usual_mode());
  if (forward == nullptr) return;
  const auto whole = run_chunks(*forward, tokens, 40, {0, 1, 2});
  // Positions 16..23 of page 1 are shared, then the copy goes its own way, then the original goes on.
  forward->copy_page(1, 9, 8);
  std::vector<float> logits(static_cast<size_t>(model.config.vocab));
  const std::vector<int32_t> other = random_tokens(16, model.config.vocab, 17);
  const std::vector<int32_t> other_pages = {0, 9, 10};
  CHECK_OK(forward->run({{other.data(), 16, 24, other_pages.data(), false, true}}, logits.data()));
  std::vector<int32_t> joined(tokens.begin(), tokens.begin() + 24);
  joined.insert(joined.end(), other.begin(), other.end());
  const auto cold = run_chunks(*forward, joined, 40, {20, 21, 22});
  expect_same(logits, std::vector<float>(cold.end() - model.config.vocab, cold.end()), "the copy");
  const std::vector<int32_t> pages = {0, 1, 2};
  CHECK_OK(forward->run({{tokens.data() + 24, 16, 24, pages.data(), false, true}}, logits.data()));
  expect_same(logits, std::vector<float>(whole.end() - model.config.vocab, whole.end()), "the original");
}

TEST(what_is_asked_wrongly_is_refused_by_name) {
  const RandomModel model = make_model(small_config(), DType::kBF16, 19);
  LlamaOptions options = usual_mode();
  options.max_batch_tokens = 32;
  auto forward = make_forward(model.config, model.weights, options);
  if (forward == nullptr) return;
  const std::vector<int32_t> tokens = random_tokens(64, model.config.vocab, 20);
  const std::vector<int32_t> pages = pages_from(0, 64);
  const auto span = [&](int32_t n, int32_t position) { return BatchSpan{tokens.data(), n, position, pages.data(), false, false}; };
  CHECK_OK(forward->run({}, nullptr));
  CHECK_OK(forward->run({span(32, 0)}, nullptr));
  CHECK_REASON(forward->run({span(33, 0)}, nullptr), Reason::kBadRequest);
  CHECK_REASON(forward->run({span(20, 0), span(20, 20)}, nullptr), Reason::kBadRequest);
  CHECK_REASON(forward->run({span(0, 0)}, nullptr), Reason::kBadRequest);
  CHECK_REASON(forward->run({span(1, -1)}, nullptr), Reason::kBadRequest);
  CHECK_REASON(forward->run({span(16, 500)}, nullptr), Reason::kContextFull);
  const std::vector<int32_t> alien = {5, 301};
  CHECK_REASON(forward->run({{alien.data(), 2, 0, pages.data(), false, false}}, nullptr), Reason::kBadRequest);
  const std::vector<int32_t> missing = {64};
  CHECK_REASON(forward->run({{tokens.data(), 2, 0, missing.data(), false, false}}, nullptr), Reason::kBadRequest);
}

TEST(what_cannot_be_loaded_is_refused_by_name) {
  RandomModel model = make_model(small_config(), DType::kBF16, 21);
  std::unique_ptr<Forward> forward;
  LlamaOptions options = usual_mode();
  options.n_pages = 2000000000;
  CHECK_REASON(make_llama(model.config, model.weights, options, &forward), Reason::kOutOfMemory);
  options = usual_mode();
  options.cache_bytes = int64_t{1} << 60;
  options.n_pages = 0;
  CHECK_REASON(make_llama(model.config, model.weights, options, &forward), Reason::kOutOfMemory);
  options = usual_mode();
  options.backend.device = "abacus";
  CHECK_REASON(make_llama(model.config, model.weights, options, &forward), Reason::kUnsupported);
  options = usual_mode();
  options.max_batch_tokens = 0;
  CHECK_REASON(make_llama(model.config, model.weights, options, &forward), Reason::kBadRequest);
  model.weights.layers[1].down.cols++;
  CHECK_REASON(make_llama(model.config, model.weights, usual_mode(), &forward), Reason::kBadCheckpoint);
  CHECK(forward == nullptr);
}

TEST(the_trained_model_agrees_with_the_double_reference) {
  const char* given = std::getenv("CHASQUI_TINY_LLAMA");
  const std::string folder = given != nullptr ? given : std::string(CHASQUI_PACKAGES) + "/tiny-llama/checkpoint";
  ModelConfig config;
  if (!read_config(folder, &config).ok()) {
    check::skip("no checkpoint at " + folder + "; CHASQUI_TINY_LLAMA can name another");
    return;
  }
  Weights weights;
  CHECK_OK(load_weights(folder, config, &weights));
  const std::vector<int32_t> tokens = random_tokens(60, config.vocab, 23);
  const auto exact = reference_logits(config, weights, tokens, {});
  const auto rounded_cache = reference_logits(config, weights, tokens, bf16_cache_points());
  const auto pages = pages_from(0, 60);
  auto forward = make_forward(config, weights, float_mode());
  if (forward == nullptr) return;
  const double error = relative_rms(run_chunks(*forward, tokens, 512, pages), exact);
  LlamaOptions options = float_mode();
  options.kv_type = KvType::kBF16;
  forward = make_forward(config, weights, options);
  const auto got = run_chunks(*forward, tokens, 512, pages);
  const double cache_error = relative_rms(got, rounded_cache);
  const double cache_effect = relative_rms(got, exact);
  std::printf("  relative RMS of logits: float mode %.2e; bf16 cache %.2e (same rounding), %.2e (exact)\n", error,
              cache_error, cache_effect);
  CHECK_NEAR(error, 0.0, 1e-4);
  CHECK_NEAR(cache_error, 0.0, 1e-3);
  CHECK_NEAR(cache_effect, 0.0, 0.05);
}

TEST_MAIN()
