// All that the backend asks of a CUDA runtime: memory, copies, one stream, graphs and events, each with a Status. On a GPU
// it is cudart (device_runtime_gpu.cc); without one it is this machine's memory and the kernels' CPU shim
// (device_runtime_shim.cc), so the same backend class runs in both worlds.
//
// Work on a stream runs in order and later. A call that queues work may report the failure of earlier work. After a failure
// with Reason::kDeviceLost no call succeeds any more.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "../../status.h"
#include "../backend.h"
#include "kernels/launch.h"

namespace chasqui::cuda {

// What the device is, read once.
struct DeviceFacts {
  std::string name;              // "NVIDIA H200"
  int32_t major = 0, minor = 0;  // compute capability
  int32_t n_sms = 0;
  int64_t l2_bytes = 0;
  int64_t shared_bytes = 0;      // most dynamic shared memory of a block
  int32_t driver = 0;            // newest CUDA version that the driver speaks: 13000 is 13.0
  int32_t runtime = 0;           // CUDA version of the runtime in this build
  bool is_real = false;          // false: a CPU stands in for it, and its speed says nothing
};

using Graph = struct GraphHandle*;
using Event = struct EventHandle*;

class Runtime {
 public:
  virtual ~Runtime() = default;

  virtual const DeviceFacts& facts() const = 0;
  virtual DeviceMemory memory() const = 0;
  // What kernels are launched on; the copies below are queued on the same.
  virtual Stream& stream() = 0;
  virtual DeviceLimits limits() const = 0;

  // Zeroed, aligned to 256 bytes. `what` names the use in the error, which is out-of-memory with the figures.
  virtual Status claim(int64_t bytes, const char* what, void** made) = 0;
  virtual void release(void* memory) = 0;
  // Host memory that the device copies from and to without a stop on the way.
  virtual Status claim_pinned(int64_t bytes, const char* what, void** made) = 0;
  virtual void release_pinned(void* memory) = 0;

  // Queued. Host memory given to these is pinned and stays as it is until the stream has passed.
  virtual Status upload(void* device, const void* pinned, int64_t bytes) = 0;
  virtual Status download(void* pinned, const void* device, int64_t bytes) = 0;
  virtual Status copy(void* to, const void* from, int64_t bytes) = 0;

  // Waits for all that was queued.
  virtual Status wait() = 0;
  // What launches since the last call have reported, without waiting for them to run.
  virtual Status launched() = 0;

  // Between the two, work on the stream is written down and not run.
  virtual Status begin_capture() = 0;
  virtual Status end_capture(Graph* made) = 0;
  virtual Status replay(Graph graph) = 0;
  virtual void release(Graph graph) = 0;

  // Marks a place in the stream; `passed` waits for it, `milliseconds` is the device's time between two that have passed.
  virtual Status event(Event* made) = 0;
  virtual Status mark(Event event) = 0;
  virtual Status passed(Event event) = 0;
  virtual Status milliseconds(Event from, Event to, float* between) = 0;
  virtual void release(Event event) = 0;
};

// The runtime of this build. Refuses as `unsupported`, with the figures, where there is no device, or driver or chip are
// too old.
Status make_runtime(std::unique_ptr<Runtime>* made);

}  // namespace chasqui::cuda
