// Whether the scheduler's books agree: for tests, which ask after every step.
#include "scheduler.h"

#include <string>

namespace chasqui {

std::string Scheduler::verify() const {
  if (std::string wrong = cache_.verify(); !wrong.empty()) return wrong;
  std::vector<int32_t> holders(static_cast<size_t>(cache_.n_pages()), 0);
  const auto count = [&](const std::vector<int32_t>& pages) {
    for (const int32_t page : pages) ++holders[static_cast<size_t>(page)];
  };
  for (const auto& sequence : running_) {
    count(sequence->pages);
    if (static_cast<int32_t>(sequence->pages.size()) < pages_for(sequence->n_computed)) return "a sequence has computed positions without a page";
    for (size_t i = 0; i < sequence->pages.size(); ++i) {
      const bool filed = cache_.is_filed(sequence->pages[i]);
      if (filed != (static_cast<int32_t>(i) < sequence->n_filed)) return "a sequence would write a page that the cache shares";
    }
  }
  for (const auto& sequence : waiting_) {
    if (!sequence->pages.empty()) return "a waiting sequence holds pages";
  }
  for (const Retained& entry : retained_) count(entry.pages);
  for (int32_t page = 0; page < cache_.n_pages(); ++page) {
    const int32_t expected = holders[static_cast<size_t>(page)] + (cache_.is_filed(page) ? 1 : 0);
    if (cache_.holders(page) != expected) return "page " + std::to_string(page) + " has a wrong count of holders";
    if (!cache_.is_filed(page) && holders[static_cast<size_t>(page)] > 1) return "page " + std::to_string(page) + " is written by two sequences";
  }
  return {};
}

}  // namespace chasqui
