// Who holds which page of the KV cache: a count of holders per page and a list of free ones. It knows nothing of tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace chasqui {

class BlockPool {
 public:
  explicit BlockPool(int32_t n_pages);

  // A free page, now with one holder, or -1.
  int32_t take();
  // One more holder. The page must have one already.
  void hold(int32_t page);
  // One holder less; gives the number left. At 0 the page is free.
  int32_t drop(int32_t page);

  int32_t holders(int32_t page) const { return holders_[static_cast<size_t>(page)]; }
  int32_t n_pages() const { return static_cast<int32_t>(holders_.size()); }
  int32_t n_free() const { return static_cast<int32_t>(free_.size()); }

 private:
  std::vector<int32_t> holders_;  // (n_pages)
  std::vector<int32_t> free_;     // a stack
};

}  // namespace chasqui
