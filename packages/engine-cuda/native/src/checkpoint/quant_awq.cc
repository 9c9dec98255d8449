// AWQ, version "gemm": qweight I32 [in, out/8], qzeros I32 [in/group, out/8], scales [in/group, out]. Nibble i of word
// c holds output 8c + kOrder[i]. weight = (q - zero) * scale.
#include "quant_module.h"

namespace chasqui {
namespace {

constexpr int kOrder[8] = {0, 2, 4, 6, 1, 3, 5, 7};

Status unpack(const Tensor& qweight, const Tensor& qzeros, const Tensor& scale, QuantMatrix* matrix) {
  const int64_t cols = qweight.shape[0];
  const int64_t words = qweight.shape[1];
  const int64_t rows = words * 8;
  const int64_t groups = scale.shape[0];
  std::vector<float> scales;
  if (Status status = new_matrix(QuantKind::kInt4, rows, cols, cols / groups, matrix); !status.ok()) return status;
  if (Status status = read_floats(scale, &scales); !status.ok()) return status;
  matrix->scales = transposed(scales, rows, groups);
  for (int64_t k = 0; k < cols; k += 2) {
    for (int64_t c = 0; c < words; c++) {
      const uint32_t low = word_at(qweight, k * words + c);
      const uint32_t high = word_at(qweight, (k + 1) * words + c);
      for (int i = 0; i < 8; i++) {
        matrix->codes[static_cast<size_t>((8 * c + kOrder[i]) * (cols / 2) + k / 2)] =
            static_cast<uint8_t>((low >> 4 * i & 15) | (high >> 4 * i & 15) << 4);
      }
    }
  }
  matrix->zeros.resize(matrix->scales.size());
  for (int64_t group = 0; group < groups; group++) {
    for (int64_t c = 0; c < words; c++) {
      const uint32_t word = word_at(qzeros, group * words + c);
      for (int i = 0; i < 8; i++) {
        matrix->zeros[static_cast<size_t>((8 * c + kOrder[i]) * groups + group)] =
            static_cast<int8_t>(word >> 4 * i & 15);
      }
    }
  }
  drop_implicit_zeros(matrix);
  return {};
}

}  // namespace

Status find_awq(const QuantModule& module, std::shared_ptr<QuantSource>* source) {
  if (module.find("qweight") == nullptr) return {};
  const Tensor* qweight = nullptr;
  const Tensor* qzeros = nullptr;
  const Tensor* scales = nullptr;
  if (module.rows % 8 != 0 || module.cols % 2 != 0) {
    return module.unsupported("a number of outputs that is no multiple of 8");
  }
  int64_t groups = 0;
  Status status = module.expect_group_scales(&scales, &groups);
  if (status.ok()) status = module.expect("qweight", {TensorType::kI32}, {module.cols, module.rows / 8}, &qweight);
  if (status.ok()) status = module.expect("qzeros", {TensorType::kI32}, {groups, module.rows / 8}, &qzeros);
  if (!status.ok()) return status;
  auto found = std::make_shared<QuantSource>();
  found->kind = QuantKind::kInt4;
  found->group = module.cols / groups;
  found->scale = scale_type(*scales);
  found->has_zeros = true;
  found->stored = stored_bytes({qweight, scales, qzeros});
  found->unpack = [qweight = *qweight, qzeros = *qzeros, scales = *scales](QuantMatrix* matrix) {
    return unpack(qweight, qzeros, scales, matrix);
  };
  *source = std::move(found);
  return {};
}

}  // namespace chasqui
