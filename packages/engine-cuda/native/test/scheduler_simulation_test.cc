// 100,000 random requests through the stepper, every one compared with a model of it: its tokens come from the definition, its
// usage from arithmetic, its waiting time from the work of those before it. Prompts share beginnings, memory is short,
// consumers lag, requests are cancelled, retained and refused; at the end every page is free and nobody is missing.
#include "src/engine/stepper.h"

#include <algorithm>
#include <map>
#include <memory>
#include <random>

#include "check.h"
#include "fake_forward.h"

using namespace chasqui;

namespace {

constexpr int32_t kVocab = 64;

// What is known of a request from outside.
struct Expected {
  std::vector<int32_t> prompt;
  std::vector<int32_t> output;  // of an uninterrupted run
  bool scores = false;
  bool lags = false;
  bool cancelled = false;
  size_t delivered = 0;
  int64_t steps = 0;      // passes since submission in which it was not waiting for its consumer
  int64_t most_steps = 0; // the work of all older requests and its own
  int64_t work() const { return static_cast<int64_t>(prompt.size() + output.size()); }
};

struct Totals {
  int64_t submitted = 0;
  int64_t ended = 0;
  int64_t refused = 0;
  int64_t cancelled = 0;
  int64_t cached = 0;
  int64_t charged = 0;  // tokens that usage says were computed
};

class Simulation {
 public:
  Simulation(uint64_t seed, const fake::Shape& shape, const StepperOptions& options) : random_(seed), options_(options) {
    auto forward = std::make_unique<fake::FakeForward>(shape);
    forward_ = forward.get();
    stepper_ = std::make_unique<Stepper>(std::move(forward), options);
    for (int32_t i = 0; i < 12; ++i) trunks_.push_back(random_tokens(100));
    for (size_t i = 6; i < trunks_.size(); ++i) {  // some trunks branch off others
      std::copy_n(trunks_[i - 6].begin(), static_cast<std::ptrdiff_t>(20 + random_() % 60), trunks_[i].begin());
    }
  }

  void run(int64_t n_requests, uint32_t cancel_percent) {
    cancel_percent_ = cancel_percent;
    while (accepted() < n_requests || !live_.empty()) {
      if (accepted() < n_requests) {
        if (passes_ % 200 == 0) crowd_ = 1 + random_() % 80;  // quiet times and bursts
        submit_some();
      }
      if (!live_.empty() && random_() % 100 < cancel_percent_) cancel();
      step(n_requests);
      consume();
      if (++passes_ % 97 == 0) CHECK_EQ(stepper_->verify(), std::string());
      if (random_() % 64 == 0) stepper_->release_retained("b");
      if (check::failures_of_test > 20) return;
    }
    finish();
  }

  int64_t accepted() const { return totals.submitted - totals.refused; }

  Totals totals;
  fake::FakeForward* forward_ = nullptr;

 private:
  std::vector<int32_t> random_tokens(size_t n) {
    std::vector<int32_t> tokens(n);
    for (int32_t& token : tokens) token = static_cast<int32_t>(random_() % kVocab);
    return tokens;
  }

  void submit_some() {
    const int64_t refused = totals.refused;
    for (uint64_t n = random_() % 4; n > 0 && live_.size() < crowd_ && totals.refused == refused; --n) submit();
  }

  // What the engine does beside a pass.
  void prepare(int64_t n_requests) {
    if (accepted() < n_requests && random_() % 2 == 0) submit_some();
    if (random_() % 4 == 0) consume();
    if (random_() % 64 == 0) stepper_->release_retained("b");
    stepper_->admit();
  }

  void submit() {
    const uint64_t id = ++totals.submitted;
    Expected expected;
    expected.prompt = trunks_[random_() % trunks_.size()];
    expected.prompt.resize(1 + random_() % expected.prompt.size());
    const std::vector<int32_t> tail = random_tokens(random_() % 20);
    expected.prompt.insert(expected.prompt.end(), tail.begin(), tail.end());
    expected.scores = random_() % 40 == 0;
    expected.lags = random_() % 10 == 0;

    Request request;
    request.id = id;
    request.tokens = expected.prompt;
    request.kind = expected.scores ? RequestKind::kScore : RequestKind::kGenerate;
    request.max_tokens = 1 + static_cast<int32_t>(random_() % (random_() % 3 == 0 ? 60 : 12));
    request.sampling.temperature = random_() % 2 == 0 ? 0.0f : 1.0f;
    request.sampling.seed = random_();
    request.cache_key.name_space = random_() % 4 == 0 ? "b" : "a";
    request.retain = random_() % 16 == 0;
    if (!expected.scores) expected.output = definition(request);
    for (const auto& [older, other] : live_) expected.most_steps += other.work();
    expected.most_steps += expected.work() + 8;

    const bool busy = stepper_->metrics().now.n_waiting >= options_.limits.max_queued;
    live_[id] = std::move(expected);
    StepEvents events;
    stepper_->submit(std::move(request), &events);
    CHECK_EQ(busy, !events.ends.empty());
    if (!busy) return;
    CHECK_REASON(events.ends[0].failure, Reason::kBusy);
    ++totals.refused;
    ++totals.ended;
    live_.erase(id);
  }

  static std::vector<int32_t> definition(const Request& request) {
    Sampler sampler(kVocab);
    const std::unordered_map<int32_t, int32_t> none;
    uint64_t hash = fake::chain(request.tokens, request.tokens.size());
    std::vector<int32_t> made;
    std::vector<float> logits(kVocab);
    for (int32_t i = 0; i < request.max_tokens; ++i) {
      fake::logits_of(hash, kVocab, logits.data());
      SamplingContext context;
      context.params = &request.sampling;
      context.prompt_counts = &none;
      context.output_counts = &none;
      context.position = request.tokens.size() + made.size();
      made.push_back(sampler.sample(logits.data(), context).token);
      hash = fake::mix(hash, static_cast<uint64_t>(made.back()));
    }
    return made;
  }

  void cancel() {
    auto chosen = live_.begin();
    std::advance(chosen, static_cast<std::ptrdiff_t>(random_() % live_.size()));
    chosen->second.cancelled = true;
    ++totals.cancelled;
    StepEvents events;
    stepper_->cancel(chosen->first, &events);
    CHECK_EQ(events.ends.size(), size_t{1});
    take(&events);
  }

  void step(int64_t n_requests) {
    StepEvents events;
    const bool ran = stepper_->plan();
    if (ran) {
      // The model runs beside prepare(), so it may see the world before or after it.
      const bool before = random_() % 2 == 0;
      if (before) stepper_->compute();
      if (random_() % 3 == 0) prepare(n_requests);
      if (!before) stepper_->compute();
      stepper_->finish(&events);
    }
    if (!ran) {
      // Only consumers can be waited for.
      for (const auto& [id, expected] : live_) CHECK(expected.lags);
      return;
    }
    take(&events);
    for (auto& [id, expected] : live_) {
      const auto lag = static_cast<int32_t>(expected.delivered - taken_[id]);
      if (lag >= options_.undelivered) continue;
      if (++expected.steps > expected.most_steps) {
        check::fail(__FILE__, __LINE__, "request " + std::to_string(id) + " starves");
        expected.steps = 0;
      }
    }
  }

  // Consumers take everything at once, but for those who lag, who take it now and then.
  void consume() {
    for (auto& [id, expected] : live_) {
      if (taken_[id] == expected.delivered || (expected.lags && random_() % 16 != 0)) continue;
      taken_[id] = expected.delivered;
      stepper_->consumed(id, static_cast<int32_t>(expected.delivered));
    }
  }

  void take(StepEvents* events) {
    for (const TokenEvent& token : events->tokens) {
      Expected& expected = live_.at(token.request);
      if (expected.delivered >= expected.output.size() || expected.output[expected.delivered] != token.token) {
        check::fail(__FILE__, __LINE__, "request " + std::to_string(token.request) + " has a wrong token");
      }
      ++expected.delivered;
    }
    for (const EndEvent& end : events->ends) {
      const auto found = live_.find(end.request);
      if (found == live_.end()) {
        check::fail(__FILE__, __LINE__, "request " + std::to_string(end.request) + " ended twice");
        continue;
      }
      check_end(end, found->second);
      live_.erase(found);
      taken_.erase(end.request);
      ++totals.ended;
    }
    events->clear();
  }

  void check_end(const EndEvent& end, const Expected& expected) {
    CHECK_OK(end.failure);
    const Usage& usage = end.usage;
    CHECK_EQ(usage.prompt, static_cast<int32_t>(expected.prompt.size()));
    CHECK_EQ(usage.generated, static_cast<int32_t>(expected.delivered));
    CHECK_EQ(usage.forced, 0);
    CHECK(usage.cached >= 0 && usage.cached < std::max(usage.prompt, 1));
    CHECK(usage.discarded >= 0);
    totals.cached += usage.cached;
    totals.charged += usage.prompt - usage.cached + std::max(usage.generated - 1, 0) + usage.discarded;
    if (expected.cancelled) {
      CHECK(end.reason == StopReason::kAborted);
      return;
    }
    CHECK_EQ(expected.delivered, expected.output.size());
    if (expected.scores) check_scores(end.scores, expected.prompt);
  }

  static void check_scores(const std::vector<float>& scores, const std::vector<int32_t>& tokens) {
    CHECK_EQ(scores.size(), tokens.size());
    uint64_t hash = 0;
    std::vector<float> logits(kVocab);
    for (size_t i = 0; i + 1 < tokens.size() && i + 1 < scores.size(); ++i) {
      hash = fake::mix(hash, static_cast<uint64_t>(tokens[i]));
      fake::logits_of(hash, kVocab, logits.data());
      CHECK_NEAR(scores[i + 1], logits[static_cast<size_t>(tokens[i + 1])] - fake::log_sum_exp(logits), 1e-5);
    }
  }

  void finish() {
    CHECK_EQ(totals.ended, totals.submitted);
    CHECK_EQ(forward_->fault, std::string());
    CHECK(!stepper_->has_requests());
    stepper_->release_retained("a");
    stepper_->release_retained("b");
    const SchedulerCounts counts = stepper_->metrics().now;
    CHECK_EQ(counts.pages_used, 0);
    CHECK_EQ(counts.pages_cached + counts.pages_free, stepper_->limits().n_pages);
    CHECK_EQ(counts.n_waiting + counts.n_running + counts.n_parked, 0);
    CHECK_EQ(counts.waiting_tokens, int64_t{0});
    CHECK_EQ(stepper_->verify(), std::string());
    std::printf("  %lld requests: %lld refused as busy, %lld cancelled, %lld passes, %lld pre-emptions, %lld pages evicted, %lld of %lld prompt tokens cached\n",
                static_cast<long long>(totals.submitted), static_cast<long long>(totals.refused), static_cast<long long>(totals.cancelled),
                static_cast<long long>(passes_), static_cast<long long>(counts.n_preempted), static_cast<long long>(counts.n_evicted),
                static_cast<long long>(counts.cached_tokens), static_cast<long long>(counts.prompt_tokens));
    CHECK(counts.n_evicted > 0);
    CHECK(counts.n_preempted > 0);
    CHECK(counts.cached_tokens > counts.prompt_tokens / 10);
  }

  std::mt19937_64 random_;
  StepperOptions options_;
  std::unique_ptr<Stepper> stepper_;
  std::vector<std::vector<int32_t>> trunks_;
  std::map<uint64_t, Expected> live_;  // by order of arrival
  std::map<uint64_t, size_t> taken_;
  uint32_t cancel_percent_ = 0;
  int64_t passes_ = 0;
  size_t crowd_ = 1;
};

StepperOptions options_of(int32_t step_tokens, int32_t max_running) {
  StepperOptions options;
  options.limits.step_tokens = step_tokens;
  options.limits.max_running = max_running;
  options.limits.max_queued = 58;
  options.limits.score_rows = 9;
  options.undelivered = 4;
  return options;
}

}  // namespace

TEST(memory_is_short) {
  Simulation simulation(11, {.vocab = kVocab, .context = 190, .n_pages = 24, .max_batch_tokens = 48}, options_of(48, 16));
  simulation.run(50000, 12);
  CHECK(simulation.totals.cancelled > 1000);
  CHECK(simulation.totals.refused > 0);
}

TEST(budget_is_short) {
  Simulation simulation(12, {.vocab = kVocab, .context = 190, .n_pages = 30, .max_batch_tokens = 19}, options_of(19, 12));
  simulation.run(25000, 5);
}

TEST(usage_adds_up_to_what_was_computed) {
  Simulation simulation(13, {.vocab = kVocab, .context = 190, .n_pages = 28, .max_batch_tokens = 64}, options_of(64, 16));
  simulation.run(25000, 0);
  // Nobody computes more than usage says; pages of others found after a pre-emption may make it a little less.
  CHECK(simulation.forward_->n_computed <= simulation.totals.charged);
  CHECK(static_cast<double>(simulation.forward_->n_computed) > 0.98 * static_cast<double>(simulation.totals.charged));
}

TEST_MAIN()
