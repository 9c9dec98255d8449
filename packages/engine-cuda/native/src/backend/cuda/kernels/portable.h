// The only header through which kernels speak to the machine: the words of CUDA, and the instructions that C++ has no word
// for, each once for nvcc and once for the CPU shim. Fragments lie in registers exactly as PTX describes mma.m16n8k16.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "launch.h"

#ifdef __CUDACC__
#include <cuda_runtime.h>
#else
#include "../shim/device_words.h"
#endif

#define DEVICE __device__ __forceinline__

// Before a loop whose body nvcc is to write out.
#ifdef __CUDACC__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL
#endif

namespace chasqui::cuda {

// ---- launching ----

template <typename... P>
void start(Stream& stream, const Launch& launch, void (*kernel)(P...), std::type_identity_t<P>... arguments) {
  void* addresses[] = {&arguments...};
#ifdef __CUDACC__
  stream.launch(launch, reinterpret_cast<const void*>(kernel), addresses);
#else
  static constexpr uint32_t kBytes[] = {static_cast<uint32_t>(sizeof(P))...};
  stream.launch(launch, shim::entry_of({reinterpret_cast<void (*)()>(kernel), &shim::Call<P...>::run, kBytes, sizeof...(P)}), addresses);
#endif
}

// Dynamic shared memory of the block, 128-byte aligned.
DEVICE uint8_t* shared_memory() {
#ifdef __CUDACC__
  extern __shared__ __align__(128) uint8_t shared_bytes[];
  return shared_bytes;
#else
  return shim::block().shared();
#endif
}

// Programmatic dependent launch. Before `wait_for_earlier` a kernel may only read what no kernel writes: weights.
DEVICE void wait_for_earlier() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
DEVICE void let_next_start() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// ---- numbers ----

template <typename To, typename From>
DEVICE To bits_as(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
}

DEVICE float float_of(uint16_t bf16) { return bits_as<float>(static_cast<uint32_t>(bf16) << 16); }
DEVICE float low_of(uint32_t pair) { return bits_as<float>(pair << 16); }
DEVICE float high_of(uint32_t pair) { return bits_as<float>(pair & 0xffff0000u); }

// Nearest, ties to even.
DEVICE uint16_t bf16_of(float value) {
#ifdef __CUDACC__
  uint16_t bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
#else
  const uint32_t bits = bits_as<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fff;
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
#endif
}

// low in bits 0-15.
DEVICE uint32_t bf16_pair(float low, float high) {
#ifdef __CUDACC__
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#else
  return bf16_of(low) | static_cast<uint32_t>(bf16_of(high)) << 16;
#endif
}

// a * b + c on pairs of bf16.
DEVICE uint32_t fma_pair(uint32_t a, uint32_t b, uint32_t c) {
#ifdef __CUDACC__
  uint32_t d;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
#else
  return bf16_pair(low_of(a) * low_of(b) + low_of(c), high_of(a) * high_of(b) + high_of(c));
#endif
}

DEVICE float half_to_float(uint16_t half) {
#ifdef __CUDACC__
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
  return value;
#else
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t exponent = half >> 10 & 31, mantissa = half & 1023;
  if (exponent == 31) return bits_as<float>(sign | 0x7f800000u | mantissa << 13);
  if (exponent == 0) return (sign != 0 ? -1.0f : 1.0f) * static_cast<float>(mantissa) * 0x1p-24f;
  return bits_as<float>(sign | (exponent + 112) << 23 | mantissa << 13);
#endif
}

// a & b | c in one instruction.
DEVICE uint32_t and_or(uint32_t a, uint32_t b, uint32_t c) {
#ifdef __CUDACC__
  uint32_t d;
  asm("lop3.b32 %0, %1, %2, %3, 0xEA;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
#else
  return (a & b) | c;
#endif
}

DEVICE float exp_2(float x) {
#ifdef __CUDACC__
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return exp2f(x);
#endif
}

DEVICE float silu(float x) { return x / (1.0f + exp_2(-1.4426950408889634f * x)); }

// ---- warps ----

constexpr uint32_t kAllLanes = 0xffffffffu;

#ifdef __CUDACC__
DEVICE void sync_warp() { __syncwarp(); }
template <typename T>
DEVICE T shuffle(T value, uint32_t from) {
  return __shfl_sync(kAllLanes, value, static_cast<int>(from));
}
template <typename T>
DEVICE T shuffle_xor(T value, uint32_t with) {
  return __shfl_xor_sync(kAllLanes, value, static_cast<int>(with));
}
DEVICE uint32_t ballot(bool yes) { return __ballot_sync(kAllLanes, yes); }
DEVICE float warp_sum(float value) {
UNROLL
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(kAllLanes, value, offset);
  return value;
}
DEVICE float warp_max(float value) {
UNROLL
  for (int offset = 16; offset > 0; offset /= 2) value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, offset));
  return value;
}
#else
__attribute__((always_inline)) inline void sync_warp() {
  uint32_t nothing = 0;
  shim::block().meet(shim::WarpOp::kSync, &nothing, 0, shim::Unchanged{});
}
template <typename T>
__attribute__((always_inline)) inline T shuffle(T value, uint32_t from) {
  return shim::shuffle(value, from);
}
template <typename T>
__attribute__((always_inline)) inline T shuffle_xor(T value, uint32_t with) {
  return shim::shuffle(value, shim::lane() ^ with);
}
__attribute__((always_inline)) inline uint32_t ballot(bool yes) {
  const uint32_t bit = yes ? 1 : 0;
  const auto slots = shim::block().meet(shim::WarpOp::kBallot, &bit, 4, shim::Unchanged{});
  uint32_t all = 0;
  for (uint32_t i = 0; i < 32; i++) all |= shim::read_slot<uint32_t>(slots[i]) << i;
  return all;
}
__attribute__((always_inline)) inline float warp_sum(float value) {
  return shim::butterfly(shim::WarpOp::kSum, value, [](float a, float b) { return a + b; });
}
__attribute__((always_inline)) inline float warp_max(float value) {
  return shim::butterfly(shim::WarpOp::kMax, value, [](float a, float b) { return fmaxf(a, b); });
}
#endif

// ---- tensor cores ----

// d (16, 8) += a (16, 16) b (16, 8), bf16 to float. Lane 4 g + t holds
//   a: (g, 2t) (g + 8, 2t) (g, 2t + 8) (g + 8, 2t + 8), each with its right neighbour; b: (2t, g) (2t + 8, g), each with the
//   one below; d: (g, 2t) (g, 2t + 1) (g + 8, 2t) (g + 8, 2t + 1).
DEVICE void mma(float (&d)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
#ifdef __CUDACC__
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
#else
  uint32_t words[10] = {a0, a1, a2, a3, b0, b1};
  __builtin_memcpy(words + 6, d, 16);
  const auto slots = shim::block().meet(shim::WarpOp::kMma, words, sizeof words, shim::multiply_fragments);
  __builtin_memcpy(d, slots[shim::lane()] + 24, 16);
#endif
}

// Four 8 x 8 matrices of 16-bit elements from shared memory; lane l gives the address of row l % 8 of matrix l / 8, 16
// bytes. Lane 4 g + t gets (g, 2t) and (g, 2t + 1) of each; transposed: (2t, g) and (2t + 1, g).
DEVICE void load_matrices(uint32_t (&words)[4], const void* row) {
#ifdef __CUDACC__
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3]) : "r"(address) : "memory");
#else
  shim::load_matrices(row, false, words);
#endif
}
DEVICE void load_matrices_transposed(uint32_t (&words)[4], const void* row) {
#ifdef __CUDACC__
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3]) : "r"(address) : "memory");
#else
  shim::load_matrices(row, true, words);
#endif
}

// ---- memory ----

// Copies to shared memory behind the thread's back. What a thread started is there for that thread after `copies_wait`,
// for others after a barrier behind that.
DEVICE void copy_16(void* to, const void* from) {
#ifdef __CUDACC__
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(from) : "memory");
#else
  shim::start_copy(to, from, 16, 0);
#endif
}
// Sixteen zeros unless `there`; `from` is then not read.
DEVICE void copy_16_or_zeros(void* to, const void* from, bool there) {
#ifdef __CUDACC__
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  const int32_t bytes = there ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(bytes) : "memory");
#else
  shim::start_copy(to, from, there ? 16 : 0, there ? 0 : 16);
#endif
}
DEVICE void copy_8(void* to, const void* from) {
#ifdef __CUDACC__
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(address), "l"(from) : "memory");
#else
  shim::start_copy(to, from, 8, 0);
#endif
}
// Ends a group of copies, also an empty one.
DEVICE void copies_commit() {
#ifdef __CUDACC__
  asm volatile("cp.async.commit_group;" ::: "memory");
#else
  shim::end_copy_group();
#endif
}
// Waits until at most `kGroupsLeft` of this thread's groups are under way.
template <int kGroupsLeft>
DEVICE void copies_wait() {
#ifdef __CUDACC__
  asm volatile("cp.async.wait_group %0;" ::"n"(kGroupsLeft) : "memory");
#else
  shim::wait_for_copies(kGroupsLeft);
#endif
}

// Past the first cache, for what other blocks wrote in this kernel.
DEVICE float load_shared_by_blocks(const float* from) {
#ifdef __CUDACC__
  return __ldcg(from);
#else
  return *from;
#endif
}
DEVICE void fence_device() {
#ifdef __CUDACC__
  __threadfence();
#endif
}
// The value before.
DEVICE uint32_t atomic_add(uint32_t* to, uint32_t amount) {
#ifdef __CUDACC__
  return atomicAdd(to, amount);
#else
  return __atomic_fetch_add(to, amount, __ATOMIC_ACQ_REL);
#endif
}

}  // namespace chasqui::cuda
