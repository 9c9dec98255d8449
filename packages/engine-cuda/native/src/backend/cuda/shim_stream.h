// A stream where a CPU stands in for the GPU. What is launched on it runs at once; or is kept for a graph with copies of
// its arguments, as CUDA would keep it, so that a replay sees what changed in memory and nothing else; or, on a stream that
// pretends, is only written down. One that pretends touches no memory: it can "run" models that fit nowhere.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/launch.h"
#include "shim/cpu_device.h"

namespace chasqui::cuda {

struct GraphHandle {
  std::vector<std::function<std::string()>> work;  // gives what went wrong
  std::vector<Launch> launches;
};

class ShimStream final : public Stream {
 public:
  void launch(const Launch& launch, const void* entry, void** arguments) override;
  // Work that is no kernel: a copy.
  void queue(std::function<void()> work);
  void replay(const GraphHandle& graph);

  bool pretends = false;
  shim::Schedule schedule;
  GraphHandle* capture = nullptr;  // where work goes instead of running
  std::string failure;             // of a kernel; nothing runs after it
  // What has run, replays included, for tests that look.
  bool keeps_records = false;
  std::vector<Launch> records;
  int64_t n_launches = 0, n_copies = 0, n_replays = 0;

 private:
  void note(const Launch& launch);
};

}  // namespace chasqui::cuda
