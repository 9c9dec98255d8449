// What the engine promises about one request, whatever runs beside it: the same tokens chunked or whole, cached or cold, alone
// or in a batch, forked or replayed, after a cancel, on any pages; exact usage; and the order of rights.
#include "src/engine/stepper.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <random>

#include "check.h"
#include "fake_forward.h"
#include "src/sampling/allowed_set.h"
#include "src/sampling/literal_choices.h"
#include "src/sampling/philox.h"

using namespace chasqui;

namespace {

struct Bench {
  fake::FakeForward* forward = nullptr;  // owned by the stepper
  std::unique_ptr<Stepper> stepper;
  std::map<uint64_t, std::vector<int32_t>> output;
  std::map<uint64_t, EndEvent> ends;
  uint64_t next_id = 1;
};

Bench bench(const fake::Shape& shape = {}, StepperOptions options = {}) {
  Bench made;
  auto forward = std::make_unique<fake::FakeForward>(shape);
  made.forward = forward.get();
  made.stepper = std::make_unique<Stepper>(std::move(forward), std::move(options));
  return made;
}

void collect(Bench* on, StepEvents* events) {
  for (const TokenEvent& token : events->tokens) {
    CHECK(!on->ends.contains(token.request));
    on->output[token.request].push_back(token.token);
  }
  for (EndEvent& end : events->ends) {
    CHECK(!on->ends.contains(end.request));
    on->ends[end.request] = std::move(end);
  }
  events->clear();
}

uint64_t submit(Bench* on, const std::vector<int32_t>& prompt, int32_t max_tokens, const std::function<void(Request*)>& change = {}) {
  Request request;
  request.id = on->next_id++;
  request.tokens = prompt;
  request.max_tokens = max_tokens;
  if (change) change(&request);
  const uint64_t id = request.id;
  StepEvents events;
  on->stepper->submit(std::move(request), &events);
  collect(on, &events);
  return id;
}

void step(Bench* on, int32_t n = 1) {
  StepEvents events;
  for (int32_t i = 0; i < n; ++i) {
    on->stepper->step(&events);
    collect(on, &events);
    CHECK_EQ(on->stepper->verify(), std::string());
  }
}

void run(Bench* on) {
  StepEvents events;
  for (int32_t i = 0; on->stepper->has_requests(); ++i) {
    if (!on->stepper->step(&events) || i > 100000) {
      check::fail(__FILE__, __LINE__, "requests are left and nothing runs");
      return;
    }
    collect(on, &events);
  }
  CHECK_EQ(on->stepper->verify(), std::string());
  CHECK_EQ(on->forward->fault, std::string());
}

void cancel(Bench* on, uint64_t id) {
  StepEvents events;
  on->stepper->cancel(id, &events);
  collect(on, &events);
}

std::vector<int32_t> prompt_of(uint64_t seed, int32_t n) {
  std::mt19937_64 random(seed);
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < n; ++i) tokens.push_back(static_cast<int32_t>(random() % 64));
  return tokens;
}

// What must come out, from the definition alone.
std::vector<int32_t> oracle(std::vector<int32_t> tokens, int32_t n, const SamplingParams& params) {
  Sampler sampler(64);
  std::unordered_map<int32_t, int32_t> prompt;
  std::unordered_map<int32_t, int32_t> output;
  for (const int32_t token : tokens) ++prompt[token];
  std::vector<int32_t> made;
  for (int32_t i = 0; i < n; ++i) {
    std::vector<float> logits = fake::logits_after(tokens, 64);
    SamplingContext context;
    context.params = &params;
    context.prompt_counts = &prompt;
    context.output_counts = &output;
    context.position = tokens.size();
    made.push_back(sampler.sample(logits.data(), context).token);
    tokens.push_back(made.back());
    ++output[made.back()];
  }
  return made;
}

SamplingParams lively(uint64_t seed) {
  SamplingParams params;
  params.temperature = 1.5f;
  params.top_k = 30;
  params.top_p = 0.95f;
  params.repetition_penalty = 1.1f;
  params.frequency_penalty = 0.1f;
  params.seed = seed;
  return params;
}

const std::function<void(Request*)> with_seed(uint64_t seed) {
  return [seed](Request* request) { request->sampling = lively(seed); };
}

}  // namespace

TEST(a_request_gives_the_tokens_of_the_definition) {
  Bench on = bench();
  const uint64_t id = submit(&on, prompt_of(1, 37), 40, with_seed(9));
  run(&on);
  CHECK(on.output[id] == oracle(prompt_of(1, 37), 40, lively(9)));
  const Usage usage = on.ends[id].usage;
  CHECK_EQ(usage.prompt, 37);
  CHECK_EQ(usage.cached, 0);
  CHECK_EQ(usage.generated, 40);
  CHECK_EQ(usage.forced, 0);
  CHECK_EQ(usage.discarded, 0);
  CHECK(on.ends[id].reason == StopReason::kMaxTokens);
  CHECK_EQ(on.forward->n_computed, 37 + 39);  // the last token is not fed
}

TEST(chunked_prefill_equals_whole) {
  const std::vector<int32_t> prompt = prompt_of(2, 200);
  const std::vector<int32_t> expected = oracle(prompt, 10, lively(1));
  for (const int32_t chunk : {1, 3, 16, 17, 50, 512}) {
    StepperOptions options;
    options.limits.step_tokens = chunk;
    Bench on = bench({.max_batch_tokens = 512}, options);
    const uint64_t id = submit(&on, prompt, 10, with_seed(1));
    run(&on);
    CHECK(on.output[id] == expected);
  }
}

TEST(cached_equals_cold_and_covers_all_but_the_last_token) {
  Bench on = bench();
  std::vector<int32_t> tokens = prompt_of(3, 21);
  int32_t before = 0;
  for (int32_t turn = 0; turn < 6; ++turn) {
    const uint64_t id = submit(&on, tokens, 9, with_seed(4));
    run(&on);
    CHECK(on.output[id] == oracle(tokens, 9, lively(4)));
    CHECK_EQ(on.ends[id].usage.cached, before);
    tokens.insert(tokens.end(), on.output[id].begin(), on.output[id].end());
    before = static_cast<int32_t>(tokens.size()) - 1;
    const std::vector<int32_t> next = prompt_of(100 + static_cast<uint64_t>(turn), 13);
    tokens.insert(tokens.end(), next.begin(), next.end());
  }
}

TEST(the_same_prompt_again_computes_only_its_last_token) {
  Bench on = bench();
  const std::vector<int32_t> prompt = prompt_of(4, 100);
  const uint64_t first = submit(&on, prompt, 1);
  run(&on);
  const int64_t computed = on.forward->n_computed;
  const uint64_t second = submit(&on, prompt, 1);
  run(&on);
  CHECK_EQ(on.ends[second].usage.cached, 99);
  CHECK_EQ(on.forward->n_computed - computed, 1);
  CHECK(on.output[first] == on.output[second]);
}

TEST(alone_equals_in_a_batch) {
  Bench on = bench({.n_pages = 256, .max_batch_tokens = 48});
  std::vector<uint64_t> ids;
  for (uint64_t i = 0; i < 24; ++i) {
    ids.push_back(submit(&on, prompt_of(i, 5 + static_cast<int32_t>(i * 7 % 60)), 12, with_seed(i)));
    step(&on, static_cast<int32_t>(i % 3));
  }
  run(&on);
  for (uint64_t i = 0; i < 24; ++i) {
    CHECK(on.output[ids[i]] == oracle(prompt_of(i, 5 + static_cast<int32_t>(i * 7 % 60)), 12, lively(i)));
  }
}

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

TEST(a_fork_shares_pages_and_equals_a_replay) {
  Bench on = bench({.n_pages = 64});
  const std::vector<int32_t> prompt = prompt_of(6, 160);
  const uint64_t trunk = submit(&on, prompt, 40, with_seed(1));
  step(&on, 10);  // under way: its pages are shared while it goes on
  CHECK(!on.ends.contains(trunk));
  const int32_t used = on.stepper->metrics().now.pages_used;
  std::vector<int32_t> branch = prompt;
  const std::vector<int32_t> so_far = on.output[trunk];
  branch.insert(branch.end(), so_far.begin(), so_far.end());
  const int64_t computed = on.forward->n_computed;
  std::vector<uint64_t> forks;
  for (uint64_t i = 0; i < 4; ++i) forks.push_back(submit(&on, branch, 10, with_seed(50 + i)));
  step(&on, 2);
  CHECK(on.stepper->metrics().now.pages_used <= used + 1 + 4 * 2);  // each fork adds its own end, not the trunk
  run(&on);
  for (uint64_t i = 0; i < 4; ++i) {
    CHECK(on.output[forks[i]] == oracle(branch, 10, lively(50 + i)));
    CHECK(on.ends[forks[i]].usage.cached >= 160);
  }
  CHECK(on.output[trunk] == oracle(prompt, 40, lively(1)));
  CHECK(on.forward->n_computed - computed < 40 + 4 * (10 + 17));
}

TEST(equal_prompts_at_the_same_time_are_computed_once) {
  Bench on = bench({.n_pages = 128, .max_batch_tokens = 64});
  const std::vector<int32_t> prompt = prompt_of(7, 330);
  std::vector<uint64_t> ids;
  for (uint64_t i = 0; i < 8; ++i) ids.push_back(submit(&on, prompt, 4, with_seed(i)));
  run(&on);
  for (uint64_t i = 0; i < 8; ++i) CHECK(on.output[ids[i]] == oracle(prompt, 4, lively(i)));
  CHECK(on.forward->n_computed < 330 + 8 * (17 + 4));
  int32_t cached = 0;
  for (const uint64_t id : ids) cached += on.ends[id].usage.cached;
  CHECK(cached >= 7 * 304);
}

TEST(cancel_keeps_usage_exact_and_what_was_computed) {
  Bench on = bench();
  const std::vector<int32_t> prompt = prompt_of(8, 40);
  const uint64_t id = submit(&on, prompt, 100, with_seed(2));
  step(&on, 7);
  cancel(&on, id);
  CHECK(on.ends[id].reason == StopReason::kAborted);
  CHECK_EQ(on.ends[id].usage.generated, static_cast<int32_t>(on.output[id].size()));
  CHECK_EQ(on.ends[id].usage.prompt, 40);
  CHECK_EQ(on.stepper->metrics().now.pages_used, 0);
  std::vector<int32_t> tokens = prompt;
  tokens.insert(tokens.end(), on.output[id].begin(), on.output[id].end());
  // Resumed, it writes what it would have written.
  const uint64_t resumed = submit(&on, tokens, 20, with_seed(2));
  run(&on);
  CHECK_EQ(on.ends[resumed].usage.cached, static_cast<int32_t>(tokens.size()) - 1);
  SamplingParams plain;
  plain.temperature = 1.5f;
  cancel(&on, 999);  // unknown: ended already
  const uint64_t waiting = submit(&on, prompt_of(9, 30), 5);
  cancel(&on, waiting);
  CHECK_EQ(on.ends[waiting].usage.prompt, 30);
  CHECK_EQ(on.ends[waiting].usage.generated, 0);
}

TEST(cancel_and_resume_equals_an_uninterrupted_run) {
  SamplingParams params;
  params.temperature = 1.0f;
  params.seed = 3;
  const auto set = [&](Request* request) { request->sampling = params; };
  Bench on = bench();
  std::vector<int32_t> tokens = prompt_of(10, 33);
  const std::vector<int32_t> whole = oracle(tokens, 30, params);
  std::vector<int32_t> made;
  while (made.size() < 30) {
    const uint64_t id = submit(&on, tokens, 30 - static_cast<int32_t>(made.size()), set);
    step(&on, 5);
    cancel(&on, id);
    made.insert(made.end(), on.output[id].begin(), on.output[id].end());
    tokens.insert(tokens.end(), on.output[id].begin(), on.output[id].end());
  }
  CHECK(made == whole);
}

TEST(any_order_of_pages_gives_the_same_tokens) {
  const std::vector<int32_t> prompt = prompt_of(11, 90);
  const std::vector<int32_t> expected = oracle(prompt, 20, lively(8));
  for (uint64_t seed = 0; seed < 10; ++seed) {
    Bench on = bench({.n_pages = 20});
    std::mt19937_64 random(seed);
    for (int32_t i = 0; i < 12; ++i) {  // leaves the free list and the tree in some order
      submit(&on, prompt_of(1000 + random() % 50, 1 + static_cast<int32_t>(random() % 80)), 1 + static_cast<int32_t>(random() % 9));
      step(&on, static_cast<int32_t>(random() % 4));
    }
    const uint64_t id = submit(&on, prompt, 20, with_seed(8));
    run(&on);
    CHECK(on.output[id] == expected);
  }
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

TEST(stop_tokens_end_and_unlisted_special_tokens_never_come) {
  StepperOptions options;
  for (int32_t token = 0; token < 32; ++token) options.special_tokens.push_back(token);
  Bench on = bench({}, options);
  const auto change = [](Request* request) {
    request->sampling.temperature = 2.0f;
    request->allowed_special = {3};
    request->stop_tokens = {3};
  };
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const uint64_t id = submit(&on, prompt_of(seed, 10), 300, change);
    run(&on);
    const std::vector<int32_t>& made = on.output[id];
    for (size_t i = 0; i + 1 < made.size(); ++i) CHECK(made[i] >= 32);
    CHECK(made.back() == 3 || made.size() == 300);
    CHECK(on.ends[id].reason == (made.back() == 3 ? StopReason::kStopToken : StopReason::kMaxTokens));
  }
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

TEST(a_constraint_that_permits_nothing_is_an_error_and_not_a_hang) {
  StepperOptions options;
  options.special_tokens = {5};
  Bench on = bench({}, options);
  const uint64_t id = submit(&on, prompt_of(1, 10), 10, [](Request* request) { CHECK_OK(make_allowed_set({5}, 64, &request->constraint)); });
  run(&on);
  CHECK_REASON(on.ends[id].failure, Reason::kBadRequest);
}

TEST(an_allowed_set_is_kept_to) {
  Bench on = bench();
  const uint64_t id = submit(&on, prompt_of(1, 10), 50, [](Request* request) {
    request->sampling = lively(1);
    CHECK_OK(make_allowed_set({5, 9, 40}, 64, &request->constraint));
  });
  run(&on);
  CHECK_EQ(on.output[id].size(), size_t{50});
  for (const int32_t token : on.output[id]) CHECK(token == 5 || token == 9 || token == 40);
}

TEST(literal_choices_force_what_is_certain_and_end_with_the_stop_token) {
  // Token i is the letter 'a' + i below 26; 26 is "in", 27 "out", 28 "put" by rank; the rest has no bytes.
  std::string bytes;
  std::vector<int64_t> offsets{0};
  const auto add = [&](const std::string& token) {
    bytes += token;
    offsets.push_back(static_cast<int64_t>(bytes.size()));
  };
  for (char c = 'a'; c <= 'z'; ++c) add(std::string(1, c));
  for (const char* token : {"in", "ou", "out", "pu", "put"}) add(token);
  while (offsets.size() < 65) add("");
  auto table = std::make_shared<TokenTable>();
  CHECK_OK(TokenTable::build(bytes, offsets, table.get()));
  for (uint64_t seed = 0; seed < 30; ++seed) {
    Bench on = bench();
    const uint64_t id = submit(&on, prompt_of(seed, 10), 50, [&](Request* request) {
      request->sampling = lively(seed);
      request->stop_tokens = {63};
      CHECK_OK(make_literal_choices({"input", "output", "in"}, table, &request->constraint));
    });
    run(&on);
    std::string text;
    for (const int32_t token : on.output[id]) text += table->bytes_of(token);
    CHECK(text == "input" || text == "output" || text == "in");
    CHECK_EQ(on.output[id].back(), 63);
    CHECK(on.ends[id].reason == StopReason::kStopToken);
    if (text == "output" && on.output[id][0] == 28) CHECK_EQ(on.ends[id].usage.forced, 2);  // "put" and the stop token
  }
  // One choice: nothing is left to sample, and the stop token is known without a look at the logits.
  Bench on = bench();
  const uint64_t id = submit(&on, prompt_of(1, 10), 50, [&](Request* request) {
    request->stop_tokens = {63};
    CHECK_OK(make_literal_choices({"inputoutput"}, table, &request->constraint));
  });
  CHECK(on.output[id] == (std::vector<int32_t>{26, 30, 28, 30}));
  run(&on);
  CHECK_EQ(on.ends[id].usage.generated, 5);
  CHECK_EQ(on.ends[id].usage.forced, 5);
  CHECK_EQ(on.forward->n_runs, 1);
}

TEST(scores_are_the_log_probabilities_of_the_definition) {
  StepperOptions options;
  options.limits.score_rows = 7;
  Bench on = bench({}, options);
  const std::vector<int32_t> tokens = prompt_of(1, 50);
  const uint64_t beside = submit(&on, prompt_of(2, 30), 20, with_seed(1));
  const uint64_t id = submit(&on, tokens, 0, [](Request* request) { request->kind = RequestKind::kScore; });
  run(&on);
  const std::vector<float>& scores = on.ends[id].scores;
  CHECK_EQ(scores.size(), tokens.size());
  CHECK_EQ(scores[0], 0.0f);
  for (size_t i = 1; i < tokens.size(); ++i) {
    const std::vector<float> logits = fake::logits_after(std::vector<int32_t>(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(i)), 64);
    CHECK_NEAR(scores[i], logits[static_cast<size_t>(tokens[i])] - log_sum_exp(logits.data(), 64), 1e-5);
  }
  CHECK(on.output[beside] == oracle(prompt_of(2, 30), 20, lively(1)));
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

TEST(log_probabilities_come_with_each_token) {
  Bench on = bench();
  Request request;
  request.id = 1;
  request.tokens = prompt_of(1, 20);
  request.max_tokens = 5;
  request.top_logprobs = 2;
  StepEvents events;
  on.stepper->submit(std::move(request), &events);
  std::vector<TokenEvent> tokens;
  while (on.stepper->has_requests()) {
    on.stepper->step(&events);
    tokens.insert(tokens.end(), events.tokens.begin(), events.tokens.end());
    events.clear();
  }
  std::vector<int32_t> so_far = prompt_of(1, 20);
  for (const TokenEvent& token : tokens) {
    const std::vector<float> logits = fake::logits_after(so_far, 64);
    CHECK(token.has_logprob);
    CHECK_EQ(token.top.size(), size_t{2});
    CHECK_EQ(token.top[0].first, token.token);
    CHECK_NEAR(token.logprob, logits[static_cast<size_t>(token.token)] - log_sum_exp(logits.data(), 64), 1e-5);
    so_far.push_back(token.token);
  }
  CHECK_EQ(tokens.size(), size_t{5});
}

TEST_MAIN()
