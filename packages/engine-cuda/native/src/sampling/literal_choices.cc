// See literal_choices.h. The choices are sorted, so those that begin with the output so far are a range [low, high), and
// the whole state is (bytes written, low, high); earlier states are kept for rollback.
#include "literal_choices.h"

#include <algorithm>

namespace chasqui {
namespace {

constexpr size_t kLongestEncoded = 1024;  // bytes; encoding takes quadratic time

struct Choice {
  std::string bytes;
  std::vector<int32_t> usual;         // its usual tokens; empty where the table cannot tell, or for a very long choice
  std::vector<int32_t> usual_starts;  // byte offset of each of them
  std::vector<bool> can_finish;       // (bytes.size() + 1) the rest from this offset can be spelled
};

struct State {
  int32_t written = 0;  // bytes
  int32_t low = 0;
  int32_t high = 0;
};

class LiteralChoices final : public TokenConstraint {
 public:
  LiteralChoices(std::vector<Choice> choices, std::shared_ptr<const TokenTable> table)
      : choices_(std::move(choices)), table_(std::move(table)) {
    states_.push_back({0, 0, static_cast<int32_t>(choices_.size())});
  }

  void fill_mask(TokenMask* mask) override {
    const State state = states_.back();
    for (int32_t i = state.low; i < state.high; ++i) permit_prefixes(choices_[static_cast<size_t>(i)], state.written, mask);
  }

  bool accept(int32_t token) override {
    const std::string_view bytes = table_->bytes_of(token);
    if (bytes.empty()) return false;
    const State next = narrow(states_.back(), bytes);
    if (next.low == next.high) return false;
    states_.push_back(next);
    return true;
  }

  void rollback(int32_t n_tokens) override {
    const size_t keep = states_.size() - std::min(states_.size() - 1, static_cast<size_t>(std::max(n_tokens, 0)));
    states_.resize(keep);
  }

  void forced(std::vector<int32_t>* tokens) override {
    const State state = states_.back();
    int32_t written = state.written;
    for (int32_t token; (token = common_next(state, written)) >= 0;) {
      tokens->push_back(token);
      written += static_cast<int32_t>(table_->bytes_of(token).size());
    }
  }

  bool is_complete() const override {
    const State& state = states_.back();
    return static_cast<int32_t>(choices_[static_cast<size_t>(state.low)].bytes.size()) == state.written;
  }

 private:
  void permit_prefixes(const Choice& choice, int32_t written, TokenMask* mask) const {
    const std::string_view rest = std::string_view(choice.bytes).substr(static_cast<size_t>(written));
    const size_t longest = std::min(rest.size(), static_cast<size_t>(table_->longest()));
    for (size_t n = 1; n <= longest; ++n) {
      if (!choice.can_finish[static_cast<size_t>(written) + n]) continue;
      for (int32_t token = table_->find(rest.substr(0, n)); token >= 0; token = table_->next_same(token)) mask->permit(token);
    }
  }

  // The part of the range whose choices go on with these bytes; empty where none of them could be finished then.
  State narrow(const State& state, std::string_view bytes) const {
    State next{state.written + static_cast<int32_t>(bytes.size()), state.low, state.high};
    const auto goes_on = [&](int32_t i) {
      return std::string_view(choices_[static_cast<size_t>(i)].bytes).substr(static_cast<size_t>(state.written)).starts_with(bytes);
    };
    while (next.low < next.high && !goes_on(next.low)) ++next.low;
    int32_t end = next.low;
    bool can_finish = false;
    for (; end < next.high && goes_on(end); ++end) {
      can_finish = can_finish || choices_[static_cast<size_t>(end)].can_finish[static_cast<size_t>(next.written)];
    }
    next.high = can_finish ? end : next.low;
    return next;
  }

  // The usual token at this offset if all choices of the range have the same one there, else -1.
  int32_t common_next(const State& state, int32_t written) const {
    int32_t common = -1;
    for (int32_t i = state.low; i < state.high; ++i) {
      const Choice& choice = choices_[static_cast<size_t>(i)];
      const auto at = std::lower_bound(choice.usual_starts.begin(), choice.usual_starts.end(), written);
      if (at == choice.usual_starts.end() || *at != written) return -1;
      const int32_t token = choice.usual[static_cast<size_t>(at - choice.usual_starts.begin())];
      if (common >= 0 && token != common) return -1;
      common = token;
    }
    return common;
  }

  std::vector<Choice> choices_;  // sorted, distinct
  std::shared_ptr<const TokenTable> table_;
  std::vector<State> states_;  // one more than tokens accepted
};

Choice prepare(std::string bytes, const TokenTable& table) {
  Choice choice;
  choice.bytes = std::move(bytes);
  const std::string_view text = choice.bytes;
  choice.can_finish.assign(text.size() + 1, false);
  choice.can_finish[text.size()] = true;
  for (size_t at = text.size(); at-- > 0;) {
    const size_t longest = std::min(text.size() - at, static_cast<size_t>(table.longest()));
    for (size_t n = 1; n <= longest && !choice.can_finish[at]; ++n) {
      if (choice.can_finish[at + n] && table.find(text.substr(at, n)) >= 0) choice.can_finish[at] = true;
    }
  }
  if (text.size() <= kLongestEncoded) choice.usual = table.encode(text);
  int32_t start = 0;
  for (const int32_t token : choice.usual) {
    choice.usual_starts.push_back(start);
    start += static_cast<int32_t>(table.bytes_of(token).size());
  }
  return choice;
}

}  // namespace

Status make_literal_choices(std::vector<std::string> choices, std::shared_ptr<const TokenTable> table,
                            std::unique_ptr<TokenConstraint>* constraint) {
  if (table == nullptr || table->size() == 0) {
    return failure(Reason::kBadRequest, "A choice of strings needs the bytes of the tokens, and the engine has none.",
                   "Pass `tokenBytes` to loadEngine.");
  }
  if (choices.empty()) {
    return failure(Reason::kBadRequest, "The constraint has no choices.", "Give at least one string.");
  }
  std::sort(choices.begin(), choices.end());
  choices.erase(std::unique(choices.begin(), choices.end()), choices.end());
  std::vector<Choice> prepared;
  for (std::string& bytes : choices) {
    if (bytes.empty()) {
      return failure(Reason::kBadRequest, "One of the constraint's choices is empty.", "Remove the empty string.");
    }
    const std::string shown = bytes.substr(0, 80);
    prepared.push_back(prepare(std::move(bytes), *table));
    if (!prepared.back().can_finish[0]) {
      return failure(Reason::kBadRequest, "The vocabulary cannot spell the choice \"" + shown + "\".",
                     "Use characters that the model's tokenizer covers.");
    }
  }
  *constraint = std::make_unique<LiteralChoices>(std::move(prepared), std::move(table));
  return {};
}

}  // namespace chasqui
