// GPTQ, 4 and 8 bits: qweight I32 [in*bits/32, out] (code i of word r belongs to input r*32/bits + i), qzeros I32
// [groups, out*bits/32], scales [groups, out], g_idx I32 [in]: the group of each input, not sorted where the checkpoint
// was made with desc_act. The first format stores zero - 1, modulo 2^bits; gptq_v2 stores zero itself.
#include "quant_module.h"

namespace chasqui {
namespace {

struct GptqTensors {
  Tensor qweight;
  Tensor qzeros;
  Tensor scales;
  int bits = 4;
  uint32_t zero_offset = 1;
  std::vector<int32_t> order;
};

void unpack_zeros(const GptqTensors& from, int64_t rows, int64_t groups, QuantMatrix* matrix) {
  const int64_t per_word = 32 / from.bits;
  const uint32_t mask = (1u << from.bits) - 1;
  const int centre = from.bits == 8 ? 128 : 0;  // 8-bit codes become signed
  matrix->zeros.resize(matrix->scales.size());
  for (int64_t group = 0; group < groups; group++) {
    for (int64_t row = 0; row < rows; row++) {
      const uint32_t word = word_at(from.qzeros, group * (rows / per_word) + row / per_word);
      const uint32_t zero = ((word >> row % per_word * from.bits) + from.zero_offset) & mask;
      matrix->zeros[static_cast<size_t>(row * groups + group)] = static_cast<int8_t>(static_cast<int>(zero) - centre);
    }
  }
  drop_implicit_zeros(matrix);
}

Status unpack(const GptqTensors& from, QuantMatrix* matrix) {
  const int64_t words = from.qweight.shape[0];
  const int64_t rows = from.qweight.shape[1];
  const int64_t cols = words * 32 / from.bits;
  const int64_t groups = from.scales.shape[0];
  std::vector<float> scales;
  if (Status status =
          new_matrix(from.bits == 4 ? QuantKind::kInt4 : QuantKind::kInt8, rows, cols, cols / groups, matrix);
      !status.ok()) {
    return status;
  }
  if (Status status = read_floats(from.scales, &scales); !status.ok()) return status;
  matrix->scales = transposed(scales, rows, groups);
  matrix->order = from.order;
  const uint32_t sign = from.bits == 8 ? 0x80808080u : 0;  // code - 128
  for (int64_t r = 0; r < words; r++) {
    for (int64_t row = 0; row < rows; row++) {
      const uint32_t word = word_at(from.qweight, r * rows + row) ^ sign;
      uint8_t* to = matrix->codes.get() + row * matrix->row_bytes() + 4 * r;
      for (int byte = 0; byte < 4; byte++) to[byte] = static_cast<uint8_t>(word >> 8 * byte);
    }
  }
  unpack_zeros(from, rows, groups, matrix);
  return apply_order(matrix);
}

// Some writers store a bias of zeros beside every matrix; a Llama has none.
Status check_bias(const QuantModule& module) {
  const Tensor* bias = module.find("bias");
  if (bias == nullptr) return {};
  for (int64_t i = 0; i < bias->bytes; i++) {
    if (bias->data[i] != std::byte{0}) return module.unsupported("a bias");
  }
  return {};
}

}  // namespace

Status find_gptq(const QuantModule& module, std::shared_ptr<QuantSource>* source) {
  const Tensor* qweight = module.find("qweight");
  if (qweight == nullptr) return {};
  GptqTensors tensors;
  tensors.zero_offset = static_cast<uint32_t>(module.config.zero_offset);
  tensors.bits = module.config.bits;
  if (tensors.bits == 0) {
    tensors.bits =
        !qweight->shape.empty() && qweight->shape[0] == module.cols / 4 ? 8 : 4;  // the module has a size of its own
  }
  const int64_t per_word = 32 / tensors.bits;
  if (module.rows % per_word != 0 || module.cols % per_word != 0) {
    return module.unsupported("a size that is no multiple of " + std::to_string(per_word));
  }
  const Tensor* qzeros = nullptr;
  const Tensor* scales = nullptr;
  int64_t groups = 0;
  Status status = module.expect_group_scales(&scales, &groups);
  if (status.ok()) {
    status = module.expect("qweight", {TensorType::kI32}, {module.cols / per_word, module.rows}, &qweight);
  }
  if (status.ok()) status = module.expect("qzeros", {TensorType::kI32}, {groups, module.rows / per_word}, &qzeros);
  if (status.ok()) status = check_bias(module);
  if (status.ok() && module.find("g_idx") != nullptr) {
    const Tensor* g_idx = nullptr;
    status = module.expect("g_idx", {TensorType::kI32}, {module.cols}, &g_idx);
    if (status.ok()) status = order_by_group(module, *g_idx, groups, &tensors.order);
  }
  if (!status.ok()) return status;
  tensors.qweight = *qweight;
  tensors.qzeros = *qzeros;
  tensors.scales = *scales;
  auto found = std::make_shared<QuantSource>();
  found->kind = tensors.bits == 4 ? QuantKind::kInt4 : QuantKind::kInt8;
  found->group = module.cols / groups;
  found->scale = scale_type(*scales);
  found->has_zeros = true;
  found->is_ordered = !tensors.order.empty();
  found->stored = stored_bytes({qweight, scales, qzeros});
  found->unpack = [tensors = std::move(tensors)](QuantMatrix* matrix) { return unpack(tensors, matrix); };
  *source = std::move(found);
  return {};
}

}  // namespace chasqui
