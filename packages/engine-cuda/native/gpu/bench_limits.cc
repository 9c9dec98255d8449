// What the device gives at best, measured with the events of the device itself.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "bench_case.h"
#include "bench_peak.h"
#include "src/backend/cuda/memory.h"

namespace chasqui::gpu {

namespace {

void must(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s %s\n", status.detail.c_str(), status.fix.c_str());
  std::exit(2);
}

// The median of the device's seconds for what `work` queues.
template <typename Work>
double device_seconds(cuda::Runtime& runtime, int32_t times, const Work& work) {
  cuda::Event from, to;
  must(runtime.event(&from));
  must(runtime.event(&to));
  std::vector<double> all;
  for (int32_t i = 0; i < times + 2; i++) {
    must(runtime.mark(from));
    work();
    must(runtime.mark(to));
    must(runtime.launched());
    must(runtime.passed(to));
    float milliseconds = 0;
    must(runtime.milliseconds(from, to, &milliseconds));
    if (i >= 2) all.push_back(1e-3 * milliseconds);
  }
  runtime.release(from);
  runtime.release(to);
  return median(all);
}

double copy_rate(cuda::Runtime& runtime, cuda::Pool& pool) {
  const int64_t bytes = runtime.facts().is_real ? int64_t{2} << 30 : int64_t{8} << 20;
  cuda::Buffer from, to;
  must(pool.claim(bytes, "the copy measurement", &from));
  must(pool.claim(bytes, "the copy measurement", &to));
  const cuda::Target target{&runtime.stream(), runtime.limits(), {}};
  cuda::random_bf16(target, from, 1.0f, 1);
  const double time = device_seconds(runtime, 10, [&] { must(runtime.copy(to.as(), from.as(), bytes)); });
  return 2.0 * static_cast<double>(bytes) / time;
}

}  // namespace

Limits measure_limits(cuda::Runtime& runtime) {
  Limits limits;
  cuda::Pool pool(runtime);
  limits.copy = copy_rate(runtime, pool);
  const cuda::Target target{&runtime.stream(), runtime.limits(), {}};
  const bool is_real = runtime.facts().is_real;
  const auto blocks = static_cast<uint32_t>(is_real ? runtime.facts().n_sms * 4 : 2);
  const int32_t rounds = is_real ? 20000 : 2;
  cuda::Buffer out;
  must(pool.claim(blocks * 4, "the matrix measurement", &out));
  for (const auto launch : {launch_mma_peak, launch_wgmma_peak}) {
    double flops = 0;
    const double time = device_seconds(runtime, 3, [&] { flops = launch(target, blocks, rounds, out.as<float>()); });
    std::printf("%s  %.1f TFLOP/s bf16\n", launch == launch_mma_peak ? "mma.sync" : "wgmma   ", flops / time / 1e12);
    limits.bf16 = std::max(limits.bf16, flops / time);
  }
  std::printf("copy      %.0f GB/s, read and written\n", limits.copy / 1e9);
  std::fflush(stdout);
  return limits;
}

}  // namespace chasqui::gpu
