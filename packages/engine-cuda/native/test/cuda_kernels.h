// What the tests of the CUDA kernels share: random tensors in bf16, a device of CPU fibers under each schedule, and packed
// weights beside their values in double.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "check.h"
#include "random_model.h"
#include "src/backend/cuda/kernels/launch.h"
#include "src/backend/cuda/kernels/pack.h"
#include "src/backend/cuda/shim/cpu_device.h"
#include "src/checkpoint/quant.h"
#include "src/model/precision.h"

namespace chasqui::cuda {

inline std::vector<shim::Schedule> all_schedules() {
  std::vector<shim::Schedule> all;
  for (const shim::Order order : {shim::Order::kRoundRobin, shim::Order::kShuffled, shim::Order::kWarpGreedy}) {
    for (const shim::Copies copies : {shim::Copies::kDeferred, shim::Copies::kEager}) all.push_back({order, copies, 7});
  }
  return all;
}

// The two that between them see most: see shim/cpu_device.h.
inline std::vector<shim::Schedule> few_schedules() {
  return {{shim::Order::kShuffled, shim::Copies::kDeferred, 3}, {shim::Order::kWarpGreedy, shim::Copies::kEager, 5}};
}

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
  // What `linear` points to.
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

inline void make_quantised(QuickRandom* random, TestMatrix* made, const MatrixOptions& options) {
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
  made->linear.codes = made->codes.data();
  const auto count = static_cast<size_t>(packed_scale_count(shape));
  made->scales_f32.assign(count, 0.0f);
  made->scales_16.assign(count, 0);
  void* packed = options.scale_kind == ScaleKind::kF32 ? static_cast<void*>(made->scales_f32.data()) : made->scales_16.data();
  CHECK(scales_fit(options.scale_kind, scales.data(), static_cast<int64_t>(scales.size())));
  pack_scales(shape, options.scale_kind, scales.data(), out, 0, packed);
  made->linear.scales = packed;
  if (options.zeros) {
    made->zeros.assign(count, 0);
    pack_zeros(shape, zeros.data(), out, 0, made->zeros.data());
    made->linear.zeros = made->zeros.data();
  }
  made->linear.table = made->table.empty() ? nullptr : made->table.data();
}

inline void make_matrix(QuickRandom* random, TestMatrix* made, int32_t out, int32_t in, const MatrixOptions& options) {
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
    made->linear.order = made->order.data();
  }
  if (options.kind != WeightKind::kBF16) {
    make_quantised(random, made, options);
    return;
  }
  made->bf16 = random_bf16(random, static_cast<int64_t>(out) * in, std::sqrt(3.0f / static_cast<float>(in)));
  made->linear.codes = made->bf16.data();
  for (int32_t r = 0; r < out; r++) {
    for (int32_t k = 0; k < in; k++) {
      const int32_t input = options.order ? made->order[static_cast<size_t>(k)] : k;
      made->values[static_cast<size_t>(r) * in + input] = bf16_to_float(made->bf16[static_cast<size_t>(r) * in + k]);
    }
  }
}

// A stream of CPU fibers with scratch memory, and a check that nothing went wrong on it.
struct TestDevice {
  shim::CpuStream stream;
  std::vector<float> partials;
  std::vector<uint32_t> counters;
  Target target;

  TestDevice(const shim::Schedule& schedule, const ModelShape& shape, int32_t max_rows, int32_t max_logits, int32_t sms = 3)
      : stream(schedule) {
    target.stream = &stream;
    target.limits.sms = sms;
    const ScratchSizes sizes = scratch_sizes(shape, max_rows, max_logits, target.limits);
    partials.assign(static_cast<size_t>(sizes.partial_bytes / 4 + 1), std::nanf(""));
    counters.assign(static_cast<size_t>(sizes.counter_bytes / 4 + 1), 0);
    target.scratch = {partials.data(), counters.data()};
  }
  ~TestDevice() {
    CHECK_EQ(stream.failure(), std::string());
    for (const uint32_t counter : counters) CHECK_EQ(counter, 0u);
  }
};

}  // namespace chasqui::cuda
