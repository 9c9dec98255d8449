// What stands between two passes: the time from the end of one call of the model to the beginning of the next, through the
// whole engine (thread, queue, scheduler, sampler, events), while a batch decodes. Microseconds, median and p99.
//
//   serving_bench [--model tiny|none] [--vocab 128256] [--batch 1,8,64] [--steps 400] [--threads 1] [--arrival 2000] [--json]
//
// `tiny` computes on random weights of the tiny model's shape; `none` hands out prepared logits after a millisecond in
// which the processor is idle, as a device would. Each batch is measured quiet, and with requests of --arrival tokens of prompt
// that arrive, are found in the cache and end, one after the other.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "src/engine/engine.h"
#include "src/model/llama.h"
#include "test/random_model.h"

using namespace chasqui;

namespace {

constexpr uint64_t kFirstArrival = 1000000;

double now_us() { return std::chrono::duration<double, std::micro>(Clock::now().time_since_epoch()).count(); }

void must(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s %s\n", status.detail.c_str(), status.fix.c_str());
  std::exit(1);
}

struct Pass {
  double begin = 0;
  double end = 0;
  size_t sequences = 0;
  int32_t tokens = 0;
};

// The model, with a note of when it was called.
class NotedForward final : public Forward {
 public:
  NotedForward(std::unique_ptr<Forward> model, int32_t vocab) : model_(std::move(model)), vocab_(model_ ? model_->vocab() : vocab) {
    if (model_) return;
    std::mt19937_64 random(5);
    std::normal_distribution<double> normal(0.0, 2.2);
    row_.resize(static_cast<size_t>(vocab_));
    for (float& logit : row_) logit = static_cast<float>(normal(random));
    for (int32_t i = 0; i < 40; ++i) row_[random() % row_.size()] = 16.0f - 0.2f * static_cast<float>(i);
  }
  int32_t vocab() const override { return vocab_; }
  int32_t context() const override { return model_ ? model_->context() : 131072; }
  int32_t n_pages() const override { return model_ ? model_->n_pages() : 16384; }
  int32_t max_batch_tokens() const override { return model_ ? model_->max_batch_tokens() : 512; }
  void copy_page(int32_t from, int32_t to, int32_t n_tokens) override {
    if (model_) model_->copy_page(from, to, n_tokens);
  }

  Status run(const std::vector<BatchSpan>& spans, float* logits) override {
    Pass pass;
    pass.begin = now_us();
    pass.sequences = spans.size();
    for (const BatchSpan& span : spans) pass.tokens += span.n_tokens;
    Status status;
    if (model_) {
      status = model_->run(spans, logits);
    } else {
      for (const BatchSpan& span : spans) {
        if (span.last_logits) logits = std::copy(row_.begin(), row_.end(), logits);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    pass.end = now_us();
    passes.push_back(pass);
    return status;
  }

  std::vector<Pass> passes;

 private:
  std::unique_ptr<Forward> model_;
  int32_t vocab_;
  std::vector<float> row_;
};

std::unique_ptr<Forward> tiny_model(int32_t threads) {
  static RandomModel model;
  ModelConfig& config = model.config;
  config.tied_head = true;
  config.rope = {32, 1, 4, 8192};
  config.n_layers = 6, config.dim = 256, config.ffn = 704, config.n_heads = 4, config.n_kv_heads = 2, config.head_dim = 64;
  config.vocab = 2048;
  config.context = 4096;
  if (model.storage.empty()) fill_random(&model, DType::kBF16, 1);
  LlamaOptions options;
  options.backend.threads = threads;
  options.n_pages = 4096;
  std::unique_ptr<Forward> forward;
  must(make_llama(config, model.weights, options, &forward));
  return forward;
}

// An engine and a thread that takes its events as they come.
class Running {
 public:
  Running(std::unique_ptr<NotedForward> forward, int32_t threads) : forward_(forward.get()) {
    StepperOptions options;
    options.limits.max_running = 80;
    options.undelivered = 1 << 30;
    options.threads = threads;
    auto stepper = std::make_unique<Stepper>(std::move(forward), options);
    engine = std::make_unique<Engine>(std::move(stepper), [this] {
      const std::lock_guard lock(mutex_);
      pending_ = true;
      wake_.notify_one();
    });
    listener_ = std::thread([this] { listen(); });
  }
  ~Running() {
    engine->close();
    listener_.join();
    engine->join();
  }

  const std::vector<Pass>& passes() const { return forward_->passes; }

  std::unique_ptr<Engine> engine;
  std::atomic<int32_t> decoded = 0;  // requests of the batch that have ended
  std::atomic<int32_t> arrived = 0;  // and of those that come beside it

 private:
  void listen() {
    for (bool closed = false; !closed;) {
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return pending_; });
        pending_ = false;
      }
      StepEvents events;
      engine->take_events(&events, &closed);
      for (const EndEvent& end : events.ends) {
        std::atomic<int32_t>& count = end.request < kFirstArrival ? decoded : arrived;
        ++count;
        count.notify_all();
      }
    }
  }

  NotedForward* forward_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool pending_ = false;
  std::thread listener_;
};

Request request_of(uint64_t id, int32_t n_prompt, int32_t max_tokens, int32_t vocab) {
  QuickRandom random(id >= kFirstArrival ? kFirstArrival : id);  // arrivals have one prompt
  Request request;
  request.id = id;
  request.max_tokens = max_tokens;
  for (int32_t i = 0; i < n_prompt; ++i) request.tokens.push_back(random.below(vocab));
  request.sampling.temperature = 0.6f;
  request.sampling.top_p = 0.9f;
  request.sampling.seed = id;
  return request;
}

struct Arguments {
  std::string model = "tiny";
  int32_t vocab = 128256;
  int32_t steps = 400;
  int32_t arrival = 2000;  // tokens of a prompt that arrives
  int32_t threads = 1;  // of the model and of the sampler
  std::vector<int32_t> batch{1, 8, 64};
  bool json = false;
};

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0.0 : values[static_cast<size_t>(q * static_cast<double>(values.size() - 1))];
}

enum class Traffic : uint8_t { kQuiet, kArrivals };

void measure(const Arguments& arguments, int32_t batch, Traffic traffic) {
  auto forward = std::make_unique<NotedForward>(arguments.model == "tiny" ? tiny_model(arguments.threads) : nullptr, arguments.vocab);
  const int32_t vocab = forward->vocab();
  forward->passes.reserve(1 << 20);
  std::vector<Pass> passes;
  {
    Running running(std::move(forward), arguments.threads);
    for (int32_t i = 0; i < batch; ++i) running.engine->submit(request_of(static_cast<uint64_t>(i), 16, arguments.steps, vocab));
    for (uint64_t id = kFirstArrival; traffic == Traffic::kArrivals && running.decoded < batch; ++id) {
      const int32_t before = running.arrived;
      running.engine->submit(request_of(id, arguments.arrival, 2, vocab));
      running.arrived.wait(before);
    }
    for (int32_t decoded = running.decoded; decoded < batch; decoded = running.decoded) running.decoded.wait(decoded);
    passes = running.passes();
  }
  std::vector<double> gaps;
  std::vector<double> lengths;
  for (size_t i = 20; i + 20 < passes.size(); ++i) {
    if (passes[i].sequences < static_cast<size_t>(batch)) continue;
    lengths.push_back(passes[i].end - passes[i].begin);
    gaps.push_back(passes[i].begin - passes[i - 1].end);
  }
  const char* name = traffic == Traffic::kQuiet ? "quiet" : "arrivals";
  const char* format = arguments.json
      ? "{\"model\":\"%s\",\"traffic\":\"%s\",\"batch\":%d,\"passes\":%zu,\"pass_us\":%.1f,\"gap_us\":%.1f,\"gap_p90_us\":%.1f,\"gap_p99_us\":%.1f}\n"
      : "%-5s %-9s batch %-3d %6zu passes of %9.1f us; between them %8.1f us, p90 %8.1f, p99 %8.1f\n";
  std::printf(format, arguments.model.c_str(), name, batch, lengths.size(), quantile(lengths, 0.5), quantile(gaps, 0.5),
              quantile(gaps, 0.9), quantile(gaps, 0.99));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--json") arguments.json = true;
    if (i + 1 == argc) break;
    if (name == "--model") arguments.model = argv[i + 1];
    if (name == "--vocab") arguments.vocab = std::atoi(argv[i + 1]);
    if (name == "--arrival") arguments.arrival = std::atoi(argv[i + 1]);
    if (name == "--threads") arguments.threads = std::atoi(argv[i + 1]);
    if (name == "--steps") arguments.steps = std::atoi(argv[i + 1]);
    if (name == "--batch") arguments.batch = {std::atoi(argv[i + 1])};
  }
  for (const Traffic traffic : {Traffic::kQuiet, Traffic::kArrivals}) {
    for (const int32_t batch : arguments.batch) measure(arguments, batch, traffic);
  }
  return 0;
}
