// LoRA adapters in the forward pass: against the reference with the adapter merged into its weights, several in one batch,
// and requests without one bit for bit as they were.
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "random_adapter.h"
#include "random_model.h"
#include "random_quant.h"
#include "relative_rms.h"
#include "src/model/llama.h"
#include "src/model/lora_adapter.h"
#include "src/reference/reference_llama.h"
#include "test/check.h"

using namespace chasqui;

namespace {

ModelConfig config_of(int32_t n_kv_heads, int32_t ffn) {
  ModelConfig config;
  config.n_layers = 2;
  config.dim = 96;
  config.ffn = ffn;
  config.n_heads = 4;
  config.n_kv_heads = n_kv_heads;
  config.head_dim = 32;
  config.vocab = 301;
  config.context = 256;
  return config;
}

std::vector<int32_t> tokens_of(int32_t n, uint64_t seed) {
  QuickRandom random(seed);
  std::vector<int32_t> tokens(static_cast<size_t>(n));
  for (int32_t& token : tokens) token = random.below(301);
  return tokens;
}

struct Sequence {
  std::vector<int32_t> tokens;
  std::vector<int32_t> pages;
  int32_t adapter;

  BatchSpan span() const {
    return {tokens.data(), static_cast<int32_t>(tokens.size()), 0, pages.data(), true, false, adapter};
  }
};

std::vector<float> run(Forward& forward, const std::vector<Sequence>& sequences) {
  std::vector<BatchSpan> spans;
  size_t rows = 0;
  for (const Sequence& each : sequences) {
    spans.push_back(each.span());
    rows += each.tokens.size();
  }
  std::vector<float> logits(rows * static_cast<size_t>(forward.vocab()));
  CHECK_OK(forward.run(spans, logits.data()));
  return logits;
}

std::unique_ptr<Forward> make(const ModelConfig& config, const Weights& weights, const char* kernels) {
  LlamaOptions options;
  options.backend.threads = 2;
  options.backend.kernels = kernels;
  options.kv_type = KvType::kF32;
  options.n_pages = 64;
  std::unique_ptr<Forward> forward;
  CHECK_OK(make_llama(config, weights, options, &forward));
  return forward;
}

constexpr uint32_t kAll = 0x7f;

}  // namespace

TEST(an_adapter_equals_its_sum_with_the_weights) {
  for (const char* kernels : {"portable", "float"}) {
    for (const uint32_t projections : {kAll, 0x09u, 0x30u, 0x40u}) {
      for (const int32_t rank : {1, 30}) {
        RandomModel model;
        model.config = config_of(2, 200);
        fill_random(&model, DType::kBF16, rank + projections);
        const LoraAdapter adapter = random_adapter(&model, model.weights, projections, rank, 5);
        const Weights sum = merged(&model, model.weights, adapter);
        const auto forward = make(model.config, model.weights, kernels);
        if (forward == nullptr) return;
        CHECK_OK(forward->add_adapter(1, adapter));
        const Sequence sequence = {tokens_of(37, 9), {3, 4, 5}, 1};
        const auto got = run(*forward, {sequence});
        ReferenceRun want;
        CHECK_OK(reference_forward(model.config, sum, sequence.tokens, {}, &want));
        CHECK_NEAR(relative_rms(got, want.logits), 0.0, 1e-5);
        ReferenceRun base;
        CHECK_OK(reference_forward(model.config, model.weights, sequence.tokens, {}, &base));
        CHECK(relative_rms(got, base.logits) > 0.01);  // it does something
      }
    }
  }
}

TEST(a_mixed_batch_gives_each_request_what_it_has_alone_and_leaves_others_as_they_were) {
  RandomModel model;
  model.config = config_of(1, 208);
  fill_random(&model, DType::kBF16, 3);
  const auto forward = make(model.config, model.weights, "");
  if (forward == nullptr) return;
  std::vector<Sequence> sequences;
  const int32_t lengths[] = {1, 20, 1, 7, 33, 1, 1, 12};
  const int32_t adapters[] = {0, 1, 2, 0, 3, 1, 0, 2};
  for (int32_t i = 0; i < 8; i++) {
    sequences.push_back({tokens_of(lengths[i], static_cast<uint64_t>(i) + 20), {4 * i, 4 * i + 1, 4 * i + 2}, adapters[i]});
  }
  std::vector<float> before;  // requests without an adapter, when none was loaded
  for (const Sequence& each : sequences) {
    if (each.adapter != 0) continue;
    const auto alone = run(*forward, {each});
    before.insert(before.end(), alone.begin(), alone.end());
  }
  CHECK_OK(forward->add_adapter(1, random_adapter(&model, model.weights, kAll, 8, 31)));
  CHECK_OK(forward->add_adapter(2, random_adapter(&model, model.weights, 0x41, 3, 32)));
  CHECK_OK(forward->add_adapter(3, random_adapter(&model, model.weights, kAll, 20, 33)));
  const auto together = run(*forward, sequences);
  size_t at = 0;
  std::vector<float> base;
  for (const Sequence& each : sequences) {
    const auto alone = run(*forward, {each});
    CHECK(std::memcmp(alone.data(), together.data() + at, alone.size() * sizeof(float)) == 0);
    at += alone.size();
    if (each.adapter == 0) base.insert(base.end(), alone.begin(), alone.end());
  }
  CHECK(base.size() == before.size() && std::memcmp(base.data(), before.data(), base.size() * sizeof(float)) == 0);

  forward->remove_adapter(1);
  CHECK_REASON(forward->run({sequences[1].span()}, nullptr), Reason::kBadRequest);
  const auto other = run(*forward, {sequences[4]});  // others stay
  CHECK(other.size() == 33 * 301);
}

TEST(an_adapter_works_on_quantised_weights) {
  RandomModel model;
  model.config = config_of(2, 192);
  fill_random(&model, DType::kBF16, 8);
  Weights quantised = model.weights;
  uint64_t seed = 50;
  for (LayerWeights& layer : quantised.layers) {
    for (const auto projection : kProjections) {
      MatrixView& view = layer.*projection;
      view = random_quant({QuantKind::kInt4, 32, true, false, QuantScale::kF16}, view.rows, view.cols, seed++);
    }
  }
  Weights plain = quantised;
  for (LayerWeights& layer : plain.layers) {
    for (const auto projection : kProjections) layer.*projection = dequantised(&model, layer.*projection);
  }
  const LoraAdapter adapter = random_adapter(&model, plain, kAll, 4, 6);
  const auto forward = make(model.config, quantised, "float");
  if (forward == nullptr) return;
  CHECK_OK(forward->add_adapter(7, adapter));
  const Sequence sequence = {tokens_of(30, 2), {0, 1}, 7};
  ReferenceRun want;
  CHECK_OK(reference_forward(model.config, merged(&model, plain, adapter), sequence.tokens, {}, &want));
  CHECK_NEAR(relative_rms(run(*forward, {sequence}), want.logits), 0.0, 1e-5);
}

TEST(an_adapter_of_another_model_is_refused) {
  RandomModel model;
  model.config = config_of(2, 200);
  fill_random(&model, DType::kBF16, 1);
  const auto forward = make(model.config, model.weights, "");
  if (forward == nullptr) return;
  LoraAdapter adapter = random_adapter(&model, model.weights, kAll, 4, 5);
  adapter.matrices.back().layer = 2;
  CHECK_REASON(forward->add_adapter(1, adapter), Reason::kBadCheckpoint);
  adapter = random_adapter(&model, model.weights, kAll, 4, 5);
  adapter.matrices.back().b.rows--;
  CHECK_REASON(forward->add_adapter(1, adapter), Reason::kBadCheckpoint);
  CHECK_REASON(forward->run({Sequence{{1}, {0}, 1}.span()}, nullptr), Reason::kBadRequest);
}

TEST_MAIN()
