// A rule over the tokens of one sequence. It is called on the engine's thread between sampling and the next forward pass;
// it knows tokens, never text turns or logits. Grammars are further implementations of this interface.
#pragma once

#include <cstdint>
#include <vector>

#include "token_mask.h"

namespace chasqui {

class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;

  // Sets the bits of the tokens that may come next; all bits are clear on entry. Stop tokens are not its business: the
  // engine permits them beside these whenever is_complete(). May run on another thread while the model computes, never
  // at the same time as any other call.
  virtual void fill_mask(TokenMask* mask) = 0;

  // Takes one more token of the output. False, and nothing changes, where the token is not permitted.
  virtual bool accept(int32_t token) = 0;

  // Takes back the last n accepted tokens; n is at most the number accepted so far.
  virtual void rollback(int32_t n_tokens) = 0;

  // Appends the tokens that have to come next whatever the logits are, as far as they are known. Changes no state:
  // the engine accepts each of them afterwards.
  virtual void forced(std::vector<int32_t>* tokens) = 0;

  // The output so far is a whole one, so it may end here.
  virtual bool is_complete() const = 0;
};

}  // namespace chasqui
