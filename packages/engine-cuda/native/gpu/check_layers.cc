// Layers of the real shapes beside the CPU backend: only for a GPU, and only when asked for with --large. What a CPU that
// stands in for a GPU checks on small models, this checks on the sizes that the kernels are made for.
#include <cstdio>

#include "gpu.h"
#include "test/cuda_model.h"

using namespace cuda_model;

namespace {

bool is_asked_for() {
  std::unique_ptr<cuda::Runtime> runtime;
  if (!cuda::make_runtime(&runtime).ok()) return false;
  if (runtime->facts().is_real && gpu::checks_large) return true;
  check::skip("layers of the real shapes are checked on a GPU with --large");
  return false;
}

// One layer of a shape, with a small vocabulary.
RandomModel one_layer(const char* name, uint64_t seed) {
  ModelConfig config;
  CHECK_OK(gpu::shape_named(name, &config));
  config.n_layers = 1;
  config.vocab = 4096;
  config.context = 4096;
  return random_model(config, DType::kBF16, seed);
}

std::vector<float> decode_all(Forward& forward, const std::vector<int32_t>& tokens, int32_t n, int32_t length) {
  std::vector<std::vector<int32_t>> pages;
  std::vector<BatchSpan> spans;
  for (int32_t i = 0; i < n; i++) pages.push_back(pages_from(i * 40, length + 1));
  for (int32_t i = 0; i < n; i++) {
    CHECK_OK(forward.run({{tokens.data() + i, length, 0, pages[static_cast<size_t>(i)].data(), false, false}}, nullptr));
    spans.push_back({tokens.data() + i + length, 1, length, pages[static_cast<size_t>(i)].data(), false, true});
  }
  std::vector<float> logits(static_cast<size_t>(n) * static_cast<size_t>(forward.vocab()));
  CHECK_OK(forward.run(spans, logits.data()));
  return logits;
}

void compare(const char* shape, WeightFormat format, int32_t batch) {
  const RandomModel model = one_layer(shape, 7);
  LlamaOptions options;
  options.n_pages = 40 * 64;
  options.weight_format = format;
  options.backend.device = "cpu";
  std::unique_ptr<Forward> cpu;
  CHECK_OK(make_llama(model.config, model.weights, options, &cpu));
  const OnDevice gpu = on_device(model.config, model.weights, options);
  if (!gpu || cpu == nullptr) return;
  const std::vector<int32_t> tokens = random_tokens(700, model.config.vocab, 8);
  for (const int32_t n : {1, 3, batch}) {
    const auto got = decode_all(*gpu.forward, tokens, n, 500), want = decode_all(*cpu, tokens, n, 500);
    const double apart = relative_rms(got, want);
    std::printf("  %s, format %d, batch %2d: relative RMS %.1e\n", shape, static_cast<int>(format), n, apart);
    CHECK_NEAR(apart, 0.0, 0.02);
  }
}

}  // namespace

TEST(large_layers_of_8b_agree_with_the_cpu) {
  if (!is_asked_for()) return;
  for (const WeightFormat format : {WeightFormat::kAsStored, WeightFormat::kInt8, WeightFormat::kInt4}) compare("8b", format, 20);
}

// Kernels for Hopper alone beside the portable ones that do the same: a prompt long enough that they are taken, in chunks that
// begin in the middle of it. e4m3 products round their inputs, which the sibling does not.
void compare_siblings(const char* shape, WeightFormat format, double tolerance) {
  const RandomModel model = one_layer(shape, 9);
  LlamaOptions options;
  options.n_pages = 128;
  options.weight_format = format;
  const OnDevice portable = on_device(model.config, model.weights, options);
  const OnDevice hopper = on_device(model.config, model.weights, options, {.untried = true});
  if (!portable || !hopper) return;
  const std::vector<int32_t> tokens = random_tokens(1111, model.config.vocab, 10);
  const auto pages = pages_from(0, 1111);
  for (const int32_t chunk : {1111, 300}) {
    const double apart = relative_rms(run_chunks(*hopper.forward, tokens, chunk, pages), run_chunks(*portable.forward, tokens, chunk, pages));
    std::printf("  %s, format %d, chunks of %d: relative RMS %.1e\n", shape, static_cast<int>(format), chunk, apart);
    CHECK_NEAR(apart, 0.0, tolerance);
  }
}

TEST(large_layers_with_hopper_kernels_agree_with_their_siblings) {
  if (!is_asked_for()) return;
  for (const char* shape : {"8b", "70b", "1b", "3b"}) compare_siblings(shape, WeightFormat::kAsStored, 5e-3);
  compare_siblings("8b", WeightFormat::kFp8, 0.1);
}

TEST(large_layers_of_70b_1b_and_3b_agree_with_the_cpu) {
  if (!is_asked_for()) return;
  for (const char* shape : {"70b", "1b", "3b"}) compare(shape, WeightFormat::kAsStored, 8);
}
