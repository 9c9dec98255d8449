// The test harness: tests are functions that register themselves, checks count and print what differs, and the program
// ends with `N passed, N failed` and an exit code. Nothing is downloaded and nothing is hidden.
//
//   #include "check.h"
//   TEST(adds_numbers) { CHECK(1 + 1 == 2); CHECK_EQ(2 * 2, 4); CHECK_NEAR(0.1 + 0.2, 0.3, 1e-12); }
//   TEST_MAIN()
//
// A program argument runs only the tests whose names contain it.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

namespace check {

struct Test {
  const char* name;
  void (*body)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

inline int failures_of_test = 0;
inline int skipped = 0;

inline int add(const char* name, void (*body)()) {
  tests().push_back({name, body});
  return 0;
}

// Prints the first twenty failures of a test and counts the rest.
inline void fail(const char* file, int line, const std::string& what) {
  failures_of_test++;
  if (failures_of_test <= 20) std::fprintf(stderr, "  %s:%d: %s\n", file, line, what.c_str());
}

template <typename A, typename B>
void equal(const char* file, int line, const char* text, const A& a, const B& b) {
  if (a == b) return;
  std::ostringstream message;
  message << text << ": " << a << " is not " << b;
  fail(file, line, message.str());
}

inline void near(const char* file, int line, const char* text, double a, double b, double tolerance) {
  if (std::fabs(a - b) <= tolerance) return;  // false for NaN
  std::ostringstream message;
  message.precision(9);
  message << text << ": " << a << " is not within " << tolerance << " of " << b;
  fail(file, line, message.str());
}

// Says loudly that a test could not do its work here.
inline void skip(const std::string& why) {
  skipped++;
  std::printf("  SKIPPED: %s\n", why.c_str());
}

inline int run(int argc, char** argv) {
  int passed = 0;
  int failed = 0;
  for (const Test& test : tests()) {
    if (argc > 1 && std::strstr(test.name, argv[1]) == nullptr) continue;
    failures_of_test = 0;
    std::printf("%s\n", test.name);
    std::fflush(stdout);
    test.body();
    if (failures_of_test == 0) {
      passed++;
    } else {
      failed++;
      std::printf("  FAILED with %d failures\n", failures_of_test);
    }
  }
  if (skipped > 0) std::printf("%d skipped\n", skipped);
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace check

#define TEST(name)                                             \
  static void test_##name();                                   \
  static const int added_##name = check::add(#name, test_##name); \
  static void test_##name()

// Several test files can be one program: all but one of them are compiled with CHECK_NO_MAIN.
#ifdef CHECK_NO_MAIN
#define TEST_MAIN()
#else
#define TEST_MAIN() \
  int main(int argc, char** argv) { return check::run(argc, argv); }
#endif

#define CHECK(condition) ((condition) ? (void)0 : check::fail(__FILE__, __LINE__, #condition))
#define CHECK_EQ(a, b) check::equal(__FILE__, __LINE__, #a " == " #b, (a), (b))
#define CHECK_NEAR(a, b, tolerance) check::near(__FILE__, __LINE__, #a " ~ " #b, (a), (b), (tolerance))
// A Status that must be ok; prints what it says when it is not.
#define CHECK_OK(status)                                                                            \
  do {                                                                                              \
    const auto& checked_status = (status);                                                          \
    if (!checked_status.ok()) check::fail(__FILE__, __LINE__, #status ": " + checked_status.detail); \
  } while (0)
// A Status that must fail for this reason.
#define CHECK_REASON(status, expected)                                                                                \
  do {                                                                                                                \
    const auto& checked_status = (status);                                                                            \
    if (checked_status.reason != (expected))                                                                          \
      check::fail(__FILE__, __LINE__,                                                                                 \
                  std::string(#status) + ": " + chasqui::reason_name(checked_status.reason) + " (" +                  \
                      checked_status.detail + ") is not " + chasqui::reason_name(expected));                          \
  } while (0)
