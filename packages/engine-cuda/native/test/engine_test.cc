// The engine's thread under use from several threads at once: nothing is lost, closing while busy is clean, one notification
// stands for any number of events. Meant to run under ThreadSanitizer too.
#include "src/engine/engine.h"

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "check.h"
#include "fake_forward.h"

using namespace chasqui;

namespace {

// A listener as the binding is one: woken by the notification, it fetches what there is.
class Listener {
 public:
  void notify() {
    const std::lock_guard lock(mutex_);
    pending_ = true;
    ++notifications_;
    wake_.notify_one();
  }

  // Fetches until `n_ends` requests have ended or the engine is closed.
  void listen(Engine* engine, size_t n_ends) {
    while (ends.size() < n_ends && !closed) {
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return pending_; });
        pending_ = false;
      }
      StepEvents events;
      engine->take_events(&events, &closed);
      ++fetches;
      for (const TokenEvent& token : events.tokens) {
        CHECK(!ends.contains(token.request));
        output[token.request].push_back(token.token);
        engine->consumed(token.request, static_cast<int32_t>(output[token.request].size()));
      }
      for (EndEvent& end : events.ends) {
        CHECK(!ends.contains(end.request));
        ends[end.request] = std::move(end);
      }
    }
  }

  int64_t notifications() {
    const std::lock_guard lock(mutex_);
    return notifications_;
  }

  std::map<uint64_t, std::vector<int32_t>> output;
  std::map<uint64_t, EndEvent> ends;
  bool closed = false;
  int64_t fetches = 0;

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool pending_ = false;
  int64_t notifications_ = 0;
};

std::unique_ptr<Engine> engine_with(Listener* listener, int32_t undelivered = 1024) {
  StepperOptions options;
  options.undelivered = undelivered;
  auto stepper = std::make_unique<Stepper>(std::make_unique<fake::FakeForward>(fake::Shape{.n_pages = 48}), options);
  return std::make_unique<Engine>(std::move(stepper), [listener] { listener->notify(); });
}

Request request_of(uint64_t id, int32_t max_tokens) {
  std::mt19937_64 random(id);
  Request request;
  request.id = id;
  request.max_tokens = max_tokens;
  for (size_t i = 0; i < 1 + id % 50; ++i) request.tokens.push_back(static_cast<int32_t>(random() % 64));
  return request;
}

}  // namespace

TEST(requests_from_many_threads_all_end_exactly_once) {
  Listener listener;
  const std::unique_ptr<Engine> engine = engine_with(&listener);
  std::vector<std::thread> threads;
  for (uint64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&engine, thread] {
      std::mt19937_64 random(thread);
      for (uint64_t i = 0; i < 250; ++i) {
        const uint64_t id = thread * 1000 + i + 1;
        engine->submit(request_of(id, 1 + static_cast<int32_t>(random() % 20)));
        if (random() % 3 == 0) engine->cancel(id - random() % 3);
        if (random() % 8 == 0) engine->metrics();
      }
    });
  }
  listener.listen(engine.get(), 1000);
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(listener.ends.size(), size_t{1000});
  for (const auto& [id, end] : listener.ends) {
    CHECK_OK(end.failure);
    CHECK_EQ(end.usage.generated, static_cast<int32_t>(listener.output[id].size()));
  }
  // Ends of cancelled requests are told before their pages are back.
  for (int32_t i = 0; i < 10000 && engine->metrics().requests_ended < 1000; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK_EQ(engine->metrics().requests_ended, int64_t{1000});
  CHECK_EQ(engine->metrics().now.pages_used, 0);
  CHECK(listener.fetches <= listener.notifications());
}

TEST(closing_while_busy_ends_every_request) {
  Listener listener;
  const std::unique_ptr<Engine> engine = engine_with(&listener);
  for (uint64_t id = 1; id <= 40; ++id) engine->submit(request_of(id, 100000));
  std::thread closer([&engine] { engine->close(); });
  listener.listen(engine.get(), 1000);
  closer.join();
  CHECK(listener.closed);
  CHECK_EQ(listener.ends.size(), size_t{40});
  for (const auto& [id, end] : listener.ends) {
    CHECK(end.failure.reason == Reason::kClosed || end.reason == StopReason::kContextFull);
    CHECK_EQ(end.usage.generated, static_cast<int32_t>(listener.output[id].size()));
  }
  engine->join();
}

TEST(a_cancel_is_answered_in_the_middle_of_a_pass) {
  Listener listener;
  std::atomic<int32_t> passes = 0;
  std::atomic<bool> open = false;  // from the sixth pass on the model waits for it
  auto forward = std::make_unique<fake::FakeForward>(fake::Shape{.n_pages = 48});
  forward->before_run = [&] {
    if (++passes >= 6) open.wait(false);
  };
  auto stepper = std::make_unique<Stepper>(std::move(forward), StepperOptions{});
  const auto engine = std::make_unique<Engine>(std::move(stepper), [&listener] { listener.notify(); });
  Request first = request_of(40, 50);
  const std::vector<int32_t> prompt = first.tokens;
  engine->submit(std::move(first));
  while (passes < 6) std::this_thread::yield();
  engine->cancel(40);
  Request second = request_of(41, 3);
  second.tokens = prompt;
  engine->submit(std::move(second));
  engine->cancel(41);
  listener.listen(engine.get(), 2);
  open = true;
  open.notify_all();
  CHECK(listener.ends[40].reason == StopReason::kAborted);
  CHECK_EQ(listener.ends[40].usage.generated, static_cast<int32_t>(listener.output[40].size()));
  CHECK_EQ(listener.output[40].size(), size_t{5});
  CHECK_EQ(listener.ends[41].usage.generated, 0);
  Request third = request_of(42, 3);
  third.tokens = prompt;
  third.tokens.insert(third.tokens.end(), listener.output[40].begin(), listener.output[40].end());
  const auto length = static_cast<int32_t>(third.tokens.size());
  engine->submit(std::move(third));
  listener.listen(engine.get(), 3);
  CHECK_EQ(listener.ends[42].usage.cached, length - 1);
  CHECK_EQ(listener.output[42].size(), size_t{3});
  CHECK_EQ(engine->metrics().requests_ended, int64_t{3});
}

namespace {

// A model that stops at the beginning of a pass until it is told to go on.
class Gate {
 public:
  explicit Gate(int32_t at) : at_(at) {}
  void pass() {
    if (++passes_ >= at_) open_.wait(false);
  }
  void await() const {
    while (passes_ < at_) std::this_thread::yield();
  }
  void open() {
    open_ = true;
    open_.notify_all();
  }

 private:
  int32_t at_;
  std::atomic<int32_t> passes_ = 0;
  std::atomic<bool> open_ = false;
};

std::unique_ptr<Engine> gated_engine(Listener* listener, Gate* gate, std::vector<int32_t>* sizes) {
  auto forward = std::make_unique<fake::FakeForward>(fake::Shape{.n_pages = 48});
  forward->before_run = [gate] { gate->pass(); };
  forward->sizes = sizes;
  auto stepper = std::make_unique<Stepper>(std::move(forward), StepperOptions{});
  return std::make_unique<Engine>(std::move(stepper), [listener] { listener->notify(); });
}

// Waits, as long as it takes, for a figure of the engine.
template <typename Figure>
void await(const Engine& engine, Figure figure, int32_t wanted) {
  while (figure(engine.metrics()) != wanted) std::this_thread::yield();
}

}  // namespace

TEST(the_next_pass_is_prepared_while_the_model_computes) {
  Listener listener;
  Gate gate(4);
  std::vector<int32_t> sizes;  // sequences of each pass
  const std::unique_ptr<Engine> engine = gated_engine(&listener, &gate, &sizes);
  engine->submit(request_of(1, 30));
  gate.await();
  // The fourth pass is running and will not end before it is let. What comes now is admitted, pages and all.
  engine->submit(request_of(2, 5));
  engine->submit(request_of(3, 5));
  await(*engine, [](const EngineMetrics& metrics) { return metrics.now.n_running; }, 3);
  CHECK_EQ(engine->metrics().steps, int64_t{3});
  // A request that cannot run is told so at once.
  Request bad = request_of(4, 5);
  bad.tokens.push_back(64);
  engine->submit(std::move(bad));
  listener.listen(engine.get(), 1);
  CHECK_REASON(listener.ends[4].failure, Reason::kBadRequest);
  CHECK_EQ(engine->metrics().steps, int64_t{3});
  gate.open();
  listener.listen(engine.get(), 4);
  CHECK_EQ(sizes[3], 1);
  CHECK_EQ(sizes[4], 3);  // the very next pass
  for (uint64_t id = 1; id <= 3; ++id) CHECK_EQ(listener.output[id].size(), size_t{id == 1 ? 30u : 5u});
}

TEST(what_stands_behind_a_cancel_waits_for_its_pages) {
  Listener listener;
  Gate gate(6);
  const std::unique_ptr<Engine> engine = gated_engine(&listener, &gate, nullptr);
  engine->submit(request_of(40, 30));
  gate.await();
  engine->cancel(40);
  listener.listen(engine.get(), 1);
  Request next = request_of(41, 3);
  next.tokens = request_of(40, 1).tokens;
  next.tokens.insert(next.tokens.end(), listener.output[40].begin(), listener.output[40].end());
  const auto length = static_cast<int32_t>(next.tokens.size());
  engine->submit(std::move(next));
  for (int32_t i = 0; i < 100; ++i) {
    CHECK_EQ(engine->metrics().now.n_running, 1);
    std::this_thread::yield();
  }
  gate.open();
  listener.listen(engine.get(), 2);
  CHECK_EQ(listener.ends[41].usage.cached, length - 1);
}

TEST(an_engine_can_go_without_a_word) {
  for (int32_t round = 0; round < 20; ++round) {
    Listener listener;
    const std::unique_ptr<Engine> engine = engine_with(&listener);
    for (uint64_t id = 1; id <= 5; ++id) engine->submit(request_of(id, 1000));
  }
}

TEST(an_idle_or_parked_engine_uses_no_processor) {
  Listener listener;
  const std::unique_ptr<Engine> engine = engine_with(&listener, 4);
  engine->submit(request_of(1, 100));
  while (engine->metrics().now.n_parked == 0) std::this_thread::yield();
  const int64_t steps = engine->metrics().steps;
  engine->consumed(1, 2);
  while (engine->metrics().steps == steps) std::this_thread::yield();
  CHECK(engine->metrics().steps <= steps + 2);  // two more tokens may be made, then it waits again
}

TEST_MAIN()
