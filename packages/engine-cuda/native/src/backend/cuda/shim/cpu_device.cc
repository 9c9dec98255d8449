// Launches as loops over blocks.
#include "cpu_device.h"

#include <map>
#include <mutex>

#include "block.h"

namespace chasqui::cuda::shim {

std::string run(const Launch& launch, const Entry& entry, void** arguments, const Schedule& schedule) {
  const Dim& grid = launch.grid;
  Block& one = block();
  one.dim = launch.block;
  one.grid = grid;
  const uint64_t n = static_cast<uint64_t>(grid.x) * grid.y * grid.z;
  const uint32_t threads = one.dim.x * one.dim.y * one.dim.z;
  if (n == 0 || threads == 0 || threads > kMaxThreads || threads % kLanes != 0 || grid.y > 65535 || grid.z > 65535) {
    return std::string(launch.kernel) + " was launched with a grid of " + index_text(grid) + " blocks of " + index_text(one.dim) +
           " threads.";
  }
  // Blocks may come in any order; from the last to the first is one that nobody writes by accident.
  for (uint64_t i = 0; i < n; i++) {
    const uint64_t at = schedule.order == Order::kShuffled ? n - 1 - i : i;
    one.index = {static_cast<uint32_t>(at % grid.x), static_cast<uint32_t>(at / grid.x % grid.y),
                 static_cast<uint32_t>(at / (static_cast<uint64_t>(grid.x) * grid.y))};
    std::string failure = one.run(launch, entry, arguments, schedule);
    if (!failure.empty()) return std::string(launch.kernel) + ": " + failure;
  }
  return {};
}

std::string index_text(const Dim& index) {
  return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " + std::to_string(index.z) + ")";
}

int32_t places_of(Fault fault) {
  return static_cast<int32_t>(block().places[static_cast<size_t>(fault)].size());
}

void forget_places() {
  for (std::vector<const void*>& known : block().places) known.clear();
}

const Entry* entry_of(const Entry& entry) {
  static std::map<void (*)(), Entry> entries;
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  return &entries.try_emplace(entry.kernel, entry).first->second;
}

Schedule& process_schedule() {
  static Schedule schedule;
  return schedule;
}

OwnedLaunch::OwnedLaunch(const Launch& launch, const Entry& entry, void** arguments) : launch(launch), entry(entry) {
  for (uint32_t i = 0; i < entry.n_arguments; i++) {
    const auto* bytes = static_cast<const uint8_t*>(arguments[i]);
    this->arguments.emplace_back(bytes, bytes + entry.argument_bytes[i]);
  }
}

std::string OwnedLaunch::run(const Schedule& schedule) {
  std::vector<void*> addresses;
  for (std::vector<uint8_t>& argument : arguments) addresses.push_back(argument.data());
  return shim::run(launch, entry, addresses.data(), schedule);
}

}  // namespace chasqui::cuda::shim
