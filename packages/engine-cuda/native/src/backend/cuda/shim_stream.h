// A stream where a CPU stands in for the GPU. What is launched on it runs at once; or is kept for a graph with copies of
// its arguments, as CUDA would keep it, so that a replay sees what changed in memory and nothing else; or, on a stream that
// pretends, is only written down. One that pretends touches no memory: it can "run" models that fit nowhere.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/launch.h"

namespace chasqui::cuda {

struct LaunchRecord {
  std::string kernel;
  Dim grid, block, cluster;
  uint32_t shared_bytes = 0;
  bool overlaps = false;
};

struct GraphHandle {
  std::vector<std::function<void()>> work;
  std::vector<LaunchRecord> launches;
};

class ShimStream final : public Stream {
 public:
  void launch(const Launch& launch, const void* entry, void** arguments) override;
  // Work that is no kernel: a copy.
  void queue(std::function<void()> work);
  void replay(const GraphHandle& graph);

  bool pretends = false;
  GraphHandle* capture = nullptr;  // where work goes instead of running
  // What has run, replays included, for tests that look.
  bool keeps_records = false;
  std::vector<LaunchRecord> records;
  int64_t n_launches = 0, n_copies = 0, n_replays = 0;

 private:
  void note(const LaunchRecord& record);
};

}  // namespace chasqui::cuda
