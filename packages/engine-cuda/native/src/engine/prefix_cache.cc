// See prefix_cache.h.
#include "prefix_cache.h"

#include <algorithm>

namespace chasqui {

struct CacheNode {
  PageTokens tokens;
  int32_t page = -1;            // -1: a root
  CacheNode* parent = nullptr;  // null: a root
  std::map<PageTokens, std::unique_ptr<CacheNode>> children;
  uint64_t last_used = 0;
  const CacheKey* key = nullptr;  // of its tree; set in roots only
};

PageTokens PageTokens::of(const int32_t* tokens, int32_t n) {
  PageTokens page;
  page.n = std::min(n, kPageTokens);
  std::copy_n(tokens, page.n, page.ids.begin());
  return page;
}

int32_t PageTokens::common_prefix(const PageTokens& other) const {
  const int32_t most = std::min(n, other.n);
  int32_t i = 0;
  while (i < most && ids[static_cast<size_t>(i)] == other.ids[static_cast<size_t>(i)]) ++i;
  return i;
}

bool PageTokens::operator<(const PageTokens& other) const {
  return std::lexicographical_compare(ids.begin(), ids.begin() + n, other.ids.begin(), other.ids.begin() + other.n);
}

PrefixCache::PrefixCache(int32_t n_pages) : pool_(n_pages), node_of_page_(static_cast<size_t>(n_pages), nullptr) {}

// Nodes are as deep as a context has pages, so they are taken apart one by one and not by nested destructors.
PrefixCache::~PrefixCache() {
  std::vector<std::unique_ptr<CacheNode>> left;
  for (auto& [key, root] : roots_) left.push_back(std::move(root));
  while (!left.empty()) {
    const std::unique_ptr<CacheNode> node = std::move(left.back());
    left.pop_back();
    for (auto& [tokens, child] : node->children) left.push_back(std::move(child));
  }
}

CacheMatch PrefixCache::match(const CacheKey& key, const int32_t* tokens, int32_t n) {
  CacheMatch found;
  const auto root = roots_.find(key);
  if (root == roots_.end()) return found;
  CacheNode* node = root->second.get();
  while (true) {
    const int32_t at = static_cast<int32_t>(found.pages.size()) * kPageTokens;
    const PageTokens wanted = PageTokens::of(tokens + at, n - at);
    if (wanted.n == 0) return found;
    const auto after = node->children.lower_bound(wanted);
    if (wanted.n == kPageTokens && after != node->children.end() && after->first == wanted) {
      node = after->second.get();
      hold(node->page);
      found.pages.push_back(node->page);
      found.last = node;
      continue;
    }
    // In sorted order the longest common prefix is with a neighbour.
    CacheNode* best = nullptr;
    const auto consider = [&](CacheNode* child) {
      const int32_t common = child->tokens.common_prefix(wanted);
      if (common > found.partial_tokens) {
        found.partial_tokens = common;
        best = child;
      }
    };
    if (after != node->children.end()) consider(after->second.get());
    if (after != node->children.begin()) consider(std::prev(after)->second.get());
    if (best != nullptr) {
      hold(best->page);
      found.partial_page = best->page;
    }
    return found;
  }
}

int32_t PrefixCache::shared_pages(const CacheKey& key, const int32_t* tokens, int32_t n) const {
  const CacheNode* node = find_root(key);
  int32_t shared = 0;
  for (int32_t at = 0; node != nullptr && at + kPageTokens <= n; at += kPageTokens) {
    const auto child = node->children.find(PageTokens::of(tokens + at, kPageTokens));
    if (child == node->children.end() || pool_.holders(child->second->page) < 2) break;
    node = child->second.get();
    ++shared;
  }
  return shared;
}

CacheNode* PrefixCache::match_next(const CacheKey& key, CacheNode* above, const int32_t* tokens) {
  CacheNode* parent = above;
  if (parent == nullptr) {
    const auto root = roots_.find(key);
    if (root == roots_.end()) return nullptr;
    parent = root->second.get();
  }
  const auto child = parent->children.find(PageTokens::of(tokens, kPageTokens));
  if (child == parent->children.end()) return nullptr;
  hold(child->second->page);
  return child->second.get();
}

CacheNode* PrefixCache::insert(const CacheKey& key, CacheNode* above, const int32_t* tokens, int32_t n, int32_t* page) {
  CacheNode* parent = above != nullptr ? above : root_of(key);
  const PageTokens filed = PageTokens::of(tokens, n);
  const auto after = parent->children.lower_bound(filed);
  if (after != parent->children.end() && after->first.common_prefix(filed) == filed.n) {
    CacheNode* known = after->second.get();  // the same page, or one that goes further
    if (filed.n < kPageTokens) return nullptr;  // nothing to file: it is covered
    if (known->page != *page) {
      hold(known->page);
      release(*page);
      *page = known->page;
    }
    return known;
  }
  // A partial page that this one goes on from has nothing that this one has not.
  CacheNode* covered = nullptr;
  if (after != parent->children.begin()) {
    CacheNode* before = std::prev(after)->second.get();
    if (before->tokens.n < filed.n && before->tokens.common_prefix(filed) == before->tokens.n) covered = before;
  }
  auto node = std::make_unique<CacheNode>();
  CacheNode* added = node.get();
  added->tokens = filed;
  added->page = *page;
  added->parent = parent;
  added->last_used = ++clock_;
  // A parent that nobody else holds stops being a leaf, so it can no longer be evicted first.
  if (parent->page >= 0 && parent->children.empty()) idle_leaves_.erase({parent->last_used, parent});
  parent->children.emplace(filed, std::move(node));
  node_of_page_[static_cast<size_t>(*page)] = added;
  pool_.hold(*page);
  ++n_nodes_;
  if (covered != nullptr) detach(covered);
  return filed.n == kPageTokens ? added : nullptr;
}

int32_t PrefixCache::take() {
  const int32_t page = pool_.take();
  if (page >= 0) return page;
  return evict_one() ? pool_.take() : -1;
}

void PrefixCache::hold(int32_t page) {
  CacheNode* node = node_of_page_[static_cast<size_t>(page)];
  if (node != nullptr && pool_.holders(page) == 1) no_longer_idle(node);
  pool_.hold(page);
}

void PrefixCache::release(int32_t page) {
  const int32_t left = pool_.drop(page);
  CacheNode* node = node_of_page_[static_cast<size_t>(page)];
  if (left == 1 && node != nullptr) became_idle(node);
}

void PrefixCache::release(const std::vector<int32_t>& pages) {
  for (size_t i = pages.size(); i-- > 0;) release(pages[i]);
}

void PrefixCache::forget(const std::string& name_space) {
  std::vector<CacheNode*> idle;
  for (CacheNode* node : node_of_page_) {
    if (node == nullptr || pool_.holders(node->page) != 1) continue;
    const CacheNode* root = node;
    while (root->parent != nullptr) root = root->parent;
    if (root->key->name_space == name_space) idle.push_back(node);
  }
  // Lower ends first: an idle node's children are idle too.
  while (!idle.empty()) {
    std::vector<CacheNode*> later;
    for (CacheNode* node : idle) {
      if (node->children.empty()) {
        detach(node);
      } else {
        later.push_back(node);
      }
    }
    if (later.size() == idle.size()) return;
    idle = std::move(later);
  }
}

int32_t PrefixCache::page_of(const CacheNode* node) const { return node->page; }

CacheNode* PrefixCache::root_of(const CacheKey& key) {
  const auto [entry, fresh] = roots_.try_emplace(key);
  if (fresh) {
    entry->second = std::make_unique<CacheNode>();
    entry->second->key = &entry->first;
  }
  return entry->second.get();
}

const CacheNode* PrefixCache::find_root(const CacheKey& key) const {
  const auto root = roots_.find(key);
  return root == roots_.end() ? nullptr : root->second.get();
}

bool PrefixCache::evict_one() {
  if (idle_leaves_.empty()) return false;
  detach(idle_leaves_.begin()->second);
  ++n_evicted_;
  return true;
}

// Takes a leaf out of its tree. Its page is free as soon as nobody holds it.
void PrefixCache::detach(CacheNode* node) {
  if (pool_.holders(node->page) == 1) no_longer_idle(node);
  node_of_page_[static_cast<size_t>(node->page)] = nullptr;
  pool_.drop(node->page);
  --n_nodes_;
  CacheNode* parent = node->parent;
  parent->children.erase(parent->children.find(node->tokens));
  if (parent->page < 0) {
    drop_root_if_empty(parent);
  } else if (parent->children.empty() && pool_.holders(parent->page) == 1) {
    idle_leaves_.insert({parent->last_used, parent});
  }
}

void PrefixCache::became_idle(CacheNode* node) {
  ++n_idle_;
  node->last_used = ++clock_;
  if (node->children.empty()) idle_leaves_.insert({node->last_used, node});
}

void PrefixCache::no_longer_idle(CacheNode* node) {
  --n_idle_;
  idle_leaves_.erase({node->last_used, node});
}

void PrefixCache::drop_root_if_empty(CacheNode* node) {
  if (!node->children.empty()) return;
  const CacheKey key = *node->key;
  roots_.erase(key);
}

std::string PrefixCache::verify() const {
  std::vector<int32_t> seen(node_of_page_.size(), 0);
  std::string wrong;
  int32_t idle = 0;
  for (const auto& [key, root] : roots_) verify_below(root.get(), &seen, &idle, &wrong);
  int32_t nodes = 0;
  for (size_t page = 0; page < seen.size(); ++page) {
    nodes += seen[page];
    if ((node_of_page_[page] != nullptr) != (seen[page] == 1)) wrong = "page " + std::to_string(page) + " and its node disagree";
  }
  if (nodes != n_nodes_) wrong = "the count of nodes is wrong";
  if (idle != n_idle_) wrong = "the count of idle pages is wrong";
  if (static_cast<int32_t>(idle_leaves_.size()) > n_idle_) wrong = "more idle leaves than idle pages";
  return wrong;
}

void PrefixCache::verify_below(const CacheNode* node, std::vector<int32_t>* seen, int32_t* idle, std::string* wrong) const {
  for (const auto& [tokens, child] : node->children) {
    const auto page = static_cast<size_t>(child->page);
    if (++(*seen)[page] > 1) *wrong = "page " + std::to_string(page) + " is in the tree twice";
    if (!(tokens == child->tokens)) *wrong = "a node is filed under other tokens than its own";
    if (child->tokens.n < kPageTokens && !child->children.empty()) *wrong = "a partial page has children";
    const bool is_idle = pool_.holders(child->page) == 1;
    *idle += is_idle ? 1 : 0;
    const bool listed = idle_leaves_.contains({child->last_used, child.get()});
    if (listed != (is_idle && child->children.empty())) *wrong = "the list of idle leaves is wrong";
    if (is_idle) {
      for (const auto& [below, grandchild] : child->children) {
        if (pool_.holders(grandchild->page) > 1) *wrong = "a page is held and the one above it is not";
      }
    }
    verify_below(child.get(), seen, idle, wrong);
  }
}

}  // namespace chasqui
