// The output is exactly one of N strings. Masks go by bytes, so a token may end anywhere inside a choice; where every
// choice that is still possible has the same usual next token, that token is forced and not sampled.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "../status.h"
#include "constraint.h"
#include "token_table.h"

namespace chasqui {

// Fails on no choices, an empty choice, and a choice that the vocabulary cannot spell. `table` must outlive the result.
Status make_literal_choices(std::vector<std::string> choices, std::shared_ptr<const TokenTable> table,
                            std::unique_ptr<TokenConstraint>* constraint);

}  // namespace chasqui
