// compressed-tensors, format pack-quantized, 4 and 8 bits: weight_packed I32 [out, in*bits/32] (code i of word c
// belongs to input c*32/bits + i and is stored plus 2^(bits-1)), weight_scale [out, groups], weight_shape [2].
// Asymmetric: weight_zero_point, packed along the outputs as I32 [ceil(out*bits/32), groups], or I8 [out, groups] from
// older writers. weight_g_idx I32 [in] where inputs were ordered by activation. The 8-bit unpacked forms are in
// quant_fp8.cc.
#include "quant_module.h"

namespace chasqui {
namespace {

struct PackedTensors {
  Tensor packed;
  Tensor scale;
  Tensor zeros;  // without data where the matrix is symmetric
  int bits = 4;
  int64_t cols = 0;
  std::vector<int32_t> order;
};

// The zero of one output and group, in the terms of QuantMatrix.
int8_t zero_at(const PackedTensors& from, int64_t row, int64_t group, int64_t groups) {
  if (from.zeros.type == TensorType::kI8) {
    return static_cast<int8_t>(static_cast<int8_t>(from.zeros.data[row * groups + group]) + (from.bits == 4 ? 8 : 0));
  }
  const int64_t per_word = 32 / from.bits;
  const uint32_t word = word_at(from.zeros, row / per_word * groups + group) >> row % per_word * from.bits;
  return from.bits == 4 ? static_cast<int8_t>(word & 15) : static_cast<int8_t>(static_cast<uint8_t>(word) ^ 0x80);
}

Status unpack(const PackedTensors& from, QuantMatrix* matrix) {
  const int64_t rows = from.packed.shape[0];
  const int64_t groups = from.scale.elements() / rows;
  const QuantKind kind = from.bits == 4 ? QuantKind::kInt4 : QuantKind::kInt8;
  if (Status status = new_matrix(kind, rows, from.cols, from.cols / groups, matrix); !status.ok()) return status;
  if (Status status = read_floats(from.scale, &matrix->scales); !status.ok()) return status;
  matrix->order = from.order;
  // Little-endian words: their bytes are already in the order of the inputs.
  std::memcpy(matrix->codes.get(), from.packed.data, static_cast<size_t>(from.packed.bytes));
  if (from.bits == 8) {
    for (int64_t i = 0; i < from.packed.bytes; i++) matrix->codes[static_cast<size_t>(i)] ^= 0x80;  // code - 128
  }
  if (from.zeros.data != nullptr) {
    for (int64_t row = 0; row < rows; row++) {
      for (int64_t group = 0; group < groups; group++) matrix->zeros.push_back(zero_at(from, row, group, groups));
    }
    drop_implicit_zeros(matrix);
  }
  return apply_order(matrix);
}

// weight_shape holds [out, in].
Status check_shape(const QuantModule& module) {
  const Tensor* shape = module.find("weight_shape");
  if (shape == nullptr) return {};
  const bool wide = shape->type == TensorType::kI64;
  if (shape->elements() != 2 || (!wide && shape->type != TensorType::kI32)) return module.bad(*shape, "[2] I64");
  int64_t sizes[2] = {};
  for (int i = 0; i < 2; i++) {
    if (wide) {
      std::memcpy(&sizes[i], shape->data + 8 * i, 8);
    } else {
      sizes[i] = static_cast<int32_t>(word_at(*shape, i));
    }
  }
  if (sizes[0] == module.rows && sizes[1] == module.cols) return {};
  return module.bad(*shape, "the values of this shape (they are " + std::to_string(sizes[0]) + " and " +
                                std::to_string(sizes[1]) + ")");
}

Status find_zeros(const QuantModule& module, int64_t groups, PackedTensors* tensors) {
  const Tensor* zeros = module.find("weight_zero_point");
  if (zeros == nullptr) return {};
  const int64_t per_word = 32 / tensors->bits;
  const bool wide = zeros->type == TensorType::kI32;
  const Status status = module.expect("weight_zero_point", {TensorType::kI32, TensorType::kI8},
                                      {wide ? (module.rows + per_word - 1) / per_word : module.rows, groups}, &zeros);
  if (status.ok()) tensors->zeros = *zeros;
  return status;
}

// A weight_g_idx of -1 means that there is no order.
Status find_order(const QuantModule& module, int64_t groups, PackedTensors* tensors) {
  const Tensor* g_idx = module.find("weight_g_idx");
  if (g_idx == nullptr) return {};
  if (Status status = module.expect("weight_g_idx", {TensorType::kI32}, {module.cols}, &g_idx); !status.ok()) {
    return status;
  }
  bool unused = true;
  for (int64_t i = 0; i < module.cols; i++) unused = unused && word_at(*g_idx, i) == 0xFFFFFFFFu;
  return unused ? Status{} : order_by_group(module, *g_idx, groups, &tensors->order);
}

}  // namespace

Status find_packed(const QuantModule& module, std::shared_ptr<QuantSource>* source) {
  const Tensor* packed = module.find("weight_packed");
  const Tensor* scale = nullptr;
  PackedTensors tensors;
  tensors.cols = module.cols;
  tensors.bits = packed->shape.size() == 2 && packed->shape[1] == module.cols / 4 ? 8 : 4;
  const int64_t per_word = 32 / tensors.bits;
  if (module.cols % per_word != 0) {
    return module.unsupported("a number of inputs that is no multiple of " + std::to_string(per_word));
  }
  Status status = module.expect("weight_packed", {TensorType::kI32}, {module.rows, module.cols / per_word}, &packed);
  if (status.ok()) status = module.expect_floats("weight_scale", &scale);
  if (!status.ok()) return status;
  const int64_t groups = scale->shape.size() == 2 ? scale->shape[1] : 1;
  if (scale->shape.empty() || scale->shape.size() > 2 || scale->shape[0] != module.rows || groups < 1 ||
      module.cols % groups != 0) {
    return module.bad(*scale, "one scale for each output and group");
  }
  status = check_shape(module);
  if (status.ok()) status = find_zeros(module, groups, &tensors);
  if (status.ok()) status = find_order(module, groups, &tensors);
  if (!status.ok()) return status;
  tensors.packed = *packed;
  tensors.scale = *scale;
  auto found = std::make_shared<QuantSource>();
  found->kind = tensors.bits == 4 ? QuantKind::kInt4 : QuantKind::kInt8;
  found->group = module.cols / groups;
  found->scale = scale_type(*scale);
  found->has_zeros = tensors.zeros.data != nullptr;
  found->is_ordered = !tensors.order.empty();
  found->activation = module.config.activation;
  found->stored = stored_bytes({packed, scale, &tensors.zeros});
  found->unpack = [tensors = std::move(tensors)](QuantMatrix* matrix) { return unpack(tensors, matrix); };
  *source = std::move(found);
  return {};
}

}  // namespace chasqui
