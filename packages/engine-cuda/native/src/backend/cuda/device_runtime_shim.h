// A runtime whose device is this machine's memory and processor. For tests: it is slow, and exact about what CUDA promises.
#pragma once

#include <memory>

#include "device_runtime.h"
#include "shim_stream.h"

namespace chasqui::cuda {

struct ShimOptions {
  // Write launches down instead of running them; memory is address space that nobody may touch.
  bool pretends = false;
  int64_t memory_bytes = int64_t{4} << 30;
  shim::Schedule schedule = shim::process_schedule();
  DeviceLimits limits = {4, 80, 99 << 10, 100 << 10};  // small, so that a CPU is done soon
};

class ShimRuntime : public Runtime {
 public:
  explicit ShimRuntime(const ShimOptions& options);

  const DeviceFacts& facts() const override { return facts_; }
  DeviceMemory memory() const override { return {options_.memory_bytes, options_.memory_bytes - used_bytes_}; }
  ShimStream& stream() override { return stream_; }
  DeviceLimits limits() const override { return options_.limits; }

  Status claim(int64_t bytes, const char* what, void** made) override;
  void release(void* memory) override;
  Status claim_pinned(int64_t bytes, const char* what, void** made) override;
  void release_pinned(void* memory) override;

  Status upload(void* device, const void* pinned, int64_t bytes) override { return copy(device, pinned, bytes); }
  Status download(void* pinned, const void* device, int64_t bytes) override { return copy(pinned, device, bytes); }
  Status copy(void* to, const void* from, int64_t bytes) override;

  Status wait() override { return launched(); }
  Status launched() override;

  Status begin_capture() override;
  Status end_capture(Graph* made) override;
  Status replay(Graph graph) override;
  void release(Graph graph) override { delete graph; }

  Status event(Event* made) override;
  Status mark(Event event) override;
  Status passed(Event) override { return {}; }
  Status milliseconds(Event from, Event to, float* between) override;
  void release(Event event) override;

 private:
  ShimOptions options_;
  DeviceFacts facts_;
  ShimStream stream_;
  int64_t used_bytes_ = 0;
};

}  // namespace chasqui::cuda
