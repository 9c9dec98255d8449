// See block_pool.h.
#include "block_pool.h"

namespace chasqui {

BlockPool::BlockPool(int32_t n_pages) : holders_(static_cast<size_t>(n_pages), 0) {
  free_.reserve(static_cast<size_t>(n_pages));
  for (int32_t page = n_pages; page-- > 0;) free_.push_back(page);
}

int32_t BlockPool::take() {
  if (free_.empty()) return -1;
  const int32_t page = free_.back();
  free_.pop_back();
  holders_[static_cast<size_t>(page)] = 1;
  return page;
}

void BlockPool::hold(int32_t page) { ++holders_[static_cast<size_t>(page)]; }

int32_t BlockPool::drop(int32_t page) {
  const int32_t left = --holders_[static_cast<size_t>(page)];
  if (left == 0) free_.push_back(page);
  return left;
}

}  // namespace chasqui
