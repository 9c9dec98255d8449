// What a stream is where a CPU stands in for the GPU. Work given to it runs at once, or is kept for a graph with copies of
// its arguments, as CUDA would keep it; so a graph that is replayed sees what changed in memory and nothing else. A stream
// that pretends only writes down what was launched, and touches no memory: it can "run" models that fit nowhere.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace chasqui::cuda {

struct LaunchRecord {
  std::string kernel;
  uint32_t grid[3] = {1, 1, 1};
  uint32_t block[3] = {1, 1, 1};
  int64_t shared_bytes = 0;  // dynamic
};

struct GraphHandle {
  std::vector<std::function<void()>> work;
  std::vector<LaunchRecord> launches;
};

struct StreamHandle {
  bool pretends = false;
  GraphHandle* capture = nullptr;       // where work goes instead of running
  std::vector<LaunchRecord> launches;   // of a stream that pretends; what graphs replay is written down again
  int64_t n_copies = 0, n_replays = 0;  // of a stream that pretends

  void launch(LaunchRecord record, std::function<void()> body) {
    if (capture != nullptr) {
      capture->launches.push_back(std::move(record));
      capture->work.push_back(std::move(body));
    } else if (pretends) {
      launches.push_back(std::move(record));
    } else {
      body();
    }
  }

  void copy(std::function<void()> body) {
    if (capture != nullptr) {
      capture->work.push_back(std::move(body));
    } else if (pretends) {
      n_copies++;
    } else {
      body();
    }
  }

  void replay(const GraphHandle& graph) {
    n_replays++;
    if (pretends) {
      launches.insert(launches.end(), graph.launches.begin(), graph.launches.end());
      return;
    }
    for (const auto& work : graph.work) work();
  }
};

}  // namespace chasqui::cuda
