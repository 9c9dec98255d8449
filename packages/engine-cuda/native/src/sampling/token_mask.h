// Which tokens may come next, one bit per token id in 32-bit words (the layout that a device takes as it is).
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace chasqui {

class TokenMask {
 public:
  explicit TokenMask(int32_t vocab) : vocab_(vocab), words_(static_cast<size_t>((vocab + 31) / 32), 0) {}

  void clear() { std::fill(words_.begin(), words_.end(), 0u); }

  // Ids outside the vocabulary are ignored.
  void permit(int32_t token) {
    if (token >= 0 && token < vocab_) words_[static_cast<size_t>(token) / 32] |= 1u << (token % 32);
  }
  void forbid(int32_t token) {
    if (token >= 0 && token < vocab_) words_[static_cast<size_t>(token) / 32] &= ~(1u << (token % 32));
  }
  bool permits(int32_t token) const {
    return token >= 0 && token < vocab_ && (words_[static_cast<size_t>(token) / 32] >> (token % 32) & 1u) != 0;
  }

  int32_t count() const {
    int32_t n = 0;
    for (const uint32_t word : words_) n += std::popcount(word);
    return n;
  }
  // The lowest permitted id, or -1.
  int32_t first() const {
    for (size_t i = 0; i < words_.size(); ++i) {
      if (words_[i] != 0) return static_cast<int32_t>(i * 32) + std::countr_zero(words_[i]);
    }
    return -1;
  }

  int32_t vocab() const { return vocab_; }
  std::vector<uint32_t>& words() { return words_; }
  const std::vector<uint32_t>& words() const { return words_; }

 private:
  int32_t vocab_;
  std::vector<uint32_t> words_;  // (ceil(vocab / 32)); bits past vocab stay 0
};

}  // namespace chasqui
