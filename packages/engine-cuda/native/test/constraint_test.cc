// Allowed sets and literal choices, against a slow definition: which tokens keep the output a prefix of some choice.
#include "src/sampling/constraint.h"

#include <memory>
#include <random>
#include <set>

#include "check.h"
#include "src/sampling/allowed_set.h"
#include "src/sampling/literal_choices.h"

using namespace chasqui;

namespace {

std::shared_ptr<const TokenTable> table_of(const std::vector<std::string>& tokens) {
  std::string bytes;
  std::vector<int64_t> offsets{0};
  for (const std::string& token : tokens) {
    bytes += token;
    offsets.push_back(static_cast<int64_t>(bytes.size()));
  }
  auto table = std::make_shared<TokenTable>();
  CHECK_OK(TokenTable::build(bytes, offsets, table.get()));
  return table;
}

// Bytes a..z, then merges in order; an empty special token, and a second spelling of "ab".
const std::vector<std::string>& vocabulary() {
  static const std::vector<std::string> tokens = [] {
    std::vector<std::string> all;
    for (char c = 'a'; c <= 'z'; ++c) all.emplace_back(1, c);
    for (const char* merged : {"or", "de", "er", "order", "ord", "Id", "Na", "me", "name", "ab", "abc", "ca"}) all.emplace_back(merged);
    all.emplace_back("I");
    all.emplace_back("N");
    all.emplace_back("");
    all.emplace_back("ab");
    return all;
  }();
  return tokens;
}

std::unique_ptr<TokenConstraint> choices_of(std::vector<std::string> choices, const std::vector<std::string>& tokens = vocabulary()) {
  std::unique_ptr<TokenConstraint> made;
  CHECK_OK(make_literal_choices(std::move(choices), table_of(tokens), &made));
  return made;
}

std::set<int32_t> permitted(TokenConstraint& constraint, int32_t vocab) {
  TokenMask mask(vocab);
  constraint.fill_mask(&mask);
  std::set<int32_t> tokens;
  for (int32_t token = 0; token < vocab; ++token) {
    if (mask.permits(token)) tokens.insert(token);
  }
  return tokens;
}

}  // namespace

TEST(masks_permit_exactly_the_tokens_that_stay_inside_a_choice) {
  std::mt19937_64 random(4);
  const auto vocab = static_cast<int32_t>(vocabulary().size());
  for (int32_t round = 0; round < 300; ++round) {
    std::vector<std::string> choices;
    const size_t n = 1 + random() % 5;
    while (choices.size() < n) {
      std::string choice;
      const size_t length = 1 + random() % 9;
      while (choice.size() < length) choice += "abcdenor"[random() % 8];
      choices.push_back(choice);
    }
    const auto constraint = choices_of(choices);
    std::string written;
    while (true) {
      std::set<int32_t> expected;
      for (int32_t token = 0; token < vocab; ++token) {
        const std::string& bytes = vocabulary()[static_cast<size_t>(token)];
        for (const std::string& choice : choices) {
          if (!bytes.empty() && choice.starts_with(written + bytes)) expected.insert(token);
        }
      }
      const std::set<int32_t> actual = permitted(*constraint, vocab);
      CHECK(actual == expected);
      bool whole = false;
      for (const std::string& choice : choices) whole = whole || choice == written;
      CHECK_EQ(constraint->is_complete(), whole);
      if (actual.empty() || (whole && random() % 2 == 0)) break;
      auto chosen = actual.begin();
      std::advance(chosen, static_cast<std::ptrdiff_t>(random() % actual.size()));
      CHECK(constraint->accept(*chosen));
      written += vocabulary()[static_cast<size_t>(*chosen)];
    }
    CHECK(constraint->is_complete());
  }
}

TEST(refused_tokens_change_nothing) {
  const auto constraint = choices_of({"order"});
  CHECK(!constraint->accept(25));                                                // z
  CHECK(!constraint->accept(static_cast<int32_t>(vocabulary().size()) - 2));     // the special token
  CHECK(!constraint->accept(-1));
  CHECK(!constraint->accept(1 << 20));
  CHECK(constraint->accept(14));  // o
  CHECK(!constraint->accept(14));
}

TEST(rollback_takes_back_tokens) {
  const auto vocab = static_cast<int32_t>(vocabulary().size());
  const auto constraint = choices_of({"abc", "abcabc", "cab"});
  std::vector<std::set<int32_t>> masks;
  const std::vector<int32_t> path{0, 1, 2, 35};  // a b c ab
  for (const int32_t token : path) {
    masks.push_back(permitted(*constraint, vocab));
    CHECK(constraint->accept(token));
  }
  for (size_t kept = path.size(); kept-- > 0;) {
    constraint->rollback(1);
    CHECK(permitted(*constraint, vocab) == masks[kept]);
  }
  for (const int32_t token : path) CHECK(constraint->accept(token));
  constraint->rollback(3);
  CHECK(permitted(*constraint, vocab) == masks[1]);
}

TEST(a_common_beginning_is_forced_as_far_as_its_usual_tokens_agree) {
  const auto token_of = [](const std::string& bytes) {
    for (size_t i = 0; i < vocabulary().size(); ++i) {
      if (vocabulary()[i] == bytes) return static_cast<int32_t>(i);
    }
    return -1;
  };
  // Merges by rank: or + de + r, or(26) de(27) er(28) -> "or","de","r" -> no "orde": the table's usual tokens decide.
  const auto table = table_of(vocabulary());
  const std::vector<int32_t> usual = table->encode("orderId");
  const auto constraint = choices_of({"orderId", "orderName"});
  std::vector<int32_t> forced;
  constraint->forced(&forced);
  CHECK(!forced.empty());
  for (size_t i = 0; i < forced.size(); ++i) CHECK_EQ(forced[i], usual[i]);
  for (const int32_t token : forced) CHECK(constraint->accept(token));
  forced.clear();
  constraint->forced(&forced);
  CHECK(forced.empty());  // Id or Name
  CHECK(constraint->accept(token_of("I")));  // not the usual token: nothing is known of the rest but its bytes
  forced.clear();
  constraint->forced(&forced);
  CHECK(forced.empty());
  CHECK(constraint->accept(token_of("d")));
  CHECK(constraint->is_complete());
}

TEST(a_choice_that_begins_another_is_not_forced_on) {
  const auto constraint = choices_of({"ab", "abc"});
  std::vector<int32_t> forced;
  constraint->forced(&forced);
  CHECK(forced.empty());  // "ab" is one usual token, "abc" another
  CHECK(constraint->accept(35));
  CHECK(constraint->is_complete());
  forced.clear();
  constraint->forced(&forced);
  CHECK(forced.empty());
}

TEST(choices_that_cannot_be_written_are_refused) {
  std::unique_ptr<TokenConstraint> made;
  const auto table = table_of(vocabulary());
  CHECK_REASON(make_literal_choices({}, table, &made), Reason::kBadRequest);
  CHECK_REASON(make_literal_choices({"ab", ""}, table, &made), Reason::kBadRequest);
  CHECK_REASON(make_literal_choices({"ab!"}, table, &made), Reason::kBadRequest);
  CHECK_REASON(make_literal_choices({"ab"}, nullptr, &made), Reason::kBadRequest);
  CHECK(made == nullptr);
}

TEST(dead_ends_inside_a_choice_are_masked) {
  // "x" can be written only as "xy" + "z": the token "x" would leave "yz", which nothing spells.
  const std::vector<std::string> tokens{"x", "xy", "z"};
  const auto constraint = choices_of({"xyz"}, tokens);
  CHECK(permitted(*constraint, 3) == (std::set<int32_t>{1}));
  CHECK(!constraint->accept(0));
  CHECK(constraint->accept(1));
  CHECK(constraint->accept(2));
  CHECK(constraint->is_complete());
}

TEST(an_allowed_set_is_the_same_everywhere) {
  std::unique_ptr<TokenConstraint> made;
  CHECK_OK(make_allowed_set({3, 5, 5}, 10, &made));
  CHECK(permitted(*made, 10) == (std::set<int32_t>{3, 5}));
  CHECK(made->accept(5));
  CHECK(!made->accept(4));
  CHECK(permitted(*made, 10) == (std::set<int32_t>{3, 5}));
  CHECK_REASON(make_allowed_set({}, 10, &made), Reason::kBadRequest);
  CHECK_REASON(make_allowed_set({10}, 10, &made), Reason::kBadRequest);
  CHECK_REASON(make_allowed_set({-1}, 10, &made), Reason::kBadRequest);
}

TEST(malformed_token_tables_are_refused) {
  TokenTable table;
  CHECK_REASON(TokenTable::build("abc", {}, &table), Reason::kBadRequest);
  CHECK_REASON(TokenTable::build("abc", {0, 2}, &table), Reason::kBadRequest);
  CHECK_REASON(TokenTable::build("abc", {0, 3, 2, 3}, &table), Reason::kBadRequest);
  CHECK_REASON(TokenTable::build("abc", {1, 3}, &table), Reason::kBadRequest);
  CHECK_OK(TokenTable::build("abc", {0, 0, 3}, &table));
  CHECK_EQ(table.find("abc"), 1);
  CHECK_EQ(table.find("ab"), -1);
}

TEST_MAIN()
