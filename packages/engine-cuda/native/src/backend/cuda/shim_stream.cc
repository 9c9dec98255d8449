// See shim_stream.h.
#include "shim_stream.h"

#include <memory>
#include <utility>

namespace chasqui::cuda {

void ShimStream::launch(const Launch& launch, const void* entry, void** arguments) {
  const auto& kernel = *static_cast<const shim::Entry*>(entry);
  if (capture != nullptr) {
    const auto kept = std::make_shared<shim::OwnedLaunch>(launch, kernel, arguments);
    capture->launches.push_back(launch);
    capture->work.push_back([kept, this] { return kept->run(schedule); });
    return;
  }
  note(launch);
  if (!pretends && failure.empty()) failure = shim::run(launch, kernel, arguments, schedule);
}

void ShimStream::queue(std::function<void()> work) {
  if (capture != nullptr) {
    capture->work.push_back([work = std::move(work)] {
      work();
      return std::string();
    });
    return;
  }
  n_copies++;
  if (!pretends && failure.empty()) work();
}

void ShimStream::replay(const GraphHandle& graph) {
  n_replays++;
  for (const Launch& launch : graph.launches) note(launch);
  if (pretends) return;
  for (const auto& work : graph.work) {
    if (failure.empty()) failure = work();
  }
}

void ShimStream::note(const Launch& launch) {
  n_launches++;
  if (keeps_records) records.push_back(launch);
}

}  // namespace chasqui::cuda
