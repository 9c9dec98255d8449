// How long one row of logits takes to sample, at a vocabulary of 128,256 by default: microseconds of CPU time per row, the
// median over repetitions, for the options that are in use. The logits are drawn so that a nucleus of 0.9 holds a few
// dozen tokens, as it does for a trained model; `flat` are those of an untrained one.
//
//   sampler_bench [--vocab 128256] [--repeat 41] [--json]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "src/sampling/sampler.h"

using namespace chasqui;

namespace {

double cpu_seconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

std::vector<float> logits_of(int32_t vocab, bool peaked) {
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal(0.0, peaked ? 2.2 : 0.5);
  std::vector<float> logits(static_cast<size_t>(vocab));
  for (float& logit : logits) logit = static_cast<float>(normal(random));
  for (int32_t i = 0; peaked && i < 40; ++i) logits[random() % logits.size()] = 16.0f - 0.2f * static_cast<float>(i);
  return logits;
}

struct Case {
  const char* name;
  bool peaked;
  std::function<void(SamplingParams*, SamplingContext*)> set;
};

}  // namespace

int main(int argc, char** argv) {
  int32_t vocab = 128256;
  int32_t repeat = 41;
  bool json = false;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--vocab" && i + 1 < argc) vocab = std::atoi(argv[++i]);
    if (name == "--repeat" && i + 1 < argc) repeat = std::atoi(argv[++i]);
    if (name == "--json") json = true;
  }
  std::mt19937_64 random(3);
  std::unordered_map<int32_t, int32_t> prompt;
  std::unordered_map<int32_t, int32_t> output;
  for (int32_t i = 0; i < 4096; ++i) ++prompt[static_cast<int32_t>(random() % static_cast<uint64_t>(vocab))];
  for (int32_t i = 0; i < 256; ++i) ++output[static_cast<int32_t>(random() % static_cast<uint64_t>(vocab))];
  TokenMask mask(vocab);
  for (int32_t token = 0; token < vocab; token += 3) mask.permit(token);
  const auto llama = [](SamplingParams* params) {
    params->temperature = 0.6f;
    params->top_p = 0.9f;
  };
  const std::vector<Case> cases{
      {"greedy", true, [](SamplingParams*, SamplingContext*) {}},
      {"greedy, mask of a third", true, [&](SamplingParams*, SamplingContext* context) { context->mask = &mask; }},
      {"temperature 0.6, top-p 0.9", true, [&](SamplingParams* params, SamplingContext*) { llama(params); }},
      {"the same, mask of a third", true, [&](SamplingParams* params, SamplingContext* context) { llama(params), context->mask = &mask; }},
      {"the same, penalties over 4096 + 256", true, [&](SamplingParams* params, SamplingContext*) {
         llama(params);
         params->repetition_penalty = 1.1f;
         params->frequency_penalty = 0.1f;
       }},
      {"the same, 5 log-probabilities", true, [&](SamplingParams* params, SamplingContext* context) { llama(params), context->top_logprobs = 5; }},
      {"temperature 1, top-k 50, top-p 0.95", true, [](SamplingParams* params, SamplingContext*) {
         params->temperature = 1.0f;
         params->top_k = 50;
         params->top_p = 0.95f;
       }},
      {"temperature 1, min-p 0.05", true, [](SamplingParams* params, SamplingContext*) { params->temperature = 1.0f, params->min_p = 0.05f; }},
      {"temperature 1 alone", true, [](SamplingParams* params, SamplingContext*) { params->temperature = 1.0f; }},
      {"flat: temperature 1, top-p 0.9", false, [](SamplingParams* params, SamplingContext*) { params->temperature = 1.0f, params->top_p = 0.9f; }},
      {"flat: temperature 1, top-k 50", false, [](SamplingParams* params, SamplingContext*) { params->temperature = 1.0f, params->top_k = 50; }},
  };
  Sampler sampler(vocab);
  for (const Case& measured : cases) {
    const std::vector<float> original = logits_of(vocab, measured.peaked);
    std::vector<float> logits = original;
    SamplingParams params;
    SamplingContext context;
    context.params = &params;
    context.prompt_counts = &prompt;
    context.output_counts = &output;
    measured.set(&params, &context);
    std::vector<double> times;
    int64_t sum = 0;
    for (int32_t i = 0; i < repeat; ++i) {
      std::copy(original.begin(), original.end(), logits.begin());
      context.position = static_cast<uint64_t>(i);
      const double begin = cpu_seconds();
      sum += sampler.sample(logits.data(), context).token;
      times.push_back(1e6 * (cpu_seconds() - begin));
    }
    std::sort(times.begin(), times.end());
    const double median = times[times.size() / 2];
    std::printf(json ? "{\"case\":\"%s\",\"us\":%.1f,\"best_us\":%.1f,\"tokens\":%lld}\n" : "%-40s %9.1f us   best %9.1f us   (token sum %lld)\n",
                measured.name, median, times.front(), static_cast<long long>(sum));
  }
  return 0;
}
