// Inverse frequencies of the rotary position embedding, with the Llama 3.1 scaling. Knows nothing of tensors: a backend
// turns them into whatever table it needs.
#pragma once

#include <vector>

#include "config.h"

namespace chasqui {

// (head_dim / 2) inverse frequencies, radians per position: dimension j turns with dimension j + head_dim / 2 by
// position * result[j]. Scaling as in Hugging Face's `rope_type: "llama3"`: wavelengths up to
// original_context / high_freq_factor stay, those above original_context / low_freq_factor are slowed by `factor`,
// between the two it is a linear blend.
std::vector<double> rope_inverse_frequencies(const ModelConfig& config);

}  // namespace chasqui
