// See device_runtime_shim.h.
#include "device_runtime_shim.h"

#include <sys/mman.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>

namespace chasqui::cuda {

struct EventHandle {
  std::chrono::steady_clock::time_point at;
};

namespace {

constexpr int64_t kHeader = 4096;  // before each claim: its size; keeps alignment generous

Status mapped(int64_t bytes, int protection, const char* what, void** made) {
  void* memory = mmap(nullptr, static_cast<size_t>(bytes + kHeader), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    return failure(Reason::kOutOfMemory, std::string("This machine has no address space for ") + what + ".",
                   "Use a smaller model.");
  }
  *static_cast<int64_t*>(memory) = bytes;
  *made = static_cast<char*>(memory) + kHeader;
  if (protection == PROT_NONE) mprotect(*made, static_cast<size_t>(bytes), PROT_NONE);
  return {};
}

int64_t unmapped(void* memory) {
  if (memory == nullptr) return 0;
  void* start = static_cast<char*>(memory) - kHeader;
  const int64_t bytes = *static_cast<int64_t*>(start);
  munmap(start, static_cast<size_t>(bytes + kHeader));
  return bytes;
}

}  // namespace

ShimRuntime::ShimRuntime(const ShimOptions& options) : options_(options) {
  stream_.pretends = options.pretends;
  stream_.schedule = options.schedule;
  const DeviceLimits& limits = options.limits;
  facts_ = {"a CPU in place of a GPU", limits.capability / 10, limits.capability % 10, limits.sms, 1 << 20,
            limits.shared_per_block,    13000,                 13000,                 false};
}

Status ShimRuntime::claim(int64_t bytes, const char* what, void** made) {
  if (bytes > options_.memory_bytes - used_bytes_) {
    return failure(Reason::kOutOfMemory,
                   "The device gave no " + std::to_string(bytes) + " bytes for " + what + "; " +
                       std::to_string(options_.memory_bytes - used_bytes_) + " of " + std::to_string(options_.memory_bytes) +
                       " are free.",
                   "Use a smaller cache or model.");
  }
  Status status = mapped(bytes, options_.pretends ? PROT_NONE : PROT_READ | PROT_WRITE, what, made);
  if (status.ok()) used_bytes_ += bytes;
  return status;
}

void ShimRuntime::release(void* memory) { used_bytes_ -= unmapped(memory); }

Status ShimRuntime::claim_pinned(int64_t bytes, const char* what, void** made) {
  return mapped(bytes, PROT_READ | PROT_WRITE, what, made);
}

void ShimRuntime::release_pinned(void* memory) { unmapped(memory); }

Status ShimRuntime::copy(void* to, const void* from, int64_t bytes) {
  stream_.queue([=] { std::memmove(to, from, static_cast<size_t>(bytes)); });
  return {};
}

Status ShimRuntime::launched() {
  if (stream_.failure.empty()) return {};
  return failure(Reason::kDeviceLost, "A kernel failed on the CPU shim: " + stream_.failure, "Report this as a bug.");
}

Status ShimRuntime::begin_capture() {
  if (stream_.capture != nullptr) return failure(Reason::kDeviceLost, "A graph is being captured already.", "Report this as a bug.");
  stream_.capture = new GraphHandle;
  return {};
}

Status ShimRuntime::end_capture(Graph* made) {
  if (stream_.capture == nullptr) return failure(Reason::kDeviceLost, "No graph is being captured.", "Report this as a bug.");
  *made = std::exchange(stream_.capture, nullptr);
  return {};
}

Status ShimRuntime::replay(Graph graph) {
  stream_.replay(*graph);
  return {};
}

Status ShimRuntime::event(Event* made) {
  *made = new EventHandle;
  return {};
}

Status ShimRuntime::mark(Event event) {
  event->at = std::chrono::steady_clock::now();
  return {};
}

Status ShimRuntime::milliseconds(Event from, Event to, float* between) {
  *between = std::chrono::duration<float, std::milli>(to->at - from->at).count();
  return {};
}

void ShimRuntime::release(Event event) { delete event; }

Status make_runtime(std::unique_ptr<Runtime>* made) {
  *made = std::make_unique<ShimRuntime>(ShimOptions{});
  return {};
}

}  // namespace chasqui::cuda
