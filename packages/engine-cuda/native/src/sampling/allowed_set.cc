// See allowed_set.h.
#include "allowed_set.h"

namespace chasqui {
namespace {

class AllowedSet final : public TokenConstraint {
 public:
  explicit AllowedSet(TokenMask allowed) : allowed_(std::move(allowed)) {
    if (allowed_.count() == 1) only_ = allowed_.first();
  }

  void fill_mask(TokenMask* mask) override { mask->words() = allowed_.words(); }
  bool accept(int32_t token) override { return allowed_.permits(token); }
  void rollback(int32_t) override {}
  void forced(std::vector<int32_t>* tokens) override {
    if (only_ >= 0) tokens->push_back(only_);
  }
  bool is_complete() const override { return false; }

 private:
  TokenMask allowed_;
  int32_t only_ = -1;  // the set's one member, where it has one
};

}  // namespace

Status make_allowed_set(const std::vector<int32_t>& tokens, int32_t vocab,
                        std::unique_ptr<TokenConstraint>* constraint) {
  if (tokens.empty()) {
    return failure(Reason::kBadRequest, "The constraint's set of allowed tokens is empty.",
                   "Name at least one token id.");
  }
  TokenMask allowed(vocab);
  for (const int32_t token : tokens) {
    if (token < 0 || token >= vocab) {
      return failure(Reason::kBadRequest,
                     "Allowed token " + std::to_string(token) + " is outside the vocabulary of " +
                         std::to_string(vocab) + ".",
                     "Use ids of this model's tokenizer.");
    }
    allowed.permit(token);
  }
  *constraint = std::make_unique<AllowedSet>(std::move(allowed));
  return {};
}

}  // namespace chasqui
