// Fibers by hand: a switch saves six registers and a stack pointer. x86-64 and aarch64, System V calling conventions.
#include "block.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <pthread.h>
#define CHASQUI_ASAN 1
#endif

extern "C" void chasqui_shim_switch(void** save, void* to);
extern "C" void chasqui_shim_start();

#if defined(__x86_64__)
asm(R"(
.text
.globl chasqui_shim_switch
.hidden chasqui_shim_switch
chasqui_shim_switch:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
)");
#elif defined(__aarch64__)
asm(R"(
.text
.globl chasqui_shim_switch
.hidden chasqui_shim_switch
chasqui_shim_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
)");
#else
#error "The CPU shim switches fibers on x86-64 and aarch64 only."
#endif

namespace chasqui::cuda::shim {

namespace {

constexpr size_t kStack = 64 * 1024;
constexpr uint32_t kAbsentLane = 5;  // of a divergent operation
constexpr size_t kGuard = 256;  // behind shared memory
constexpr uint8_t kNothing = 0xFF;  // four of them are a NaN, two a bf16 NaN

// Stacks of all fibers, claimed once; pages are committed when they are first touched.
uint8_t* stacks() {
  thread_local uint8_t* memory = [] {
    void* mapped = mmap(nullptr, kStack * kMaxThreads, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) std::abort();
    return static_cast<uint8_t*>(mapped);
  }();
  return memory;
}

void* first_frame(uint8_t* stack, uint32_t index) {
  // Stacks that all begin at the same cache set would fight for it.
  uintptr_t top = reinterpret_cast<uintptr_t>(stack + kStack) - (index % 32) * 64;
  top &= ~uintptr_t{63};
#if defined(__x86_64__)
  auto** frame = reinterpret_cast<void**>(top);
  *--frame = nullptr;
  *--frame = reinterpret_cast<void*>(&chasqui_shim_start);
  for (int i = 0; i < 6; i++) *--frame = nullptr;
  return frame;
#else
  auto** frame = reinterpret_cast<void**>(top - 160);
  for (int i = 0; i < 20; i++) frame[i] = nullptr;
  frame[11] = reinterpret_cast<void*>(&chasqui_shim_start);
  return frame;
#endif
}

#ifdef CHASQUI_ASAN
struct StackBounds {
  void* low = nullptr;
  size_t bytes = 0;
};

// Of the OS thread's own stack.
const StackBounds& own_stack() {
  thread_local const StackBounds bounds = [] {
    StackBounds found;
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) std::abort();
    pthread_attr_getstack(&attributes, &found.low, &found.bytes);
    pthread_attr_destroy(&attributes);
    return found;
  }();
  return bounds;
}
#endif

}  // namespace

Block& block() {
  thread_local Block one;
  return one;
}

std::string Block::run(const Launch& launch, const Entry& entry, void** arguments, const Schedule& schedule) {
  schedule_ = schedule;
  entry_ = &entry;
  arguments_ = arguments;
  failure_.clear();
  prepare(launch);
  current_ = &main_;
  switch_to(&main_, next());
  current_ = nullptr;
  const uint8_t* guard = shared_start_ + shared_bytes_;
  if (failure_.empty() && std::any_of(guard, guard + kGuard, [](uint8_t byte) { return byte != kNothing; })) {
    failure_ = std::string(launch.kernel) + " wrote behind its shared memory of " + std::to_string(shared_bytes_) + " bytes.";
  }
  return failure_;
}

void Block::prepare(const Launch& launch) {
  n_ = dim.x * dim.y * dim.z;
  ended_ = at_barrier_ = busy_warp_ = 0;
  std::fill(std::begin(at_some_), std::end(at_some_), 0u);
  boxes_.clear();
  random_ = schedule_.seed * 0x9E3779B97F4A7C15u + index.x * 0x85EBCA77u + index.y * 0xC2B2AE3Du + index.z + 1;
  shared_bytes_ = launch.shared_bytes;
  shared_.assign(shared_bytes_ + kGuard + 128, kNothing);
  shared_start_ = reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(shared_.data()) + 127) & ~uintptr_t{127});
  fibers_.resize(n_);
  warps_.resize((n_ + kLanes - 1) / kLanes);
  for (Warp& warp : warps_) warp.ready = warp.alive = warp.arrived = warp.turn = 0;
  for (uint32_t i = 0; i < n_; i++) {
    Fiber& fiber = fibers_[i];
    fiber.stack = stacks() + kStack * i;
    fiber.stack_pointer = first_frame(static_cast<uint8_t*>(fiber.stack), i);
    fiber.thread = {i % dim.x, i / dim.x % dim.y, i / (dim.x * dim.y)};
    fiber.index = i;
    fiber.waits = Wait::kNone;
    fiber.copy_group = 0;
    fiber.copies.clear();
    fiber.product_group = 0;
    fiber.products.clear();
    fiber.may_multiply = false;
    fiber.sanitizer_stack = nullptr;
    warps_[i / kLanes].alive |= 1u << i % kLanes;
    warps_[i / kLanes].ready |= 1u << i % kLanes;
#ifdef CHASQUI_ASAN
    ASAN_UNPOISON_MEMORY_REGION(fiber.stack, kStack);
#endif
  }
}

void Block::run_thread() {
#ifdef CHASQUI_ASAN
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
  entry_->call(entry_->kernel, arguments_);
  Warp& warp = warp_of_current();
  warp.alive &= ~(1u << current_->index % kLanes);
  ended_++;
  if (at_barrier_ > 0 && at_barrier_ == n_ - ended_) release_barrier();
  leave(Wait::kEnded);
  std::abort();  // nobody comes back to a thread that has ended
}

bool Block::is_faulty(Fault fault, const void* place) {
  if (schedule_.fault != fault) return false;
  std::vector<const void*>& known = places[static_cast<size_t>(fault)];
  const auto found = std::find(known.begin(), known.end(), place);
  const auto index = static_cast<int32_t>(found - known.begin());
  if (found == known.end()) known.push_back(place);
  return schedule_.fault_place == index;
}

void Block::barrier() {
  if (is_faulty(Fault::kNoBarrier, __builtin_return_address(0))) return;
  if (++at_barrier_ == n_ - ended_) {
    release_barrier();
    return;
  }
  leave(Wait::kBarrier);
}

void Block::release_barrier() {
  at_barrier_ = 0;
  for (Fiber& fiber : fibers_) {
    if (fiber.waits != Wait::kBarrier) continue;
    fiber.waits = Wait::kNone;
    warps_[fiber.index / kLanes].ready |= 1u << fiber.index % kLanes;
  }
}

bool Block::stays_away(const void* place) {
  return is_faulty(Fault::kDivergentLane, place) && current_->index % kLanes == kAbsentLane;
}

bool Block::arrive(Warp& warp, WarpOp op) {
  if (warp.arrived == 0) {
    warp.op = op;
  } else if (warp.op != op) {
    fail("Lanes of warp " + std::to_string(current_->index / kLanes) + " meet in different operations.");
  }
  warp.arrived |= 1u << current_->index % kLanes;
  return warp.arrived == ~0u;
}

int32_t Block::groups_left(int32_t groups, const void* place) {
  return is_faulty(Fault::kShortWait, place) ? groups + 1 : groups;
}

void Block::release(Warp& warp) {
  warp.arrived = 0;
  warp.turn ^= 1;
  warp.ready = ~0u;
  const uint32_t first = current_->index / kLanes * kLanes;
  for (uint32_t lane = 0; lane < kLanes; lane++) fibers_[first + lane].waits = Wait::kNone;
}

void Block::wait_for_warp() { leave(Wait::kWarp); }

void Block::leave(Wait reason) {
  Fiber* from = current_;
  from->waits = reason;
  warp_of_current().ready &= ~(1u << from->index % kLanes);
  Fiber* to = next();
  while (to == nullptr && land_one()) to = next();
  if (to == nullptr) {
    if (ended_ < n_) fail("Threads wait for each other: " + waiting());
    to = &main_;
  }
  switch_to(from, to);
}

Fiber* Block::next() {
  const uint32_t n_warps = static_cast<uint32_t>(warps_.size());
  const uint32_t here = current_ == &main_ ? 0 : current_->index / kLanes;
  const uint32_t lane = current_ == &main_ ? 0 : current_->index % kLanes;
  if (schedule_.order == Order::kShuffled) {
    const uint32_t first = pick(n_warps);
    for (uint32_t i = 0; i < n_warps; i++) {
      if (Fiber* fiber = lane_of((first + i) % n_warps, pick(kLanes))) return fiber;
    }
    return nullptr;
  }
  if (schedule_.order == Order::kWarpGreedy) {
    if (Fiber* fiber = lane_of(here, lane)) return fiber;
    const uint32_t first = pick(n_warps);
    for (uint32_t i = 0; i < n_warps; i++) {
      if (Fiber* fiber = lane_of((first + i) % n_warps, 0)) return fiber;
    }
    return nullptr;
  }
  if (lane + 1 < kLanes && warps_[here].ready >> (lane + 1) != 0) return lane_of(here, lane + 1);
  for (uint32_t i = 1; i <= n_warps; i++) {
    if (Fiber* fiber = lane_of((here + i) % n_warps, 0)) return fiber;
  }
  return nullptr;
}

// The first ready lane of a warp from `from_lane` on, in a circle.
Fiber* Block::lane_of(uint32_t warp, uint32_t from_lane) {
  const uint32_t ready = warps_[warp].ready;
  if (ready == 0) return nullptr;
  const uint32_t turned = std::rotr(ready, static_cast<int>(from_lane));
  const uint32_t lane = (static_cast<uint32_t>(std::countr_zero(turned)) + from_lane) % kLanes;
  return &fibers_[warp * kLanes + lane];
}

uint32_t Block::pick(uint32_t n) {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return static_cast<uint32_t>((random_ >> 32) * n >> 32);
}

void Block::switch_to(Fiber* from, Fiber* to) {
  current_ = to;
  if (from == to) return;
#ifdef CHASQUI_ASAN
  const bool to_main = to == &main_;
  void** saved = from->waits == Wait::kEnded ? nullptr : &from->sanitizer_stack;
  __sanitizer_start_switch_fiber(saved, to_main ? own_stack().low : to->stack, to_main ? own_stack().bytes : kStack);
#endif
  chasqui_shim_switch(&from->stack_pointer, to->stack_pointer);
#ifdef CHASQUI_ASAN
  __sanitizer_finish_switch_fiber(from->sanitizer_stack, nullptr, nullptr);
#endif
}

// Gives up the block: fibers are left where they are, and their stacks are used again by the next one.
void Block::fail(const std::string& what) {
  failure_ = "Block " + index_text(index) + ": " + what;
  Fiber* from = current_;
  from->waits = Wait::kEnded;
  switch_to(from, &main_);
}

std::string Block::waiting() const {
  std::string text;
  int listed = 0;
  for (const Fiber& fiber : fibers_) {
    if (fiber.waits == Wait::kNone || fiber.waits == Wait::kEnded) continue;
    if (listed++ == 8) return text + ", ...";
    text += (text.empty() ? "thread " : ", thread ") + std::to_string(fiber.index) +
            (fiber.waits == Wait::kBarrier ? " at __syncthreads"
             : fiber.waits == Wait::kPhase ? " at a barrier with phases"
             : fiber.waits == Wait::kSome  ? " at a barrier of some warps"
                                           : " in an operation of its warp");
  }
  return text;
}

}  // namespace chasqui::cuda::shim

// Called on a fiber's first switch.
extern "C" void chasqui_shim_start() { chasqui::cuda::shim::block().run_thread(); }
