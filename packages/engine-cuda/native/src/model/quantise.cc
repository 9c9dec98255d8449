#include "quantise.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "../checkpoint/quant_module.h"
#include "precision.h"

namespace chasqui {
namespace {

// NormalFloat4: quantiles of a normal distribution (Dettmers et al., "QLoRA", 2023, appendix E).
constexpr std::array<float, 16> kNf4 = {
    -1.0f,         -0.69619280f, -0.52507305f, -0.39491749f, -0.28444138f, -0.18477343f, -0.09105004f, 0.0f,
    0.07958030f,   0.16093020f,  0.24611230f,  0.33791524f,  0.44070983f,  0.56261700f,  0.72295684f,  1.0f};

float largest_size(const float* values, int64_t count) {
  float largest = 0.0f;
  for (int64_t i = 0; i < count; i++) largest = std::max(largest, std::fabs(values[i]));
  return largest;
}

// Symmetric int4 with codes -8 .. 7: of a few scales near the one that just reaches the largest value, the one with the
// least squared error. The largest value gets the side that has one code more.
float best_int4_scale(const float* values, int64_t count) {
  const float largest = largest_size(values, count);
  if (largest == 0.0f) return 0.0f;
  const float* at = std::find_if(values, values + count, [largest](float value) { return std::fabs(value) == largest; });
  float best = 0.0f;
  double least = INFINITY;
  for (int step = 0; step <= 8; step++) {
    const float scale = -*at / (8.0f - 0.25f * static_cast<float>(step));
    double error = 0.0;
    for (int64_t i = 0; i < count; i++) {
      const float code = std::clamp(std::nearbyintf(values[i] / scale), -8.0f, 7.0f);
      error += (static_cast<double>(code) * scale - values[i]) * (static_cast<double>(code) * scale - values[i]);
    }
    if (error < least) {
      least = error;
      best = scale;
    }
  }
  return best;
}

uint8_t nearest_nf4(float value) {
  size_t best = 0;
  for (size_t code = 1; code < kNf4.size(); code++) {
    if (std::fabs(value - kNf4[code]) < std::fabs(value - kNf4[best])) best = code;
  }
  return static_cast<uint8_t>(best);
}

float scale_of(QuantScheme scheme, const float* values, int64_t count) {
  switch (scheme) {
    case QuantScheme::kInt8: return largest_size(values, count) / 127.0f;
    case QuantScheme::kFp8: return largest_size(values, count) / 448.0f;
    case QuantScheme::kInt4: return best_int4_scale(values, count);
    case QuantScheme::kNf4: return largest_size(values, count);
  }
  return 0.0f;
}

// The code of a value that is already divided by its scale.
uint8_t code_of(QuantScheme scheme, float scaled) {
  switch (scheme) {
    case QuantScheme::kInt8: return static_cast<uint8_t>(static_cast<int8_t>(std::clamp(std::nearbyintf(scaled), -127.0f, 127.0f)));
    case QuantScheme::kFp8: return float_to_e4m3(scaled);
    case QuantScheme::kInt4: return static_cast<uint8_t>(std::clamp(std::nearbyintf(scaled), -8.0f, 7.0f) + 8.0f);
    case QuantScheme::kNf4: return nearest_nf4(scaled);
  }
  return 0;
}

QuantKind kind_of(QuantScheme scheme) {
  switch (scheme) {
    case QuantScheme::kInt8: return QuantKind::kInt8;
    case QuantScheme::kFp8: return QuantKind::kFp8;
    case QuantScheme::kInt4: return QuantKind::kInt4;
    case QuantScheme::kNf4: return QuantKind::kTable4;
  }
  return QuantKind::kInt8;
}

void quantise_row(QuantScheme scheme, const std::vector<float>& values, int64_t row, QuantMatrix* matrix) {
  uint8_t* codes = matrix->codes.get() + row * matrix->row_bytes();
  const bool nibbles = matrix->row_bytes() != matrix->cols;
  for (int64_t first = 0; first < matrix->cols; first += matrix->group) {
    const float scale = scale_of(scheme, &values[static_cast<size_t>(first)], matrix->group);
    matrix->scales.push_back(scale);
    for (int64_t j = first; j < first + matrix->group; j++) {
      const float scaled = scale == 0.0f ? 0.0f : values[static_cast<size_t>(j)] / scale;
      const uint8_t code = code_of(scheme, scaled);
      if (!nibbles) {
        codes[j] = code;
      } else if (j % 2 == 0) {
        codes[j / 2] = code;
      } else {
        codes[j / 2] = static_cast<uint8_t>(codes[j / 2] | code << 4);
      }
    }
  }
}

}  // namespace

int64_t scheme_group(QuantScheme scheme, int64_t cols) {
  if (scheme == QuantScheme::kInt8 || scheme == QuantScheme::kFp8) return cols;
  if (scheme == QuantScheme::kNf4) return cols % 64 == 0 ? 64 : 0;
  for (const int64_t group : {128, 64, 32}) {
    if (cols % group == 0) return group;
  }
  return 0;
}

Status quantise(const MatrixView& plain, QuantScheme scheme, QuantMatrix* matrix, double* relative_error) {
  const int64_t group = scheme_group(scheme, plain.cols);
  if (group == 0) {
    return failure(Reason::kUnsupported,
                   "A matrix of " + std::to_string(plain.cols) + " inputs does not divide into the groups of 4-bit weights.",
                   "Choose int8 or fp8 for this model.");
  }
  if (Status status = new_matrix(kind_of(scheme), plain.rows, plain.cols, group, matrix); !status.ok()) return status;
  if (scheme == QuantScheme::kNf4) matrix->table = kNf4;
  std::vector<float> values(static_cast<size_t>(plain.cols));
  std::vector<float> back(values.size());
  double error = 0.0;
  double size = 0.0;
  for (int64_t row = 0; row < plain.rows; row++) {
    const char* from = static_cast<const char*>(plain.data) + row * plain.cols * dtype_bytes(plain.type);
    load_elements(from, plain.type, plain.cols, values.data());
    if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); })) {
      return failure(Reason::kBadCheckpoint, "A weight is no finite number.", "The file is damaged: download it again.");
    }
    quantise_row(scheme, values, row, matrix);
    dequantise_row(*matrix, row, back.data());
    for (size_t i = 0; i < values.size(); i++) {
      error += (static_cast<double>(back[i]) - values[i]) * (static_cast<double>(back[i]) - values[i]);
      size += static_cast<double>(values[i]) * values[i];
    }
  }
  *relative_error = size == 0.0 ? 0.0 : std::sqrt(error / size);
  return {};
}

uint8_t float_to_e4m3(float value) {
  const uint8_t sign = std::signbit(value) ? 0x80 : 0;
  const float size = std::fabs(value);
  if (std::isnan(size)) return sign | 0x7f;
  if (size >= 448.0f) return sign | 0x7e;
  // Multiples of 2^-9 below the smallest normal number, of 2^(exponent - 3) above it; a carry gives the next exponent.
  const int exponent = std::max(size == 0.0f ? -6 : std::ilogb(size), -6);
  const int steps = static_cast<int>(std::nearbyintf(std::ldexp(size, 3 - exponent)));
  return static_cast<uint8_t>(sign | (steps + (exponent + 6) * 8));
}

}  // namespace chasqui
