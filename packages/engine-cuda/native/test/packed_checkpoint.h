// Quantised checkpoints for tests, made from plain ones: each matrix rounded to the nearest code of a format and packed by
// its published layout, with the config.json that belongs to it. The rounding is the plainest there is (no calibration), so
// the quality is a lower bound of what published checkpoints of the format have.
#pragma once

#include <string>
#include <vector>

#include "src/status.h"

namespace chasqui {

// "fp8-channel", "fp8-block", "fbgemm-fp8", "awq", "gptq", "gptq-v2", "gptq-act-order", "gptq-int8", "ct-int4", "ct-int8",
// "bnb-nf4", "bnb-fp4", "bnb-int8"
const std::vector<std::string>& packed_formats();

// Writes config.json and model.safetensors of `source` in this format into `folder`, which exists.
Status write_packed_checkpoint(const std::string& source, const std::string& format, const std::string& folder);

}  // namespace chasqui
