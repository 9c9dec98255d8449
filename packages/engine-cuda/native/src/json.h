// A strict JSON reader (RFC 8259) for files that somebody else wrote: text in, a tree of values or one sentence about
// what is wrong and at which byte out. It refuses what the standard refuses, and also duplicate keys, invalid UTF-8 and
// anything over its limits, so that hostile text costs bounded memory, time and stack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace chasqui {

struct JsonLimits {
  size_t bytes = size_t{16} << 20;  // of the text
  int depth = 64;                   // of nested arrays and objects
  size_t values = size_t{1} << 20;  // in the tree, keys not counted
};

struct JsonMember;
class JsonValue;
using JsonArray = std::vector<JsonValue>;
using JsonObject = std::vector<JsonMember>;  // sorted by key, no two alike

class JsonValue {
 public:
  JsonValue() = default;
  explicit JsonValue(bool value) : value_(value) {}
  explicit JsonValue(int64_t value) : value_(value) {}
  explicit JsonValue(double value) : value_(value) {}
  explicit JsonValue(std::string value) : value_(std::move(value)) {}
  explicit JsonValue(JsonArray value) : value_(std::move(value)) {}
  explicit JsonValue(JsonObject value) : value_(std::move(value)) {}

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  // Each is null where the value is of another kind.
  const bool* boolean() const { return std::get_if<bool>(&value_); }
  const int64_t* integer() const { return std::get_if<int64_t>(&value_); }  // written without point or exponent
  const std::string* string() const { return std::get_if<std::string>(&value_); }
  const JsonArray* array() const { return std::get_if<JsonArray>(&value_); }
  const JsonObject* object() const { return std::get_if<JsonObject>(&value_); }
  // Any number, an integer too. False where the value is none.
  bool number(double* out) const;

  // The member of an object with this key, or null: also where the value is no object.
  const JsonValue* find(std::string_view key) const;

  // The value as JSON text for a message, cut to about 60 bytes.
  std::string brief() const;

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, JsonArray, JsonObject> value_;
};

struct JsonMember {
  std::string key;
  JsonValue value;
};

// Reads one JSON text. False: `error` says what is wrong and at which byte, and `value` is left as it was.
[[nodiscard]] bool parse_json(std::string_view text, const JsonLimits& limits, JsonValue* value, std::string* error);

// `text` as a JSON string, quotes included: what a message shows of a name that came from outside.
std::string json_quoted(std::string_view text);

}  // namespace chasqui
