// How fast the forward pass is, and how near to what the machine can do: prefill and decode on random weights, with the
// read bandwidth and the multiply-add peak measured in the same run. Medians over repetitions, best beside them. The
// fraction of a limit compares CPU seconds with CPU seconds (the best of each), so that what other programs take does not
// count; on a shared machine it is the steadiest of the figures.
//
//   forward_bench [--shape 1b|tiny] [--threads 1,2] [--prefill 512] [--context 128] [--batch 1,8] [--repeat 5]
//                 [--weights bf16|int8|int4|nf4|fp8|FORMAT] [--kernels avx2] [--layers 16] [--json]
//   FORMAT: a checkpoint's own, see packed_weights.h; its head stays bf16
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "packed_weights.h"
#include "src/backend/cpu/memory.h"
#include "src/model/llama.h"
#include "test/random_model.h"

using namespace chasqui;

namespace {

struct Arguments {
  std::string shape = "1b";
  std::vector<int32_t> threads = {1, 2};
  std::vector<int32_t> batch = {1, 8};
  std::vector<int32_t> prefill = {512};
  std::vector<int32_t> context = {128};
  int32_t repeat = 5;
  int32_t layers = 0;
  std::string weights = "bf16";
  std::string kernels;
  bool json = false;
};

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double cpu_seconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void must(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s %s\n", status.detail.c_str(), status.fix.c_str());
  std::exit(1);
}

void on_threads(int32_t n, const std::function<void(int32_t)>& body) {
  std::vector<std::thread> others;
  for (int32_t i = 1; i < n; i++) others.emplace_back(body, i);
  body(0);
  for (std::thread& other : others) other.join();
}

typedef float Vec __attribute__((vector_size(32)));

#if defined(__x86_64__)
__attribute__((target("avx2,fma")))
#endif
float read_all(const char* data, size_t bytes) {
  typedef float Loose __attribute__((vector_size(32), may_alias));
  Vec sum[4] = {};
  for (size_t i = 0; i + 128 <= bytes; i += 128) {
    __builtin_prefetch(data + i + 1024);
    __builtin_prefetch(data + i + 1088);
    for (int j = 0; j < 4; j++) sum[j] += *reinterpret_cast<const Loose*>(data + i + 32 * static_cast<size_t>(j));
  }
  const Vec total = sum[0] + sum[1] + sum[2] + sum[3];
  return total[0] + total[1] + total[2] + total[3] + total[4] + total[5] + total[6] + total[7];
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"), optimize("fp-contract=fast")))
#endif
float multiply_add(int64_t rounds) {
  Vec a = Vec{} + 0.1f, b = a + 1, c = a + 2, d = a + 3, e = a + 4, f = a + 5, g = a + 6, h = a + 7, i = a + 8, j = a + 9;
  const Vec factor = Vec{} + 0.999f, term = Vec{} + 0.001f;
  for (int64_t round = 0; round < rounds; round++) {
    a = a * factor + term, b = b * factor + term, c = c * factor + term, d = d * factor + term, e = e * factor + term;
    f = f * factor + term, g = g * factor + term, h = h * factor + term, i = i * factor + term, j = j * factor + term;
  }
  const Vec sum = a + b + c + d + e + f + g + h + i + j;
  return sum[0] + sum[3] + sum[7];
}

// What the machine gives n threads that run all the time: GB/s read from memory, and GFLOP/s of 8-lane multiply-adds; the
// best of several windows.
struct Limits {
  double read = 0;
  double flops = 0;
};

Limits measure_limits(int32_t threads) {
  Limits limits;
  constexpr size_t kBytes = size_t{256} << 20;
  static cpu::Memory memory;
  if (memory.bytes() == 0) {
    must(memory.claim(kBytes, "the bandwidth measurement"));
    std::memset(memory.as<char>(), 1, kBytes);
  }
  std::atomic<float> sink{0};
  for (int pass = 0; pass < 8; pass++) {
    const double begin = cpu_seconds();
    on_threads(threads, [&](int32_t i) {
      const size_t part = kBytes / static_cast<size_t>(threads);
      sink = read_all(memory.as<char>() + static_cast<size_t>(i) * part, part);
    });
    limits.read = std::max(limits.read, static_cast<double>(kBytes) * threads / (cpu_seconds() - begin) / 1e9);
    constexpr int64_t kRounds = 4000000;
    const double again = cpu_seconds();
    on_threads(threads, [&](int32_t) { sink = multiply_add(kRounds); });
    limits.flops = std::max(limits.flops, threads * kRounds * 160.0 * threads / (cpu_seconds() - again) / 1e9);
  }
  return limits;
}

RandomModel bench_model(const Arguments& arguments) {
  RandomModel model;
  ModelConfig& config = model.config;
  config.tied_head = true;
  config.n_kv_heads = 8;
  config.head_dim = 64;
  config.rope = {32, 1, 4, 8192};
  if (arguments.shape == "1b") {
    config.n_layers = 16, config.dim = 2048, config.ffn = 8192, config.n_heads = 32, config.vocab = 128256;
    config.context = 131072;
  } else {
    config.n_layers = 6, config.dim = 256, config.ffn = 704, config.n_heads = 4, config.n_kv_heads = 2, config.vocab = 2048;
    config.context = 2048;
  }
  if (arguments.layers > 0) config.n_layers = arguments.layers;
  // One layer's values serve all layers: each gets panels of its own in the backend, which is what is read.
  const int32_t n_layers = config.n_layers;
  config.n_layers = 1;
  fill_random(&model, DType::kBF16, 1);
  config.n_layers = n_layers;
  model.weights.layers.resize(static_cast<size_t>(n_layers), model.weights.layers[0]);
  return model;
}

double linear_parameters(const ModelConfig& config) {
  const double layer = static_cast<double>(config.dim) * (2 * config.q_dim() + 2 * config.kv_dim() + 3.0 * config.ffn);
  return layer * config.n_layers;
}

struct Timing {
  double median = 0;  // wall seconds
  double best = 0;
  double cpu = 0;     // CPU seconds of all threads, least of the repetitions
};

Timing time_it(int32_t repeat, const std::function<void()>& body) {
  std::vector<double> walls;
  Timing timing;
  for (int32_t i = 0; i < repeat; i++) {
    const double wall = wall_seconds(), cpu = cpu_seconds();
    body();
    const double wall_taken = wall_seconds() - wall;
    const double cpu_taken = cpu_seconds() - cpu;
    timing.best = walls.empty() ? wall_taken : std::min(timing.best, wall_taken);
    timing.cpu = walls.empty() ? cpu_taken : std::min(timing.cpu, cpu_taken);
    walls.push_back(wall_taken);
  }
  std::sort(walls.begin(), walls.end());
  timing.median = walls[walls.size() / 2];
  return timing;
}

struct Line {
  std::string phase;
  int32_t threads, batch, context;
  double tokens;
  Timing timing;
  double fraction;  // of the limit, in CPU seconds
  const char* limit;
};

void print(const Arguments& arguments, const Line& line) {
  const double per_second = line.tokens / line.timing.median;
  const double best = line.tokens / line.timing.best;
  const double per_cpu = line.tokens / line.timing.cpu;
  if (arguments.json) {
    std::printf("{\"shape\":\"%s\",\"format\":\"%s\",\"threads\":%d,\"phase\":\"%s\",\"context\":%d,\"batch\":%d,"
                "\"tokens_per_s\":%.2f,\"best_tokens_per_s\":%.2f,\"tokens_per_cpu_s\":%.2f,\"fraction_of_limit\":%.3f}\n",
                arguments.shape.c_str(), arguments.weights.c_str(), line.threads, line.phase.c_str(), line.context, line.batch, per_second, best, per_cpu,
                line.fraction);
  } else {
    std::printf("%-8s %d thread%s batch %-3d context %-6d %9.2f tok/s  best %9.2f  per CPU s %9.2f  %3.0f %% of %s\n",
                line.phase.c_str(), line.threads, line.threads == 1 ? " " : "s", line.batch, line.context, per_second, best,
                per_cpu, 100 * line.fraction, line.limit);
  }
  std::fflush(stdout);
}

struct Bench {
  const Arguments& arguments;
  const ModelConfig& config;
  int32_t threads;
  Limits limits;
  Forward& forward;
  std::vector<int32_t> tokens;
  std::vector<float> logits;

  std::vector<int32_t> pages(int32_t first, int32_t n_tokens) const {
    std::vector<int32_t> ids;
    for (int32_t i = 0; i < (n_tokens + kPageTokens - 1) / kPageTokens; i++) ids.push_back(first + i);
    return ids;
  }

  void prefill(int32_t n) {
    const auto ids = pages(0, n);
    const Timing timing = time_it(arguments.repeat, [&] {
      for (int32_t first = 0; first < n; first += forward.max_batch_tokens()) {
        const int32_t count = std::min(n - first, forward.max_batch_tokens());
        must(forward.run({{tokens.data(), count, first, ids.data(), false, first + count == n}}, logits.data()));
      }
    });
    const double attention = 4.0 * config.n_layers * config.q_dim() * n * (n + 1) / 2;
    const double work = 2 * linear_parameters(config) * n + attention + 2.0 * config.vocab * config.dim;
    print(arguments, {"prefill", threads, 1, n, static_cast<double>(n), timing, work * threads / timing.cpu / 1e9 / limits.flops,
                      "FMA peak"});
  }

  // Steps of `batch` sequences that have `context` positions each behind them (of whatever is in the cache).
  void decode(int32_t batch, int32_t context) {
    std::vector<std::vector<int32_t>> ids;
    std::vector<BatchSpan> spans;
    const int32_t of_each = (context + 1 + kPageTokens - 1) / kPageTokens;
    const int32_t sets = std::max(1, forward.n_pages() / of_each);
    for (int32_t i = 0; i < batch; i++) ids.push_back(pages(i % sets * of_each, context + 1));
    for (int32_t i = 0; i < batch; i++) spans.push_back({&tokens[static_cast<size_t>(i)], 1, context, ids[static_cast<size_t>(i)].data(), false, true});
    const int32_t steps = arguments.shape == "1b" ? 4 : 100;
    const Timing timing = time_it(arguments.repeat, [&] {
      for (int32_t step = 0; step < steps; step++) must(forward.run(spans, logits.data()));
    });
    const double weights = static_cast<double>(forward.memory().weights);
    const double cache = 4.0 * config.n_layers * config.kv_dim() * context * batch;
    print(arguments, {"decode", threads, batch, context, static_cast<double>(batch) * steps, timing,
                      (weights + cache) * steps * threads / timing.cpu / 1e9 / limits.read, "read bandwidth"});
  }
};

std::vector<int32_t> numbers(const char* text) {
  std::vector<int32_t> list;
  for (const char* at = text; *at != 0;) {
    char* end = nullptr;
    list.push_back(static_cast<int32_t>(std::strtol(at, &end, 10)));
    at = *end == ',' ? end + 1 : end + std::strlen(end);
  }
  return list;
}

Arguments read_arguments(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; i++) {
    const std::string name = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (name == "--json") { arguments.json = true; continue; }
    if (name == "--shape") arguments.shape = value;
    else if (name == "--threads") arguments.threads = numbers(value);
    else if (name == "--prefill") arguments.prefill = numbers(value);
    else if (name == "--context") arguments.context = numbers(value);
    else if (name == "--batch") arguments.batch = numbers(value);
    else if (name == "--repeat") arguments.repeat = numbers(value)[0];
    else if (name == "--layers") arguments.layers = numbers(value)[0];
    else if (name == "--weights") arguments.weights = value;
    else if (name == "--kernels") arguments.kernels = value;
    else { std::fprintf(stderr, "unknown argument %s\n", argv[i]); std::exit(2); }
    i++;
  }
  return arguments;
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = read_arguments(argc, argv);
  RandomModel model = bench_model(arguments);
  const struct { const char* name; WeightFormat format; } on_load[] = {{"bf16", WeightFormat::kAsStored}, {"int8", WeightFormat::kInt8},
                                                                       {"int4", WeightFormat::kInt4},     {"nf4", WeightFormat::kNf4},
                                                                       {"fp8", WeightFormat::kFp8}};
  const auto* format = std::find_if(std::begin(on_load), std::end(on_load), [&](const auto& each) { return arguments.weights == each.name; });
  if (format == std::end(on_load) && !pack_layers(arguments.weights, &model.weights)) {
    std::fprintf(stderr, "unknown weights %s\n", arguments.weights.c_str());
    return 2;
  }
  for (const int32_t threads : arguments.threads) {
    LlamaOptions options;
    options.backend.threads = threads;
    options.backend.kernels = arguments.kernels;
    if (format != std::end(on_load)) options.weight_format = format->format;
    const int32_t longest = std::max(*std::max_element(arguments.context.begin(), arguments.context.end()),
                                     *std::max_element(arguments.prefill.begin(), arguments.prefill.end()));
    const int32_t most = *std::max_element(arguments.batch.begin(), arguments.batch.end());
    options.n_pages = (longest / kPageTokens + 2) * (longest > 8192 ? 1 : most);
    std::unique_ptr<Forward> forward;
    const double begin = wall_seconds();
    must(make_llama(model.config, model.weights, options, &forward));
    const double loaded = wall_seconds() - begin;
    const Limits limits = measure_limits(threads);
    if (arguments.json) {
      std::printf("{\"shape\":\"%s\",\"threads\":%d,\"device\":\"%s\",\"load_s\":%.2f,\"read_gb_per_s\":%.2f,\"gflops\":%.1f}\n",
                  arguments.shape.c_str(), threads, forward->device(), loaded, limits.read, limits.flops);
    } else {
      std::printf("%s on %s: loaded in %.2f s; limits %.1f GB/s, %.0f GFLOP/s\n", arguments.shape.c_str(), forward->device(),
                  loaded, limits.read, limits.flops);
    }
    Bench bench{arguments, model.config, threads, limits, *forward, std::vector<int32_t>(131072), {}};
    QuickRandom random(3);
    for (int32_t& token : bench.tokens) token = random.below(model.config.vocab);
    bench.logits.resize(static_cast<size_t>(model.config.vocab) * static_cast<size_t>(most));
    for (const int32_t n : arguments.prefill) bench.prefill(std::min(n, model.config.context));
    for (const int32_t context : arguments.context) {
      for (const int32_t batch : arguments.batch) bench.decode(batch, std::min(context, model.config.context - 1));
    }
  }
  return 0;
}
