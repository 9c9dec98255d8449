// A second thread for one piece of work at a time, beside the engine's: what a pass needs and the model does not (masks of
// constraints) is made ready while the model computes. Without work it sleeps.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace chasqui {

class Helper {
 public:
  Helper() : thread_([this] { work(); }) {}
  ~Helper() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

  // Starts the work; wait() must follow before the next.
  void start(std::function<void()> work) {
    {
      const std::lock_guard lock(mutex_);
      work_ = std::move(work);
    }
    wake_.notify_all();
  }

  void wait() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return !work_; });
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return work_ || ending_; });
      if (!work_) return;
      const std::function<void()> work = work_;
      lock.unlock();
      work();
      lock.lock();
      work_ = nullptr;
      wake_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::function<void()> work_;  // empty: nothing to do
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace chasqui
