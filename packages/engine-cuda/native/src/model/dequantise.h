// Quantised weights as plain ones: every quantised matrix of a model becomes a float matrix that holds exactly the
// values of the checkpoint. For backends without kernels for a format, and for the reference; it takes the memory of a
// float model.
#pragma once

#include "../status.h"
#include "weights.h"

namespace chasqui {

// Changes the views in place; the new matrices are kept in weights->copies. On failure `weights` is as it was.
Status dequantise_weights(Weights* weights);

}  // namespace chasqui
