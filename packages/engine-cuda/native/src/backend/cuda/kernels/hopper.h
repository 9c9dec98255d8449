// The words of Hopper that C++ and portable.h have none for: barriers with phases, tensor copies, products of whole warpgroups.
// Compiled for sm_90a, and for the CPU that stands in for a GPU (shim/hopper_words.h), so that kernels written with them run
// in tests. Whoever includes this puts what uses it between `#ifdef CHASQUI_HOPPER` and `#endif`.
#pragma once

#include "hopper_layout.h"
#include "portable.h"
#include "tensor_map.h"

#if !defined(__CUDACC__)
#define CHASQUI_HOPPER 1
#define GRID_CONSTANT
#include "../shim/hopper_words.h"
#else
#define GRID_CONSTANT __grid_constant__
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define CHASQUI_HOPPER 1
#endif
#endif

#ifdef CHASQUI_HOPPER

namespace chasqui::cuda {

// Address in shared memory, as descriptors have it.
DEVICE uint32_t shared_address(const void* memory) {
#ifdef __CUDACC__
  return static_cast<uint32_t>(__cvta_generic_to_shared(memory));
#else
  return shim::shared_address(memory);
#endif
}

// The first place from `memory` on that eight swizzled rows may begin at.
DEVICE uint8_t* aligned_shared(uint8_t* memory) { return memory + (1024 - shared_address(memory) % 1024) % 1024; }

// ---- barriers with phases: 8 bytes of shared memory ----

// A phase ends when `arrivals` threads have arrived and all bytes that they expect have come.
DEVICE void phases_init(uint64_t* barrier, uint32_t arrivals) {
#ifdef __CUDACC__
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
#else
  shim::phases_init(barrier, arrivals);
#endif
}
// After the last phases_init, by the thread that made them; a barrier of the block must follow.
DEVICE void phases_ready() {
#ifdef __CUDACC__
  asm volatile("fence.mbarrier_init.release.cluster; fence.proxy.async;" ::: "memory");
#endif
}
DEVICE void phase_arrive(uint64_t* barrier) {
#ifdef __CUDACC__
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
#else
  shim::phase_arrive(barrier, 0);
#endif
}
DEVICE void phase_arrive_expecting(uint64_t* barrier, uint32_t bytes) {
#ifdef __CUDACC__
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes) : "memory");
#else
  shim::phase_arrive(barrier, bytes);
#endif
}
// Until the phase of this parity is over.
DEVICE void phase_wait(uint64_t* barrier, uint32_t parity) {
#ifdef __CUDACC__
  asm volatile(
      "{.reg .pred over;"
      "again: mbarrier.try_wait.parity.shared::cta.b64 over, [%0], %1;"
      "@!over bra again;}" ::"r"(shared_address(barrier)), "r"(parity) : "memory");
#else
  shim::phase_wait(barrier, parity);
#endif
}

// ---- tensor copies ----

// One box of a matrix, from element (column, row) on. The barrier gets its bytes, zeros outside of the matrix included.
DEVICE void copy_box(void* to, const TensorMap& map, int32_t column, int32_t row, uint64_t* barrier) {
#ifdef __CUDACC__
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(
                   shared_address(to)),
               "l"(&map), "r"(column), "r"(row), "r"(shared_address(barrier))
               : "memory");
#else
  shim::copy_box(to, map, column, row, barrier);
#endif
}
DEVICE void expect_map(const TensorMap& map) {
#ifdef __CUDACC__
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
#else
  (void)map;
#endif
}
// What threads wrote to shared memory, for wgmma and tensor copies to see.
DEVICE void show_to_matrix_unit() {
#ifdef __CUDACC__
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

// ---- warpgroups ----

// A barrier of some of a block's warps. `id`: 1 to 15.
DEVICE void sync_some(uint32_t id, uint32_t threads) {
#ifdef __CUDACC__
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
#else
  shim::sync_some(id, threads);
#endif
}

// All warps of a warpgroup ask alike; the block's registers are dealt out anew.
template <int kRegisters>
DEVICE void take_registers() {
#ifdef __CUDACC__
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
#endif
}
template <int kRegisters>
DEVICE void give_registers() {
#ifdef __CUDACC__
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
#endif
}

// ---- products of a warpgroup ----
//
// d (64, N) = a b, or added to what d was. Warp w has rows 16 w .. 16 w + 15 of d and of a in registers, each lane what
// mma.m16n8k16 gives it of tiles of 8 columns. `products_begin` comes before the first of a run and whenever registers that
// they use were written; d may be read after the wait for the group of its product.

DEVICE void products_begin() {
#ifdef __CUDACC__
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#else
  shim::products_begin();
#endif
}
DEVICE void products_commit() {
#ifdef __CUDACC__
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#else
  shim::products_commit();
#endif
}
template <int kGroupsLeft>
DEVICE void products_wait() {
#ifdef __CUDACC__
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kGroupsLeft) : "memory");
#else
  shim::products_wait(kGroupsLeft);
#endif
}
// Nothing that reads d may come before this, for the compiler.
template <int kTiles>
DEVICE void settle(float (&d)[kTiles][4]) {
#ifdef __CUDACC__
#pragma unroll
  for (int i = 0; i < kTiles * 4; i++) asm volatile("" : "+f"(d[i / 4][i % 4])::"memory");
#else
  (void)d;
#endif
}

#ifdef __CUDACC__
// A lane's share of d as operands of an instruction, by tiles, and their numbers in its text, which count from 0.
#define D1(i) "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])
#define D4(i) D1(i), D1(i + 1), D1(i + 2), D1(i + 3)
#define D8(i) D4(i), D4(i + 4)
#define D16(i) D8(i), D8(i + 8)
#define D32(i) D16(i), D16(i + 16)
#define NUMBERS_8                                                                    \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"             \
  ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define NUMBERS_16 NUMBERS_8                                                         \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47" \
  ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define NUMBERS_32 NUMBERS_16                                                                        \
  ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"                 \
  ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"                 \
  ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111"     \
  ", %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
// `more`: the operand that says whether d is added to. `ways`: how a and b lie, as far as the form lets choose.
#define WGMMA(form, d, a, b, more, ways)                  \
  "{.reg .pred more; setp.ne.b32 more, " more ", 0;"      \
  "wgmma.mma_async.sync.aligned." form " {" d "}, " a ", " b ", more, 1, 1" ways ";}"
#endif

// a (64, 16) and b (256, 16) of bf16, both in shared memory, along k.
DEVICE void multiply_256(float (&d)[32][4], uint64_t a, uint64_t b, bool more) {
#ifdef __CUDACC__
  asm volatile(WGMMA("m64n256k16.f32.bf16.bf16", NUMBERS_32, "%128", "%129", "%130", ", 0, 0")
               : D32(0)
               : "l"(a), "l"(b), "r"(static_cast<int32_t>(more)));
#else
  shim::product(&d[0][0], 256, shim::Elements::kBF16, a, b, more);
#endif
}

// a (64, 32) and b (128, 32) of e4m3, both in shared memory, along k.
DEVICE void multiply_fp8_128(float (&d)[16][4], uint64_t a, uint64_t b, bool more) {
#ifdef __CUDACC__
  asm volatile(WGMMA("m64n128k32.f32.e4m3.e4m3", NUMBERS_16, "%64", "%65", "%66", "")
               : D16(0)
               : "l"(a), "l"(b), "r"(static_cast<int32_t>(more)));
#else
  shim::product(&d[0][0], 128, shim::Elements::kE4M3, a, b, more);
#endif
}

// How b lies: rows of shared memory are its columns, with k along them, or k, with its columns across them.
enum class Lie : uint8_t { kAlong = 0, kAcross = 1 };

// a (64, 16) in registers as mma.m16n8k16 has it, b (8 kTiles, 16) in shared memory, both of bf16.
template <Lie kLie, int kTiles>
DEVICE void multiply_rows(float (&d)[kTiles][4], const uint32_t (&a)[4], uint64_t b, bool more) {
  static_assert(kTiles == 8 || kTiles == 16);
#ifdef __CUDACC__
  if constexpr (kTiles == 8) {
    asm volatile(WGMMA("m64n64k16.f32.bf16.bf16", NUMBERS_8, "{%32, %33, %34, %35}", "%36", "%37", ", %38")
                 : D8(0)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int32_t>(more)), "n"(static_cast<int>(kLie)));
  } else {
    asm volatile(WGMMA("m64n128k16.f32.bf16.bf16", NUMBERS_16, "{%64, %65, %66, %67}", "%68", "%69", ", %70")
                 : D16(0)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int32_t>(more)), "n"(static_cast<int>(kLie)));
  }
#else
  shim::product_of_registers(&d[0][0], kTiles * 8, a, b, kLie == Lie::kAcross, more);
#endif
}

#ifdef __CUDACC__
#undef D1
#undef D4
#undef D8
#undef D16
#undef D32
#undef NUMBERS_8
#undef NUMBERS_16
#undef NUMBERS_32
#undef WGMMA
#endif

}  // namespace chasqui::cuda

#endif
