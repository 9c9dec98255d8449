// The matrix operations against double precision, with each ending: what the tests of the portable kernels and of Hopper's
// share.
#pragma once

#include "check.h"
#include "cuda_kernels.h"

namespace chasqui::cuda {

constexpr float kEps = 1e-5f;

inline std::vector<double> normed(const std::vector<float>& x, int64_t row, const std::vector<float>& weight) {
  const size_t dim = weight.size();
  const float* from = x.data() + row * static_cast<int64_t>(dim);
  double sum = 0.0;
  for (size_t i = 0; i < dim; i++) sum += static_cast<double>(from[i]) * from[i];
  const double scale = 1.0 / std::sqrt(sum / static_cast<double>(dim) + kEps);
  std::vector<double> out(dim);
  for (size_t i = 0; i < dim; i++) out[i] = bf16_to_float(float_to_bf16(static_cast<float>(from[i] * scale * weight[i])));
  return out;
}

inline std::vector<double> times(const TestMatrix& matrix, const std::vector<double>& x) {
  std::vector<double> y(static_cast<size_t>(matrix.linear.out), 0.0);
  for (size_t r = 0; r < y.size(); r++) {
    for (size_t k = 0; k < x.size(); k++) y[r] += matrix.values[r * x.size() + k] * x[k];
  }
  return y;
}

inline double rms(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum / static_cast<double>(values.size()));
}

// 2e-6 sqrt(K) rms(a) rms(w) 8.
inline double sum_tolerance(const TestMatrix& matrix, const std::vector<double>& x) {
  return 1.6e-5 * std::sqrt(static_cast<double>(x.size())) * rms(x) * rms(matrix.values);
}

// Of sums over a norm computed here, where an input may round the other way: one in a hundred by 2^-8.
inline double normed_tolerance(const TestMatrix& matrix, const std::vector<double>& x) {
  return sum_tolerance(matrix, x) + 0x1p-8 * 8 * rms(x) * rms(matrix.values);
}

inline const MatrixOptions kPlain{};
inline const MatrixOptions kFormats[] = {
    kPlain,
    {WeightKind::kBF16, 0, ScaleKind::kF32, false, true},
    {WeightKind::kFp8, 0, ScaleKind::kF32, false, false},
    {WeightKind::kFp8, 128, ScaleKind::kBF16, false, false},
    {WeightKind::kInt8, 0, ScaleKind::kF32, false, false},
    {WeightKind::kInt8, 128, ScaleKind::kBF16, false, false},
    {WeightKind::kInt8, 32, ScaleKind::kF16, true, false},
    {WeightKind::kInt8, 0, ScaleKind::kF32, true, false},
    {WeightKind::kInt4, 128, ScaleKind::kF16, false, false},
    {WeightKind::kInt4, 32, ScaleKind::kF32, true, false},
    {WeightKind::kInt4, 64, ScaleKind::kBF16, true, true},
    {WeightKind::kInt4, 0, ScaleKind::kF32, false, false},
    {WeightKind::kTable4, 64, ScaleKind::kF32, false, false},
    {WeightKind::kTable4, 256, ScaleKind::kF16, false, true},
};

struct Case {
  int32_t rows, live, out, in, sms;
};

// Hopper's products of e4m3 by e4m3 round the inputs, by the largest of a row.
inline bool rounds_inputs(const Work& work, WeightKind kind) {
  return work.target.untried && work.target.limits.capability == 90 && kind == WeightKind::kFp8;
}
constexpr double kShortSums = 30.0;  // and add up in fewer bits than a float has

inline std::vector<double> in_e4m3(std::vector<double> input) {
  float largest = 0.0f;
  for (const double value : input) largest = std::max(largest, static_cast<float>(std::fabs(value)));
  const float inverse = 448.0f / largest, scale = largest / 448.0f;
  for (double& value : input) value = static_cast<double>(e4m3_to_float(float_to_e4m3(static_cast<float>(value) * inverse))) * scale;
  return input;
}

// x += W attended
inline void check_residual(const Case& c, const MatrixOptions& options) {
  QuickRandom random(static_cast<uint64_t>(c.rows * 31 + c.out + c.in) + static_cast<uint64_t>(options.kind) * 7);
  TestDevice device;
  TestMatrix matrix;
  make_matrix(device, &random, &matrix, c.out, c.in, options);
  CHECK(refuses(matrix.linear) == nullptr);
  const ModelShape shape{c.out, c.in, c.in / 64, 1, 64, 64};
  const Work work(device, shape, c.rows, 1, c.sms);
  const bool rounds = rounds_inputs(work, options.kind);
  const TestStep step(device, c.rows, c.live, 64);
  const std::vector<float> x = random_floats(&random, static_cast<int64_t>(c.rows) * c.out, 0.0f, 1.0f);
  const std::vector<uint16_t> attended = random_bf16(&random, static_cast<int64_t>(c.rows) * c.in);
  Activations activations;
  activations.x = device.put(x);
  activations.attended = device.put(attended);
  activations.normed = device.room<uint16_t>(static_cast<int64_t>(c.rows) * std::max(c.out, c.in));
  o_residual(work.target, shape, step.step, c.rows, matrix.linear, activations);
  const std::vector<float> result = device.get(activations.x, static_cast<int64_t>(x.size()));
  for (int32_t row = 0; row < c.rows; row++) {
    std::vector<double> input;
    for (int32_t k = 0; k < c.in; k++) input.push_back(bf16_to_float(attended[static_cast<size_t>(row) * c.in + k]));
    if (rounds) input = in_e4m3(input);
    std::vector<double> expected = row < c.live ? times(matrix, input) : std::vector<double>(static_cast<size_t>(c.out), 0.0);
    for (int32_t i = 0; i < c.out; i++) expected[static_cast<size_t>(i)] += x[static_cast<size_t>(row) * c.out + i];
    CHECK_NEAR(widest_error(result.data() + static_cast<int64_t>(row) * c.out, expected), 0.0,
               row < c.live ? sum_tolerance(matrix, input) * (rounds && device.is_real() ? kShortSums : 1.0) + 3e-7 : 0.0);
  }
  work.check_counters(device);
}

// hidden = silu(gate norm(x)) (up norm(x))
inline void check_gate(const Case& c, const MatrixOptions& options) {
  QuickRandom random(static_cast<uint64_t>(c.rows * 17 + c.out));
  TestDevice device;
  TestMatrix matrix;
  make_matrix(device, &random, &matrix, c.out, c.in, options);
  const int32_t ffn = c.out / 2;
  const ModelShape shape{c.in, ffn, c.in / 64, 1, 64, 64};
  const Work work(device, shape, c.rows, 1, c.sms);
  const TestStep step(device, c.rows, c.live, 64);
  const std::vector<float> x = random_floats(&random, static_cast<int64_t>(c.rows) * c.in, 0.1f, 2.0f);
  const std::vector<float> weight = random_floats(&random, c.in, 1.0f, 0.3f);
  Activations activations;
  activations.x = device.put(x);
  activations.hidden = device.room<uint16_t>(static_cast<int64_t>(c.rows) * ffn);
  activations.normed = device.room<uint16_t>(static_cast<int64_t>(c.rows) * std::max(c.in, ffn));
  norm_gateup_silu(work.target, shape, step.step, c.rows, {device.put(weight), kEps}, matrix.linear, activations);
  const std::vector<uint16_t> result = device.get(activations.hidden, static_cast<int64_t>(c.rows) * ffn);
  for (int32_t row = 0; row < c.rows; row++) {
    const std::vector<double> input = normed(x, row, weight);
    const std::vector<double> y = times(matrix, input);
    const double tolerance = normed_tolerance(matrix, input);
    for (int32_t i = 0; i < ffn; i++) {
      const double gate = y[static_cast<size_t>(i)], up = y[static_cast<size_t>(ffn + i)];
      const double expected = row < c.live ? gate / (1.0 + std::exp(-gate)) * up : 0.0;
      const double got = bf16_to_float(result[static_cast<size_t>(row) * ffn + i]);
      CHECK_NEAR(got, expected, std::fabs(expected) * 0x1p-8 + (row < c.live ? tolerance * (1.1 * std::fabs(up) + std::fabs(gate)) : 0.0));
    }
  }
  work.check_counters(device);
}

// Rope of one pair, in double.
inline void turn(double angle, double* low, double* high) {
  const double l = *low, h = *high;
  *low = l * std::cos(angle) - h * std::sin(angle);
  *high = h * std::cos(angle) + l * std::sin(angle);
}

struct Heads {
  int32_t n, n_kv, dim;
};

inline void check_qkv(const Heads& heads, int32_t rows, int32_t live, int32_t in, const MatrixOptions& options, KvKind kv_kind) {
  QuickRandom random(static_cast<uint64_t>(rows * 5 + heads.dim));
  TestDevice device;
  TestMatrix matrix;
  const int32_t out = (heads.n + 2 * heads.n_kv) * heads.dim;
  make_matrix(device, &random, &matrix, out, in, options);
  const ModelShape shape{in, 64, heads.n, heads.n_kv, heads.dim, 64};
  const Work work(device, shape, rows, 1);
  const TestStep step(device, rows, live, 64);
  const std::vector<float> x = random_floats(&random, static_cast<int64_t>(rows) * in, 0.0f, 1.0f);
  const std::vector<float> weight = random_floats(&random, in, 1.0f, 0.3f);
  const int32_t half = heads.dim / 2;
  std::vector<float> turns;
  const auto angle_of = [&](int32_t position, int32_t j) { return position * std::pow(500.0, -static_cast<double>(j) / half); };
  for (int32_t position = 0; position < 5 * kPage; position++) {
    for (int32_t j = 0; j < half; j++) {
      turns.push_back(static_cast<float>(std::cos(angle_of(position, j))));
      turns.push_back(static_cast<float>(std::sin(angle_of(position, j))));
    }
  }
  const int64_t element = kv_kind == KvKind::kBF16 ? 2 : 1;
  const int64_t layer_elements = static_cast<int64_t>(step.n_pages) * heads.n_kv * kPage * heads.dim;
  DeviceKv kv;
  kv.keys = device.room<uint8_t>(2 * layer_elements * element);
  kv.values = device.room<uint8_t>(2 * layer_elements * element);
  kv.kind = kv_kind;
  kv.n_layers = 2;
  kv.n_pages = step.n_pages;
  if (kv_kind == KvKind::kFp8) kv.key_scale = 0.5f, kv.value_scale = 2.0f;
  Activations activations;
  activations.x = device.put(x);
  activations.q = device.room<uint16_t>(static_cast<int64_t>(rows) * heads.n * heads.dim);
  activations.normed = device.room<uint16_t>(static_cast<int64_t>(rows) * std::max(in, heads.n * heads.dim));
  norm_qkv_rope_store(work.target, shape, step.step, rows, {device.put(weight), kEps}, matrix.linear, {device.put(turns)}, kv, 1, activations);
  const std::vector<uint16_t> q = device.get(activations.q, static_cast<int64_t>(rows) * heads.n * heads.dim);
  const std::vector<uint8_t> keys = device.get(static_cast<uint8_t*>(kv.keys), 2 * layer_elements * element);
  const std::vector<uint8_t> values = device.get(static_cast<uint8_t*>(kv.values), 2 * layer_elements * element);
  const auto stored = [&](const std::vector<uint8_t>& pool, int64_t at, float scale) -> double {
    if (kv_kind == KvKind::kFp8) return static_cast<double>(e4m3_to_float(pool[static_cast<size_t>(layer_elements + at)])) * scale;
    uint16_t bits;
    std::memcpy(&bits, pool.data() + (layer_elements + at) * 2, 2);
    return bf16_to_float(bits);
  };
  const double precision = kv_kind == KvKind::kBF16 ? 0x1p-8 : 0x1.2p-4;
  for (int32_t row = 0; row < live; row++) {
    const std::vector<double> input = normed(x, row, weight);
    std::vector<double> y = times(matrix, input);
    const double tolerance = 2 * normed_tolerance(matrix, input);
    const int32_t position = step.positions[static_cast<size_t>(row)];
    for (int32_t head = 0; head < heads.n + 2 * heads.n_kv; head++) {
      for (int32_t j = 0; j < half; j++) {
        double* low = y.data() + head * heads.dim + j;
        if (head < heads.n + heads.n_kv) turn(angle_of(position, j), low, low + half);
        for (int32_t d : {j, j + half}) {
          const double expected = low[d - j];
          if (head < heads.n) {
            CHECK_NEAR(bf16_to_float(q[(static_cast<size_t>(row) * heads.n + head) * heads.dim + d]), expected,
                       std::fabs(expected) * 0x1p-8 + tolerance);
            continue;
          }
          const bool is_key = head < heads.n + heads.n_kv;
          const int32_t kv_head = (head - heads.n) % heads.n_kv;
          const int64_t at = ((static_cast<int64_t>(step.page_of(row)) * heads.n_kv + kv_head) * kPage + position % kPage) * heads.dim + d;
          const float scale = is_key ? kv.key_scale : kv.value_scale;
          CHECK_NEAR(stored(is_key ? keys : values, at, scale), expected,
                     std::fabs(expected) * precision + tolerance + (kv_kind == KvKind::kFp8 ? scale * 0x1p-10 : 0.0));
        }
      }
    }
  }
  work.check_counters(device);
}

// logits of rows in another order than theirs, from `first` on
inline void check_head(int32_t wanted, int32_t first, int32_t count, int32_t vocab, const MatrixOptions& options) {
  constexpr int32_t kDim = 128;
  QuickRandom random(static_cast<uint64_t>(wanted));
  TestDevice device;
  TestMatrix matrix;
  make_matrix(device, &random, &matrix, vocab, kDim, options);
  const ModelShape shape{kDim, 64, 2, 1, 64, vocab};
  const Work work(device, shape, wanted, count);
  const TestStep step(device, wanted, wanted, vocab);
  const std::vector<float> x = random_floats(&random, static_cast<int64_t>(wanted) * kDim, 0.0f, 1.0f);
  const std::vector<float> weight = random_floats(&random, kDim, 1.0f, 0.3f);
  Activations activations;
  activations.x = device.put(x);
  activations.normed = device.room<uint16_t>(static_cast<int64_t>(count) * kDim);
  activations.logits = device.room<float>(static_cast<int64_t>(count) * vocab);
  head(work.target, shape, step.step, first, count, {device.put(weight), kEps}, matrix.linear, activations);
  const std::vector<float> logits = device.get(activations.logits, static_cast<int64_t>(count) * vocab);
  for (int32_t i = 0; i < count; i++) {
    std::vector<double> expected(static_cast<size_t>(vocab), 0.0);
    double tolerance = 0.0;
    if (first + i < wanted) {
      const std::vector<double> input = normed(x, step.wanted[static_cast<size_t>(first + i)], weight);
      expected = times(matrix, input);
      tolerance = normed_tolerance(matrix, input);
    }
    CHECK_NEAR(widest_error(logits.data() + static_cast<int64_t>(i) * vocab, expected), 0.0, tolerance);
  }
  work.check_counters(device);
}

}  // namespace chasqui::cuda
