// The codes of a matrix before they are packed, one to a byte, and the file that they are written to.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "src/checkpoint/safetensors.h"
#include "src/model/precision.h"

namespace chasqui {

constexpr int64_t kGroup = 64;  // of the formats in groups: divides every size of the tiny model

// A safetensors file in memory.
struct Writer {
  std::string header;
  std::string data;

  void add(const std::string& name, const char* type, const std::vector<int64_t>& shape, const void* bytes, size_t size) {
    header += std::string(header.empty() ? "{\"" : ",\"") + name + "\":{\"dtype\":\"" + type +
              "\",\"shape\":" + shape_text(shape) + ",\"data_offsets\":[" + std::to_string(data.size()) + "," +
              std::to_string(data.size() + size) + "]}";
    data.append(static_cast<const char*>(bytes), size);
  }
  template <typename T>
  void add(const std::string& name, const char* type, const std::vector<int64_t>& shape, const std::vector<T>& values) {
    add(name, type, shape, values.data(), values.size() * sizeof(T));
  }
  void add_f16(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values) {
    std::vector<uint16_t> halves;
    for (const float value : values) halves.push_back(float_to_half(value));
    add(name, "F16", shape, halves);
  }
  void add_bf16(const std::string& name, const std::vector<int64_t>& shape, const std::vector<float>& values) {
    std::vector<uint16_t> halves;
    for (const float value : values) halves.push_back(float_to_bf16(value));
    add(name, "BF16", shape, halves);
  }
};

struct Matrix {
  std::string name;  // without ".weight"
  int64_t rows;
  int64_t cols;
  std::vector<float> w;

  float at(int64_t row, int64_t col) const { return w[static_cast<size_t>(row * cols + col)]; }
  size_t index(int64_t row, int64_t col) const { return static_cast<size_t>(row * cols + col); }
};

inline float largest(const float* values, int64_t n) {
  float result = 0;
  for (int64_t i = 0; i < n; i++) result = std::max(result, std::fabs(values[i]));
  return result;
}

// ---- Integers in groups ----

enum class Zeros : uint8_t { kFree, kCentre };

struct Codes {
  int64_t groups = 0;
  std::vector<uint8_t> q;      // (rows, cols), 0 .. 2^bits - 1, in the order of the inputs
  std::vector<uint8_t> z;      // (rows, groups)
  std::vector<float> s;        // (rows, groups), such as F16 holds
  std::vector<int32_t> g_idx;  // (cols)
};

// Inputs by descending norm of their column, or as they are.
inline std::vector<int32_t> input_order(const Matrix& m, bool by_norm) {
  std::vector<int32_t> order(static_cast<size_t>(m.cols));
  std::iota(order.begin(), order.end(), 0);
  if (!by_norm) return order;
  std::vector<double> norms(order.size());
  for (int64_t r = 0; r < m.rows; r++) {
    for (int64_t c = 0; c < m.cols; c++) norms[static_cast<size_t>(c)] += static_cast<double>(m.at(r, c)) * m.at(r, c);
  }
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return norms[static_cast<size_t>(a)] > norms[static_cast<size_t>(b)]; });
  return order;
}

inline Codes encode(const Matrix& m, int bits, Zeros zeros, bool by_norm) {
  Codes codes;
  const int top = (1 << bits) - 1;
  const int centre = 1 << (bits - 1);
  const std::vector<int32_t> order = input_order(m, by_norm);
  codes.groups = m.cols / kGroup;
  codes.q.resize(m.w.size());
  codes.g_idx.resize(order.size());
  for (size_t j = 0; j < order.size(); j++) codes.g_idx[static_cast<size_t>(order[j])] = static_cast<int32_t>(j) / kGroup;
  for (int64_t row = 0; row < m.rows; row++) {
    for (int64_t group = 0; group < codes.groups; group++) {
      float low = 0, high = 0;
      for (int64_t j = group * kGroup; j < (group + 1) * kGroup; j++) {
        const float value = m.at(row, order[static_cast<size_t>(j)]);
        low = std::min(low, value);
        high = std::max(high, value);
      }
      const float wide = zeros == Zeros::kFree ? (high - low) / static_cast<float>(top)
                                               : std::max(-low, high) / static_cast<float>(centre - 1);
      const float scale = half_to_float(float_to_half(std::max(wide, 1e-5f)));
      const int zero = zeros == Zeros::kFree ? std::clamp(static_cast<int>(std::lround(-low / scale)), 0, top) : centre;
      codes.s.push_back(scale);
      codes.z.push_back(static_cast<uint8_t>(zero));
      for (int64_t j = group * kGroup; j < (group + 1) * kGroup; j++) {
        const int32_t col = order[static_cast<size_t>(j)];
        const int code = static_cast<int>(std::lround(m.at(row, col) / scale)) + zero;
        codes.q[m.index(row, col)] = static_cast<uint8_t>(std::clamp(code, 0, top));
      }
    }
  }
  return codes;
}

inline std::vector<float> transposed(const std::vector<float>& values, int64_t rows, int64_t cols) {
  std::vector<float> out(values.size());
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t c = 0; c < cols; c++) out[static_cast<size_t>(c * rows + r)] = values[static_cast<size_t>(r * cols + c)];
  }
  return out;
}

}  // namespace chasqui
