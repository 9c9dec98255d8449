// The held-out conversations of the tiny model: token ids, and which of them the model has to write.
#pragma once

#include <string>
#include <vector>

#include "src/model/forward.h"
#include "src/status.h"

namespace chasqui {

struct HeldOut {
  std::vector<int32_t> tokens;
  std::vector<bool> is_counted;  // of each token: written by the assistant
};

// `path`: held-out.json of the tiny model.
Status read_held_out(const std::string& path, std::vector<HeldOut>* conversations);

// exp of the mean negative log-probability of the counted tokens of the first `most` conversations.
Status perplexity(Forward& forward, const std::vector<HeldOut>& conversations, size_t most, double* result);

}  // namespace chasqui
