// A stepper on the fake model with everything that it said collected by request, and the oracle of what it should say.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "check.h"
#include "fake_forward.h"
#include "src/engine/stepper.h"

namespace bench_of_stepper {

using namespace chasqui;

struct Bench {
  fake::FakeForward* forward = nullptr;  // owned by the stepper
  std::unique_ptr<Stepper> stepper;
  std::map<uint64_t, std::vector<int32_t>> output;
  std::map<uint64_t, EndEvent> ends;
  uint64_t next_id = 1;
};

inline Bench bench(const fake::Shape& shape = {}, StepperOptions options = {}) {
  Bench made;
  auto forward = std::make_unique<fake::FakeForward>(shape);
  made.forward = forward.get();
  made.stepper = std::make_unique<Stepper>(std::move(forward), std::move(options));
  return made;
}

inline void collect(Bench* on, StepEvents* events) {
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

inline uint64_t submit(Bench* on, const std::vector<int32_t>& prompt, int32_t max_tokens, const std::function<void(Request*)>& change = {}) {
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

inline void step(Bench* on, int32_t n = 1) {
  StepEvents events;
  for (int32_t i = 0; i < n; ++i) {
    on->stepper->step(&events);
    collect(on, &events);
    CHECK_EQ(on->stepper->verify(), std::string());
  }
}

inline void run(Bench* on) {
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

inline void cancel(Bench* on, uint64_t id) {
  StepEvents events;
  on->stepper->cancel(id, &events);
  collect(on, &events);
}

inline std::vector<int32_t> prompt_of(uint64_t seed, int32_t n) {
  std::mt19937_64 random(seed);
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < n; ++i) tokens.push_back(static_cast<int32_t>(random() % 64));
  return tokens;
}

// What must come out, from the definition alone.
inline std::vector<int32_t> oracle(std::vector<int32_t> tokens, int32_t n, const SamplingParams& params) {
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

inline SamplingParams lively(uint64_t seed) {
  SamplingParams params;
  params.temperature = 1.5f;
  params.top_k = 30;
  params.top_p = 0.95f;
  params.repetition_penalty = 1.1f;
  params.frequency_penalty = 0.1f;
  params.seed = seed;
  return params;
}

inline std::function<void(Request*)> with_seed(uint64_t seed) {
  return [seed](Request* request) { request->sampling = lively(seed); };
}

}  // namespace bench_of_stepper
