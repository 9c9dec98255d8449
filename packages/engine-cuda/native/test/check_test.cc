// The harness itself: a check that fails is counted, one that holds is not.
#include "test/check.h"

TEST(counts_what_fails) {
  std::fprintf(stderr, "  (the next four lines are wanted)\n");
  CHECK(1 + 1 == 3);
  CHECK_EQ(2 * 2, 5);
  CHECK_NEAR(0.1 + 0.2, 0.4, 1e-12);
  CHECK_NEAR(std::nan(""), 0.0, 1.0);
  const int counted = check::failures_of_test;
  check::failures_of_test = 0;
  CHECK_EQ(counted, 4);
}

TEST(passes_what_holds) {
  CHECK(1 + 1 == 2);
  CHECK_EQ(2 * 2, 4);
  CHECK_NEAR(0.1 + 0.2, 0.3, 1e-12);
}

TEST_MAIN()
