// The engine's thread, and one that prepares the next pass while the model computes. Commands come in through a queue and
// take effect in order: between two passes, or beside one where they touch no sequence of it. What happened comes out in
// batches, with one notification until they are fetched. The stepper belongs to the engine's thread; while that thread is
// inside compute(), it belongs to the one that prepares.
#pragma once

#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

#include "stepper.h"

namespace chasqui {

class Engine {
 public:
  // `notify` is called when there are events and none had been waiting, on one of the engine's threads or on one that
  // cancels; it must not block.
  Engine(std::unique_ptr<Stepper> stepper, std::function<void()> notify);
  ~Engine();  // close() and join()

  void submit(Request request);
  // Ends a request as aborted. It is said to have ended at once, also in the middle of a pass; its pages follow when the
  // pass is over. A token that the pass samples for it is nobody's.
  void cancel(uint64_t request);
  void consumed(uint64_t request, int32_t n_tokens);
  void release_retained(std::string name_space);
  // Runs `work` on the thread, between two passes, and waits for what it says. kClosed once the engine closes.
  Status call(std::function<Status(Stepper&)> work);

  // Everything since the last call. `closed` says that these are the last.
  void take_events(StepEvents* events, bool* closed);
  EngineMetrics metrics() const;

  // Ends all requests as closed after the pass that is running; returns at once. A last notification follows.
  void close();
  // Waits until the thread has ended.
  void join();

 private:
  struct Cancel { uint64_t request; };
  struct Consumed { uint64_t request; int32_t n_tokens; };
  struct ReleaseRetained { std::string name_space; };
  struct Call {
    std::function<Status(Stepper&)> work;
    std::promise<Status> answer;
  };
  using Command = std::variant<Request, Cancel, Consumed, ReleaseRetained, Call>;

  void post(Command command);
  void work();
  void compute();
  void prepare();
  std::vector<Command> take_preparable();
  void apply(Command& command, StepEvents* events);
  enum class Last : uint8_t { kNo, kYes };
  void publish(StepEvents* events, Last last);
  void remember_ends();
  void remember(std::vector<EndEvent>* ends);
  void drop_settled(StepEvents* events);

  std::unique_ptr<Stepper> stepper_;
  std::function<void()> notify_;

  mutable std::mutex mutex_;  // of all below
  std::condition_variable wake_;     // of the engine's thread
  std::condition_variable prepare_;  // of the one that prepares
  std::vector<Command> commands_;
  StepEvents events_;
  EngineMetrics metrics_;
  std::unordered_map<uint64_t, EndEvent> cancel_ends_;  // of each request under way: its end if it were cancelled now
  std::unordered_set<uint64_t> settled_;                // said to have ended; the stepper does not know yet
  bool busy_ = false;           // the thread is at work: cancels wait until the pass is over
  bool computing_ = false;      // it is inside compute(): others may be prepared
  bool preparing_ = false;      // which is being done
  bool notified_ = false;
  bool closing_ = false;
  bool closed_ = false;

  // Last: they start when all else is there.
  std::thread preparer_;
  std::thread thread_;
};

}  // namespace chasqui
