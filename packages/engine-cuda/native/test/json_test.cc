// The JSON reader: what it takes, what it refuses and where it says the fault lies.
#include "src/json.h"

#include "test/check.h"

using namespace chasqui;

namespace {

JsonValue read(std::string_view text) {
  JsonValue value;
  std::string error;
  if (!parse_json(text, {}, &value, &error)) check::fail(__FILE__, __LINE__, std::string(text) + ": " + error);
  return value;
}

// The message that a text is refused with, or "taken".
std::string refusal(std::string_view text, const JsonLimits& limits = {}) {
  JsonValue value;
  std::string error;
  return parse_json(text, limits, &value, &error) ? "taken" : error;
}

std::string text_of(const JsonValue& value) { return value.string() == nullptr ? "(no string)" : *value.string(); }

}  // namespace

TEST(reads_every_kind_of_value) {
  const JsonValue value = read(" {\"a\": [1, -2.5e1, true, false, null, \"x\"], \"\": {}}\n");
  const JsonArray& array = *value.find("a")->array();
  double number = 0;
  CHECK_EQ(*array[0].integer(), 1);
  CHECK(array[1].integer() == nullptr);
  CHECK(array[1].number(&number));
  CHECK_EQ(number, -25.0);
  CHECK(*array[2].boolean());
  CHECK(!*array[3].boolean());
  CHECK(array[4].is_null());
  CHECK_EQ(text_of(array[5]), std::string("x"));
  CHECK(value.find("")->object()->empty());
  CHECK(value.find("b") == nullptr);
  CHECK(array[0].find("a") == nullptr);
}

TEST(keeps_integers_apart_from_other_numbers) {
  CHECK_EQ(*read("9223372036854775807").integer(), INT64_MAX);
  CHECK_EQ(*read("-9223372036854775808").integer(), INT64_MIN);
  CHECK(read("9223372036854775808").integer() == nullptr);  // one more: a real number
  CHECK(read("1.0").integer() == nullptr);
  CHECK(read("1e2").integer() == nullptr);
  CHECK_EQ(*read("-0").integer(), 0);
}

TEST(decodes_escapes_and_checks_utf8) {
  CHECK_EQ(text_of(read(R"("\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\ude00")")), std::string("\"\\/\b\f\n\r\tAé€😀"));
  CHECK_EQ(text_of(read("\"é€😀\"")), std::string("é€😀"));
  CHECK_EQ(text_of(read(R"("a\u0000b")")).size(), size_t{3});
  for (const char* bad : {"\"\xC0\x80\"", "\"\xE0\x80\x80\"", "\"\xED\xA0\x80\"", "\"\xF4\x90\x80\x80\"",
                          "\"\xF5\x80\x80\x80\"", "\"\xE2\x82\"", "\"\x80\""}) {
    CHECK_EQ(refusal(bad), std::string("a string is not valid UTF-8 (byte 1)"));
  }
  CHECK_EQ(refusal(R"("\ud83d")"), std::string("half a surrogate pair stands in a string (byte 7)"));
  CHECK_EQ(refusal(R"("\udc00")"), std::string("half a surrogate pair stands in a string (byte 7)"));
  CHECK_EQ(refusal(R"("\u12g4")"), std::string("four hexadecimal digits are expected (byte 3)"));
  CHECK_EQ(refusal(R"("\u-123")"), std::string("four hexadecimal digits are expected (byte 3)"));
}

TEST(says_what_is_wrong_and_where) {
  const struct {
    const char* text;
    const char* error;
  } cases[] = {
      {"", "the text ends where a value is expected (byte 0)"},
      {"{", "a key in quotes is expected (byte 1)"},
      {"{\"a\" 1}", "':' is expected (byte 5)"},
      {"{\"a\":1,}", "a key in quotes is expected (byte 7)"},
      {"[1,]", "a value is expected (byte 3)"},
      {"[1 2]", "',' or ']' is expected (byte 3)"},
      {"{\"a\":1", "',' or '}' is expected (byte 6)"},
      {"\"a", "a string does not end (byte 2)"},
      {"\"a\n\"", "a control character stands in a string (byte 2)"},
      {"\"\\x\"", "an unknown escape stands in a string (byte 3)"},
      {"01", "a number begins with 0 (byte 2)"},
      {"1.", "a digit is expected after the point (byte 2)"},
      {"1e+", "a digit is expected in the exponent (byte 3)"},
      {"1e999", "a number is too large or too small (byte 5)"},
      {"+1", "a value is expected (byte 0)"},
      {"-", "a value is expected (byte 0)"},
      {"NaN", "a value is expected (byte 0)"},
      {"tru", "a value is expected (byte 0)"},
      {"1 1", "something follows the end of the value (byte 2)"},
      {"\xEF\xBB\xBF{}", "a value is expected (byte 0)"},
      {"{\"b\":1,\"a\":2,\"b\":3}", "the key \"b\" occurs twice in an object (byte 19)"},
      {"{\"a\":1,\"\\u0061\":2}", "the key \"a\" occurs twice in an object (byte 18)"},
  };
  for (const auto& one : cases) CHECK_EQ(refusal(one.text), std::string(one.error));
}

TEST(stops_at_its_limits) {
  JsonLimits limits;
  limits.depth = 3;
  limits.values = 5;
  limits.bytes = 20;
  CHECK_EQ(refusal("[[[]]]", limits), std::string("taken"));
  CHECK_EQ(refusal("[[[[]]]]", limits), std::string("more than 3 levels of nesting (byte 4)"));
  CHECK_EQ(refusal("[1,2,3,4]", limits), std::string("taken"));
  CHECK_EQ(refusal("[1,2,3,4,5]", limits), std::string("more than 5 values (byte 9)"));
  CHECK_EQ(refusal("\"0123456789abcdefghi\"", limits), std::string("the text is longer than 20 bytes (byte 0)"));
  CHECK_EQ(refusal(std::string(100000, '[')), std::string("more than 64 levels of nesting (byte 65)"));
}

TEST(leaves_the_value_alone_when_it_refuses) {
  JsonValue value(int64_t{7});
  std::string error;
  CHECK(!parse_json("[1,", {}, &value, &error));
  CHECK_EQ(*value.integer(), 7);
}

TEST(shows_values_briefly_and_without_control_bytes) {
  CHECK_EQ(read("{\"a\": [1, 2.5, \"x\\u001b\\\"\", null, true]}").brief(),
           std::string(R"({"a": [1, 2.5, "x\u001b\"", null, true]})"));
  const std::string brief = read("\"" + std::string(500, 'x') + "é\"").brief();
  CHECK(brief.size() <= 64 && brief.ends_with("..."));
  CHECK_EQ(json_quoted("a\nb\x7F"), std::string("\"a\\u000ab\\u007f\""));
  // A cut never leaves half a character.
  JsonValue again;
  std::string error;
  for (size_t size = 100; size < 130; size++) {
    CHECK(parse_json(json_quoted(std::string(size, 'x') + "€€€€€€€€"), {}, &again, &error));
  }
}

TEST_MAIN()
