// A CPU that stands in for a GPU: runs the kernels of kernels/ with one fiber for each thread of a block, blocks one after
// the other. For tests only; it is slow, and it follows the rules rather than the hardware:
//
// - Threads go on until they meet a barrier or an operation of the warp. Which thread goes next is the schedule's choice,
//   so that a missing barrier shows in at least one of them.
// - What cp.async copies lands when it is waited for, or at once, whichever the schedule says.
// - Dynamic shared memory of each block is full of NaN at first, and its end is watched.
// - Operations of a warp want all 32 lanes. Lanes that wait for each other for ever are reported with their numbers.
//
// Not seen here: races between blocks, relaxed memory order, bank conflicts, time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "../kernels/launch.h"

namespace chasqui::cuda::shim {

enum class Order : uint8_t {
  kRoundRobin,  // thread after thread
  kShuffled,    // any thread that can go on
  kWarpGreedy,  // one warp as far as it gets before any other: the most unfair order that is allowed
};
enum class Copies : uint8_t { kDeferred, kEager };

struct Schedule {
  Order order = Order::kRoundRobin;
  Copies copies = Copies::kDeferred;
  uint64_t seed = 1;
};

// What Stream::launch gets as `entry` in this world: how to call the kernel for one thread, and its arguments' sizes.
struct Entry {
  void (*kernel)() = nullptr;
  void (*call)(void (*kernel)(), void** arguments) = nullptr;
  const uint32_t* argument_bytes = nullptr;  // (n_arguments), lives for ever
  uint32_t n_arguments = 0;
};

// Runs all blocks. Returns what went wrong, or an empty string; after a failure the launch is left where it stood.
std::string run(const Launch& launch, const Entry& entry, void** arguments, const Schedule& schedule);

// A launch with copies of its arguments, to be run later, any number of times.
struct OwnedLaunch {
  OwnedLaunch(const Launch& launch, const Entry& entry, void** arguments);
  std::string run(const Schedule& schedule);

  Launch launch;
  Entry entry;
  std::vector<std::vector<uint8_t>> arguments;
};

// Runs every launch at once. The first failure is kept and stops all that comes after.
class CpuStream final : public Stream {
 public:
  explicit CpuStream(Schedule schedule = {}) : schedule_(schedule) {}
  void launch(const Launch& launch, const void* entry, void** arguments) override;

  const std::string& failure() const { return failure_; }
  void set_schedule(const Schedule& schedule) { schedule_ = schedule; }

 private:
  Schedule schedule_;
  std::string failure_;
};

// Writes down what it is asked and runs nothing.
class RecordingStream final : public Stream {
 public:
  void launch(const Launch& launch, const void*, void**) override { launches.push_back(launch); }
  std::vector<Launch> launches;
};

}  // namespace chasqui::cuda::shim
