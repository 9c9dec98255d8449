// Whole models on the CUDA backend: against the double reference that rounds where the kernels do, against the CPU backend,
// and against themselves, however the tokens are cut into steps, batches and pages, recorded or not. On a GPU the kernels
// run there; elsewhere the same backend and kernels run on a CPU in its place.
#include "cuda_model.h"

#include <algorithm>

#include "cuda_kernels.h"
#include "held_out.h"
#include "quantised_weights.h"
#ifdef CHASQUI_SHIM
#include "src/backend/cuda/device_runtime_shim.h"
#endif
#include "src/engine/stepper.h"

using namespace cuda_model;

namespace {

struct Case {
  ModelConfig config;
  DType type;
};

std::vector<Case> cases() {
  return {
      {config(4, 4, 64, 128, 192), DType::kBF16},         // no grouping
      {config(4, 2, 64, 256, 704, true), DType::kBF16},   // groups of 2, tied: the tiny model's shape
      {config(4, 1, 128, 192, 256), DType::kF32},         // groups of 4, as 8B
      {config(8, 1, 64, 128, 320), DType::kF16},          // groups of 8, as 70B; q wider than x
  };
}

struct Batch {
  std::vector<std::vector<int32_t>> tokens, pages;
};

// Prefills `n` sequences of different lengths one by one, then decodes all of them together; the logits of the decodes.
std::vector<float> decode_together(Forward& forward, int32_t n, int32_t steps, uint64_t seed) {
  Batch batch;
  for (int32_t i = 0; i < n; i++) {
    const int32_t length = 5 + 13 * i;
    batch.tokens.push_back(random_tokens(length + steps, forward.vocab(), seed + static_cast<uint64_t>(i)));
    batch.pages.push_back(pages_from(i * 8, length + steps));
    const auto& tokens = batch.tokens.back();
    CHECK_OK(forward.run({{tokens.data(), length, 0, batch.pages.back().data(), false, false}}, nullptr));
  }
  std::vector<float> all;
  for (int32_t step = 0; step < steps; step++) {
    std::vector<BatchSpan> spans;
    for (int32_t i = 0; i < n; i++) {
      const int32_t position = 5 + 13 * i + step;
      spans.push_back({batch.tokens[static_cast<size_t>(i)].data() + position, 1, position,
                       batch.pages[static_cast<size_t>(i)].data(), false, true});
    }
    std::vector<float> logits(static_cast<size_t>(n) * static_cast<size_t>(forward.vocab()));
    CHECK_OK(forward.run(spans, logits.data()));
    all.insert(all.end(), logits.begin(), logits.end());
  }
  return all;
}

}  // namespace

TEST(random_models_agree_with_a_reference_that_rounds_at_the_same_points) {
  uint64_t seed = 1;
  for (const Case& each : cases()) {
    RandomModel model = random_model(each.config, DType::kBF16, seed++);  // other types become bf16 on the way in
    const std::vector<int32_t> tokens = random_tokens(45, model.config.vocab, seed);
    const OnDevice on = on_device(model.config, model.weights);
    if (!on) continue;
    const auto same = reference(model.config, model.weights, tokens, device_points());
    const auto exact = reference(model.config, model.weights, tokens, {});
    for (const int32_t chunk : {45, 20, 1}) {
      const auto got = run_chunks(*on.forward, tokens, chunk, pages_from(3, 45));
      CHECK_NEAR(relative_rms(got, same), 0.0, 0.01);
      CHECK_NEAR(relative_rms(got, exact), 0.0, 0.05);
      CHECK_NEAR(mean_divergence(got, exact, model.config.vocab), 0.0, 2e-2);
    }
  }
}

TEST(weights_in_f16_and_f32_become_bf16) {
  for (const DType type : {DType::kF16, DType::kF32}) {
    const RandomModel model = random_model(cases()[0].config, type, 21);
    const std::vector<int32_t> tokens = random_tokens(20, model.config.vocab, 22);
    const OnDevice on = on_device(model.config, model.weights);
    if (!on) continue;
    const auto got = run_chunks(*on.forward, tokens, 20, pages_from(0, 20));
    CHECK_NEAR(relative_rms(got, reference(model.config, model.weights, tokens, {})), 0.0, 0.05);
  }
}

TEST(quantised_on_load_agrees_with_a_reference_of_the_same_weights) {
  for (const WeightFormat format : {WeightFormat::kInt8, WeightFormat::kInt4}) {
    RandomModel model = random_model(config(4, 2, 64, 256, 384), DType::kBF16, 31);
    const Weights quantised = as_quantised(&model, model.weights, format);
    const std::vector<int32_t> tokens = random_tokens(30, model.config.vocab, 32);
    LlamaOptions options = small_cache();
    options.weight_format = format;
    const OnDevice on = on_device(model.config, model.weights, options);
    if (!on) continue;
    const auto want = reference(model.config, quantised, tokens, device_points());
    for (const int32_t chunk : {30, 1}) {
      CHECK_NEAR(relative_rms(run_chunks(*on.forward, tokens, chunk, pages_from(0, 30)), want), 0.0, 0.02);
    }
  }
}

TEST(recorded_steps_give_the_same_bits_as_eager_ones) {
  const RandomModel model = random_model(cases()[1].config, DType::kBF16, 41);
  for (const int32_t n : {1, 3}) {
    const OnDevice eager = on_device(model.config, model.weights, small_cache(), {.graphs = false});
    const OnDevice recorded = on_device(model.config, model.weights, small_cache(), {.graphs = true});
    if (!eager || !recorded) return;
    CHECK(same_bits(decode_together(*recorded.forward, n, 5, 42), decode_together(*eager.forward, n, 5, 42)));
    CHECK_EQ(recorded.backend->graphs().counts().recorded, 1);
    CHECK_EQ(recorded.backend->graphs().counts().replayed, 4);
    CHECK_EQ(eager.backend->graphs().counts().replayed, 0);
  }
}

TEST(a_bucket_that_is_not_full_gives_what_a_full_one_gives) {
  const RandomModel model = random_model(cases()[1].config, DType::kBF16, 51);
  const OnDevice on = on_device(model.config, model.weights);
  if (!on) return;
  // Three rows in a bucket of four, after a fourth row has left its marks there.
  const auto four = decode_together(*on.forward, 4, 3, 52);
  const auto three = decode_together(*on.forward, 3, 3, 52);
  const auto width = static_cast<size_t>(model.config.vocab);
  for (size_t step = 0; step < 3; step++) {
    const auto from = four.begin() + static_cast<std::ptrdiff_t>(step * 4 * width);
    const auto of = three.begin() + static_cast<std::ptrdiff_t>(step * 3 * width);
    CHECK(same_bits({from, from + static_cast<std::ptrdiff_t>(3 * width)}, {of, of + static_cast<std::ptrdiff_t>(3 * width)}));
  }
}

TEST(batch_independent_gives_the_same_bits_in_any_cut_and_company) {
  const RandomModel model = random_model(cases()[1].config, DType::kBF16, 61);
  LlamaOptions options = small_cache();
  options.max_batch_tokens = 40;
  const OnDevice on = on_device(model.config, model.weights, options, {.batch_independent = true});
  if (!on) return;
  const std::vector<int32_t> tokens = random_tokens(40, model.config.vocab, 62);
  const auto whole = run_chunks(*on.forward, tokens, 40, pages_from(0, 40));
  for (const int32_t chunk : {1, 7, 16}) CHECK(same_bits(run_chunks(*on.forward, tokens, chunk, pages_from(0, 40)), whole));
  // The last token beside a prefill of another sequence.
  const std::vector<int32_t> other = random_tokens(30, model.config.vocab, 63);
  const auto pages = pages_from(0, 40), other_pages = pages_from(10, 30);
  std::vector<float> logits(2 * static_cast<size_t>(model.config.vocab));
  CHECK_OK(on.forward->run({{other.data(), 30, 0, other_pages.data(), false, true}, {tokens.data() + 39, 1, 39, pages.data(), false, true}},
                           logits.data()));
  CHECK(same_bits({logits.begin() + model.config.vocab, logits.end()}, {whole.end() - model.config.vocab, whole.end()}));
}

TEST(pages_may_lie_anywhere_and_a_copied_page_continues_like_the_original) {
  const RandomModel model = random_model(cases()[1].config, DType::kBF16, 71);
  const OnDevice on = on_device(model.config, model.weights);
  if (!on) return;
  const std::vector<int32_t> tokens = random_tokens(48, model.config.vocab, 72);
  const auto straight = run_chunks(*on.forward, tokens, 48, {0, 1, 2});
  CHECK(same_bits(run_chunks(*on.forward, tokens, 48, {63, 2, 17}), straight));
  // Positions 16 .. 23 of page 1 are shared with page 9, behind which another text follows; then the first goes on.
  run_chunks(*on.forward, tokens, 48, {0, 1, 2});
  on.forward->copy_page(1, 9, 8);
  const std::vector<int32_t> pages = {0, 9, 10}, own = {0, 1, 2};
  std::vector<float> copied(static_cast<size_t>(model.config.vocab)), again(copied);
  CHECK_OK(on.forward->run({{tokens.data() + 24, 16, 24, pages.data(), false, true}}, copied.data()));
  CHECK_OK(on.forward->run({{tokens.data() + 24, 16, 24, own.data(), false, true}}, again.data()));
  CHECK(same_bits(copied, again));
}

TEST(a_cache_in_fp8_stays_near_one_in_bf16) {
  const RandomModel model = random_model(cases()[1].config, DType::kBF16, 81);
  LlamaOptions options = small_cache();
  const std::vector<int32_t> tokens = random_tokens(40, model.config.vocab, 82);
  const OnDevice wide = on_device(model.config, model.weights, options);
  options.kv_type = KvType::kFp8;
  const OnDevice narrow = on_device(model.config, model.weights, options);
  if (!wide || !narrow) return;
  const auto want = run_chunks(*wide.forward, tokens, 40, pages_from(0, 40));
  for (const int32_t chunk : {40, 1}) {
    const double apart = relative_rms(run_chunks(*narrow.forward, tokens, chunk, pages_from(0, 40)), want);
    CHECK(apart > 1e-4);  // it is another format
    CHECK_NEAR(apart, 0.0, 0.1);
  }
}

// ---- the trained model ----

namespace {

struct Trained {
  ModelConfig config;
  Weights weights;
};

Trained trained() {
  Trained model;
  CHECK_OK(read_config(tiny_folder(), &model.config));
  CHECK_OK(load_weights(tiny_folder(), model.config, &model.weights));
  return model;
}

std::unique_ptr<Forward> on_cpu(const Trained& model) {
  LlamaOptions options = small_cache();
  options.backend.device = "cpu";
  std::unique_ptr<Forward> forward;
  CHECK_OK(make_llama(model.config, model.weights, options, &forward));
  return forward;
}

// What the engine writes greedily after each prompt, up to the end of the turn, all of them under way at once.
std::vector<std::vector<int32_t>> write(std::unique_ptr<Forward> forward, const std::vector<std::vector<int32_t>>& prompts,
                                        const std::vector<int32_t>& stop_tokens) {
  StepperOptions options;
  options.limits.step_tokens = 64;
  Stepper stepper(std::move(forward), options);
  StepEvents events;
  for (size_t i = 0; i < prompts.size(); i++) {
    Request request;
    request.id = i;
    request.tokens = prompts[i];
    request.max_tokens = 40;
    request.stop_tokens = stop_tokens;
    stepper.submit(std::move(request), &events);
  }
  while (stepper.has_requests() && stepper.step(&events)) {
  }
  std::vector<std::vector<int32_t>> written(prompts.size());
  for (const TokenEvent& token : events.tokens) written[token.request].push_back(token.token);
  for (const EndEvent& end : events.ends) CHECK_OK(end.failure);
  return written;
}

// Short held-out conversations: text of the kind that the tiny model was trained on, so that its choices are clear.
std::vector<HeldOut> conversations() {
  std::vector<HeldOut> all, some;
  CHECK_OK(read_held_out(CHASQUI_PACKAGES "/tiny-llama/test/held-out.json", &all));
  for (const HeldOut& each : all) {
    if (each.tokens.size() < 110 && some.size() < 3) some.push_back(each);
  }
  CHECK_EQ(some.size(), 3u);
  return some;
}

}  // namespace

TEST(the_trained_model_has_the_logits_of_the_cpu_and_the_reference) {
  const Trained model = trained();
  const std::vector<int32_t> tokens = conversations()[0].tokens;
  const auto pages = pages_from(0, static_cast<int32_t>(tokens.size()));
  const OnDevice on = on_device(model.config, model.weights);
  if (!on) return;
  const auto got = run_chunks(*on.forward, tokens, 512, pages);
  const auto cpu = run_chunks(*on_cpu(model), tokens, 512, pages);
  const auto exact = reference(model.config, model.weights, tokens, {});
  const double divergence = mean_divergence(got, exact, model.config.vocab);
  std::printf("  logits of the trained model: relative RMS %.1e from the CPU backend, %.1e from the reference; KL %.1e\n",
              relative_rms(got, cpu), relative_rms(got, exact), divergence);
  CHECK_NEAR(divergence, 0.0, 1e-3);
  CHECK_NEAR(relative_rms(got, cpu), 0.0, 0.02);
}

TEST(the_trained_model_has_the_perplexity_of_the_cpu) {
  const Trained model = trained();
  const OnDevice on = on_device(model.config, model.weights);
  if (!on) return;
  double got = 0, want = 0;
  CHECK_OK(perplexity(*on.forward, conversations(), 3, &got));
  CHECK_OK(perplexity(*on_cpu(model), conversations(), 3, &want));
  const double ratio = got / want;
  std::printf("  perplexity %.5f, %.6f of the CPU's\n", got, ratio);
  CHECK_NEAR(ratio, 1.0, 0.002);
}

TEST(the_trained_model_writes_what_it_writes_on_the_cpu) {
  const Trained model = trained();
  std::vector<std::vector<int32_t>> prompts;
  for (const HeldOut& each : conversations()) {
    const auto answer = std::find(each.is_counted.begin(), each.is_counted.end(), true) - each.is_counted.begin();
    prompts.emplace_back(each.tokens.begin(), each.tokens.begin() + answer);
  }
  const auto want = write(on_cpu(model), prompts, model.config.stop_tokens);
  OnDevice on = on_device(model.config, model.weights);
  if (!on) return;
  const auto got = write(std::move(on.forward), prompts, model.config.stop_tokens);
  for (size_t i = 0; i < prompts.size(); i++) {
    CHECK(want[i].size() > 8);
    CHECK(got[i] == want[i]);
  }
}

// Of a device that has Hopper's instructions; null: whatever this build has.
static std::unique_ptr<cuda::Runtime> hopper_runtime() {
#ifdef CHASQUI_SHIM
  cuda::ShimOptions options;
  options.limits = {};
  options.limits.sms = 4;
  return std::make_unique<cuda::ShimRuntime>(options);
#else
  return nullptr;
#endif
}

// A prompt in chunks of which one begins in the middle, long enough for Hopper's kernels. e4m3 products round their inputs.
TEST(models_on_hopper_agree_with_the_portable_kernels) {
  if (!cuda::may_use_hopper()) return check::skip("kernels for Hopper alone are checked with CHASQUI_HOPPER=1");
  for (const WeightFormat format : {WeightFormat::kAsStored, WeightFormat::kFp8}) {
    const RandomModel model = random_model(config(4, 1, 128, 256, 384), DType::kBF16, 41);
    LlamaOptions options = small_cache();
    options.weight_format = format;
    const OnDevice portable = on_device(model.config, model.weights, options);
    const OnDevice hopper = on_device(model.config, model.weights, options, {.untried = true}, hopper_runtime());
    if (!portable || !hopper) return;
    const std::vector<int32_t> tokens = random_tokens(310, model.config.vocab, 42);
    const auto pages = pages_from(3, 310);
    const double apart = relative_rms(run_chunks(*hopper.forward, tokens, 170, pages), run_chunks(*portable.forward, tokens, 170, pages));
    std::printf("  format %d: relative RMS %.1e\n", static_cast<int>(format), apart);
    CHECK_NEAR(apart, 0.0, format == WeightFormat::kFp8 ? 0.15 : 0.02);
    CHECK(apart > 0.0);  // other kernels have run
  }
}

TEST_MAIN()
