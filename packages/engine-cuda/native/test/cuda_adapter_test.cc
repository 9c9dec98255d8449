// Adapters on the CUDA backend: against the reference with the adapter merged into its weights, beside the CPU backend,
// several in one step, in recorded steps, and what happens where one does not fit.
#include "cuda_model.h"
#include "random_adapter.h"
#ifdef CHASQUI_SHIM
#include "src/backend/cuda/device_runtime_shim.h"
#endif

using namespace cuda_model;

namespace {

constexpr uint32_t kAll = 0x7f;

// Matrices as the device holds them, so that the reference has the same.
LoraAdapter in_bf16(RandomModel* keeper, LoraAdapter adapter) {
  for (LoraMatrix& matrix : adapter.matrices) {
    for (MatrixView* view : {&matrix.a, &matrix.b}) {
      keeper->storage.emplace_back(static_cast<size_t>(view->rows * view->cols));
      auto* values = reinterpret_cast<uint16_t*>(keeper->storage.back().data());
      for (int64_t i = 0; i < view->rows * view->cols; i++) values[i] = float_to_bf16(load_element(view->data, view->type, i));
      *view = {values, DType::kBF16, view->rows, view->cols, nullptr};
    }
  }
  return adapter;
}

struct Sequence {
  std::vector<int32_t> tokens, pages;
  int32_t adapter;
};

Sequence sequence(int32_t n, int32_t first_page, int32_t adapter, uint64_t seed) {
  return {random_tokens(n, 320, seed), pages_from(first_page, n), adapter};
}

// Logits of all tokens of all sequences in one step.
std::vector<float> run(Forward& forward, const std::vector<Sequence>& sequences) {
  std::vector<BatchSpan> spans;
  size_t rows = 0;
  for (const Sequence& each : sequences) {
    const auto n = static_cast<int32_t>(each.tokens.size());
    spans.push_back({each.tokens.data(), n, 0, each.pages.data(), true, false, each.adapter});
    rows += each.tokens.size();
  }
  std::vector<float> logits(rows * static_cast<size_t>(forward.vocab()));
  CHECK_OK(forward.run(spans, logits.data()));
  return logits;
}

// The logits of the last token of `each`, after a step of the tokens before it.
std::vector<float> decode(Forward& forward, const Sequence& each) {
  const auto n = static_cast<int32_t>(each.tokens.size());
  std::vector<float> logits(static_cast<size_t>(forward.vocab()));
  CHECK_OK(forward.run({{each.tokens.data(), n - 1, 0, each.pages.data(), false, false, each.adapter}}, nullptr));
  CHECK_OK(forward.run({{each.tokens.data() + n - 1, 1, n - 1, each.pages.data(), false, true, each.adapter}}, logits.data()));
  return logits;
}

RandomModel small_model(uint64_t seed) { return random_model(config(4, 2, 64, 128, 192), DType::kBF16, seed); }

}  // namespace

TEST(an_adapter_equals_its_sum_with_the_weights) {
  uint64_t seed = 100;
  for (const uint32_t projections : {kAll, 0x09u, 0x30u, 0x40u}) {
    for (const int32_t rank : {1, 20}) {
      RandomModel model = small_model(seed++);
      const LoraAdapter adapter = in_bf16(&model, random_adapter(&model, model.weights, projections, rank, seed));
      const OnDevice on = on_device(model.config, model.weights);
      if (!on) return;
      CHECK_OK(on.forward->add_adapter(7, adapter));
      const Weights sum = merged(&model, model.weights, adapter);
      for (const int32_t n : {3, 12, 37}) {  // the skinny kernel with its own norm, with one before it, and the tile kernel
        const Sequence each = sequence(n, 2, 7, seed);
        const auto got = run(*on.forward, {each});
        CHECK_NEAR(relative_rms(got, reference(model.config, sum, each.tokens, device_points())), 0.0, 0.015);
        CHECK(relative_rms(got, reference(model.config, model.weights, each.tokens, {})) > 0.05);  // it does something
      }
    }
  }
}

TEST(an_adapter_does_what_it_does_on_the_cpu) {
  RandomModel model = small_model(120);
  const LoraAdapter adapter = random_adapter(&model, model.weights, kAll, 8, 121);
  const OnDevice on = on_device(model.config, model.weights);
  if (!on) return;
  LlamaOptions options = small_cache();
  options.backend.device = "cpu";
  std::unique_ptr<Forward> cpu;
  CHECK_OK(make_llama(model.config, model.weights, options, &cpu));
  CHECK_OK(on.forward->add_adapter(1, adapter));
  CHECK_OK(cpu->add_adapter(1, adapter));
  const Sequence each = sequence(30, 0, 1, 122);
  CHECK_NEAR(relative_rms(run(*on.forward, {each}), run(*cpu, {each})), 0.0, 0.03);
}

TEST(a_mixed_batch_gives_each_request_what_it_has_alone_and_leaves_others_as_they_were) {
  RandomModel model = small_model(130);
  LlamaOptions options = small_cache();
  options.max_batch_tokens = 80;
  const OnDevice on = on_device(model.config, model.weights, options, {.batch_independent = true});
  if (!on) return;
  std::vector<Sequence> sequences;
  const int32_t lengths[] = {1, 20, 1, 7, 23, 1, 1, 12};
  const int32_t adapters[] = {0, 1, 2, 0, 3, 1, 0, 2};
  for (int32_t i = 0; i < 8; i++) sequences.push_back(sequence(lengths[i], 4 * i, adapters[i], static_cast<uint64_t>(i) + 131));
  std::vector<std::vector<float>> before;
  for (const Sequence& each : sequences) before.push_back(each.adapter == 0 ? run(*on.forward, {each}) : std::vector<float>());
  CHECK_OK(on.forward->add_adapter(1, random_adapter(&model, model.weights, kAll, 8, 141)));
  CHECK_OK(on.forward->add_adapter(2, random_adapter(&model, model.weights, 0x41, 3, 142)));
  CHECK_OK(on.forward->add_adapter(3, random_adapter(&model, model.weights, kAll, 20, 143)));
  const auto together = run(*on.forward, sequences);
  auto at = together.begin();
  for (size_t i = 0; i < sequences.size(); i++) {
    const auto alone = run(*on.forward, {sequences[i]});
    const auto end = at + static_cast<std::ptrdiff_t>(alone.size());
    CHECK(same_bits(alone, {at, end}));
    if (sequences[i].adapter == 0) CHECK(same_bits(alone, before[i]));
    at = end;
  }
  on.forward->remove_adapter(1);
  CHECK_REASON(on.forward->run({{sequences[1].tokens.data(), 20, 0, sequences[1].pages.data(), false, false, 1}}, nullptr),
               Reason::kBadRequest);
  CHECK(same_bits(run(*on.forward, {sequences[4]}), run(*on.forward, {sequences[4]})));
}

TEST(recorded_steps_serve_any_adapter_and_forget_those_that_went) {
  RandomModel model = small_model(150);
  const LoraAdapter first = random_adapter(&model, model.weights, kAll, 8, 151), second = random_adapter(&model, model.weights, kAll, 24, 152);
  const OnDevice recorded = on_device(model.config, model.weights);
  const OnDevice eager = on_device(model.config, model.weights, small_cache(), {.graphs = false});
  if (!recorded || !eager) return;
  const auto both = [&](int32_t adapter) {
    const Sequence each = sequence(20, 0, adapter, 153);
    const auto got = decode(*recorded.forward, each);
    CHECK(same_bits(got, decode(*eager.forward, each)));
    return got;
  };
  for (const OnDevice* on : {&recorded, &eager}) CHECK_OK(on->forward->add_adapter(1, first));
  std::vector<float> plain, with_first;
  for (int32_t round = 0; round < 3; round++) plain = both(0), with_first = both(1);
  CHECK(recorded.backend->graphs().counts().replayed >= 3);
  CHECK(!same_bits(plain, with_first));
  for (const OnDevice* on : {&recorded, &eager}) CHECK_OK(on->forward->add_adapter(2, second));  // wider: the memory moves
  for (int32_t round = 0; round < 3; round++) {
    CHECK(same_bits(both(1), with_first));
    CHECK(!same_bits(both(2), with_first));
  }
  for (const OnDevice* on : {&recorded, &eager}) {
    on->forward->remove_adapter(1);
    CHECK_OK(on->forward->add_adapter(3, first));  // in the place of the first
  }
  for (int32_t round = 0; round < 3; round++) CHECK(same_bits(both(3), with_first));
  CHECK(same_bits(both(0), plain));
}

TEST(an_adapter_that_does_not_fit_the_model_or_one_too_many_is_refused) {
  RandomModel model = small_model(160);
  const OnDevice on = on_device(model.config, model.weights);
  if (!on) return;
  LoraAdapter adapter = random_adapter(&model, model.weights, kAll, 4, 161);
  adapter.matrices.back().b.rows--;
  CHECK_REASON(on.forward->add_adapter(1, adapter), Reason::kBadCheckpoint);
  const std::vector<int32_t> token = {1}, page = {0};
  CHECK_REASON(on.forward->run({{token.data(), 1, 0, page.data(), false, false, 1}}, nullptr), Reason::kBadRequest);
  const LoraAdapter fine = random_adapter(&model, model.weights, 0x40, 1, 162);
  int32_t loaded = 0;
  Status status;
  for (int32_t id = 1; id <= 100 && status.ok(); id++) {
    status = on.forward->add_adapter(id, fine);
    loaded += status.ok() ? 1 : 0;
  }
  CHECK_REASON(status, Reason::kUnsupported);
  CHECK_EQ(loaded, 64);
  on.forward->remove_adapter(30);
  CHECK_OK(on.forward->add_adapter(200, fine));
}

#ifdef CHASQUI_SHIM
TEST(loading_and_unloading_takes_no_memory_for_good) {
  RandomModel model = small_model(170);
  const LoraAdapter adapter = random_adapter(&model, model.weights, kAll, 16, 171);
  auto runtime = std::make_unique<cuda::ShimRuntime>(cuda::ShimOptions{});
  const cuda::ShimRuntime* device = runtime.get();
  const OnDevice on = on_device(model.config, model.weights, small_cache(), {}, std::move(runtime));
  if (!on) return;
  int64_t after_some = 0;
  for (int32_t round = 0; round < 600; round++) {
    CHECK_OK(on.forward->add_adapter(1 + round % 3, adapter));
    if (round % 3 == 2) for (const int32_t id : {1, 2, 3}) on.forward->remove_adapter(id);
    if (round == 299) after_some = device->memory().available_bytes;
  }
  CHECK(device->memory().available_bytes >= after_some - (int64_t{64} << 20));  // slabs that are being filled
}

TEST(an_adapter_without_room_is_refused_and_leaves_the_model_as_it_was) {
  RandomModel model = small_model(180);
  const LoraAdapter adapter = random_adapter(&model, model.weights, kAll, 600, 181);
  cuda::ShimOptions shim;
  shim.memory_bytes = int64_t{68} << 20;  // two slabs
  const OnDevice on = on_device(model.config, model.weights, small_cache(), {}, std::make_unique<cuda::ShimRuntime>(shim));
  if (!on) return;
  const Sequence each = sequence(10, 0, 0, 182);
  const auto before = run(*on.forward, {each});
  Status status;
  for (int32_t id = 1; id < 60 && status.ok(); id++) status = on.forward->add_adapter(id, adapter);
  CHECK_REASON(status, Reason::kOutOfMemory);
  CHECK(same_bits(run(*on.forward, {each}), before));
  Sequence first = each;
  first.adapter = 1;
  CHECK(!same_bits(run(*on.forward, {first}), before));
}
#endif

TEST_MAIN()
