// One form for the weights of every quantised checkpoint: codes, scales, zeros, and the order of the inputs. Each
// reader (quant_fp8, quant_awq, quant_gptq, quant_compressed_tensors, quant_bnb) turns its own layout into this one
// exactly; what is behind it (a backend that repacks, the reference) knows only this.
//
//   weight[row][order[j]] = value(code[row][j], zero[row][j / group]) * scale[row][j / group]
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "../status.h"

namespace chasqui {

enum class QuantKind : uint8_t {
  kInt4,    // code - zero, codes 0 .. 15
  kInt8,    // code - zero, codes -128 .. 127
  kFp8,     // e4m3fn: bias 7, no infinity, 0x7f and 0xff are NaN
  kTable4,  // table[code]: NF4 and FP4 of bitsandbytes
};

enum class QuantScale : uint8_t { kF32, kF16, kBF16 };  // the smallest type that holds all scales of a matrix exactly

struct QuantMatrix {
  QuantKind kind = QuantKind::kInt4;
  int64_t rows = 0;                  // outputs
  int64_t cols = 0;                  // inputs
  std::unique_ptr<uint8_t[]> codes;  // (rows, row_bytes()): bytes, or two codes to a byte with the low nibble first
  int64_t group = 0;                 // inputs to a scale; the last group of a row may have fewer
  std::vector<float> scales;         // (rows, groups())
  std::vector<int8_t> zeros;         // like scales; empty means 8 for kInt4 and 0 otherwise
  std::vector<int32_t> order;        // (cols): code j of a row belongs to input order[j]; empty means j
  std::array<float, 16> table = {};  // of kTable4

  int64_t groups() const { return (cols + group - 1) / group; }
  int64_t row_bytes() const { return kind == QuantKind::kInt4 || kind == QuantKind::kTable4 ? (cols + 1) / 2 : cols; }
};

// How the checkpoint's authors quantise what goes into a matrix. A backend may compute in a finer type instead.
struct ActivationScheme {
  enum class Kind : uint8_t { kNone, kPerToken, kPerTensor };
  Kind kind = Kind::kNone;
  float scale = 0.0f;  // kPerTensor: the fixed scale
  float bound = 0.0f;  // kPerToken: the largest |x| that counts (fbgemm); 0 where there is none
};

// A quantised matrix as it lies in its file: checked, but not yet unpacked. It refers to mapped files and is good for
// as long as the Weights that it came with.
struct QuantSource {
  QuantKind kind = QuantKind::kInt4;
  // What the unpacked matrix takes, known before it is unpacked: see QuantMatrix.
  int64_t group = 0;
  QuantScale scale = QuantScale::kF32;
  bool has_zeros = false;  // zeros are stored, though they may turn out to be the usual ones
  bool is_ordered = false;
  ActivationScheme activation;
  std::vector<std::span<const std::byte>> stored;  // what it reads from the file: codes, scales, and the rest
  // Fails for scales that are no numbers (kBadCheckpoint) and for want of memory (kOutOfMemory).
  std::function<Status(QuantMatrix*)> unpack;
};

// Row `row` in float, (cols), in the order of the inputs. Each weight is one exact difference and one rounded product.
void dequantise_row(const QuantMatrix& matrix, int64_t row, float* out);

// The value of an e4m3fn byte.
float e4m3_to_float(uint8_t code);

// The nearest e4m3fn byte, ties to even; what is larger than 448 becomes 448.
uint8_t float_to_e4m3(float value);

// The values of bitsandbytes' NF4: quantiles of a normal distribution, from -1 to 1.
extern const std::array<float, 16> kNf4Table;

}  // namespace chasqui
