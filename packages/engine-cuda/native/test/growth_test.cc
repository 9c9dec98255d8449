// Nothing grows with the number of requests: the bytes that are allocated are counted, and after many requests of all kinds
// there are no more of them than after some. Scheduler and cache know no clock, so the count is the same on every machine.
#include "stepper_bench.h"

#include <atomic>
#include <cstdlib>
#include <new>

#include "src/sampling/allowed_set.h"

using namespace bench_of_stepper;

namespace {

std::atomic<int64_t> live_bytes = 0;

constexpr size_t kHeader = alignof(std::max_align_t);

void* counted(size_t n) {
  auto* block = static_cast<char*>(std::malloc(n + kHeader));
  if (block == nullptr) throw std::bad_alloc();
  *reinterpret_cast<size_t*>(block) = n;
  live_bytes += static_cast<int64_t>(n);
  return block + kHeader;
}

void uncounted(void* at) {
  if (at == nullptr) return;
  char* block = static_cast<char*>(at) - kHeader;
  live_bytes -= static_cast<int64_t>(*reinterpret_cast<size_t*>(block));
  std::free(block);
}

}  // namespace

void* operator new(size_t n) { return counted(n); }
void* operator new[](size_t n) { return counted(n); }
void operator delete(void* at) noexcept { uncounted(at); }
void operator delete[](void* at) noexcept { uncounted(at); }
void operator delete(void* at, size_t) noexcept { uncounted(at); }
void operator delete[](void* at, size_t) noexcept { uncounted(at); }

namespace {

// A request of some kind, and what else happens beside it; by the number, so that every round is like the last.
void happen(Bench* on, uint64_t i) {
  const uint64_t id = submit(on, prompt_of(i % 50, 1 + static_cast<int32_t>(i % 90)), 1 + static_cast<int32_t>(i % 12), [i](Request* request) {
    if (i % 3 == 0) request->sampling = lively(i);
    if (i % 5 == 0) CHECK_OK(make_allowed_set({5, 9, 40}, 64, &request->constraint));
    if (i % 7 == 0) request->kind = RequestKind::kScore;
    if (i % 11 == 0) request->top_logprobs = 3;
    if (i % 13 == 0) request->max_tokens = 0;  // refused
    request->retain = i % 17 == 0;
    request->cache_key.name_space = "user " + std::to_string(i);  // one that was never seen before
    if (i % 4 == 0) request->cache_key.name_space = "shared";
  });
  step(on, static_cast<int32_t>(i % 4));
  if (i % 6 == 0) cancel(on, id);
  if (i % 19 == 0) on->stepper->release_retained("shared");
}

}  // namespace

TEST(memory_does_not_grow_with_requests) {
  Bench on = bench({.n_pages = 48});
  const auto round = [&](uint64_t first, uint64_t n) {
    for (uint64_t i = first; i < first + n; ++i) happen(&on, i);
    run(&on);
    on.output.clear();
    on.ends.clear();
    return live_bytes.load();
  };
  const int64_t early = round(0, 3000);
  const int64_t late = round(3000, 12000);
  std::printf("  %lld bytes after 3,000 requests, %lld after 15,000\n", static_cast<long long>(early), static_cast<long long>(late));
  // The cache is full in both, with other names and tokens in it: a byte a request would be seen.
  CHECK(late - early < 4096);
}

TEST_MAIN()
