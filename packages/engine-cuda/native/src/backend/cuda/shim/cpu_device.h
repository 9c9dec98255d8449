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

// A fault that tests plant, to see that tests see it: one place in the code of a kernel behaves wrongly every time that it
// is reached. Places are counted by the order in which threads first come to them; how often and when they come differs by schedule.
enum class Fault : uint8_t {
  kNone,
  kNoBarrier,      // __syncthreads does nothing
  kShortWait,      // a wait for copies leaves one more group under way
  kDivergentLane,  // one lane stays away from an operation of its warp
  kNoPhase,        // a wait for a phase returns at once
};

struct Schedule {
  Order order = Order::kRoundRobin;
  Copies copies = Copies::kDeferred;
  uint64_t seed = 1;
  Fault fault = Fault::kNone;
  int32_t fault_place = 0;  // -1: none, only counted
};

// What Stream::launch gets as `entry` in this world: how to call the kernel for one thread. Lives for ever.
struct Entry {
  void (*kernel)() = nullptr;
  void (*call)(void (*kernel)(), void** arguments) = nullptr;
  const uint32_t* argument_bytes = nullptr;  // (n_arguments)
  uint32_t n_arguments = 0;
};
// The one entry of a kernel.
const Entry* entry_of(const Entry& entry);

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

// What devices of this process begin with. Tests change it.
Schedule& process_schedule();

// Places that launches on this thread have come to since forget_places, where this fault was asked for. They keep their numbers.
int32_t places_of(Fault fault);
void forget_places();

}  // namespace chasqui::cuda::shim
