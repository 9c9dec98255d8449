// What the engine promises about one request, whatever runs beside it: the same tokens chunked or whole, cached or cold, alone
// or in a batch, forked or replayed, after a cancel, on any pages; constraints, scores and log-probabilities; exact usage.
#include "stepper_bench.h"

#include "src/sampling/allowed_set.h"
#include "src/sampling/literal_choices.h"

using namespace bench_of_stepper;

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

TEST(a_fork_shares_pages_and_equals_a_replay) {
  Bench on = bench({.n_pages = 64});
  const std::vector<int32_t> prompt = prompt_of(6, 160);
  const uint64_t trunk = submit(&on, prompt, 40, with_seed(1));
  step(&on, 10);  // under way: its pages are shared while it goes on
  CHECK(!on.ends.contains(trunk));
  const int32_t used = on.stepper->metrics().now.pages_used;
  CHECK_EQ(used, 11);  // of 160 positions in three passes, and 7 more
  std::vector<int32_t> branch = prompt;
  const std::vector<int32_t> so_far = on.output[trunk];
  branch.insert(branch.end(), so_far.begin(), so_far.end());
  const int64_t computed = on.forward->n_computed;
  std::vector<uint64_t> forks;
  for (uint64_t i = 0; i < 4; ++i) forks.push_back(submit(&on, branch, 10, with_seed(50 + i)));
  step(&on);
  // Ten pages are everybody's; of the last, partial one each fork has a copy, and computes one token behind it.
  CHECK_EQ(on.stepper->metrics().now.pages_used, used + 4);
  CHECK_EQ(on.forward->n_copies, int64_t{4});
  CHECK_EQ(on.forward->n_computed - computed, int64_t{5});
  run(&on);
  for (uint64_t i = 0; i < 4; ++i) {
    CHECK(on.output[forks[i]] == oracle(branch, 10, lively(50 + i)));
    CHECK_EQ(on.ends[forks[i]].usage.cached, 167);
  }
  CHECK(on.output[trunk] == oracle(prompt, 40, lively(1)));
}

TEST(samples_of_one_prompt_share_its_pages_while_they_run) {
  Bench on = bench({.n_pages = 64, .max_batch_tokens = 64});
  const std::vector<int32_t> prompt = prompt_of(7, 314);
  std::vector<uint64_t> ids;
  for (uint64_t i = 0; i < 8; ++i) ids.push_back(submit(&on, prompt, 20, with_seed(i)));
  while (on.output.size() < 8) step(&on);
  // 19 full pages once, and the 20th, of 10 positions and what is written behind them, for each.
  CHECK_EQ(on.stepper->metrics().now.pages_used, 19 + 8);
  CHECK_EQ(on.stepper->metrics().now.n_running, 8);
  run(&on);
  int32_t cached = 0;
  for (uint64_t i = 0; i < 8; ++i) {
    CHECK(on.output[ids[i]] == oracle(prompt, 20, lively(i)));  // what separate requests give
    cached += on.ends[ids[i]].usage.cached;
  }
  CHECK_EQ(cached, 7 * 313);
  CHECK_EQ(on.forward->n_computed, int64_t{314 + 7 + 8 * 19});
  CHECK_EQ(on.forward->n_copies, int64_t{7});
}

// A last chunk without a full page is not waited for: each computes it, which is sooner.
TEST(equal_prompts_at_the_same_time_compute_their_full_pages_once) {
  Bench on = bench({.n_pages = 128, .max_batch_tokens = 64});
  const std::vector<int32_t> prompt = prompt_of(7, 330);
  std::vector<uint64_t> ids;
  for (uint64_t i = 0; i < 8; ++i) ids.push_back(submit(&on, prompt, 4, with_seed(i)));
  run(&on);
  for (uint64_t i = 0; i < 8; ++i) CHECK(on.output[ids[i]] == oracle(prompt, 4, lively(i)));
  CHECK(on.forward->n_computed <= 330 + 7 * 10 + 8 * 3);
}

TEST(rows_sampled_by_several_threads_give_the_same_tokens) {
  std::vector<std::vector<int32_t>> outputs;
  for (const int32_t threads : {1, 3}) {
    StepperOptions options;
    options.threads = threads;
    Bench on = bench({.vocab = 70000}, options);  // four rows and more are shared out
    for (uint64_t i = 0; i < 8; ++i) submit(&on, prompt_of(i, 20), 6, with_seed(i));
    run(&on);
    for (const auto& [id, output] : on.output) outputs.push_back(output);
  }
  CHECK_EQ(outputs.size(), size_t{16});
  for (size_t i = 0; i < 8; ++i) CHECK(outputs[i] == outputs[8 + i]);
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
    CHECK_NEAR(scores[i], logits[static_cast<size_t>(tokens[i])] - fake::log_sum_exp(logits), 1e-5);
  }
  CHECK(on.output[beside] == oracle(prompt_of(2, 30), 20, lively(1)));
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
    CHECK_NEAR(token.logprob, logits[static_cast<size_t>(token.token)] - fake::log_sum_exp(logits), 1e-5);
    so_far.push_back(token.token);
  }
  CHECK_EQ(tokens.size(), size_t{5});
}

TEST_MAIN()
