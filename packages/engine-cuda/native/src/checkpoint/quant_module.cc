// Messages about the tensors of a module, the choice of a reader, and the sorting of inputs by group.
#include "quant_module.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "../json.h"
#include "../model/precision.h"

namespace chasqui {

Status QuantModule::expect(const char* suffix, std::initializer_list<TensorType> types,
                           const std::vector<int64_t>& shape, const Tensor** out) const {
  const Tensor* tensor = find(suffix);
  if (tensor == nullptr) {
    return failure(Reason::kBadCheckpoint,
                   "Tensor " + path_ + "." + suffix + " (" + shape_text(shape) + ") is missing from the checkpoint.",
                   "Download the checkpoint again, and check that config.json belongs to it.");
  }
  std::string names;
  for (const TensorType type : types) names += std::string(names.empty() ? "" : " or ") + tensor_type_name(type);
  if (tensor->shape != shape || std::find(types.begin(), types.end(), tensor->type) == types.end()) {
    return bad(*tensor, shape_text(shape) + " " + names);
  }
  *out = tensor;
  return {};
}

Status QuantModule::expect_floats(const char* suffix, const Tensor** out) const {
  const Tensor* tensor = find(suffix);
  if (tensor == nullptr) {
    return failure(Reason::kBadCheckpoint, "Tensor " + path_ + "." + suffix + " is missing from the checkpoint.",
                   "Download the checkpoint again, and check that config.json belongs to it.");
  }
  if (tensor->type != TensorType::kF32 && tensor->type != TensorType::kF16 && tensor->type != TensorType::kBF16) {
    return bad(*tensor, "F32, F16 or BF16");
  }
  *out = tensor;
  return {};
}

Status QuantModule::expect_group_scales(const Tensor** scales, int64_t* groups) const {
  if (Status status = expect_floats("scales", scales); !status.ok()) return status;
  const int64_t found = (*scales)->shape.size() == 2 ? (*scales)->shape[0] : 0;
  const int64_t wanted = config.group_size;
  if (found < 1 || cols % found != 0 || (wanted != 0 && found != (wanted < 0 ? 1 : (cols + wanted - 1) / wanted))) {
    return bad(**scales, "one row of scales for each group of " + std::to_string(wanted) + " inputs");
  }
  *groups = found;
  return expect("scales", {(*scales)->type}, {found, rows}, scales);
}

Status QuantModule::bad(const Tensor& tensor, const std::string& expected) const {
  return failure(Reason::kBadCheckpoint,
                 "Tensor " + json_quoted(tensor.name) + " in " + *tensor.file + " is " + describe(tensor) + ", but " +
                     expected + " is expected of a " + quant_method_name(config.method) + " matrix of " +
                     std::to_string(rows) + " outputs and " + std::to_string(cols) + " inputs.",
                 "Use the config.json that belongs to these weights.");
}

Status QuantModule::unsupported(const std::string& what) const {
  return failure(Reason::kUnsupported, path_ + ": " + what + ", which is not supported.",
                 "Use another form of the checkpoint; docs/checkpoints.md lists what is supported.");
}

Status find_quantised(const QuantModule& module, std::shared_ptr<QuantSource>* source) {
  switch (module.config.method) {
    case QuantMethod::kNone: return {};
    case QuantMethod::kFp8:
    case QuantMethod::kFbgemmFp8: return find_scaled_bytes(module, source);
    case QuantMethod::kCompressedTensors:
      return module.find("weight_packed") != nullptr ? find_packed(module, source) : find_scaled_bytes(module, source);
    case QuantMethod::kAwq: return find_awq(module, source);
    case QuantMethod::kGptq: return find_gptq(module, source);
    case QuantMethod::kBitsAndBytes: return find_bitsandbytes(module, source);
  }
  return {};
}

std::vector<std::span<const std::byte>> stored_bytes(std::initializer_list<const Tensor*> tensors) {
  std::vector<std::span<const std::byte>> stored;
  for (const Tensor* tensor : tensors) {
    if (tensor != nullptr && tensor->data != nullptr) {
      stored.emplace_back(tensor->data, static_cast<size_t>(tensor->bytes));
    }
  }
  return stored;
}

QuantScale scale_type(const Tensor& scales) {
  if (scales.type == TensorType::kF16) return QuantScale::kF16;
  return scales.type == TensorType::kBF16 ? QuantScale::kBF16 : QuantScale::kF32;
}

Status new_matrix(QuantKind kind, int64_t rows, int64_t cols, int64_t group, QuantMatrix* matrix) {
  *matrix = {};
  matrix->kind = kind;
  matrix->rows = rows;
  matrix->cols = cols;
  matrix->group = group;
  matrix->codes.reset(new (std::nothrow) uint8_t[static_cast<size_t>(rows * matrix->row_bytes())]);
  if (matrix->codes != nullptr) return {};
  return failure(Reason::kOutOfMemory,
                 "No memory for a quantised matrix of " + std::to_string(rows * matrix->row_bytes()) + " bytes.",
                 "Use a smaller model or a machine with more memory.");
}

Status read_floats(const Tensor& tensor, std::vector<float>* values) {
  values->resize(static_cast<size_t>(tensor.elements()));
  for (size_t i = 0; i < values->size(); i++) {
    float value = 0.0f;
    uint16_t half = 0;
    if (tensor.type == TensorType::kF32) {
      std::memcpy(&value, tensor.data + 4 * i, 4);
    } else {
      std::memcpy(&half, tensor.data + 2 * i, 2);
      value = tensor.type == TensorType::kBF16 ? bf16_to_float(half) : half_to_float(half);
    }
    if (!std::isfinite(value)) {
      return failure(
          Reason::kBadCheckpoint,
          "Tensor " + json_quoted(tensor.name) + " in " + *tensor.file + " holds a scale that is no finite number.",
          "The file is damaged: download it again.");
    }
    (*values)[i] = value;
  }
  return {};
}

Status order_by_group(const QuantModule& module, const Tensor& g_idx, int64_t groups, std::vector<int32_t>* order) {
  const size_t cols = static_cast<size_t>(module.cols);
  const size_t group = cols / static_cast<size_t>(groups);
  std::vector<size_t> filled(static_cast<size_t>(groups));  // inputs of each group that were met so far
  std::vector<int32_t> sorted(cols);
  bool in_order = true;
  for (size_t i = 0; i < cols; i++) {
    const uint32_t one = word_at(g_idx, static_cast<int64_t>(i));
    if (one >= filled.size()) {
      return module.bad(g_idx, "a group below " + std::to_string(groups) + " for each input (one is " +
                                   std::to_string(static_cast<int32_t>(one)) + ")");
    }
    if (filled[one] == group) return module.unsupported("groups of different sizes in g_idx");
    const size_t place = one * group + filled[one]++;
    sorted[place] = static_cast<int32_t>(i);
    in_order = in_order && place == i;
  }
  if (!in_order) *order = std::move(sorted);
  return {};
}

Status apply_order(QuantMatrix* matrix) {
  if (matrix->order.empty()) return {};
  const size_t bytes = static_cast<size_t>(matrix->row_bytes());
  const bool nibbles = matrix->row_bytes() != matrix->cols;
  std::vector<uint8_t> before(bytes);
  for (int64_t row = 0; row < matrix->rows; row++) {
    uint8_t* codes = matrix->codes.get() + static_cast<size_t>(row) * bytes;
    std::memcpy(before.data(), codes, bytes);
    if (nibbles) std::memset(codes, 0, bytes);
    for (size_t j = 0; j < matrix->order.size(); j++) {
      const size_t from = static_cast<size_t>(matrix->order[j]);
      if (nibbles) {
        codes[j / 2] = static_cast<uint8_t>(codes[j / 2] | (before[from / 2] >> from % 2 * 4 & 15) << j % 2 * 4);
      } else {
        codes[j] = before[from];
      }
    }
  }
  return {};
}

void drop_implicit_zeros(QuantMatrix* matrix) {
  const int8_t implicit = matrix->kind == QuantKind::kInt4 ? 8 : 0;
  const auto is_implicit = [implicit](int8_t zero) { return zero == implicit; };
  if (std::all_of(matrix->zeros.begin(), matrix->zeros.end(), is_implicit)) matrix->zeros.clear();
}

}  // namespace chasqui
