// One matrix at a time: unpacked, written out as floats, and let go.
#include "dequantise.h"

#include <new>
#include <utility>

#include "../checkpoint/quant.h"

namespace chasqui {
namespace {

Status dequantise_view(MatrixView* view, std::vector<std::shared_ptr<const std::byte[]>>* copies) {
  if (view->quant == nullptr) return {};
  QuantMatrix matrix;
  if (Status status = view->quant->unpack(&matrix); !status.ok()) return status;
  const size_t bytes = static_cast<size_t>(view->rows * view->cols) * sizeof(float);
  std::byte* memory = new (std::nothrow) std::byte[bytes];
  if (memory == nullptr) {
    return failure(Reason::kOutOfMemory, "No memory for " + std::to_string(bytes) + " bytes of dequantised weights.",
                   "Use a smaller model or a machine with more memory.");
  }
  copies->emplace_back(memory);
  float* values = reinterpret_cast<float*>(memory);  // new aligns for any scalar
  for (int64_t row = 0; row < view->rows; row++) dequantise_row(matrix, row, values + row * view->cols);
  view->data = values;
  view->type = DType::kF32;
  view->quant = nullptr;
  return {};
}

}  // namespace

Status dequantise_weights(Weights* weights) {
  Weights plain = *weights;
  for (LayerWeights& layer : plain.layers) {
    for (MatrixView* view : {&layer.q, &layer.k, &layer.v, &layer.o, &layer.gate, &layer.up, &layer.down}) {
      if (Status status = dequantise_view(view, &plain.copies); !status.ok()) return status;
    }
  }
  if (Status status = dequantise_view(&plain.head, &plain.copies); !status.ok()) return status;
  *weights = std::move(plain);
  return {};
}

}  // namespace chasqui
