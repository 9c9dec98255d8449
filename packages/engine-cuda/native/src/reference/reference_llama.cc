// Read from reference_forward upwards: the blocks of a layer stand above it in the order in which it calls them, and
// the operations that they are made of above those.
#include "reference_llama.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "../model/precision.h"

namespace chasqui {
namespace {

using Row = std::vector<double>;
using Rows = std::vector<Row>;  // one per token

// ---- Numbers as they are stored ----

// Row `row` of a matrix, (cols).
Row read_row(const MatrixView& matrix, int64_t row) {
  std::vector<float> values(static_cast<size_t>(matrix.cols));
  load_elements(static_cast<const char*>(matrix.data) + row * matrix.cols * dtype_bytes(matrix.type), matrix.type,
                matrix.cols, values.data());
  return Row(values.begin(), values.end());
}

// Nearest value with `digits` significant binary digits, ties to even; subnormals are multiples of 2^`smallest`.
double to_digits(double value, int digits, int smallest) {
  if (value == 0.0 || !std::isfinite(value)) return value;
  const double step = std::ldexp(1.0, std::max(std::ilogb(value) - (digits - 1), smallest));
  return std::nearbyint(value / step) * step;  // the default rounding mode is to nearest even
}

void to_integers(Row* values) {
  constexpr size_t kGroup = 64;
  for (size_t first = 0; first < values->size(); first += kGroup) {
    const size_t end = std::min(values->size(), first + kGroup);
    double largest = 0.0;
    for (size_t i = first; i < end; i++) largest = std::max(largest, std::fabs((*values)[i]));
    if (largest == 0.0) continue;
    for (size_t i = first; i < end; i++) (*values)[i] = std::nearbyint((*values)[i] * 127.0 / largest) * (largest / 127.0);
  }
}

void round_all(Row* values, Rounding rounding) {
  if (rounding == Rounding::kExact) return;
  if (rounding == Rounding::kInt8) return to_integers(values);
  for (double& value : *values) value = rounded(value, rounding);
}

// ---- The operations of a Llama, one token at a time ----

// y[o] = sum over i of W[o][i] x[i], for every token.
Rows project(const MatrixView& matrix, const Rows& inputs, Rounding rounding) {
  Rows outputs(inputs.size(), Row(static_cast<size_t>(matrix.rows)));
  for (int64_t o = 0; o < matrix.rows; o++) {
    const Row weights = read_row(matrix, o);
    for (size_t t = 0; t < inputs.size(); t++) {
      double sum = 0.0;
      for (size_t i = 0; i < weights.size(); i++) sum += weights[i] * inputs[t][i];
      outputs[t][static_cast<size_t>(o)] = rounded(sum, rounding);
    }
  }
  return outputs;
}

// RMSNorm: x / sqrt(mean(x^2) + eps) * gain.
Rows normalise(const Rows& inputs, const MatrixView& gain, double eps, Rounding rounding) {
  const Row gains = read_row(gain, 0);
  Rows outputs = inputs;
  for (Row& x : outputs) {
    double squares = 0.0;
    for (const double value : x) squares += value * value;
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(x.size()) + eps);
    for (size_t i = 0; i < x.size(); i++) x[i] = x[i] * scale * gains[i];
    round_all(&x, rounding);
  }
  return outputs;
}

// Rope: in each head of x, (n_heads, head_dim), dimensions j and j + head_dim / 2 are turned by position *
// frequency[j].
void rotate(Row* x, size_t position, const std::vector<double>& frequencies) {
  const size_t half = frequencies.size();
  for (size_t head = 0; head < x->size(); head += 2 * half) {
    for (size_t j = 0; j < half; j++) {
      const double angle = static_cast<double>(position) * frequencies[j];
      const double a = (*x)[head + j];
      const double b = (*x)[head + j + half];
      (*x)[head + j] = a * std::cos(angle) - b * std::sin(angle);
      (*x)[head + j + half] = b * std::cos(angle) + a * std::sin(angle);
    }
  }
}

// Causal attention of one query head at `position`: softmax(q k / sqrt(head_dim)) over the positions up to it, times v.
// Query and output begin at `head`, keys and values at `kv_head`.
void attend(const ModelConfig& config, const Rows& q, const Rows& k, const Rows& v, size_t position, size_t head,
            size_t kv_head, const RoundingPoints& rounding, Row* out) {
  const size_t size = static_cast<size_t>(config.head_dim);
  Row weights(position + 1);
  double largest = -INFINITY;
  for (size_t t = 0; t <= position; t++) {
    for (size_t i = 0; i < size; i++) weights[t] += q[position][head + i] * k[t][kv_head + i];
    weights[t] /= std::sqrt(static_cast<double>(size));
    largest = std::max(largest, weights[t]);
  }
  double total = 0.0;
  for (double& weight : weights) total += weight = rounded(std::exp(weight - largest), rounding.exponentials);
  for (size_t t = 0; t <= position; t++) {
    const double probability = rounded(weights[t] / total, rounding.probabilities);
    for (size_t i = 0; i < size; i++) (*out)[head + i] += probability * v[t][kv_head + i];
  }
}

// x + o(attention(norm(x)))
void attention_block(const ModelConfig& config, const LayerWeights& layer, const std::vector<double>& frequencies,
                     const RoundingPoints& rounding, Rows* x) {
  const Rows h = normalise(*x, layer.attn_norm, config.norm_eps, rounding.norm);
  Rows q = project(layer.q, h, rounding.projection);
  Rows k = project(layer.k, h, rounding.projection);
  Rows v = project(layer.v, h, rounding.projection);
  for (size_t t = 0; t < h.size(); t++) {
    rotate(&q[t], t, frequencies);
    rotate(&k[t], t, frequencies);
    round_all(&q[t], rounding.query);
    round_all(&k[t], rounding.cache);
    round_all(&v[t], rounding.cache);
  }
  const size_t size = static_cast<size_t>(config.head_dim);
  const size_t heads = static_cast<size_t>(config.n_heads);
  const size_t group = heads / static_cast<size_t>(config.n_kv_heads);  // query heads that share a key-value head
  Rows outputs(h.size(), Row(heads * size));
  for (size_t t = 0; t < h.size(); t++) {
    for (size_t head = 0; head < heads; head++) {
      attend(config, q, k, v, t, head * size, head / group * size, rounding, &outputs[t]);
    }
    round_all(&outputs[t], rounding.attention);
  }
  const Rows added = project(layer.o, outputs, Rounding::kExact);
  for (size_t t = 0; t < h.size(); t++) {
    for (size_t i = 0; i < added[t].size(); i++) (*x)[t][i] = rounded((*x)[t][i] + added[t][i], rounding.residual);
  }
}

// x + down(silu(gate(h)) * up(h)), h = norm(x)
void feed_forward_block(const ModelConfig& config, const LayerWeights& layer, const RoundingPoints& rounding, Rows* x) {
  const Rows h = normalise(*x, layer.ffn_norm, config.norm_eps, rounding.norm);
  Rows gate = project(layer.gate, h, rounding.projection);
  const Rows up = project(layer.up, h, rounding.projection);
  for (size_t t = 0; t < h.size(); t++) {
    for (size_t i = 0; i < gate[t].size(); i++) {
      gate[t][i] = gate[t][i] / (1.0 + std::exp(-gate[t][i])) * up[t][i];
    }
    round_all(&gate[t], rounding.gated);
  }
  const Rows added = project(layer.down, gate, Rounding::kExact);
  for (size_t t = 0; t < h.size(); t++) {
    for (size_t i = 0; i < added[t].size(); i++) (*x)[t][i] = rounded((*x)[t][i] + added[t][i], rounding.residual);
  }
}

Status check_request(const ModelConfig& config, const Weights& weights, const std::vector<int32_t>& tokens) {
  for (const LayerWeights& layer : weights.layers) {
    for (const MatrixView* matrix :
         {&layer.q, &layer.k, &layer.v, &layer.o, &layer.gate, &layer.up, &layer.down, &weights.head}) {
      if (matrix->quant == nullptr) continue;
      return failure(Reason::kUnsupported, "The reference reads no quantised matrices.",
                     "Call dequantise_weights first.");
    }
  }
  if (tokens.empty() || tokens.size() > static_cast<size_t>(config.context)) {
    return failure(Reason::kBadRequest,
                   "A sequence of " + std::to_string(tokens.size()) + " tokens does not fit a context of " +
                       std::to_string(config.context) + ".",
                   "Give between one token and the context length.");
  }
  for (const int32_t token : tokens) {
    if (token >= 0 && token < config.vocab) continue;
    return failure(
        Reason::kBadRequest,
        "Token " + std::to_string(token) + " is outside the vocabulary of " + std::to_string(config.vocab) + ".",
        "Give ids of this model's tokenizer.");
  }
  return {};
}

void append(const Rows& rows, std::vector<double>* out) {
  for (const Row& row : rows) out->insert(out->end(), row.begin(), row.end());
}

}  // namespace

Status reference_forward(const ModelConfig& config, const Weights& weights, const std::vector<int32_t>& tokens,
                         const RoundingPoints& rounding, ReferenceRun* run) {
  if (Status status = check_request(config, weights, tokens); !status.ok()) return status;
  *run = {};
  Rows x;  // the residual stream, (dim) per token
  for (const int32_t token : tokens) x.push_back(read_row(weights.embed, token));
  for (Row& row : x) round_all(&row, rounding.residual);
  append(x, &run->hidden);

  const std::vector<double> frequencies = reference_rope_frequencies(config);
  for (const LayerWeights& layer : weights.layers) {
    attention_block(config, layer, frequencies, rounding, &x);
    feed_forward_block(config, layer, rounding, &x);
    append(x, &run->hidden);
  }
  append(project(weights.head, normalise(x, weights.norm, config.norm_eps, rounding.norm), rounding.logits),
         &run->logits);
  return {};
}

// Frequencies of Llama 3.1: long wavelengths are stretched by `factor`, short ones kept, those between are blended.
std::vector<double> reference_rope_frequencies(const ModelConfig& config) {
  const RopeScaling& rope = config.rope;
  const double original = static_cast<double>(rope.original_context);
  std::vector<double> frequencies;
  for (int32_t j = 0; j < config.head_dim; j += 2) {
    const double frequency = std::pow(config.rope_theta, -static_cast<double>(j) / config.head_dim);
    const double wavelength = 2.0 * std::numbers::pi / frequency;
    if (rope.factor == 1.0 || wavelength < original / rope.high_freq_factor) {
      frequencies.push_back(frequency);
    } else if (wavelength > original / rope.low_freq_factor) {
      frequencies.push_back(frequency / rope.factor);
    } else {
      const double kept =
          (original / wavelength - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
      frequencies.push_back((1.0 - kept) * frequency / rope.factor + kept * frequency);
    }
  }
  return frequencies;
}

double rounded(double value, Rounding rounding) {
  switch (rounding) {
    case Rounding::kExact: return value;
    case Rounding::kF32: return static_cast<float>(value);
    case Rounding::kF16: {
      const double nearest = to_digits(value, 11, -24);
      return std::fabs(nearest) < 65520.0 ? nearest : nearest * INFINITY;
    }
    case Rounding::kBF16: return to_digits(value, 8, -133);
    case Rounding::kFp8: return std::clamp(to_digits(value, 4, -9), -448.0, 448.0);
    case Rounding::kInt8: return value;
  }
  return value;
}

RoundingPoints bf16_cache_points() {
  RoundingPoints points = {Rounding::kF32, Rounding::kF32, Rounding::kF32, Rounding::kF32, Rounding::kF32,
                           Rounding::kF32, Rounding::kF32, Rounding::kF32, Rounding::kF32, Rounding::kF32};
  points.cache = Rounding::kBF16;
  points.exponentials = Rounding::kExact;  // probabilities are rounded instead
  return points;
}

RoundingPoints rounded_attention_points() {
  RoundingPoints points = bf16_cache_points();
  points.query = points.exponentials = Rounding::kBF16;
  return points;
}

RoundingPoints rounded_input_points(Rounding inputs) {
  RoundingPoints points = rounded_attention_points();
  points.norm = points.attention = points.gated = inputs;
  return points;
}

RoundingPoints bf16_points() {
  RoundingPoints points = {Rounding::kBF16, Rounding::kBF16, Rounding::kBF16, Rounding::kBF16, Rounding::kBF16,
                           Rounding::kExact, Rounding::kBF16, Rounding::kBF16, Rounding::kBF16, Rounding::kExact};
  return points;
}

}  // namespace chasqui
