// A tensor of floating-point numbers as a MatrixView. Internal to src/model.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "../checkpoint/safetensors.h"
#include "../status.h"
#include "weights.h"

namespace chasqui {

// The view lies in the tensor's file, or in a new element of `copies` where the tensor is not aligned there. The tensor
// has one dimension or two. Fails for other types than BF16, F16 and F32, and for want of memory.
Status plain_view(const Tensor& tensor, MatrixView* view, std::vector<std::shared_ptr<const std::byte[]>>* copies);

}  // namespace chasqui
