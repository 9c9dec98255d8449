// What the readers of quantised formats share: the tensors of one linear layer with typed complaints about them, and
// the small conversions from a file's layout. For src/checkpoint, and for src/model/weights.cc.
#pragma once

#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

#include "hf_directory.h"
#include "quant.h"
#include "quant_config.h"

namespace chasqui {

// The tensors whose names begin with a module's path, for example "model.layers.0.mlp.up_proj".
class QuantModule {
 public:
  QuantModule(const TensorDirectory& directory, const QuantConfig& config, std::string path, int64_t rows, int64_t cols)
      : config(config), rows(rows), cols(cols), directory_(directory), path_(std::move(path)) {}

  const QuantConfig& config;
  const int64_t rows;  // outputs
  const int64_t cols;  // inputs

  // The tensor `path`.`suffix`, or null.
  const Tensor* find(const char* suffix) const { return directory_.find(path_ + "." + suffix); }
  // The same, of one of these types and exactly this shape.
  Status expect(const char* suffix, std::initializer_list<TensorType> types, const std::vector<int64_t>& shape,
                const Tensor** out) const;
  // A tensor of floating-point numbers, any shape.
  Status expect_floats(const char* suffix, const Tensor** out) const;
  // The tensor "scales" of AWQ and GPTQ, (groups, rows), with as many groups as the configuration's size of one makes.
  Status expect_group_scales(const Tensor** scales, int64_t* groups) const;
  Status bad(const Tensor& tensor, const std::string& expected) const;
  Status unsupported(const std::string& what) const;

 private:
  const TensorDirectory& directory_;
  std::string path_;
};

// The readers. Each finds its own tensors of a module; `source` stays empty where there are none, and the module is
// then stored plainly.
Status find_scaled_bytes(const QuantModule& module,
                         std::shared_ptr<QuantSource>* source);  // fp8, fbgemm, 8-bit compressed-tensors
Status find_packed(const QuantModule& module,
                   std::shared_ptr<QuantSource>* source);  // compressed-tensors pack-quantized
Status find_awq(const QuantModule& module, std::shared_ptr<QuantSource>* source);
Status find_gptq(const QuantModule& module, std::shared_ptr<QuantSource>* source);
Status find_bitsandbytes(const QuantModule& module, std::shared_ptr<QuantSource>* source);

// Whichever of them the configuration asks for.
Status find_quantised(const QuantModule& module, std::shared_ptr<QuantSource>* source);

// ---- For the readers ----

// The bytes of these tensors, for QuantSource::stored; those without data are left out.
std::vector<std::span<const std::byte>> stored_bytes(std::initializer_list<const Tensor*> tensors);

// The type of a tensor of scales.
QuantScale scale_type(const Tensor& scales);

// A matrix of a kind and shape with room for its codes.
Status new_matrix(QuantKind kind, int64_t rows, int64_t cols, int64_t group, QuantMatrix* matrix);

// All elements of an F32, F16 or BF16 tensor; kBadCheckpoint where one is infinite or no number.
Status read_floats(const Tensor& tensor, std::vector<float>* values);

// (rows, cols) from (cols, rows).
template <typename Value>
std::vector<Value> transposed(const std::vector<Value>& values, int64_t rows, int64_t cols) {
  std::vector<Value> out(values.size());
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t c = 0; c < cols; c++) {
      out[static_cast<size_t>(r * cols + c)] = values[static_cast<size_t>(c * rows + r)];
    }
  }
  return out;
}

// Element `index` of an I32 tensor as bits; tensors may lie unaligned.
inline uint32_t word_at(const Tensor& tensor, int64_t index) {
  uint32_t word;
  std::memcpy(&word, tensor.data + 4 * index, 4);
  return word;
}

// From the group of each input, the order that sorts the inputs by group, stable; empty where they are sorted already.
// kUnsupported where groups differ in size.
Status order_by_group(const QuantModule& module, const Tensor& g_idx, int64_t groups, std::vector<int32_t>* order);

// Reorders the codes of every row, which stand in the order of the inputs, by matrix->order.
Status apply_order(QuantMatrix* matrix);

// Leaves zeros out where they all are what an empty list means.
void drop_implicit_zeros(QuantMatrix* matrix);

}  // namespace chasqui
