// Waiting is a short spin (the next operation of a step comes within microseconds); then, for those without a job, a while
// of giving the core to whoever wants it and asking again, long enough for what stands between two steps; then a futex
// through atomic wait. On a virtual machine a sleeping thread may come milliseconds late: a halted core does not count as
// idle there, and it is woken on the core of the caller.
#include "thread_pool.h"

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace chasqui::cpu {

namespace {

constexpr int kSpins = 1000;   // about 20 us
constexpr int kYields = 1000;  // about half a millisecond where nobody wants the core

// The work that a thread must find to be worth asking, in nanoseconds; measured by native/bench/threads_bench.cc. With
// threads that look for work a job of 5 us is done in 3.7, one of 10 us in 6.2; with sleeping ones a job of 20 us takes 23,
// one of 100 us 73, or 108 if they come too late.
constexpr int64_t kAwakeShare = 4'000;
constexpr int64_t kAsleepShare = 100'000;

constexpr uint32_t kJobMask = (1u << 24) - 1;
constexpr uint64_t kChunkMask = (1u << 20) - 1;

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// Whether `value` has ceased to be `old` within a short spin.
bool changes_soon(const std::atomic<uint32_t>& value, uint32_t old) {
  for (int i = 0; i < kSpins; i++) {
    if (value.load(std::memory_order_acquire) != old) return true;
    pause();
  }
  return false;
}

// The same for a thread that has nothing else to do.
bool changes_while_idle(const std::atomic<uint32_t>& value, uint32_t old) {
  if (changes_soon(value, old)) return true;
  for (int i = 0; i < kYields; i++) {
    std::this_thread::yield();
    if (value.load(std::memory_order_acquire) != old) return true;
  }
  return false;
}

}  // namespace

ThreadPool::ThreadPool(int32_t n_threads) {
  for (int32_t thread = 1; thread < n_threads; thread++) workers_.emplace_back([this, thread] { work(thread); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  job_.fetch_add(1, std::memory_order_release);
  job_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

int32_t ThreadPool::threads_for(int64_t nanoseconds) const {
  const int64_t near = std::min<int64_t>(nanoseconds / kAwakeShare, awake() + 1);
  const int64_t all = std::min<int64_t>(nanoseconds / kAsleepShare, size());
  return static_cast<int32_t>(std::max<int64_t>({1, near, all}));
}

void ThreadPool::share(int32_t threads, int32_t n_chunks, Call call, const void* context) {
  call_ = call;
  context_ = context;
  done_.store(0, std::memory_order_relaxed);
  const uint32_t job = job_.load(std::memory_order_relaxed) + 1;
  const uint64_t chunks = static_cast<uint64_t>(n_chunks) & kChunkMask;
  state_.store((static_cast<uint64_t>(job & kJobMask) << 40) | (chunks << 20), std::memory_order_release);
  job_.store(job, std::memory_order_release);
  // Who falls asleep just now sees the number of the job, or misses this one and is no longer waited for.
  if (threads > awake() + 1) job_.notify_all();
  take_chunks(job, 0);
  for (uint32_t done = done_.load(std::memory_order_acquire); done != static_cast<uint32_t>(n_chunks);
       done = done_.load(std::memory_order_acquire)) {
    if (!changes_soon(done_, done)) done_.wait(done, std::memory_order_acquire);
  }
}

void ThreadPool::take_chunks(uint32_t job, int32_t thread) {
  uint64_t state = state_.load(std::memory_order_acquire);
  while ((state >> 40) == (job & kJobMask)) {
    const uint64_t chunk = state & kChunkMask;
    const uint64_t chunks = (state >> 20) & kChunkMask;
    if (chunk == chunks) return;
    if (!state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
    call_(context_, static_cast<int32_t>(chunk), thread);
    if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == chunks) done_.notify_one();
    state = state_.load(std::memory_order_acquire);
  }
}

void ThreadPool::work(int32_t thread) {
  uint32_t seen = 0;
  while (true) {
    if (!changes_while_idle(job_, seen)) {
      asleep_.fetch_add(1, std::memory_order_relaxed);
      job_.wait(seen, std::memory_order_acquire);
      asleep_.fetch_sub(1, std::memory_order_relaxed);
    }
    seen = job_.load(std::memory_order_acquire);
    if (stop_.load(std::memory_order_relaxed)) return;
    take_chunks(seen, thread);
  }
}

}  // namespace chasqui::cpu
