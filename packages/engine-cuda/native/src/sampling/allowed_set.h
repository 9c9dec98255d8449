// The simplest constraint: at every position the same set of tokens. A stop token has to be in the set to be sampled.
#pragma once

#include <memory>

#include "../status.h"
#include "constraint.h"

namespace chasqui {

// Fails on an empty set and on ids outside the vocabulary.
Status make_allowed_set(const std::vector<int32_t>& tokens, int32_t vocab, std::unique_ptr<TokenConstraint>* constraint);

}  // namespace chasqui
