// See bench_peak.h. Operands are small random numbers: on zeros a device runs cooler and faster than on any real work.
#include "bench_peak.h"

#include "src/backend/cuda/kernels/portable.h"

namespace chasqui::gpu {

namespace {

using namespace chasqui::cuda;

constexpr uint32_t kThreads = 256;
constexpr int32_t kTiles = 8;                                  // independent products of a warp
constexpr double kMmaFlops = 2.0 * 16 * 8 * 16;
constexpr double kWgmmaFlops = 2.0 * 64 * 128 * 16;
constexpr uint32_t kGroupBytes = 64 * 16 * 2 + 128 * 16 * 2;  // operands of four warps

// Two bf16 between -0.5 and 0.5.
DEVICE uint32_t small_pair(uint32_t seed) {
  seed = seed * 747796405u + 2891336453u;
  seed = (seed >> 16 ^ seed) * 277803737u;
  return (seed & 0x807f807fu) | 0x3e803e80u;
}

__global__ void __launch_bounds__(kThreads) mma_peak_kernel(float* out, int32_t rounds) {
  uint32_t a[4], b[2];
  for (uint32_t i = 0; i < 4; i++) a[i] = small_pair(threadIdx.x * 8 + i);
  for (uint32_t i = 0; i < 2; i++) b[i] = small_pair(threadIdx.x * 8 + 4 + i);
  float sums[kTiles][4] = {};
  for (int32_t round = 0; round < rounds; round++) {
UNROLL
    for (int32_t tile = 0; tile < kTiles; tile++) mma(sums[tile], a[0], a[1], a[2], a[3], b[0], b[1]);
  }
  float sum = 0.0f;
  for (int32_t tile = 0; tile < kTiles; tile++) sum += sums[tile][0] + sums[tile][3];
  sum = warp_sum(sum);
  if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

#ifdef __CUDACC__

#define R8(n) "%" #n "0,%" #n "1,%" #n "2,%" #n "3,%" #n "4,%" #n "5,%" #n "6,%" #n "7,%" #n "8,%" #n "9,"
#define F4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define F16(i) F4(i), F4(i + 4), F4(i + 8), F4(i + 12)

[[maybe_unused]] DEVICE void wgmma_128(float (&d)[64], uint64_t a, uint64_t b) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9," R8(1) R8(2) R8(3) R8(4)
      R8(5) "%60,%61,%62,%63}, %64, %65, 1, 1, 1, 0, 0;"
      : F16(0), F16(16), F16(32), F16(48)
      : "l"(a), "l"(b));
#endif
}

// A matrix in shared memory without a swizzle: 8 x 8 pieces of 128 bytes, neighbours along k 128 bytes apart, along rows 256.
[[maybe_unused]] DEVICE uint64_t descriptor(const void* shared) {
  const auto address = static_cast<uint64_t>(__cvta_generic_to_shared(shared));
  return (address & 0x3ffff) >> 4 | uint64_t{128 >> 4} << 16 | uint64_t{256 >> 4} << 32;
}

__global__ void __launch_bounds__(kThreads) wgmma_peak_kernel(float* out, int32_t rounds) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  uint8_t* mine = shared_memory() + threadIdx.x / 128 * kGroupBytes;
  for (uint32_t i = threadIdx.x % 128; i < kGroupBytes / 4; i += 128) reinterpret_cast<uint32_t*>(mine)[i] = small_pair(i);
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  __syncthreads();
  const uint64_t a = descriptor(mine), b = descriptor(mine + 64 * 16 * 2);
  float sums[2][64] = {};
  for (int32_t round = 0; round < rounds; round++) {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
    wgmma_128(sums[0], a, b);
    wgmma_128(sums[1], a, b);
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
  }
  if (threadIdx.x == 0) out[blockIdx.x] = sums[0][0] + sums[1][63];
#else
  (void)out;
  (void)rounds;
#endif
}

#endif

Launch peak_launch(const char* kernel, uint32_t blocks) {
  Launch launch;
  launch.kernel = kernel;
  launch.grid.x = blocks;
  launch.block.x = kThreads;
  return launch;
}

}  // namespace

double launch_mma_peak(const Target& target, uint32_t blocks, int32_t rounds, float* out) {
  start(*target.stream, peak_launch("mma_peak", blocks), mma_peak_kernel, out, rounds);
  return kMmaFlops * kTiles * (kThreads / 32) * rounds * blocks;
}

double launch_wgmma_peak(const Target& target, uint32_t blocks, int32_t rounds, float* out) {
#ifdef __CUDACC__
  if (target.limits.capability != 90) return 0;
  Launch launch = peak_launch("wgmma_peak", blocks);
  launch.shared_bytes = 2 * kGroupBytes;
  start(*target.stream, launch, wgmma_peak_kernel, out, rounds);
  return kWgmmaFlops * 2 * (kThreads / 128) * rounds * blocks;
#else
  (void)target, (void)blocks, (void)rounds, (void)out;
  return 0;
#endif
}

}  // namespace chasqui::gpu
