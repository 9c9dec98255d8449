// One line of the table: a model of random weights, what it is asked to do, how fast that was, and how fast the device could
// be at best.
#pragma once

#include <string>
#include <vector>

#include "gpu.h"
#include "src/backend/cuda/random_weights.h"

namespace chasqui::gpu {

// What the device can do, measured in the same run.
struct Limits {
  double copy = 0;          // bytes a second, read and written
  double bf16 = 0;          // FLOP a second
  bool measured = true;
};
Limits measure_limits(cuda::Runtime& runtime);

struct BenchCase {
  std::string model = "8b";
  std::string weights = "bf16";  // bf16, fp8, int8, int4, nf4
  std::string head = "bf16";     // bf16, int8, fp8
  std::string kv = "bf16";       // bf16, fp8
  bool prefill = false;          // else decode
  int32_t batch = 1;
  int32_t context = 1024;        // tokens in the cache when decoding; of the prompt
  bool untried = false;          // with kernels that no device has run yet
};

struct BenchResult {
  BenchCase of;
  Status status;
  double ms = 0;                 // of a decode step, or of a whole prefill: the median
  double tokens_per_second = 0;
  double bytes = 0, flops = 0;   // that the work cannot do without
  double limit_tokens_per_second = 0;
};

BenchResult run_case(const BenchCase& of, const Limits& limits);

// A table of the operations of one layer, each alone, with the weights of several layers in turn so that none is in a cache.
// `hopper`: with the kernels for Hopper alone, where they are; nothing on other devices.
void print_kernels(const std::string& model, const std::string& weights, int32_t rows, const Limits& limits, const std::string& csv,
                   bool hopper = false);

Status weight_kind_named(const std::string& name, cuda::WeightKind* kind);

// Appends to a CSV; writes the header where there is no file yet.
void append_csv(const std::string& path, const std::string& header, const std::string& line);

}  // namespace chasqui::gpu
