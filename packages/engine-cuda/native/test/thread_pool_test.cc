// The pool runs each chunk once, gives each thread an index of its own, and survives many short jobs.
#include "src/backend/cpu/thread_pool.h"

#include <atomic>
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

TEST_MAIN()
