// Types and alignment.
#include "plain_view.h"

#include <cstring>
#include <new>

namespace chasqui {
namespace {

bool plain_type(TensorType type, DType* out) {
  switch (type) {
    case TensorType::kF32: *out = DType::kF32; return true;
    case TensorType::kF16: *out = DType::kF16; return true;
    case TensorType::kBF16: *out = DType::kBF16; return true;
    default: return false;
  }
}

}  // namespace

Status plain_view(const Tensor& tensor, MatrixView* view, std::vector<std::shared_ptr<const std::byte[]>>* copies) {
  if (!plain_type(tensor.type, &view->type)) {
    return failure(Reason::kUnsupported,
                   "Tensor " + tensor.name + " in " + *tensor.file + " is " + describe(tensor) +
                       "; supported are BF16, F16 and F32.",
                   "Use the BF16, F16 or F32 form of the checkpoint.");
  }
  view->rows = tensor.shape.size() == 1 ? 1 : tensor.shape[0];
  view->cols = tensor.shape.back();
  view->data = tensor.data;
  if (reinterpret_cast<uintptr_t>(tensor.data) % static_cast<uintptr_t>(dtype_bytes(view->type)) == 0) return {};

  // Some writers do not pad their headers, and then no element lies at a multiple of its size.
  std::byte* copy = new (std::nothrow) std::byte[static_cast<size_t>(tensor.bytes)];
  if (copy == nullptr) {
    return failure(Reason::kOutOfMemory,
                   "No memory for a copy of tensor " + tensor.name + ", which lies unaligned in " + *tensor.file + ".",
                   "Save the checkpoint again with a current safetensors, which aligns its data.");
  }
  std::memcpy(copy, tensor.data, static_cast<size_t>(tensor.bytes));
  copies->emplace_back(copy);
  view->data = copy;
  return {};
}

}  // namespace chasqui
