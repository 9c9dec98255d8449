// How fast the CUDA backend is on this device, and how near to what the device can do. Weights are random and made on the
// device; limits are measured first, in the same run.
//
//   gpu_bench [--profile core|70b|wide|none] [--csv FOLDER] [--kernels] [--model 8b --weights fp8 --head bf16 --kv bf16
//             --batch 1 --context 1024 [--prefill]]
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "bench_case.h"

using namespace chasqui;
using namespace chasqui::gpu;

namespace {

struct Arguments {
  std::string profile;
  std::string csv;
  bool kernels = false;
  bool has_case = false;
  BenchCase own;
};

[[noreturn]] void usage(const char* wrong) {
  std::fprintf(stderr, "%s\nUsage: gpu_bench [--profile core|70b|wide|none] [--csv FOLDER] [--kernels]\n"
               "                 [--model 8b|70b|1b|3b|tiny] [--weights bf16|fp8|int8|int4|nf4] [--head bf16|fp8|int8]\n"
               "                 [--kv bf16|fp8] [--batch N] [--context N] [--prefill] [--untried]\n", wrong);
  std::exit(2);
}

Arguments read_arguments(int argc, char** argv) {
  Arguments given;
  for (int i = 1; i < argc; i++) {
    const std::string name = argv[i];
    const auto value = [&]() -> std::string { return i + 1 < argc ? argv[++i] : (usage((name + " needs a value.").c_str()), ""); };
    const auto number = [&] {
      const int n = std::atoi(value().c_str());
      if (n < 1) usage((name + " takes a number from 1 on.").c_str());
      return n;
    };
    if (name == "--profile") given.profile = value();
    else if (name == "--csv") given.csv = value();
    else if (name == "--kernels") given.kernels = true;
    else {
      given.has_case = true;
      if (name == "--model") given.own.model = value();
      else if (name == "--weights") given.own.weights = value();
      else if (name == "--head") given.own.head = value();
      else if (name == "--kv") given.own.kv = value();
      else if (name == "--batch") given.own.batch = number();
      else if (name == "--context") given.own.context = number();
      else if (name == "--prefill") given.own.prefill = true;
      else if (name == "--untried") given.own.untried = true;
      else usage((name + " is no option.").c_str());
    }
  }
  if (given.profile.empty()) given.profile = given.has_case ? "none" : "core";
  return given;
}

std::vector<BenchCase> cases_of(const std::string& profile) {
  std::vector<BenchCase> cases;
  const auto decode = [&](const char* model, const char* weights, int32_t batch, int32_t context, const char* kv = "bf16", const char* head = "bf16") {
    cases.push_back({model, weights, head, kv, false, batch, context});
  };
  const auto prefill = [&](const char* model, const char* weights, int32_t context) { cases.push_back({model, weights, "bf16", "bf16", true, 1, context}); };
  if (profile == "core") {
    for (const char* weights : {"bf16", "fp8", "int4"}) {
      decode("8b", weights, 1, 1024);
      decode("8b", weights, 1, 16384);
      decode("8b", weights, 64, 1024);
    }
    decode("8b", "int4", 1, 1024, "bf16", "int8");
    decode("8b", "bf16", 1, 131072, "fp8");
    prefill("8b", "bf16", 8192);
  } else if (profile == "70b") {
    for (const char* weights : {"fp8", "int4"}) {
      decode("70b", weights, 1, 1024);
      decode("70b", weights, 8, 1024);
      prefill("70b", weights, 8192);
    }
  } else if (profile == "wide") {
    for (const char* weights : {"bf16", "fp8", "int8", "int4", "nf4"}) {
      for (const int32_t batch : {1, 8, 64}) decode("8b", weights, batch, 1024);
      prefill("8b", weights, 1024);
    }
    prefill("8b", "bf16", 131072);
    for (const char* model : {"1b", "3b"}) decode(model, "bf16", 1, 1024);
  } else if (profile != "none") {
    usage(("There is no profile " + profile + ".").c_str());
  }
  return cases;
}

void print_result(const BenchResult& result, const std::string& device, const std::string& csv) {
  const BenchCase& of = result.of;
  char what[96];
  std::snprintf(what, sizeof what, "%-4s %-4s head %-4s kv %-4s %-7s %3d x %6d", of.model.c_str(), of.weights.c_str(), of.head.c_str(),
                of.kv.c_str(), of.prefill ? "prefill" : "decode", of.batch, of.context);
  if (!result.status.ok()) {
    std::printf("%s   not measured: %s\n", what, result.status.detail.c_str());
    std::fflush(stdout);
    return;
  }
  const double time = 1e-3 * result.ms;
  std::printf("%s %10.3f %10.1f %8.0f %8.1f %10.1f %6.0f%%\n", what, result.ms, result.tokens_per_second, result.bytes / time / 1e9,
              result.flops / time / 1e12, result.limit_tokens_per_second, 100 * result.tokens_per_second / result.limit_tokens_per_second);
  std::fflush(stdout);
  char line[512];
  std::snprintf(line, sizeof line, "%s,%s,%s,%s,%s,%s,%d,%d,%.4f,%.2f,%.1f,%.2f,%.2f,%.3f", device.c_str(), of.model.c_str(), of.weights.c_str(),
                of.head.c_str(), of.kv.c_str(), of.prefill ? "prefill" : "decode", of.batch, of.context, result.ms, result.tokens_per_second,
                result.bytes / time / 1e9, result.flops / time / 1e12, result.limit_tokens_per_second,
                result.tokens_per_second / result.limit_tokens_per_second);
  append_csv(csv, "device,model,weights,head,kv,what,batch,context,milliseconds,tokens_per_s,gb_per_s,tflop_per_s,limit_tokens_per_s,fraction_of_limit", line);
}

}  // namespace

int main(int argc, char** argv) {
  Arguments given = read_arguments(argc, argv);
  std::vector<BenchCase> cases = cases_of(given.profile);
  if (given.has_case) cases.push_back(given.own);
  std::unique_ptr<cuda::Runtime> runtime;
  if (Status status = cuda::make_runtime(&runtime); !status.ok()) {
    std::fprintf(stderr, "%s %s\n", status.detail.c_str(), status.fix.c_str());
    return 2;
  }
  print_device(*runtime);
  const std::string device = runtime->facts().name;
  if (!runtime->facts().is_real) given.csv.clear();  // times of a CPU that stands in are no results
  const Limits limits = measure_limits(*runtime);
  runtime.reset();
  char line[256];
  std::snprintf(line, sizeof line, "%s,%.1f,%.2f", device.c_str(), limits.copy / 1e9, limits.bf16 / 1e12);
  const auto file = [&](const char* name) { return given.csv.empty() ? std::string() : given.csv + "/" + name; };
  append_csv(file("gpu-limits.csv"), "device,copy_gb_per_s,bf16_tflop_per_s", line);
  std::printf("\n%-46s %10s %10s %8s %8s %10s %7s\n", "model weights", "ms", "tok/s", "GB/s", "TFLOP/s", "limit", "of it");
  bool failed = false;
  for (const BenchCase& each : cases) {
    const BenchResult result = run_case(each, limits);
    print_result(result, device, file("gpu-model.csv"));
    failed |= !result.status.ok();
  }
  if (given.kernels || given.profile == "core") {
    const std::string model = given.has_case ? given.own.model : "8b";
    const std::vector<std::string> formats = given.has_case ? std::vector<std::string>{given.own.weights} : std::vector<std::string>{"bf16", "fp8", "int4"};
    for (const std::string& weights : formats) print_kernels(model, weights, 1, limits, file("gpu-kernels.csv"));
    const int32_t prompt = given.has_case ? 200 : 4096;
    print_kernels(model, formats[0], prompt, limits, file("gpu-kernels.csv"));
    // Beside their siblings, in the same run.
    for (const char* weights : {"bf16", "fp8"}) print_kernels(model, weights, prompt, limits, file("gpu-kernels.csv"), true);
  }
  return failed ? 1 : 0;
}
