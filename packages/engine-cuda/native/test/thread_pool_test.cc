// The pool runs each chunk once, gives each thread an index of its own, and survives many short jobs.
#include "src/backend/cpu/thread_pool.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "test/check.h"

using namespace chasqui::cpu;

TEST(each_chunk_runs_once) {
  for (const int32_t threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    CHECK_EQ(pool.size(), threads);
    for (const int32_t chunks : {0, 1, 2, 3, 100, 5000}) {
      std::vector<std::atomic<int>> ran(static_cast<size_t>(chunks));
      pool.run(chunks, [&](int32_t chunk, int32_t) { ran[static_cast<size_t>(chunk)]++; });
      for (const auto& count : ran) CHECK_EQ(count.load(), 1);
    }
  }
}

TEST(what_threads_wrote_is_seen_after_the_job_and_in_the_next) {
  ThreadPool pool(3);
  std::vector<int64_t> values(64, 0);
  for (int64_t round = 1; round <= 20000; round++) {
    pool.run(64, [&](int32_t chunk, int32_t) { values[static_cast<size_t>(chunk)] += chunk; });
    if (round % 1000 == 0) {
      for (size_t i = 0; i < values.size(); i++) CHECK_EQ(values[i], round * static_cast<int64_t>(i));
    }
  }
}

TEST(no_two_threads_share_an_index_at_a_time) {
  ThreadPool pool(4);
  std::atomic<int> inside[4] = {};
  std::atomic<int> clashes{0};
  for (int round = 0; round < 300; round++) {
    pool.run(40, [&](int32_t, int32_t thread) {
      if (thread < 0 || thread >= 4 || inside[thread]++ != 0) clashes++;
      if (round % 50 == 0) std::this_thread::yield();
      inside[thread]--;
    });
  }
  CHECK_EQ(clashes.load(), 0);
}

TEST(idle_threads_wake_and_pools_end) {
  for (int round = 0; round < 50; round++) {
    ThreadPool pool(3);
    std::atomic<int> ran{0};
    if (round % 3 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));  // long enough to fall asleep
    if (round % 2 == 0) pool.run(9, [&](int32_t, int32_t) { ran++; });
    CHECK_EQ(ran.load(), round % 2 == 0 ? 9 : 0);
  }
}

TEST(a_job_has_as_many_threads_as_its_length_pays_for) {
  ThreadPool alone(1);
  CHECK_EQ(alone.threads_for(int64_t{1} << 40), 1);
  ThreadPool pool(4);
  CHECK_EQ(pool.threads_for(0), 1);
  CHECK_EQ(pool.threads_for(1'000), 1);             // a microsecond
  CHECK_EQ(pool.threads_for(int64_t{1} << 40), 4);  // minutes
  for (const int64_t length : {1'000, 10'000, 100'000, 1'000'000}) {
    const int32_t threads = pool.threads_for(length);
    CHECK(threads >= 1 && threads <= 4);
    CHECK(threads == 1 || threads * 4'000 <= length);
  }
}

TEST(a_job_for_one_thread_is_the_callers) {
  ThreadPool pool(3);
  pool.run(100, [](int32_t, int32_t) {});  // the others are awake and look for work
  const std::thread::id caller = std::this_thread::get_id();
  std::vector<int> ran(50, 0);
  pool.run_on(1, 50, [&](int32_t chunk, int32_t thread) {
    CHECK_EQ(thread, 0);
    CHECK(std::this_thread::get_id() == caller);
    ran[static_cast<size_t>(chunk)]++;
  });
  for (const int count : ran) CHECK_EQ(count, 1);
}

TEST(each_chunk_runs_once_whether_the_others_are_awake_or_asleep) {
  ThreadPool pool(3);
  for (int32_t round = 0; round < 200; round++) {
    if (round % 20 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // long enough to fall asleep
    std::vector<std::atomic<int>> ran(24);
    pool.run_on(1 + round % 3, 24, [&](int32_t chunk, int32_t) { ran[static_cast<size_t>(chunk)]++; });
    for (const auto& count : ran) CHECK_EQ(count.load(), 1);
  }
}

TEST_MAIN()
