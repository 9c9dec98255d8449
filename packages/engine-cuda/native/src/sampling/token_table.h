// The bytes of every ordinary token, and which token has given bytes. Special tokens have no bytes here, so no text can
// ever be spelled with one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "../status.h"

namespace chasqui {

class TokenTable {
 public:
  // `offsets`: (n_tokens + 1) positions in `bytes`; token i is bytes[offsets[i], offsets[i + 1]), empty for a token
  // that has no text. Fails where the offsets do not fit the bytes.
  static Status build(std::string bytes, std::vector<int64_t> offsets, TokenTable* table);

  TokenTable() = default;
  TokenTable(const TokenTable&) = delete;  // the index points into bytes_
  TokenTable& operator=(const TokenTable&) = delete;

  int32_t size() const { return offsets_.empty() ? 0 : static_cast<int32_t>(offsets_.size()) - 1; }
  int32_t longest() const { return longest_; }  // bytes

  std::string_view bytes_of(int32_t token) const {
    if (token < 0 || token >= size()) return {};
    const auto begin = static_cast<size_t>(offsets_[static_cast<size_t>(token)]);
    const auto end = static_cast<size_t>(offsets_[static_cast<size_t>(token) + 1]);
    return std::string_view(bytes_).substr(begin, end - begin);
  }

  // The lowest token with exactly these bytes, or -1; next_same gives the others.
  int32_t find(std::string_view bytes) const;
  int32_t next_same(int32_t token) const;

  // The usual tokens of a text: byte-pair merging, lowest id first, as byte-level vocabularies number their tokens in
  // order of merging. Empty where some byte has no token of its own.
  std::vector<int32_t> encode(std::string_view text) const;

 private:
  std::string bytes_;
  std::vector<int64_t> offsets_;
  std::unordered_map<std::string_view, int32_t> index_;  // bytes to the lowest id
  std::unordered_map<int32_t, int32_t> same_;            // id to the next id with the same bytes
  int32_t longest_ = 0;
};

}  // namespace chasqui
