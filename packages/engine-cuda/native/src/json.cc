// Recursive descent, one function to a production of RFC 8259. Depth and number of values are counted on the way down,
// so that a hostile text is given up before it costs anything.
#include "json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace chasqui {
namespace {

// Recursive descent over the text. Every function leaves `at_` behind what it read, or sets `error_` and returns false.
class Parser {
 public:
  Parser(std::string_view text, const JsonLimits& limits) : text_(text), limits_(limits) {}

  bool document(JsonValue* value) {
    if (text_.size() > limits_.bytes) {
      return fail("the text is longer than " + std::to_string(limits_.bytes) + " bytes");
    }
    skip_space();
    if (!read(value)) return false;
    skip_space();
    return at_ == text_.size() || fail("something follows the end of the value");
  }

  std::string error() const { return error_; }

 private:
  bool read(JsonValue* value) {
    if (++values_ > limits_.values) return fail("more than " + std::to_string(limits_.values) + " values");
    if (at_ == text_.size()) return fail("the text ends where a value is expected");
    switch (text_[at_]) {
      case '{': return object(value);
      case '[': return array(value);
      case '"': return string_value(value);
      case 't': return word("true", JsonValue(true), value);
      case 'f': return word("false", JsonValue(false), value);
      case 'n': return word("null", JsonValue(), value);
      default: return number(value);
    }
  }

  bool object(JsonValue* value) {
    if (!enter()) return false;
    JsonObject members;
    skip_space();
    if (!take('}')) {
      do {
        skip_space();
        if (at_ == text_.size() || text_[at_] != '"') return fail("a key in quotes is expected");
        JsonMember& member = members.emplace_back();
        if (!string(&member.key)) return false;
        skip_space();
        if (!take(':')) return fail("':' is expected");
        skip_space();
        if (!read(&member.value)) return false;
        skip_space();
      } while (take(','));
      if (!take('}')) return fail("',' or '}' is expected");
    }
    depth_--;
    std::sort(members.begin(), members.end(), [](const JsonMember& a, const JsonMember& b) { return a.key < b.key; });
    const auto twin = std::adjacent_find(members.begin(), members.end(),
                                         [](const JsonMember& a, const JsonMember& b) { return a.key == b.key; });
    if (twin != members.end()) return fail("the key " + json_quoted(twin->key) + " occurs twice in an object");
    *value = JsonValue(std::move(members));
    return true;
  }

  bool array(JsonValue* value) {
    if (!enter()) return false;
    JsonArray elements;
    skip_space();
    if (!take(']')) {
      do {
        skip_space();
        if (!read(&elements.emplace_back())) return false;
        skip_space();
      } while (take(','));
      if (!take(']')) return fail("',' or ']' is expected");
    }
    depth_--;
    *value = JsonValue(std::move(elements));
    return true;
  }

  bool string_value(JsonValue* value) {
    std::string text;
    if (!string(&text)) return false;
    *value = JsonValue(std::move(text));
    return true;
  }

  bool string(std::string* out) {
    at_++;  // the quote
    while (at_ < text_.size()) {
      const unsigned char byte = static_cast<unsigned char>(text_[at_]);
      if (byte == '"') {
        at_++;
        return true;
      }
      if (byte < 0x20) return fail("a control character stands in a string");
      if (byte == '\\') {
        if (!escape(out)) return false;
      } else if (byte < 0x80) {
        out->push_back(text_[at_++]);
      } else if (!utf8(out)) {
        return false;
      }
    }
    return fail("a string does not end");
  }

  bool escape(std::string* out) {
    at_++;  // the backslash
    if (at_ == text_.size()) return fail("a string does not end");
    const char letter = text_[at_++];
    switch (letter) {
      case '"':
      case '\\':
      case '/': out->push_back(letter); return true;
      case 'b': out->push_back('\b'); return true;
      case 'f': out->push_back('\f'); return true;
      case 'n': out->push_back('\n'); return true;
      case 'r': out->push_back('\r'); return true;
      case 't': out->push_back('\t'); return true;
      case 'u': return unicode_escape(out);
      default: return fail("an unknown escape stands in a string");
    }
  }

  bool unicode_escape(std::string* out) {
    uint32_t code = 0;
    if (!four_digits(&code)) return false;
    if (code >= 0xDC00 && code <= 0xDFFF) return fail("half a surrogate pair stands in a string");
    if (code >= 0xD800 && code <= 0xDBFF) {
      uint32_t low = 0;
      if (text_.substr(at_, 2) != "\\u") return fail("half a surrogate pair stands in a string");
      at_ += 2;
      if (!four_digits(&low)) return false;
      if (low < 0xDC00 || low > 0xDFFF) return fail("half a surrogate pair stands in a string");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(code, out);
    return true;
  }

  bool four_digits(uint32_t* code) {
    const std::string_view digits = text_.substr(at_, 4);
    const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), *code, 16);
    if (digits.size() != 4 || status != std::errc() || end != digits.data() + 4) {
      return fail("four hexadecimal digits are expected");
    }
    at_ += 4;
    return true;
  }

  static void append_utf8(uint32_t code, std::string* out) {
    const auto continuation = [out](uint32_t bits) { out->push_back(static_cast<char>(0x80 | (bits & 0x3F))); };
    if (code < 0x80) {
      out->push_back(static_cast<char>(code));
    } else if (code < 0x800) {
      out->push_back(static_cast<char>(0xC0 | code >> 6));
      continuation(code);
    } else if (code < 0x10000) {
      out->push_back(static_cast<char>(0xE0 | code >> 12));
      continuation(code >> 6);
      continuation(code);
    } else {
      out->push_back(static_cast<char>(0xF0 | code >> 18));
      continuation(code >> 12);
      continuation(code >> 6);
      continuation(code);
    }
  }

  // Copies one character of two to four bytes; refuses overlong forms, surrogates and codes past U+10FFFF.
  bool utf8(std::string* out) {
    const auto byte = [this](size_t i) { return static_cast<unsigned char>(text_[at_ + i]); };
    const unsigned lead = byte(0);
    const size_t length = lead >= 0xC2 && lead <= 0xDF   ? 2
                          : lead >= 0xE0 && lead <= 0xEF ? 3
                          : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                         : 0;
    if (length == 0 || text_.size() - at_ < length) return fail("a string is not valid UTF-8");
    for (size_t i = 1; i < length; i++) {
      if ((byte(i) & 0xC0) != 0x80) return fail("a string is not valid UTF-8");
    }
    if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F) || (lead == 0xF0 && byte(1) < 0x90) ||
        (lead == 0xF4 && byte(1) > 0x8F)) {
      return fail("a string is not valid UTF-8");
    }
    out->append(text_.substr(at_, length));
    at_ += length;
    return true;
  }

  // The grammar is checked here, since from_chars takes more than JSON does ("01", "inf").
  bool number(JsonValue* value) {
    const size_t start = at_;
    const auto digits = [this] {
      const size_t first = at_;
      while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') at_++;
      return at_ > first;
    };
    take('-');
    const size_t first_digit = at_;
    if (!digits()) {
      at_ = start;
      return fail("a value is expected");
    }
    if (text_[first_digit] == '0' && at_ > first_digit + 1) return fail("a number begins with 0");
    bool whole = true;
    if (take('.')) {
      whole = false;
      if (!digits()) return fail("a digit is expected after the point");
    }
    if (take('e') || take('E')) {
      whole = false;
      if (!take('+')) take('-');
      if (!digits()) return fail("a digit is expected in the exponent");
    }
    const char* const begin = text_.data() + start;
    const char* const end = text_.data() + at_;
    int64_t integer = 0;
    if (whole && std::from_chars(begin, end, integer).ec == std::errc()) {
      *value = JsonValue(integer);
      return true;
    }
    double real = 0;
    if (std::from_chars(begin, end, real).ec != std::errc() || !std::isfinite(real)) {
      return fail("a number is too large or too small");
    }
    *value = JsonValue(real);
    return true;
  }

  bool word(std::string_view expected, JsonValue read, JsonValue* value) {
    if (text_.substr(at_, expected.size()) != expected) return fail("a value is expected");
    at_ += expected.size();
    *value = std::move(read);
    return true;
  }

  bool enter() {
    at_++;  // the bracket
    return ++depth_ <= limits_.depth || fail("more than " + std::to_string(limits_.depth) + " levels of nesting");
  }

  bool take(char wanted) {
    if (at_ == text_.size() || text_[at_] != wanted) return false;
    at_++;
    return true;
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) {
      at_++;
    }
  }

  bool fail(const std::string& what) {
    error_ = what + " (byte " + std::to_string(at_) + ")";
    return false;
  }

  std::string_view text_;
  const JsonLimits& limits_;
  size_t at_ = 0;
  size_t values_ = 0;
  int depth_ = 0;
  std::string error_;
};

void write_brief(const JsonValue& value, std::string* out) {
  if (out->size() > 60) return;
  double number = 0;
  if (value.is_null()) {
    *out += "null";
  } else if (const bool* boolean = value.boolean()) {
    *out += *boolean ? "true" : "false";
  } else if (const int64_t* integer = value.integer()) {
    *out += std::to_string(*integer);
  } else if (value.number(&number)) {
    // Shortest digits that read back the same; the usual sizes without an exponent.
    char digits[40];
    const bool plain = number == 0.0 || (std::fabs(number) >= 1e-4 && std::fabs(number) < 1e15);
    const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
    *out += std::string_view(digits, std::to_chars(digits, digits + sizeof digits, number, format).ptr - digits);
  } else if (const std::string* text = value.string()) {
    *out += json_quoted(*text);
  } else if (const JsonArray* array = value.array()) {
    *out += '[';
    for (size_t i = 0; i < array->size() && out->size() <= 60; i++) {
      if (i > 0) *out += ", ";
      write_brief((*array)[i], out);
    }
    *out += ']';
  } else if (const JsonObject* object = value.object()) {
    *out += '{';
    for (size_t i = 0; i < object->size() && out->size() <= 60; i++) {
      if (i > 0) *out += ", ";
      *out += json_quoted((*object)[i].key) + ": ";
      write_brief((*object)[i].value, out);
    }
    *out += '}';
  }
}

// The longest beginning of valid UTF-8 that has at most `bytes` bytes.
std::string_view cut(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) bytes--;
  return text.substr(0, bytes);
}

}  // namespace

bool JsonValue::number(double* out) const {
  if (const int64_t* integer = std::get_if<int64_t>(&value_)) {
    *out = static_cast<double>(*integer);
    return true;
  }
  if (const double* real = std::get_if<double>(&value_)) {
    *out = *real;
    return true;
  }
  return false;
}

const JsonValue* JsonValue::find(std::string_view key) const {
  const JsonObject* members = object();
  if (members == nullptr) return nullptr;
  const auto found =
      std::lower_bound(members->begin(), members->end(), key,
                       [](const JsonMember& member, std::string_view wanted) { return member.key < wanted; });
  return found != members->end() && found->key == key ? &found->value : nullptr;
}

std::string JsonValue::brief() const {
  std::string out;
  write_brief(*this, &out);
  if (out.size() <= 64) return out;
  return std::string(cut(out, 60)) + "...";
}

bool parse_json(std::string_view text, const JsonLimits& limits, JsonValue* value, std::string* error) {
  Parser parser(text, limits);
  JsonValue read;
  if (!parser.document(&read)) {
    *error = parser.error();
    return false;
  }
  *value = std::move(read);
  return true;
}

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char letter : cut(text, 120)) {
    const unsigned char byte = static_cast<unsigned char>(letter);
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += letter;
    } else if (byte < 0x20 || byte == 0x7F) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", byte);
      out += escaped;
    } else {
      out += letter;
    }
  }
  if (text.size() > 120) out += "...";
  return out + "\"";
}

}  // namespace chasqui
