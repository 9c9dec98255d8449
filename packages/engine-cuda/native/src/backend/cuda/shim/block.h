// One block while it runs: its fibers, and how they wait for each other. For shim/ and, through device_words.h, for what a
// kernel calls. One block at a time in each OS thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "../kernels/tensor_map.h"
#include "cpu_device.h"

namespace chasqui::cuda::shim {

constexpr uint32_t kLanes = 32;
constexpr uint32_t kMaxThreads = 1024;
constexpr size_t kSlotBytes = 64;

// What lanes do together; lanes that meet must agree on it.
enum class WarpOp : uint8_t { kSync, kShuffle, kBallot, kSum, kMax, kMma, kLoadMatrix, kProduct };

struct PendingCopy {
  void* to;
  const void* from;
  uint32_t bytes;
  uint32_t zeros;  // written behind them
  int32_t group;
};

// A tensor copy under way.
struct PendingBox {
  void* to;
  TensorShape shape;
  int32_t column, row;
  uint64_t* barrier;
};

enum class Elements : uint8_t { kBF16, kE4M3 };

// One lane's share of a product of its warpgroup. a: a descriptor, or rows g and g + 8 of the warp as floats.
struct Product {
  float* d = nullptr;  // (n / 8, 4)
  int32_t n = 0;
  Elements elements = Elements::kBF16;
  uint64_t a = 0, b = 0;
  bool across = false, more = false, has_rows = false;
  float rows[2][16] = {};
  int32_t group = 0;
};

// Address of the block's dynamic shared memory: aligned to 128 bytes and to no more.
constexpr uint32_t kSharedBase = 0x480;

// Where this is called from. Not inlined: everything between here and the kernel is.
__attribute__((noinline)) inline const void* place() { return __builtin_return_address(0); }

enum class Wait : uint8_t { kNone, kBarrier, kWarp, kPhase, kSome, kEnded };

struct Fiber {
  void* stack_pointer = nullptr;
  void* stack = nullptr;  // lowest address
  Dim thread;             // threadIdx
  uint32_t index = 0;     // within the block
  Wait waits = Wait::kNone;
  int32_t copy_group = 0;
  std::vector<PendingCopy> copies;
  const uint64_t* phases = nullptr;  // waited for
  uint32_t some = 0;                 // barrier of some warps, waited for
  int32_t product_group = 0;
  std::vector<Product> products;
  bool may_multiply = false;
  void* sanitizer_stack = nullptr;
};

// Slots are doubled: a lane may enter the next operation while others still read the last one.
struct Warp {
  uint32_t ready = 0;    // lanes that can go on
  uint32_t alive = 0;
  uint32_t arrived = 0;
  uint32_t turn = 0;
  WarpOp op = WarpOp::kSync;
  alignas(64) uint8_t slots[2][kLanes][kSlotBytes];
};

class Block {
 public:
  Dim index, dim, grid;

  // Runs all threads of block `index`. Returns what went wrong.
  std::string run(const Launch& launch, const Entry& entry, void** arguments, const Schedule& schedule);

  void barrier();
  // Publishes `bytes` of this lane and meets the other lanes of its warp; the last to come calls finish(slots) once, which
  // may replace what lies there. Returns the slots, good until the operation after the next.
  template <typename Finish>
  __attribute__((always_inline)) uint8_t (*meet(WarpOp op, const void* value, size_t bytes, const Finish& finish))[kSlotBytes] {
    Warp& warp = warp_of_current();
    uint8_t(*slots)[kSlotBytes] = warp.slots[warp.turn];
    std::memcpy(slots[current_->index % kLanes], value, bytes);
    if (stays_away(place())) return slots;
    if (arrive(warp, op)) {
      finish(slots);
      release(warp);
    } else {
      wait_for_warp();
    }
    return slots;
  }

  // How many groups a wait for copies leaves under way.
  int32_t groups_left(int32_t groups, const void* place);

  // By kind of fault: the places that were come to, by address.
  std::vector<const void*> places[5];

  // Hopper's words: hopper_words.h.
  void phases_init(uint64_t* barrier, uint32_t arrivals);
  void phase_arrive(uint64_t* barrier, int32_t bytes);
  void phase_wait(uint64_t* barrier, uint32_t parity, const void* place);
  void copy_box(const PendingBox& box);
  void sync_some(uint32_t id, uint32_t threads, const void* place);
  void products_begin();
  void start_product(const Product& product);
  void products_wait(int32_t groups, const void* place);

  Fiber& current() { return *current_; }
  uint8_t* shared() { return shared_start_; }
  bool eager_copies() const { return schedule_.copies == Copies::kEager; }

  void run_thread();  // the body of every fiber

 private:
  Warp& warp_of_current() { return warps_[current_->index / kLanes]; }
  bool is_faulty(Fault fault, const void* place);
  bool stays_away(const void* place);
  bool arrive(Warp& warp, WarpOp op);  // true for the last lane
  void release(Warp& warp);
  void wait_for_warp();
  void release_barrier();
  void settle_phase(uint64_t* barrier, int32_t arrivals, int32_t bytes);
  bool land_one();
  void land(const PendingBox& box);
  void multiply(const Product& product);
  void prepare(const Launch& launch);
  void leave(Wait reason);  // goes to the next fiber that can go on, or to the caller of run
  Fiber* next();
  uint32_t pick(uint32_t n);  // below n, from the schedule's seed
  Fiber* lane_of(uint32_t warp, uint32_t from_lane);
  void switch_to(Fiber* from, Fiber* to);
  void fail(const std::string& what);
  std::string waiting() const;

  Schedule schedule_;
  const Entry* entry_ = nullptr;
  void** arguments_ = nullptr;
  std::vector<Fiber> fibers_;
  std::vector<Warp> warps_;
  std::vector<uint8_t> shared_;
  uint8_t* shared_start_ = nullptr;
  uint32_t shared_bytes_ = 0;
  Fiber* current_ = nullptr;
  Fiber main_;
  uint32_t n_ = 0, ended_ = 0, at_barrier_ = 0, busy_warp_ = 0;
  uint32_t at_some_[16] = {};
  std::vector<PendingBox> boxes_;
  uint64_t random_ = 1;
  std::string failure_;
};

std::string index_text(const Dim& index);

// The block that this OS thread runs.
Block& block();

}  // namespace chasqui::cuda::shim
