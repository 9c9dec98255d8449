// What the tests of the CUDA kernels share: schedules, random tensors in bf16, packed weights beside their values in double.
// The same tests run on a GPU, where there is one schedule and nobody knows it.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "check.h"
#include "cuda_device.h"
#include "random_model.h"
#include "src/backend/cuda/kernels/launch.h"
#include "src/backend/cuda/kernels/pack.h"
#include "src/checkpoint/quant.h"
#include "src/model/precision.h"
#ifdef CHASQUI_SHIM
#include "src/backend/cuda/shim/cpu_device.h"
#endif

namespace chasqui::cuda {

// Runs body() under each schedule of the shim; unless `slow`, under the two that between them see most.
template <typename Body>
void each_schedule(bool slow, const Body& body) {
#ifdef CHASQUI_SHIM
  using shim::Copies;
  using shim::Order;
  std::vector<shim::Schedule> schedules = {{Order::kShuffled, Copies::kDeferred, 3}, {Order::kWarpGreedy, Copies::kEager, 5}};
  if (slow) {
    schedules.push_back({Order::kRoundRobin, Copies::kDeferred, 1});
    schedules.push_back({Order::kRoundRobin, Copies::kEager, 1});
    schedules.push_back({Order::kShuffled, Copies::kEager, 11});
    schedules.push_back({Order::kWarpGreedy, Copies::kDeferred, 13});
  }
  for (const shim::Schedule& schedule : schedules) {
    shim::process_schedule() = schedule;  // of the devices that body() makes
    body();
  }
  shim::process_schedule() = {};
#else
  (void)slow;
  body();
#endif
}

// Whether the program was started for the long form of its tests.
inline bool is_slow() { return std::getenv("CHASQUI_SLOW") != nullptr; }

inline std::vector<uint16_t> random_bf16(QuickRandom* random, int64_t n, float scale = 1.0f) {
  std::vector<uint16_t> values(static_cast<size_t>(n));
  for (uint16_t& value : values) value = float_to_bf16(scale * random->symmetric());
  return values;
}

inline std::vector<float> random_floats(QuickRandom* random, int64_t n, float mean, float scale) {
  std::vector<float> values(static_cast<size_t>(n));
  for (float& value : values) value = mean + scale * random->symmetric();
  return values;
}

// A matrix of any kind, with random codes, and what it means.
struct TestMatrix {
  DeviceLinear linear;
  std::vector<double> values;  // (out, in), in the order of the inputs
  // What `linear` points to copies of.
  std::vector<uint16_t> bf16;
  std::vector<uint32_t> codes;
  std::vector<float> scales_f32;
  std::vector<uint16_t> scales_16;
  std::vector<int8_t> zeros;
  std::vector<uint16_t> table;
  std::vector<int32_t> order;
};

struct MatrixOptions {
  WeightKind kind = WeightKind::kBF16;
  int32_t group = 0;
  ScaleKind scale_kind = ScaleKind::kF32;
  bool zeros = false;
  bool order = false;
};

inline float rounded_scale(ScaleKind kind, float scale) {
  if (kind == ScaleKind::kF16) return half_to_float(float_to_half(scale));
  return kind == ScaleKind::kBF16 ? bf16_to_float(float_to_bf16(scale)) : scale;
}

inline double code_value(const TestMatrix& matrix, WeightKind kind, uint32_t code, int32_t zero) {
  switch (kind) {
    case WeightKind::kFp8: return e4m3_to_float(static_cast<uint8_t>(code));
    case WeightKind::kInt8: return static_cast<int8_t>(code) - zero;
    case WeightKind::kInt4: return static_cast<int32_t>(code) - zero;
    default: return bf16_to_float(matrix.table[code]);
  }
}

inline void make_quantised(TestDevice& device, QuickRandom* random, TestMatrix* made, const MatrixOptions& options) {
  const int32_t out = made->linear.out, in = made->linear.in;
  const bool nibbles = options.kind == WeightKind::kInt4 || options.kind == WeightKind::kTable4;
  const int32_t groups = options.group == 0 ? 1 : (in + options.group - 1) / options.group;
  const PackShape shape{options.kind, out, in, options.group};
  if (options.kind == WeightKind::kTable4) made->table = random_bf16(random, 16);
  std::vector<uint8_t> rows(static_cast<size_t>(out) * (nibbles ? in / 2 : in));
  std::vector<float> scales(static_cast<size_t>(out) * groups);
  std::vector<int8_t> zeros(scales.size());
  for (float& scale : scales) scale = rounded_scale(options.scale_kind, (1.5f + random->symmetric()) / std::sqrt(static_cast<float>(in)));
  for (int8_t& zero : zeros) zero = static_cast<int8_t>(options.kind == WeightKind::kInt4 ? random->below(16) : random->below(256) - 128);
  for (int32_t r = 0; r < out; r++) {
    for (int32_t k = 0; k < in; k++) {
      uint32_t code = static_cast<uint32_t>(random->below(nibbles ? 16 : 256));
      if (options.kind == WeightKind::kFp8 && (code & 0x7f) == 0x7f) code = 0x80;
      const int64_t at = static_cast<int64_t>(r) * in + k;
      if (nibbles) {
        rows[static_cast<size_t>(at / 2)] |= static_cast<uint8_t>(code << (at % 2 * 4));
      } else {
        rows[static_cast<size_t>(at)] = static_cast<uint8_t>(code);
      }
      const size_t group = static_cast<size_t>(r) * groups + (options.group == 0 ? 0 : k / options.group);
      const int32_t zero = options.zeros ? zeros[group] : options.kind == WeightKind::kInt4 ? 8 : 0;
      const int32_t input = options.order ? made->order[static_cast<size_t>(k)] : k;
      made->values[static_cast<size_t>(static_cast<int64_t>(r) * in + input)] = code_value(*made, options.kind, code, zero) * scales[group];
    }
  }
  made->codes.assign(static_cast<size_t>(packed_code_bytes(shape) / 4), 0);
  pack_codes(shape, rows.data(), out, 0, reinterpret_cast<uint8_t*>(made->codes.data()));
  made->linear.codes = device.put(made->codes);
  const auto count = static_cast<size_t>(packed_scale_count(shape));
  made->scales_f32.assign(count, 0.0f);
  made->scales_16.assign(count, 0);
  void* packed = options.scale_kind == ScaleKind::kF32 ? static_cast<void*>(made->scales_f32.data()) : made->scales_16.data();
  CHECK(scales_fit(options.scale_kind, scales.data(), static_cast<int64_t>(scales.size())));
  pack_scales(shape, options.scale_kind, scales.data(), out, 0, packed);
  made->linear.scales = options.scale_kind == ScaleKind::kF32 ? static_cast<const void*>(device.put(made->scales_f32)) : device.put(made->scales_16);
  if (options.zeros) {
    made->zeros.assign(count, 0);
    pack_zeros(shape, zeros.data(), out, 0, made->zeros.data());
    made->linear.zeros = device.put(made->zeros);
  }
  if (!made->table.empty()) made->linear.table = device.put(made->table);
}

inline void make_matrix(TestDevice& device, QuickRandom* random, TestMatrix* made, int32_t out, int32_t in, const MatrixOptions& options) {
  made->linear = {};
  made->linear.kind = options.kind;
  made->linear.out = out;
  made->linear.in = in;
  made->linear.group = options.group;
  made->linear.scale_kind = options.scale_kind;
  made->values.resize(static_cast<size_t>(out) * in);
  if (options.order) {
    for (int32_t k = 0; k < in; k++) made->order.push_back(k);
    for (int32_t k = in - 1; k > 0; k--) std::swap(made->order[static_cast<size_t>(k)], made->order[static_cast<size_t>(random->below(k + 1))]);
    made->linear.order = device.put(made->order);
  }
  if (options.kind != WeightKind::kBF16) {
    make_quantised(device, random, made, options);
    return;
  }
  made->bf16 = random_bf16(random, static_cast<int64_t>(out) * in, std::sqrt(3.0f / static_cast<float>(in)));
  made->linear.codes = device.put(made->bf16);
  for (int32_t r = 0; r < out; r++) {
    for (int32_t k = 0; k < in; k++) {
      const int32_t input = options.order ? made->order[static_cast<size_t>(k)] : k;
      made->values[static_cast<size_t>(r) * in + input] = bf16_to_float(made->bf16[static_cast<size_t>(r) * in + k]);
    }
  }
}

// Whether steps are to use Hopper's own kernels: on the CPU that stands in for a GPU, or where there is such a chip.
inline bool& asks_for_hopper() {
  static bool asked = false;
  return asked;
}
inline void ask_for_hopper(const TestDevice& device, Target* target) {
  target->untried = true;
  if (device.is_real()) return;
  target->limits.capability = 90;
  target->limits.shared_per_block = DeviceLimits{}.shared_per_block;
  target->limits.shared_per_sm = DeviceLimits{}.shared_per_sm;
}

template <typename Body>
void with_hopper(const Body& body) {
  asks_for_hopper() = true;
  each_schedule(is_slow(), body);
  asks_for_hopper() = false;
}

// Where launches go, with scratch memory that is full of NaN. As if the device had `sms` multiprocessors, so that small
// matrices are cut as large ones are.
struct Work {
  Target target;
  uint32_t* counters = nullptr;
  int64_t n_counters = 0;

  Work(TestDevice& device, const ModelShape& shape, int32_t max_rows, int32_t max_logits, int32_t sms = 3) {
    target.stream = &device.runtime().stream();
    target.limits = device.runtime().limits();
    // With as many multiprocessors as an H200 has its memory too, where the shim lets blocks have any.
    if (sms == DeviceLimits{}.sms && !device.is_real()) target.limits = {};
    target.limits.sms = sms;
    if (asks_for_hopper()) ask_for_hopper(device, &target);
    const ScratchSizes sizes = scratch_sizes(shape, max_rows, max_logits, target.limits);
    n_counters = sizes.counter_bytes / 4 + 1;
    counters = device.room<uint32_t>(n_counters);
    target.scratch = {device.put(std::vector<float>(static_cast<size_t>(sizes.partial_bytes / 4 + 1), std::nanf(""))), counters};
  }
  // Kernels leave the counters as they found them.
  void check_counters(TestDevice& device) const {
    for (const uint32_t counter : device.get(counters, n_counters)) CHECK_EQ(counter, 0u);
  }
};

// A step of `rows` rows, of which `live` count, at scattered positions of sequences with scattered pages.
struct TestStep {
  StepCounts counts;
  std::vector<int32_t> tokens, positions, page_starts, pages, wanted;
  int32_t n_pages = 0;
  Step step;

  TestStep(TestDevice& device, int32_t rows, int32_t live, int32_t vocab) {
    constexpr int32_t kPagesOfRow = 5;
    counts.rows = counts.wanted = live;
    n_pages = rows * kPagesOfRow;
    const int32_t stride = n_pages % 11 == 0 ? 7 : 11;
    for (int32_t row = 0; row < rows; row++) {
      tokens.push_back(row * 7 % vocab);
      positions.push_back(row * 13 % (kPagesOfRow * kPage));
      page_starts.push_back(row * kPagesOfRow);
      for (int32_t page = 0; page < kPagesOfRow; page++) pages.push_back((row * kPagesOfRow + page) * stride % n_pages);
      wanted.push_back(rows - 1 - row);
    }
    step.counts = device.put_one(counts);
    step.tokens = device.put(tokens);
    step.positions = device.put(positions);
    step.page_starts = device.put(page_starts);
    step.pages = device.put(pages);
    step.wanted = device.put(wanted);
  }
  int32_t page_of(int32_t row) const {
    return pages[static_cast<size_t>(page_starts[static_cast<size_t>(row)] + positions[static_cast<size_t>(row)] / kPage)];
  }
};

// The widest difference; of NaN, a great one.
inline double widest_error(const float* got, const std::vector<double>& expected) {
  double widest = 0.0;
  for (size_t i = 0; i < expected.size(); i++) {
    const double error = std::fabs(static_cast<double>(got[i]) - expected[i]);
    widest = error <= widest ? widest : std::isnan(error) ? 1e30 : error;
  }
  return widest;
}

}  // namespace chasqui::cuda
