// Random weights in the formats of quantised checkpoints, for benches: geometry, scales and zeros as published ones have
// them. What the weights are does not matter to speed.
#pragma once

#include <string>
#include <vector>

#include "test/random_quant.h"

namespace chasqui {

struct PackedWeights {
  const char* name;
  QuantShape shape;  // group 0: the whole row
};

inline const std::vector<PackedWeights>& packed_weights() {
  static const std::vector<PackedWeights> formats = {
      {"awq", {QuantKind::kInt4, 128, true, false, QuantScale::kF16}},
      {"gptq", {QuantKind::kInt4, 128, false, false, QuantScale::kF16}},
      {"gptq-act-order", {QuantKind::kInt4, 128, false, true, QuantScale::kF16, 7}},
      {"gptq-int8", {QuantKind::kInt8, 128, false, false, QuantScale::kF16}},
      {"ct-int4-g32", {QuantKind::kInt4, 32, false, false, QuantScale::kBF16}},
      {"ct-int8", {QuantKind::kInt8, 0, false, false, QuantScale::kBF16}},
      {"bnb-nf4", {QuantKind::kTable4, 64, false, false, QuantScale::kF32}},
      {"bnb-int8", {QuantKind::kInt8, 0, false, false, QuantScale::kF32}},
      {"fp8-channel", {QuantKind::kFp8, 0, false, false, QuantScale::kF32}},
      {"fp8-block", {QuantKind::kFp8, 128, false, false, QuantScale::kF32}},
  };
  return formats;
}

// Codes of FP8 as weights have them, few of which are subnormal; of random bytes a sixteenth is.
inline std::shared_ptr<const QuantSource> with_usual_codes(const QuantSource& source) {
  auto usual = std::make_shared<QuantSource>(source);
  usual->unpack = [unpack = source.unpack](QuantMatrix* matrix) {
    Status status = unpack(matrix);
    QuickRandom random(11);
    for (int64_t i = 0; i < matrix->rows * matrix->cols; i++) matrix->codes[static_cast<size_t>(i)] = float_to_e4m3(448.0f * random.symmetric());
    return status;
  };
  return usual;
}

// Puts random weights of a format in the place of all linear layers but the head. False: no such format.
inline bool pack_layers(const std::string& name, Weights* weights) {
  for (const PackedWeights& each : packed_weights()) {
    if (name != each.name) continue;
    uint64_t seed = 1;
    for (LayerWeights& layer : weights->layers) {
      for (MatrixView* matrix : {&layer.q, &layer.k, &layer.v, &layer.o, &layer.gate, &layer.up, &layer.down}) {
        QuantShape shape = each.shape;
        if (shape.group == 0) shape.group = matrix->cols;
        *matrix = random_quant(shape, matrix->rows, matrix->cols, seed++);
        if (shape.kind == QuantKind::kFp8) matrix->quant = with_usual_codes(*matrix->quant);
      }
    }
    return true;
  }
  return false;
}

}  // namespace chasqui
