// A few threads that share the chunks of one job at a time. The caller works too and never waits for a thread that has
// not begun: whoever comes takes the next chunk, and a thread that comes late finds the work done. So two threads on a
// busy machine are at worst as slow as one.
//
// A job uses as many threads as its length pays for. To hand over a chunk costs a microsecond while the others look for
// work, and a system call, with tens of microseconds until they come, when they sleep; small jobs are done alone.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace chasqui::cpu {

class ThreadPool {
 public:
  // n_threads counts the caller: 1 starts none.
  explicit ThreadPool(int32_t n_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int32_t size() const { return static_cast<int32_t>(workers_.size()) + 1; }

  // How many threads a job pays for that takes one thread about so long: 1 to size().
  int32_t threads_for(int64_t nanoseconds) const;

  // Calls body(chunk, thread) once for each chunk in [0, n_chunks), on any threads, and returns when all are done.
  // `thread` is in [0, size()) and belongs to one thread alone while the call lasts. n_chunks < 2^20. Not reentrant.
  // `threads`: how many to wake, at most; others may join if they are awake. 1: nobody but the caller.
  template <typename Body>
  void run_on(int32_t threads, int32_t n_chunks, const Body& body) {
    if (n_chunks <= 1 || threads <= 1) {
      for (int32_t chunk = 0; chunk < n_chunks; chunk++) body(chunk, 0);
      return;
    }
    share(threads, n_chunks, [](const void* context, int32_t chunk, int32_t thread) {
      (*static_cast<const Body*>(context))(chunk, thread);
    }, &body);
  }

  // For long jobs: on all threads.
  template <typename Body>
  void run(int32_t n_chunks, const Body& body) { run_on(size(), n_chunks, body); }

 private:
  using Call = void (*)(const void* context, int32_t chunk, int32_t thread);

  void share(int32_t threads, int32_t n_chunks, Call call, const void* context);
  int32_t awake() const { return size() - 1 - asleep_.load(std::memory_order_relaxed); }
  void take_chunks(uint32_t job, int32_t thread);
  void work(int32_t thread);

  // The job's number (24 bits), its chunks (20) and the next chunk to take (20), in one word: a late thread's attempt to
  // take a chunk of an older job fails as a whole.
  std::atomic<uint64_t> state_{0};
  std::atomic<uint32_t> job_{0};   // what idle threads wait on
  std::atomic<uint32_t> done_{0};  // chunks finished
  std::atomic<int32_t> asleep_{0};  // threads that wait to be woken
  std::atomic<bool> stop_{false};
  Call call_ = nullptr;            // of the job in state_; read only by who holds an unfinished chunk of it
  const void* context_ = nullptr;
  std::vector<std::thread> workers_;
};

}  // namespace chasqui::cpu
