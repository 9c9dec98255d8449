// y = W x for many rows on Hopper: the sibling of gemm.cuh for bf16 weights, with the same arguments and endings. Never run:
// compiled for sm_90a only, by a machine without a GPU. It is used where Target::untried says so and nowhere else, until a
// device has compared it with its sibling.
//
// A block makes 128 weight rows by 256 rows of the step, each of two warpgroups 64 by 256 with wgmma.m64n128k16 from shared
// memory. Both operands lie there in rows of 128 bytes whose 16-byte pieces are turned within every eight rows (the 128-byte
// swizzle of the descriptors). They come through cp.async, two stages ahead; TMA would free the threads from that.
#include "gemm.cuh"
#include "linear.h"

namespace chasqui::cuda {

#ifdef __CUDACC__

namespace {

constexpr int kThreads = 256;
constexpr int kRows = 128;      // of the weights
constexpr int kColumns = 256;   // of the step
constexpr int kStages = 4;
[[maybe_unused]] constexpr int kAhead = 2;  // stages: one is worked on, one may still be read by the other warpgroup
constexpr int kStep = 64;       // inputs of a stage: 128 bytes
constexpr int kWeightBytes = kRows * kStep * 2;
constexpr int kStageBytes = kWeightBytes + kColumns * kStep * 2;
constexpr int kAlign = 1024;    // of eight swizzled rows
constexpr int kSharedBytes = kStages * kStageBytes + kAlign;

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// A matrix in shared memory: rows of 128 bytes, eight of them 1024 bytes from the next eight, 128-byte swizzle.
__device__ __forceinline__ uint64_t descriptor(const void* matrix) {
  const uint64_t address = static_cast<uint32_t>(__cvta_generic_to_shared(matrix));
  return (address & 0x3ffff) >> 4 | uint64_t{1} << 16 | uint64_t{1024 >> 4} << 32 | uint64_t{1} << 62;
}

// d (64, 128) = a (64, 16) b (128, 16)^T, added to what it was if `more`; lane and warp hold of d what mma.m16n8k16 gives them, 16 rows to a warp.
__device__ __forceinline__ void wgmma(float (&d)[16][4], uint64_t a, uint64_t b, int32_t more) {
  asm volatile(
      "{.reg .pred more; setp.ne.b32 more, %66, 0;"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
        "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
        "%64, %65, more, 1, 1, 0, 0;}"
      :
        "+f"(d[0][0]), "+f"(d[0][1]), "+f"(d[0][2]), "+f"(d[0][3]),
        "+f"(d[1][0]), "+f"(d[1][1]), "+f"(d[1][2]), "+f"(d[1][3]),
        "+f"(d[2][0]), "+f"(d[2][1]), "+f"(d[2][2]), "+f"(d[2][3]),
        "+f"(d[3][0]), "+f"(d[3][1]), "+f"(d[3][2]), "+f"(d[3][3]),
        "+f"(d[4][0]), "+f"(d[4][1]), "+f"(d[4][2]), "+f"(d[4][3]),
        "+f"(d[5][0]), "+f"(d[5][1]), "+f"(d[5][2]), "+f"(d[5][3]),
        "+f"(d[6][0]), "+f"(d[6][1]), "+f"(d[6][2]), "+f"(d[6][3]),
        "+f"(d[7][0]), "+f"(d[7][1]), "+f"(d[7][2]), "+f"(d[7][3]),
        "+f"(d[8][0]), "+f"(d[8][1]), "+f"(d[8][2]), "+f"(d[8][3]),
        "+f"(d[9][0]), "+f"(d[9][1]), "+f"(d[9][2]), "+f"(d[9][3]),
        "+f"(d[10][0]), "+f"(d[10][1]), "+f"(d[10][2]), "+f"(d[10][3]),
        "+f"(d[11][0]), "+f"(d[11][1]), "+f"(d[11][2]), "+f"(d[11][3]),
        "+f"(d[12][0]), "+f"(d[12][1]), "+f"(d[12][2]), "+f"(d[12][3]),
        "+f"(d[13][0]), "+f"(d[13][1]), "+f"(d[13][2]), "+f"(d[13][3]),
        "+f"(d[14][0]), "+f"(d[14][1]), "+f"(d[14][2]), "+f"(d[14][3]),
        "+f"(d[15][0]), "+f"(d[15][1]), "+f"(d[15][2]), "+f"(d[15][3])
      : "l"(a), "l"(b), "r"(more));
}

// Nothing that reads d may come before this.
__device__ __forceinline__ void settle(float (&d)[16][4]) {
#pragma unroll
  for (int i = 0; i < 64; i++) asm volatile("" : "+f"(d[i / 4][i % 4])::"memory");
}

struct Wgmma {
  const GemmArguments& a;
  uint8_t* const shared;
  const uint32_t group = threadIdx.x / 128, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int32_t first_tile = static_cast<int32_t>(blockIdx.x) * (kRows / 16);
  const int32_t first_column = static_cast<int32_t>(blockIdx.y) * kColumns;

  __device__ __forceinline__ uint8_t* stage(int32_t step) const { return shared + step % kStages * kStageBytes; }

  // Row `row` of a matrix of rows of 128 bytes.
  __device__ __forceinline__ static uint8_t* piece_at(uint8_t* matrix, int32_t row, int32_t piece) {
    return matrix + row * 128 + (piece ^ (row & 7)) * 16;
  }

  __device__ __forceinline__ void copy_weights(int32_t step) const {
    for (int32_t i = static_cast<int32_t>(threadIdx.x); i < kRows * 8; i += kThreads) {
      const int32_t row = i / 8, piece = i % 8;
      const int32_t tile = first_tile + row / 16 < a.tiles ? first_tile + row / 16 : a.tiles - 1;
      int32_t from = a.weights.map.base(tile) + row % 8 + (row % 16 >= 8 ? a.weights.map.delta : 0);
      if (from >= a.weights.out) from = a.weights.out - 1;
      copy_16(piece_at(stage(step), row, piece),
              static_cast<const uint16_t*>(a.weights.codes) + static_cast<int64_t>(from) * a.weights.in + step * kStep + piece * 8);
    }
  }

  __device__ __forceinline__ void copy_inputs(int32_t step) const {
    for (int32_t i = static_cast<int32_t>(threadIdx.x); i < kColumns * 8; i += kThreads) {
      const int32_t column = i / 8, piece = i % 8;
      const int32_t row = first_column + column < a.rows ? first_column + column : a.rows - 1;
      copy_16(piece_at(stage(step) + kWeightBytes, column, piece),
              a.input + static_cast<int64_t>(row) * a.weights.in + step * kStep + piece * 8);
    }
  }

  __device__ __forceinline__ void multiply(int32_t step, int32_t more, float (&left)[16][4], float (&right)[16][4]) const {
    const uint64_t weights = descriptor(stage(step) + group * 64 * 128);
    const uint64_t inputs = descriptor(stage(step) + kWeightBytes);
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
    for (int k = 0; k < kStep / 16; k++) {
      // 16 inputs are 32 bytes further; 128 rows 16 KiB.
      wgmma(left, weights + k * 2, inputs + k * 2, more || k > 0);
      wgmma(right, weights + k * 2, inputs + k * 2 + (128 * 128 >> 4), more || k > 0);
    }
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
  }

  __device__ __forceinline__ void finish(const float (&total)[16][4], int32_t column, int32_t live) const {
    const int32_t tile = first_tile + static_cast<int32_t>(warp);
    if (tile >= a.tiles) return;
    const int32_t base = a.weights.map.base(tile);
#pragma unroll
    for (int n = 0; n < 16; n++) {
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const int32_t row = first_column + column + n * 8 + static_cast<int32_t>(lane % 4) * 2 + e;
        if (row < live) finish_pair(a.ending, row, base, a.weights.map.delta, static_cast<int32_t>(lane / 4), total[n][e], total[n][e + 2]);
      }
    }
  }

  __device__ __forceinline__ void run() const {
    const int32_t steps = a.weights.steps;
    for (int32_t i = 0; i < kAhead && i < steps; i++) copy_weights(i);
    let_next_start();
    wait_for_earlier();
    const int32_t live = live_rows(a.ending, a.rows);
    if (first_column >= live) return;
    for (int32_t i = 0; i < kAhead; i++) {
      if (i < steps) copy_inputs(i);
      copies_commit();
    }
    float left[16][4], right[16][4];  // the first product sets them
    for (int32_t step = 0; step < steps; step++) {
      copies_wait<kAhead - 1>();
      asm volatile("fence.proxy.async;" ::: "memory");  // what cp.async wrote, for wgmma to read
      __syncthreads();  // this stage is there for all; both groups are through with the one before the last
      if (step + kAhead < steps) {
        copy_weights(step + kAhead);
        copy_inputs(step + kAhead);
      }
      copies_commit();
      multiply(step, step > 0, left, right);
      asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
    }
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
    settle(left);
    settle(right);
    finish(left, 0, live);
    finish(right, 128, live);
  }
};

#endif

__global__ void __launch_bounds__(kThreads, 1) gemm_wgmma_kernel(GemmArguments arguments) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  uint8_t* memory = shared_memory();
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(memory));
  Wgmma{arguments, memory + (kAlign - address % kAlign) % kAlign}.run();
#else
  (void)arguments;
#endif
}

}  // namespace

bool gemm_wgmma(const Target& target, const GemmArguments& arguments) {
  if (target.limits.capability != 90 || target.limits.shared_per_block < kSharedBytes) return false;
  Launch launch;
  launch.kernel = "gemm_wgmma_bf16";
  launch.grid = {static_cast<uint32_t>((arguments.tiles + kRows / 16 - 1) / (kRows / 16)),
                 static_cast<uint32_t>((arguments.rows + kColumns - 1) / kColumns), 1};
  launch.block.x = kThreads;
  launch.shared_bytes = kSharedBytes;
  launch.overlaps = true;
  start(*target.stream, launch, gemm_wgmma_kernel, arguments);
  return true;
}

#else

bool gemm_wgmma(const Target&, const GemmArguments&) { return false; }

#endif

}  // namespace chasqui::cuda
