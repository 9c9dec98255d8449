// What this machine gives so many threads, in one line of JSON: GB/s read from memory, and the peak of the best
// instruction for bf16 and for 8 bit products (AMX, else AVX-512 BF16 and VNNI, else float multiply-adds). Each figure is
// the sum over threads of the best (memory: the 90th percentile) of many short windows, so that what else runs here counts little.
//
//   machine_bench [threads]
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "src/backend/cpu/memory.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 says so of its own intrinsics
#endif

namespace {

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::atomic<float> sink{0};

// The sum over threads of a high percentile of each one's rates; all run at the same time, so they share what they share.
// For memory not the very best: a single window may profit from what another thread is not doing.
double best_rates(int threads, int windows, double percentile, double work, const std::function<void(int thread, int window)>& body) {
  std::vector<double> best(static_cast<size_t>(threads), 0.0);
  std::vector<std::thread> others;
  std::atomic<int> ready{0};
  const auto run = [&](int thread) {
    for (ready++; ready < threads;) std::this_thread::yield();
    std::vector<double> rates;
    for (int window = 0; window < windows; window++) {
      const double begin = seconds();
      body(thread, window);
      rates.push_back(work / (seconds() - begin));
    }
    std::sort(rates.begin(), rates.end());
    best[static_cast<size_t>(thread)] = rates[static_cast<size_t>(static_cast<double>(rates.size() - 1) * percentile)];
  };
  for (int thread = 1; thread < threads; thread++) others.emplace_back(run, thread);
  run(0);
  for (std::thread& other : others) other.join();
  double sum = 0;
  for (const double rate : best) sum += rate;
  return sum;
}

constexpr int64_t kRounds = 100000;

#if defined(__x86_64__)
#define CHASQUI_TARGET(set) __attribute__((target(set)))

CHASQUI_TARGET("avx2")
float read_memory(const char* data, size_t bytes) {
  __m256i sum[4] = {};
  for (size_t i = 0; i + 128 <= bytes; i += 128) {
    __builtin_prefetch(data + i + 2048, 0, 2);  // into the second cache: the first has too few misses under way
    __builtin_prefetch(data + i + 2112, 0, 2);
    for (size_t j = 0; j < 4; j++) {
      sum[j] = _mm256_xor_si256(sum[j], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data + i + 32 * j)));
    }
  }
  alignas(32) float out[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(out), sum[0] ^ sum[1] ^ sum[2] ^ sum[3]);
  return out[0];
}

// Twelve independent chains of one instruction.
#define CHASQUI_CHAIN(i) asm(CHASQUI_INSTRUCTION " %2, %1, %0" : "+v"(x[i]) : "v"(a), "v"(b));
#define CHASQUI_LOOP(name, set, vector)                                                                   \
  CHASQUI_TARGET(set) void name() {                                                                       \
    vector x[12] = {}, a = {}, b = {};                                                                    \
    for (int64_t i = 0; i < kRounds; i++) {                                                               \
      CHASQUI_CHAIN(0) CHASQUI_CHAIN(1) CHASQUI_CHAIN(2) CHASQUI_CHAIN(3) CHASQUI_CHAIN(4) CHASQUI_CHAIN(5) \
      CHASQUI_CHAIN(6) CHASQUI_CHAIN(7) CHASQUI_CHAIN(8) CHASQUI_CHAIN(9) CHASQUI_CHAIN(10) CHASQUI_CHAIN(11) \
    }                                                                                                     \
    for (int i = 0; i < 12; i++) asm volatile("" : : "v"(x[i]));                                          \
  }
#define CHASQUI_INSTRUCTION "vfmadd231ps"
CHASQUI_LOOP(fma_256, "avx2,fma", __m256)
CHASQUI_LOOP(fma_512, "avx512f", __m512)
#undef CHASQUI_INSTRUCTION
#define CHASQUI_INSTRUCTION "vdpbf16ps"
CHASQUI_LOOP(bf16_512, "avx512f,avx512bf16", __m512)
#undef CHASQUI_INSTRUCTION
#define CHASQUI_INSTRUCTION "vpdpbusd"
CHASQUI_LOOP(vnni_512, "avx512f,avx512vnni", __m512i)

struct TileShape {
  uint8_t palette, start, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};

CHASQUI_TARGET("amx-tile,amx-bf16,amx-int8")
void amx(bool integers) {
  TileShape shape = {};
  shape.palette = 1;
  for (int i = 0; i < 8; i++) shape.row_bytes[i] = 64, shape.rows[i] = 16;
  _tile_loadconfig(&shape);
  _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3); _tile_zero(4); _tile_zero(5); _tile_zero(6); _tile_zero(7);
  for (int64_t i = 0; i < kRounds / 10; i++) {
    if (integers) {
      _tile_dpbssd(0, 4, 6); _tile_dpbssd(1, 4, 7); _tile_dpbssd(2, 5, 6); _tile_dpbssd(3, 5, 7);
    } else {
      _tile_dpbf16ps(0, 4, 6); _tile_dpbf16ps(1, 4, 7); _tile_dpbf16ps(2, 5, 6); _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_release();
}

bool has_amx() {
  uint32_t a = 7, b = 0, c = 0, d = 0;
  asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  const bool bf16 = d >> 22 & 1, tile = d >> 24 & 1, int8 = d >> 25 & 1;
  return bf16 && tile && int8 && syscall(SYS_arch_prctl, 0x1023, 18) == 0;  // ARCH_REQ_XCOMP_PERM, XTILEDATA
}
#endif

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::max(1, std::atoi(argv[1])) : 1;
  double read = 0, bf16 = 0, int8 = 0;
#if defined(__x86_64__)
  constexpr size_t kChunk = size_t{4} << 20, kChunks = 128;
  chasqui::cpu::Memory memory;
  if (!memory.claim(static_cast<int64_t>(kChunk * kChunks) * threads, "the bandwidth measurement").ok()) return 1;
  std::memset(memory.as<char>(), 1, static_cast<size_t>(memory.bytes()));
  read = best_rates(threads, kChunks * 3, 0.9, kChunk / 1e9, [&](int thread, int window) {
    const size_t chunk = static_cast<size_t>(thread) * kChunks + static_cast<size_t>(window) % kChunks;
    sink = read_memory(memory.as<char>() + chunk * kChunk, kChunk);
  });
  const auto peak = [&](double of_round, void (*loop)()) {
    return best_rates(threads, 400, 1.0, of_round * kRounds * 12 / 1e9, [&](int, int) { loop(); });
  };
  double fma = 0;
  if (__builtin_cpu_supports("avx512f")) fma = peak(32, fma_512);
  else if (__builtin_cpu_supports("fma")) fma = peak(16, fma_256);
  bf16 = __builtin_cpu_supports("avx512bf16") ? std::max(fma, peak(64, bf16_512)) : fma;
  int8 = __builtin_cpu_supports("avx512vnni") ? peak(128, vnni_512) : fma;
  if (has_amx()) {
    const double of_tiles = 4.0 * 16 * 16 * 32 * 2 * (kRounds / 10) / 1e9;
    bf16 = best_rates(threads, 100, 1.0, of_tiles, [&](int, int) { amx(false); });
    int8 = best_rates(threads, 100, 1.0, of_tiles * 2, [&](int, int) { amx(true); });
  }
#endif
  std::printf("{\"read_gb_per_s\":%.2f,\"bf16_gflops\":%.1f,\"int8_gops\":%.1f}\n", read, bf16, int8);
  return 0;
}
