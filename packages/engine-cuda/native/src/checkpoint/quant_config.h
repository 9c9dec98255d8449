// `quantization_config` of a config.json: which method, and what its tensors do not say themselves. Which matrices are
// quantised is read from the tensors that are there, not from lists of names and expressions. What is not supported is
// refused by name. Shapes: checkpoint formats of AutoAWQ, AutoGPTQ/GPTQModel, compressed-tensors, fbgemm and
// bitsandbytes.
#pragma once

#include <cstdint>
#include <string>

#include "../json.h"
#include "../status.h"
#include "quant.h"

namespace chasqui {

enum class QuantMethod : uint8_t { kNone, kFp8, kFbgemmFp8, kCompressedTensors, kAwq, kGptq, kBitsAndBytes };

struct QuantConfig {
  QuantMethod method = QuantMethod::kNone;
  int32_t bits = 0;         // awq, gptq: 4 or 8; 0 where each matrix may differ
  int64_t group_size = 0;   // awq, gptq: inputs to a scale, -1 for whole rows; 0 where each matrix may differ
  int32_t zero_offset = 0;  // gptq: 1 in its first format, which stores zero - 1
  int32_t block_rows = 0;   // fp8 with one scale to a block of the matrix; 0 where there are no blocks
  int32_t block_cols = 0;
  ActivationScheme activation;
};

const char* quant_method_name(QuantMethod method);

// `place` names file and field in messages.
Status parse_quant_config(const JsonValue& object, const std::string& place, QuantConfig* config);

}  // namespace chasqui
