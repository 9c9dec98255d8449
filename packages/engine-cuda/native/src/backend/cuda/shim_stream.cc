// See shim_stream.h.
#include "shim_stream.h"

#include <cstring>
#include <memory>
#include <utility>

#include "shim/run.h"

namespace chasqui::cuda {

namespace {

// A launch with its arguments in memory of its own.
struct KeptLaunch {
  Launch launch;
  const void* entry;
  std::vector<std::unique_ptr<std::byte[]>> arguments;

  KeptLaunch(const Launch& from, const void* entry, void** values) : launch(from), entry(entry) {
    for (uint32_t i = 0; i < from.n_arguments; i++) {
      arguments.push_back(std::make_unique<std::byte[]>(from.argument_bytes[i]));
      std::memcpy(arguments.back().get(), values[i], from.argument_bytes[i]);
    }
  }

  void run() const {
    std::vector<void*> pointers;
    for (const auto& argument : arguments) pointers.push_back(argument.get());
    run_on_cpu(launch, entry, pointers.data());
  }
};

}  // namespace

void ShimStream::launch(const Launch& launch, const void* entry, void** arguments) {
  const LaunchRecord record{launch.kernel, launch.grid, launch.block, launch.cluster, launch.shared_bytes, launch.overlaps};
  if (capture == nullptr) {
    note(record);
    if (!pretends) run_on_cpu(launch, entry, arguments);
    return;
  }
  const auto kept = std::make_shared<KeptLaunch>(launch, entry, arguments);
  capture->launches.push_back(record);
  capture->work.push_back([kept] { kept->run(); });
}

void ShimStream::queue(std::function<void()> work) {
  if (capture != nullptr) {
    capture->work.push_back(std::move(work));
    return;
  }
  n_copies++;
  if (!pretends) work();
}

void ShimStream::replay(const GraphHandle& graph) {
  n_replays++;
  for (const LaunchRecord& record : graph.launches) note(record);
  if (pretends) return;
  for (const auto& work : graph.work) work();
}

void ShimStream::note(const LaunchRecord& record) {
  n_launches++;
  if (keeps_records) records.push_back(record);
}

}  // namespace chasqui::cuda
