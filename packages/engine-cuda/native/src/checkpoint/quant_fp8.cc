// Matrices of one byte to a weight with scales beside them: fp8 (also in blocks), fbgemm_fp8, and the float-quantized,
// int-quantized and naive-quantized forms of compressed-tensors.
//   weight F8_E4M3 or I8 [out, in], weight_scale [1] | [] | [out] | [out, 1] | [out, groups]
//   in blocks: weight_scale_inv or weight_scale [ceil(out / block), ceil(in / block)]
#include "quant_module.h"

namespace chasqui {
namespace {

// How the elements of the scale tensor spread over the matrix.
struct ScaleLayout {
  int64_t group = 0;      // inputs to a scale
  int64_t row_group = 1;  // outputs to a row of scales
};

int64_t parts(int64_t size, int64_t part) { return (size + part - 1) / part; }

Status scale_layout(const QuantModule& module, const Tensor& scale, ScaleLayout* layout) {
  const QuantConfig& config = module.config;
  if (config.block_rows > 0 && scale.shape == std::vector<int64_t>{parts(module.rows, config.block_rows),
                                                                   parts(module.cols, config.block_cols)}) {
    *layout = {config.block_cols, config.block_rows};
    return {};
  }
  const int64_t groups = scale.shape.size() == 2 ? scale.shape[1] : 1;
  if (scale.elements() == 1) {
    *layout = {module.cols, module.rows};
  } else if (!scale.shape.empty() && scale.shape.size() <= 2 && scale.shape[0] == module.rows && groups >= 1 &&
             module.cols % groups == 0) {
    *layout = {module.cols / groups, 1};
  } else {
    return module.bad(scale, "one scale, one for each output, or one for each group");
  }
  return {};
}

// Zero points are met only beside int8; those of symmetric float weights are stored by some writers as bytes of 0.
Status find_zeros(const QuantModule& module, const Tensor& scale, QuantKind kind, const Tensor** zeros) {
  const Tensor* found = module.find("weight_zero_point");
  if (found == nullptr) return {};
  bool any = false;
  for (int64_t i = 0; i < found->bytes; i++) any = any || found->data[i] != std::byte{0};
  if (!any) return {};
  if (kind != QuantKind::kInt8) return module.unsupported("a zero point beside float weights");
  if (found->type != TensorType::kI8 || found->elements() != scale.elements()) {
    return module.bad(*found, shape_text(scale.shape) + " I8");
  }
  *zeros = found;
  return {};
}

Status read_activation(const QuantModule& module, ActivationScheme* activation) {
  *activation = module.config.activation;
  const bool per_tensor = activation->kind == ActivationScheme::Kind::kPerTensor;
  const char* name = per_tensor ? "input_scale" : "input_scale_ub";
  if (activation->kind == ActivationScheme::Kind::kNone || module.find(name) == nullptr) return {};
  const Tensor* tensor = nullptr;
  std::vector<float> values;
  if (Status status = module.expect_floats(name, &tensor); !status.ok()) return status;
  if (tensor->elements() != 1) return module.bad(*tensor, "one number");
  if (Status status = read_floats(*tensor, &values); !status.ok()) return status;
  (per_tensor ? activation->scale : activation->bound) = values[0];
  return {};
}

Status unpack(QuantKind kind, const Tensor& weight, const Tensor& scale, const Tensor* zeros, const ScaleLayout& layout,
              QuantMatrix* matrix) {
  const int64_t rows = weight.shape[0];
  std::vector<float> scales;
  if (Status status = new_matrix(kind, rows, weight.shape[1], layout.group, matrix); !status.ok()) return status;
  if (Status status = read_floats(scale, &scales); !status.ok()) return status;
  std::memcpy(matrix->codes.get(), weight.data, static_cast<size_t>(weight.bytes));
  const int64_t groups = matrix->groups();
  for (int64_t row = 0; row < rows; row++) {
    const int64_t first = row / layout.row_group * groups;
    for (int64_t group = 0; group < groups; group++) {
      matrix->scales.push_back(scales[static_cast<size_t>(first + group)]);
      if (zeros != nullptr) matrix->zeros.push_back(static_cast<int8_t>(zeros->data[first + group]));
    }
  }
  drop_implicit_zeros(matrix);
  return {};
}

}  // namespace

Status find_scaled_bytes(const QuantModule& module, std::shared_ptr<QuantSource>* source) {
  const Tensor* weight = module.find("weight");
  if (weight == nullptr || (weight->type != TensorType::kF8E4M3 && weight->type != TensorType::kI8)) return {};
  const Tensor* scale = nullptr;
  const Tensor* zeros = nullptr;
  ScaleLayout layout;
  auto found = std::make_shared<QuantSource>();
  found->kind = weight->type == TensorType::kI8 ? QuantKind::kInt8 : QuantKind::kFp8;
  const char* scale_name = module.find("weight_scale_inv") != nullptr ? "weight_scale_inv" : "weight_scale";
  Status status = module.expect("weight", {TensorType::kF8E4M3, TensorType::kI8}, {module.rows, module.cols}, &weight);
  if (status.ok()) status = module.expect_floats(scale_name, &scale);
  if (status.ok()) status = scale_layout(module, *scale, &layout);
  if (status.ok()) status = find_zeros(module, *scale, found->kind, &zeros);
  if (status.ok() && module.find("weight_g_idx") != nullptr) {
    status = module.unsupported("weight_g_idx beside 8-bit weights");
  }
  if (status.ok()) status = read_activation(module, &found->activation);
  if (!status.ok()) return status;
  found->group = layout.group;
  found->scale = scale_type(*scale);
  found->has_zeros = zeros != nullptr;
  found->stored = stored_bytes({weight, scale, zeros});
  found->unpack = [kind = found->kind, weight = *weight, scale = *scale, zeros = zeros == nullptr ? Tensor{} : *zeros,
                   layout](QuantMatrix* matrix) {
    return unpack(kind, weight, scale, zeros.data == nullptr ? nullptr : &zeros, layout, matrix);
  };
  *source = std::move(found);
  return {};
}

}  // namespace chasqui
