// What it costs to share a job among threads: the figures behind the constants of thread_pool.cc. A job of two chunks
// that do nothing is given to threads that still look for work, and to threads that have gone to sleep; then jobs of
// known length, alone and shared, to see from where on the second thread pays. Medians, in microseconds.
//
//   threads_bench [threads]
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "src/backend/cpu/thread_pool.h"

using namespace chasqui::cpu;

namespace {

double microseconds() {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void busy(double length) {
  for (const double end = microseconds() + length; microseconds() < end;) {
  }
}

// Returns once all threads of the pool are in this job: after it, all are awake.
void gather(ThreadPool& pool) {
  std::atomic<int32_t> here{0};
  pool.run(pool.size(), [&](int32_t, int32_t) {
    for (here++; here.load() < pool.size();) {
    }
  });
}

// A job of `chunks` chunks of `length` us: median, and the 10th percentile, which a busy machine disturbs less.
struct Taken {
  double median, tenth;
};

Taken job(ThreadPool& pool, int32_t chunks, double length, bool awake, int repeat) {
  std::vector<double> taken;
  for (int i = 0; i < repeat; i++) {
    if (awake) gather(pool), busy(2);
    else std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const double begin = microseconds();
    pool.run(chunks, [&](int32_t, int32_t) { busy(length); });
    taken.push_back(microseconds() - begin);
  }
  std::sort(taken.begin(), taken.end());
  return {taken[taken.size() / 2], taken[taken.size() / 10]};
}

void line(ThreadPool& pool, const char* name, int32_t chunks, double length) {
  const Taken awake = job(pool, chunks, length, true, 2000), asleep = job(pool, chunks, length, false, 500);
  std::printf("%-20s %8.2f %8.2f %8.2f %8.2f\n", name, awake.median, awake.tenth, asleep.median, asleep.tenth);
}

}  // namespace

int main(int argc, char** argv) {
  const int32_t threads = argc > 1 ? std::max(1, std::atoi(argv[1])) : 2;
  ThreadPool pool(threads);
  std::printf("%d threads\n%-20s %8s %8s %8s %8s\n", threads, "job, us", "awake", "10 %", "asleep", "10 %");
  line(pool, "nothing", threads, 0);
  for (const int length : {2, 5, 10, 20, 50, 100, 200, 400}) {
    line(pool, std::to_string(length).c_str(), 4 * threads, static_cast<double>(length) / (4 * threads));
  }
  return 0;
}
