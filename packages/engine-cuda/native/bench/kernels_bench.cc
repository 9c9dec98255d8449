// The tile kernels by themselves: 10^9 operations a second for each row count with the panel in the second cache, and GB/s for a panel that
// comes from memory. Each figure is the best of many windows of about a millisecond, so that what else runs on the
// machine does not count.
//
//   kernels_bench [avx2|avx512|portable|avx512bf16|amx]
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <vector>

#include "src/backend/cpu/kernels.h"
#include "src/backend/cpu/memory.h"

using namespace chasqui::cpu;

namespace {

double thread_seconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Least seconds of one call of `body`.
template <typename Body>
double least(int windows, int calls, const Body& body) {
  double best = 1e9;
  for (int window = 0; window < windows; window++) {
    const double begin = thread_seconds();
    for (int call = 0; call < calls; call++) body();
    best = std::min(best, (thread_seconds() - begin) / calls);
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  const Kernels* kernels = argc > 1 ? kernels_named(argv[1]) : best_kernels();
  if (kernels == nullptr) {
    std::fprintf(stderr, "no such kernels here\n");
    return 1;
  }
  constexpr int64_t kSteps = 512;                // of k: a stretch
  constexpr int64_t kStream = int64_t{256} << 20;  // bytes read from memory, round and round: more than any cache
  Memory stream;
  if (!stream.claim(kStream + (1 << 16), "the stream").ok()) return 1;
  std::memset(stream.as<char>(), 0, static_cast<size_t>(stream.bytes()));
  std::vector<float> a(kSteps * kMaxTileRows, 0.0f), c(kPanel * kMaxTileRows);
  int64_t at = 0;
  const char* names[kWeightTypes] = {"f32", "f16", "bf16", "int8", "int4"};
  const int64_t bits[kWeightTypes] = {32, 16, 16, 8, 4};  // scales are left out
  std::printf("%s\n%-6s %5s %10s %10s %10s\n", kernels->name, "type", "rows", "G/s", "stream", "GB/s");
  for (int type = 0; type < kWeightTypes; type++) {
    const int32_t most = kernels->many[type].rows;
    for (int rows = 1; rows <= most; rows++) {
      const Product& product = rows <= kernels->few[type].rows ? kernels->few[type] : kernels->many[type];
      if (product.unpack != nullptr) continue;  // its tiles do not take the panel
      const Tile tile = product.tile[rows];
      const double work = 2.0 * kSteps * kPanel * rows;
      const double cached = least(60, 20, [&] { tile(a.data(), stream.as<char>(), kSteps, c.data(), kPanel); });
      const int64_t stretch = kSteps * kPanel * bits[type] / 8;
      const double streamed = least(60, 16, [&] {
        tile(a.data(), stream.as<char>() + at, kSteps, c.data(), kPanel);
        at = at + 2 * stretch <= kStream ? at + stretch : 0;
      });
      std::printf("%-6s %5d %10.1f %10.1f %10.1f\n", names[type], rows, work / cached / 1e9, work / streamed / 1e9,
                  static_cast<double>(stretch) / streamed / 1e9);
    }
  }
  return 0;
}
