// What the KV cache still holds of earlier sequences: one tree per namespace and adapter, a node per page, children sorted
// by the page's token ids, so a match is a comparison of ids and never of hashes alone. All pages are taken, held and
// dropped through this class, because a page that only the tree holds is idle: it can be evicted, least recently used
// leaf first. A sequence that holds a node's page holds the pages of all nodes above it, so idle nodes are always
// at the lower ends of the tree and every idle page can be had.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "../model/forward.h"
#include "block_pool.h"

namespace chasqui {

// Whose pages may be shared: sequences with equal keys only.
struct CacheKey {
  std::string name_space;
  int64_t adapter = 0;
  auto operator<=>(const CacheKey&) const = default;
};

// The token ids of one page, up to kPageTokens of them.
struct PageTokens {
  int32_t n = 0;
  std::array<int32_t, kPageTokens> ids{};

  static PageTokens of(const int32_t* tokens, int32_t n);
  int32_t common_prefix(const PageTokens& other) const;
  bool operator<(const PageTokens& other) const;  // lexicographic; a prefix comes before what it begins
  bool operator==(const PageTokens& other) const { return n == other.n && common_prefix(other) == n; }
};

struct CacheNode;

// What a tree holds of a sequence. The caller holds `pages` and `partial_page` and drops them through release().
struct CacheMatch {
  std::vector<int32_t> pages;    // full pages, in order
  CacheNode* last = nullptr;     // node of the last full page
  int32_t partial_page = -1;     // a page whose first partial_tokens positions match too; to be copied, not written
  int32_t partial_tokens = 0;
  int32_t tokens() const { return static_cast<int32_t>(pages.size()) * kPageTokens + partial_tokens; }
};

class PrefixCache {
 public:
  explicit PrefixCache(int32_t n_pages);
  ~PrefixCache();

  // The longest prefix of tokens[0, n) in the tree of `key`.
  CacheMatch match(const CacheKey& key, const int32_t* tokens, int32_t n);
  // Pages that match() would give which somebody besides the tree holds; holds nothing and counts as no use.
  int32_t shared_pages(const CacheKey& key, const int32_t* tokens, int32_t n) const;
  // The child of `above` (null: the tree's root) with exactly these kPageTokens tokens, its page held for the caller;
  // null where there is none.
  CacheNode* match_next(const CacheKey& key, CacheNode* above, const int32_t* tokens);

  // Files a computed page below `above` (null: the root). A full page that the tree already has is exchanged: the
  // caller's is dropped and `*page` becomes the tree's. A partial page (n < kPageTokens) must be the sequence's last.
  // Gives the node of a full page, null for a partial one.
  CacheNode* insert(const CacheKey& key, CacheNode* above, const int32_t* tokens, int32_t n, int32_t* page);

  // A page for the caller to write, evicting where needed; -1 when everything is held.
  int32_t take();
  void hold(int32_t page);
  void release(int32_t page);
  // In reverse, so that the end of the sequence is evicted before its beginning.
  void release(const std::vector<int32_t>& pages);

  // Evicts every idle page of a namespace, all adapters.
  void forget(const std::string& name_space);

  int32_t n_pages() const { return pool_.n_pages(); }
  int32_t n_free() const { return pool_.n_free(); }
  int32_t n_idle() const { return n_idle_; }
  int32_t n_available() const { return n_free() + n_idle(); }
  int32_t n_nodes() const { return n_nodes_; }
  int64_t n_evicted() const { return n_evicted_; }
  int32_t page_of(const CacheNode* node) const;
  int32_t holders(int32_t page) const { return pool_.holders(page); }
  bool is_filed(int32_t page) const { return node_of_page_[static_cast<size_t>(page)] != nullptr; }

  // Recounts everything from the trees and compares: empty, or the first thing that is wrong.
  std::string verify() const;

 private:
  CacheNode* root_of(const CacheKey& key);
  const CacheNode* find_root(const CacheKey& key) const;
  bool evict_one();
  void detach(CacheNode* node);
  void became_idle(CacheNode* node);
  void no_longer_idle(CacheNode* node);
  void drop_root_if_empty(CacheNode* node);
  void verify_below(const CacheNode* node, std::vector<int32_t>* seen, int32_t* idle, std::string* wrong) const;

  BlockPool pool_;
  std::map<CacheKey, std::unique_ptr<CacheNode>> roots_;
  std::vector<CacheNode*> node_of_page_;                     // (n_pages), null for pages outside the tree
  std::set<std::pair<uint64_t, CacheNode*>> idle_leaves_;    // by last use
  uint64_t clock_ = 0;
  int32_t n_idle_ = 0;
  int32_t n_nodes_ = 0;
  int64_t n_evicted_ = 0;
};

}  // namespace chasqui
