// The slow, obvious forward pass of Llama: a whole sequence in, the logits of all its positions out, everything in
// double precision. No cache, no pages, no batch, no threads: what every faster path is compared with, and the text to
// read first. Where a fast path rounds (a bf16 KV cache, bf16 activations), the same rounding can be asked for here, so
// that the two are compared like for like.
#pragma once

#include <cstdint>
#include <vector>

#include "../model/config.h"
#include "../model/weights.h"
#include "../status.h"

namespace chasqui {

// kInt8: each 64 values of a row become integers of -127 .. 127 times a scale, the largest magnitude / 127.
// kFp8: e4m3, at most 448.
enum class Rounding : uint8_t { kExact, kF32, kF16, kBF16, kFp8, kInt8 };

// Where an implementation may store less than double precision. Round to nearest, ties to even, at each point.
struct RoundingPoints {
  Rounding residual = Rounding::kExact;       // the stream x: after the embedding and after each addition
  Rounding norm = Rounding::kExact;           // normalised x, the input of the projections and of the head
  Rounding projection = Rounding::kExact;     // q k v gate up as they leave their matrices, before rope and silu
  Rounding query = Rounding::kExact;          // q after rope
  Rounding cache = Rounding::kExact;          // k after rope, and v
  Rounding exponentials = Rounding::kExact;   // exp(score - highest score), before they are summed
  Rounding probabilities = Rounding::kExact;  // softmax(scores)
  Rounding attention = Rounding::kExact;      // the heads' outputs, the input of o
  Rounding gated = Rounding::kExact;          // silu(gate) * up, the input of down
  Rounding logits = Rounding::kExact;
};

// Float everywhere but for keys and values in bf16.
RoundingPoints bf16_cache_points();
// Attention as the CPU multiplies in bf16, the rest float: keys and values, queries and exponentials are bf16. Exponentials
// count from the highest score of the row, which is what the CPU does as long as there are no more than 256 positions.
RoundingPoints rounded_attention_points();
// As the CPU multiplies with bf16 or 8 bit weights: the same, and what goes into a matrix is rounded (to kBF16 or kInt8).
RoundingPoints rounded_input_points(Rounding inputs);
// bf16 at every point but the logits.
RoundingPoints bf16_points();

struct ReferenceRun {
  std::vector<double> logits;  // (n_tokens, vocab)
  std::vector<double> hidden;  // (n_layers + 1, n_tokens, dim): x after the embedding and after each layer
};

// Fails for tokens outside the vocabulary, for sequences that are empty or longer than the context, and for quantised
// weights: model/dequantise.h makes them plain without changing a value.
Status reference_forward(const ModelConfig& config, const Weights& weights, const std::vector<int32_t>& tokens,
                         const RoundingPoints& rounding, ReferenceRun* run);

// The inverse rope frequencies of a checkpoint, (head_dim / 2), with Llama 3.1 scaling applied.
std::vector<double> reference_rope_frequencies(const ModelConfig& config);

// `value` as the nearest value of a type; kInt8 has no meaning for a single value and leaves it.
double rounded(double value, Rounding rounding);

}  // namespace chasqui
