// Who goes first and who gives way: shortage of pages, budgets, retained pages, lagging consumers, limits, failures.
#include "stepper_bench.h"

using namespace bench_of_stepper;

TEST(namespaces_share_no_pages) {
  Bench on = bench();
  const auto in = [](const char* name) { return [name](Request* request) { request->cache_key.name_space = name; }; };
  submit(&on, prompt_of(5, 50), 1, in("a"));
  run(&on);
  const uint64_t other = submit(&on, prompt_of(5, 50), 1, in("b"));
  run(&on);
  CHECK_EQ(on.ends[other].usage.cached, 0);
  const uint64_t same = submit(&on, prompt_of(5, 50), 1, in("a"));
  run(&on);
  CHECK_EQ(on.ends[same].usage.cached, 49);
}

TEST(a_shortage_of_pages_preempts_the_youngest_and_changes_no_token) {
  Bench on = bench({.context = 300, .n_pages = 20, .max_batch_tokens = 32});
  std::vector<uint64_t> ids;
  for (uint64_t i = 0; i < 6; ++i) ids.push_back(submit(&on, prompt_of(i, 60), 100, with_seed(i)));
  run(&on);
  int32_t discarded = 0;
  for (uint64_t i = 0; i < 6; ++i) {
    CHECK(on.output[ids[i]] == oracle(prompt_of(i, 60), 100, lively(i)));
    discarded += on.ends[ids[i]].usage.discarded;
  }
  CHECK(on.stepper->metrics().now.n_preempted > 0);
  CHECK_EQ(on.ends[ids[0]].usage.discarded, 0);  // the oldest is never pre-empted
  CHECK_EQ(on.forward->n_computed, 6 * (60 + 99) + discarded);
}

TEST(decoding_goes_on_beside_a_long_prefill) {
  StepperOptions options;
  options.limits.step_tokens = 32;
  Bench on = bench({.context = 2000, .n_pages = 200, .max_batch_tokens = 32}, options);
  const uint64_t first = submit(&on, prompt_of(1, 20), 50);
  step(&on, 2);
  const uint64_t second = submit(&on, prompt_of(2, 600), 5);
  for (int32_t i = 0; i < 10; ++i) {
    const size_t before = on.output[first].size();
    step(&on);
    CHECK_EQ(on.output[first].size(), before + 1);
  }
  CHECK(on.output[second].empty());
  run(&on);
  CHECK_EQ(on.output[second].size(), size_t{5});
}

TEST(retained_pages_survive_a_flood_until_they_are_continued) {
  Bench on = bench({.n_pages = 24});
  const std::vector<int32_t> prompt = prompt_of(12, 50);
  const auto retain = [](Request* request) { request->retain = true; };
  const uint64_t id = submit(&on, prompt, 5, retain);
  run(&on);
  CHECK_EQ(on.stepper->metrics().now.n_retained, 1);
  CHECK_EQ(on.stepper->metrics().now.pages_used, 4);
  for (uint64_t i = 0; i < 20; ++i) {
    submit(&on, prompt_of(500 + i, 150), 3);
    run(&on);
  }
  std::vector<int32_t> tokens = prompt;
  tokens.insert(tokens.end(), on.output[id].begin(), on.output[id].end());
  tokens.push_back(7);
  const uint64_t next = submit(&on, tokens, 5);
  run(&on);
  CHECK_EQ(on.ends[next].usage.cached, 54);
  CHECK_EQ(on.stepper->metrics().now.n_retained, 0);
  CHECK_EQ(on.stepper->metrics().now.pages_used, 0);
}

TEST(retained_pages_are_given_up_on_request_or_when_nothing_else_is_left) {
  Bench on = bench({.n_pages = 12});
  const auto retain = [](Request* request) {
    request->retain = true;
    request->cache_key.name_space = "held";
  };
  submit(&on, prompt_of(1, 60), 2, retain);
  run(&on);
  on.stepper->release_retained("other");
  CHECK_EQ(on.stepper->metrics().now.n_retained, 1);
  on.stepper->release_retained("held");
  CHECK_EQ(on.stepper->metrics().now.n_retained, 0);
  submit(&on, prompt_of(2, 60), 2, retain);
  run(&on);
  const uint64_t large = submit(&on, prompt_of(3, 180), 5);
  run(&on);
  CHECK_EQ(on.output[large].size(), size_t{5});
  CHECK_EQ(on.stepper->metrics().now.n_retained_dropped, 1);
}

TEST(a_lagging_consumer_parks_its_own_sequence_only) {
  StepperOptions options;
  options.undelivered = 4;
  Bench on = bench({}, options);
  const uint64_t lagging = submit(&on, prompt_of(1, 20), 30, with_seed(1));
  const uint64_t prompt_consumer = submit(&on, prompt_of(2, 20), 30, with_seed(2));
  for (int32_t i = 0; i < 60 && !on.ends.contains(prompt_consumer); ++i) {
    step(&on);
    on.stepper->consumed(prompt_consumer, static_cast<int32_t>(on.output[prompt_consumer].size()));
  }
  CHECK(on.output[prompt_consumer] == oracle(prompt_of(2, 20), 30, lively(2)));
  CHECK_EQ(on.output[lagging].size(), size_t{4});
  CHECK_EQ(on.stepper->metrics().now.n_parked, 1);
  StepEvents events;
  CHECK(!on.stepper->step(&events));  // nothing to do but to wait
  for (int32_t i = 0; i < 60 && !on.ends.contains(lagging); ++i) {
    on.stepper->consumed(lagging, static_cast<int32_t>(on.output[lagging].size()));
    step(&on);
  }
  CHECK(on.output[lagging] == oracle(prompt_of(1, 20), 30, lively(1)));
}

TEST(a_parked_sequence_gives_its_pages_to_those_who_run) {
  StepperOptions options;
  options.undelivered = 4;
  Bench on = bench({.n_pages = 10}, options);
  const uint64_t lagging = submit(&on, prompt_of(1, 80), 30, with_seed(1));
  step(&on, 10);
  const uint64_t other = submit(&on, prompt_of(2, 120), 3, with_seed(2));
  for (int32_t i = 0; i < 20 && !on.ends.contains(other); ++i) step(&on);
  CHECK(on.output[other] == oracle(prompt_of(2, 120), 3, lively(2)));
  for (int32_t i = 0; i < 90 && !on.ends.contains(lagging); ++i) {
    on.stepper->consumed(lagging, static_cast<int32_t>(on.output[lagging].size()));
    step(&on);
  }
  CHECK(on.output[lagging] == oracle(prompt_of(1, 80), 30, lively(1)));
  CHECK(on.ends[lagging].usage.discarded > 0);
}

TEST(the_context_ends_a_generation) {
  Bench on = bench({.context = 40});
  const uint64_t id = submit(&on, prompt_of(1, 30), 100);
  run(&on);
  CHECK_EQ(on.output[id].size(), size_t{10});
  CHECK(on.ends[id].reason == StopReason::kContextFull);
  Bench tight = bench({.context = 400, .n_pages = 3});
  const uint64_t other = submit(&tight, prompt_of(1, 30), 100);
  run(&tight);
  CHECK_EQ(tight.output[other].size(), size_t{18});
  CHECK(tight.ends[other].reason == StopReason::kContextFull);
}

TEST(bad_requests_end_at_once_with_a_reason) {
  StepperOptions options;
  options.limits.max_queued = 2;
  Bench on = bench({.context = 40}, options);
  const auto refused = [&](const std::vector<int32_t>& prompt, int32_t max_tokens, const std::function<void(Request*)>& change = {}) {
    const uint64_t id = submit(&on, prompt, max_tokens, change);
    return on.ends.contains(id) ? on.ends[id].failure : Status{};
  };
  CHECK_REASON(refused({}, 1), Reason::kBadRequest);
  CHECK_REASON(refused({1}, 0), Reason::kBadRequest);
  CHECK_REASON(refused({1, 64}, 1), Reason::kBadRequest);
  CHECK_REASON(refused({-1}, 1), Reason::kBadRequest);
  CHECK_REASON(refused(prompt_of(1, 40), 1), Reason::kContextFull);
  CHECK_REASON(refused({1}, 1, [](Request* request) { request->stop_tokens = {64}; }), Reason::kBadRequest);
  CHECK_REASON(refused({1}, 1, [](Request* request) { request->top_logprobs = 65; }), Reason::kBadRequest);
  CHECK_REASON(refused({1}, 1, [](Request* request) { request->sampling.top_p = 0.0f; }), Reason::kBadRequest);
  CHECK_OK(refused({1}, 1));
  CHECK_OK(refused({1}, 1));
  CHECK_REASON(refused({1}, 1), Reason::kBusy);
  run(&on);
  CHECK_OK(refused({1}, 1));
  run(&on);
}

TEST(a_failed_pass_fails_its_requests_and_the_engine_goes_on) {
  Bench on = bench();
  const uint64_t id = submit(&on, prompt_of(1, 30), 20);
  step(&on, 3);
  on.forward->fail_with = Reason::kOutOfMemory;
  on.forward->fail_at_run = on.forward->n_runs + 1;
  step(&on);
  CHECK_REASON(on.ends[id].failure, Reason::kOutOfMemory);
  CHECK_EQ(on.ends[id].usage.generated, static_cast<int32_t>(on.output[id].size()));
  CHECK_EQ(on.stepper->metrics().now.pages_used, 0);
  const uint64_t next = submit(&on, prompt_of(1, 30), 5);
  run(&on);
  CHECK(on.output[next] == oracle(prompt_of(1, 30), 5, {}));
}

TEST(a_lost_device_fails_everything_now_and_later) {
  Bench on = bench();
  const uint64_t running = submit(&on, prompt_of(1, 30), 20);
  step(&on, 3);
  const uint64_t waiting = submit(&on, prompt_of(2, 30), 20);
  on.forward->fail_at_run = on.forward->n_runs + 1;
  step(&on);
  CHECK_REASON(on.ends[running].failure, Reason::kDeviceLost);
  CHECK_REASON(on.ends[waiting].failure, Reason::kDeviceLost);
  const uint64_t later = submit(&on, prompt_of(1, 30), 5);
  CHECK_REASON(on.ends[later].failure, Reason::kDeviceLost);
  CHECK(!on.stepper->has_requests());
}

TEST_MAIN()
