// The engine on a device that draws: requests of every kind get the tokens and log-probabilities, to the bit, that they get
// where the same logits are handed over and sampled on the host.
#include <array>
#include <functional>
#include <map>

#include "cuda_model.h"
#include "src/engine/stepper.h"
#include "src/sampling/allowed_set.h"

using namespace cuda_model;

namespace {

// A model that keeps its draws to itself.
class HandsOver final : public Forward {
 public:
  explicit HandsOver(std::unique_ptr<Forward> of) : of_(std::move(of)) {}
  int32_t vocab() const override { return of_->vocab(); }
  int32_t context() const override { return of_->context(); }
  int32_t n_pages() const override { return of_->n_pages(); }
  int32_t max_batch_tokens() const override { return of_->max_batch_tokens(); }
  Status run(const std::vector<BatchSpan>& spans, float* logits) override { return of_->run(spans, logits); }
  void copy_page(int32_t from, int32_t to, int32_t n_tokens) override { of_->copy_page(from, to, n_tokens); }

 private:
  std::unique_ptr<Forward> of_;
};

struct Told {
  std::map<uint64_t, std::vector<TokenEvent>> tokens;
  std::map<uint64_t, EndEvent> ends;
};

Told serve(std::unique_ptr<Forward> forward, const std::function<std::vector<Request>()>& requests, int32_t step_tokens, int32_t running) {
  StepperOptions options;
  options.limits.step_tokens = step_tokens;
  options.limits.max_running = running;
  options.special_tokens = {3, 4, 5, 300};
  Stepper stepper(std::move(forward), options);
  StepEvents events;
  for (Request& request : requests()) stepper.submit(std::move(request), &events);
  while (stepper.has_requests() && stepper.step(&events)) {
  }
  Told told;
  for (TokenEvent& token : events.tokens) told.tokens[token.request].push_back(std::move(token));
  for (EndEvent& end : events.ends) told.ends[end.request] = std::move(end);
  return told;
}

bool same_event(const TokenEvent& a, const TokenEvent& b) {
  const auto same = [](float x, float y) { return std::memcmp(&x, &y, sizeof x) == 0; };
  return a.token == b.token && a.forced == b.forced && a.has_logprob == b.has_logprob && same(a.logprob, b.logprob) &&
         std::equal(a.top.begin(), a.top.end(), b.top.begin(), b.top.end(),
                    [&](const auto& x, const auto& y) { return x.first == y.first && same(x.second, y.second); });
}

void expect_same(const Told& got, const Told& want) {
  CHECK_EQ(got.ends.size(), want.ends.size());
  for (const auto& [id, end] : want.ends) {
    const EndEvent& own = got.ends.at(id);
    CHECK_OK(own.failure);
    CHECK(own.reason == end.reason && own.usage.generated == end.usage.generated && own.usage.forced == end.usage.forced);
    CHECK(same_bits(own.scores, end.scores));
    const auto said = [&](const Told& told) { return told.tokens.contains(id) ? told.tokens.at(id) : std::vector<TokenEvent>(); };
    const auto tokens = said(got), others = said(want);
    CHECK(std::equal(tokens.begin(), tokens.end(), others.begin(), others.end(), same_event));
  }
}

std::vector<Request> requests_of_every_kind(int32_t n) {
  QuickRandom random(400);
  std::vector<Request> requests;
  for (int32_t i = 0; i < n; i++) {
    Request request;
    request.id = static_cast<uint64_t>(i);
    request.tokens = random_tokens(1 + random.below(30), 320, random.next());
    request.max_tokens = 3 + random.below(8);
    SamplingParams& sampling = request.sampling;
    sampling.seed = random.next();
    sampling.temperature = i % 4 == 0 ? 0.0f : 0.5f + 0.25f * static_cast<float>(random.below(6));
    if (i % 3 == 0) sampling.top_p = 0.8f;
    if (i % 5 == 0) sampling.top_k = 1 + random.below(40);
    if (i % 7 == 0) sampling.min_p = 0.05f;
    if (i % 6 == 1) sampling.repetition_penalty = 1.2f, sampling.frequency_penalty = 0.3f;
    if (i % 6 == 2) sampling.logit_bias = {{random.below(320), 3.0f}, {7, -2.0f}};
    if (i % 4 == 1) request.top_logprobs = random.below(8);
    if (i % 8 == 3) CHECK_OK(make_allowed_set({1, 3, 9, 100, 319, 300, 42 + i}, 320, &request.constraint));
    if (i % 3 == 2) request.allowed_special = {3, 300};
    request.stop_tokens = {random.below(320)};
    if (i % 9 == 8) request.kind = RequestKind::kScore;
    requests.push_back(std::move(request));
  }
  return requests;
}

}  // namespace

TEST(requests_of_every_kind_get_what_the_host_would_draw) {
  const RandomModel model = random_model(config(4, 2, 64, 128, 192, true), DType::kBF16, 410);
  LlamaOptions options = small_cache();
  options.n_pages = 400;
  // Few sequences in recorded steps beside prompts; and more than one call of the head takes.
  for (const auto& [n, step_tokens, running] : std::vector<std::array<int32_t, 3>>{{24, 40, 8}, {100, 256, 100}}) {
    OnDevice drawn = on_device(model.config, model.weights, options), handed = on_device(model.config, model.weights, options);
    if (!drawn || !handed) return;
    CHECK(drawn.forward->can_draw());
    const auto requests = [n = n] { return requests_of_every_kind(n); };
    const Told want = serve(std::make_unique<HandsOver>(std::move(handed.forward)), requests, step_tokens, running);
    expect_same(serve(std::move(drawn.forward), requests, step_tokens, running), want);
    CHECK_EQ(want.ends.size(), static_cast<size_t>(n));
  }
}

TEST(a_draw_that_the_run_did_not_ask_for_is_refused) {
  const RandomModel model = random_model(config(4, 2, 64, 128, 192), DType::kBF16, 420);
  const OnDevice on = on_device(model.config, model.weights);
  if (!on) return;
  const std::vector<int32_t> tokens = random_tokens(5, 320, 1), pages = {0};
  std::vector<float> logits(320);
  CHECK_OK(on.forward->run({{tokens.data(), 5, 0, pages.data(), false, true}}, logits.data()));
  const SamplingParams params;
  std::vector<SampledToken> drawn;
  SamplingContext context;
  context.params = &params;
  CHECK_REASON(on.forward->draw({context}, &drawn), Reason::kInternal);
  HandsOver other(nullptr);
  CHECK(!other.can_draw());
  CHECK_REASON(other.draw({context}, &drawn), Reason::kInternal);
}

TEST_MAIN()
