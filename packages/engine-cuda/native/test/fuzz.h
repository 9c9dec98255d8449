// What the fuzz programs share: the count of outcomes, and what makes an outcome unusable for a caller.
#pragma once

#include <cstdio>
#include <string>

#include "src/status.h"

namespace chasqui {

struct Tally {
  const char* name;
  long accepted = 0;
  long refused = 0;
  long broken = 0;  // outcomes that no caller could use
};

inline void require(bool holds, const char* what, Tally* tally) {
  if (holds) return;
  tally->broken++;
  std::printf("  %s: %s\n", tally->name, what);
}

// Counts an outcome: refused with a reason that speaks of the input, a sentence and a fix, or accepted. False: refused.
inline bool count(const Status& status, Tally* tally) {
  if (status.ok()) return tally->accepted++, true;
  tally->refused++;
  const bool typed = status.reason == Reason::kBadCheckpoint || status.reason == Reason::kUnsupported ||
                     status.reason == Reason::kNotFound;
  require(typed && !status.detail.empty() && !status.fix.empty() && status.detail.size() < 2000,
          (std::string("unusable outcome: ") + reason_name(status.reason) + ": " + status.detail).c_str(), tally);
  return false;
}

inline volatile unsigned read_sink = 0;

// Touches every byte, so that a sanitizer sees a view that leaves its memory.
inline void read_all(const void* data, int64_t bytes) {
  unsigned sum = 0;
  for (int64_t i = 0; i < bytes; i++) sum += static_cast<const unsigned char*>(data)[i];
  read_sink = sum;
}

// Prints the counts and the line `N passed, N failed`; the exit code. A fuzz in which nothing, or everything, is
// accepted tests nothing, and fails too.
inline int report(Tally* begin, Tally* end, long mutants) {
  int failed = 0;
  for (Tally* tally = begin; tally != end; tally++) {
    if (mutants >= 10'000) {
      require(tally->accepted > mutants / 1000 && tally->refused > mutants / 100, "too few mutants of one kind", tally);
    }
    std::printf("%s: %ld accepted, %ld refused, %ld broken outcomes\n", tally->name, tally->accepted, tally->refused,
                tally->broken);
    failed += tally->broken > 0;
  }
  std::printf("%ld passed, %d failed\n", static_cast<long>(end - begin) - failed, failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace chasqui
