// Seeded mutations of text: bytes flipped, ranges cut, doubled and moved, numbers and strings replaced by ones that
// have broken parsers before. The same seed gives the same mutants everywhere.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>

namespace chasqui {

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 1) {}

  // Uniform below `bound`; 0 where bound is 0.
  uint64_t below(uint64_t bound) { return bound == 0 ? 0 : next() % bound; }

  // A number near a power of two, or a small one.
  uint64_t interesting() { return (uint64_t{1} << below(64)) + below(3) - 1; }

  std::string mutate(std::string text) {
    for (uint64_t changes = 1 + below(4); changes > 0; changes--) change(&text);
    return text;
  }

 private:
  void change(std::string* text) {
    static constexpr const char* kTokens[] = {
        "null", "true", "{}", "[]", "\"\"", "0", "-1", "1e308", "1.5", "[[[[", "\"\\u0000\"", "\\ud800", ",", ":", "}", "\xFF",
        "\"F32\"", "\"BOOL\"", "2147483648", "9223372036854775807", "18446744073709551615"};
    const size_t at = below(text->size());
    const size_t length = std::min<size_t>(text->size() - at, 1 + below(below(2) == 0 ? 4 : 40));
    const char* token = kTokens[below(std::size(kTokens))];
    switch (below(9)) {
      case 0: flip(text, at, 1 << below(8)); break;
      case 1: flip(text, at, static_cast<int>(below(256))); break;
      case 2: text->erase(at, length); break;
      case 3: text->insert(below(text->size() + 1), text->substr(at, length)); break;
      case 4: text->insert(at, token); break;
      case 5: text->replace(at, length, token); break;
      case 6: replace_run(text, at, "0123456789", std::to_string(below(2) == 0 ? interesting() : below(70))); break;
      case 7: replace_value(text, at, token); break;
      case 8: text->resize(below(8) == 0 ? at : text->size()); break;
    }
  }

  static void flip(std::string* text, size_t at, int bits) {
    if (at < text->size()) (*text)[at] = static_cast<char>((*text)[at] ^ bits);
  }

  // The first run of these letters from `at` on becomes `with`.
  static void replace_run(std::string* text, size_t at, const char* letters, const std::string& with) {
    const size_t begin = text->find_first_of(letters, at);
    if (begin == std::string::npos) return;
    const size_t end = text->find_first_not_of(letters, begin);
    text->replace(begin, (end == std::string::npos ? text->size() : end) - begin, with);
  }

  // What stands between the next ':' and the next ',' becomes `with`.
  static void replace_value(std::string* text, size_t at, const char* with) {
    const size_t begin = text->find(':', at);
    const size_t end = begin == std::string::npos ? begin : text->find(',', begin);
    if (end != std::string::npos) text->replace(begin + 1, end - begin - 1, with);
  }

  uint64_t next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
  }

  uint64_t state_;
};

}  // namespace chasqui
