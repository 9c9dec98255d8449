// The prefix cache against a list of everything that was ever filed and not evicted.
#include "src/engine/prefix_cache.h"

#include <algorithm>
#include <random>

#include "check.h"

using namespace chasqui;

namespace {

const CacheKey kKey{"", 0};

std::vector<int32_t> numbers(int32_t from, int32_t n) {
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < n; ++i) tokens.push_back(from + i);
  return tokens;
}

// Files the first n tokens as a finished sequence would, from what the cache has of them.
void file(PrefixCache* cache, const CacheKey& key, const std::vector<int32_t>& tokens, int32_t n) {
  CacheMatch found = cache->match(key, tokens.data(), n);
  if (found.partial_page >= 0) cache->release(found.partial_page);
  CacheNode* last = found.last;
  for (auto at = static_cast<int32_t>(found.pages.size()) * kPageTokens; at < n; at += kPageTokens) {
    int32_t page = cache->take();
    if (page < 0) break;
    CacheNode* node = cache->insert(key, last, tokens.data() + at, std::min(kPageTokens, n - at), &page);
    found.pages.push_back(page);
    last = node;
  }
  cache->release(found.pages);
}

int32_t cached(PrefixCache* cache, const CacheKey& key, const std::vector<int32_t>& tokens) {
  const CacheMatch found = cache->match(key, tokens.data(), static_cast<int32_t>(tokens.size()));
  const int32_t n = found.tokens();
  if (found.partial_page >= 0) cache->release(found.partial_page);
  cache->release(found.pages);
  return n;
}

}  // namespace

TEST(a_filed_prefix_is_found_to_the_last_token) {
  PrefixCache cache(16);
  const std::vector<int32_t> tokens = numbers(0, 100);
  file(&cache, kKey, tokens, 53);
  CHECK_EQ(cached(&cache, kKey, tokens), 53);
  CHECK_EQ(cached(&cache, kKey, numbers(0, 40)), 40);  // inside a full page: its first 8 positions
  CHECK_EQ(cached(&cache, kKey, numbers(1, 40)), 0);
  CHECK_EQ(cache.n_idle(), 4);
  CHECK_EQ(cache.verify(), std::string());
}

TEST(namespaces_and_adapters_share_nothing) {
  PrefixCache cache(16);
  const std::vector<int32_t> tokens = numbers(0, 32);
  file(&cache, {"a", 0}, tokens, 32);
  CHECK_EQ(cached(&cache, {"b", 0}, tokens), 0);
  CHECK_EQ(cached(&cache, {"a", 1}, tokens), 0);
  CHECK_EQ(cached(&cache, {"a", 0}, tokens), 32);
  cache.forget("b");
  CHECK_EQ(cached(&cache, {"a", 0}, tokens), 32);
  cache.forget("a");
  CHECK_EQ(cached(&cache, {"a", 0}, tokens), 0);
  CHECK_EQ(cache.n_free(), 16);
  CHECK_EQ(cache.verify(), std::string());
}

TEST(a_longer_partial_page_takes_the_place_of_a_shorter_one) {
  PrefixCache cache(16);
  const std::vector<int32_t> tokens = numbers(0, 64);
  file(&cache, kKey, tokens, 20);
  file(&cache, kKey, tokens, 27);
  CHECK_EQ(cache.n_nodes(), 2);
  file(&cache, kKey, tokens, 24);  // covered already
  CHECK_EQ(cache.n_nodes(), 2);
  file(&cache, kKey, tokens, 40);
  CHECK_EQ(cache.n_nodes(), 3);
  CHECK_EQ(cached(&cache, kKey, tokens), 40);
  CHECK_EQ(cache.verify(), std::string());
}

TEST(the_least_recently_used_end_goes_first) {
  PrefixCache cache(4);
  const std::vector<int32_t> a = numbers(0, 32);
  const std::vector<int32_t> b = numbers(100, 32);
  file(&cache, kKey, a, 32);
  file(&cache, kKey, b, 32);
  CHECK_EQ(cached(&cache, kKey, a), 32);  // now b is the older
  CHECK(cache.take() >= 0);
  CHECK_EQ(cached(&cache, kKey, b), 16);  // its end went, its beginning is there
  CHECK_EQ(cached(&cache, kKey, a), 32);
  CHECK(cache.take() >= 0);
  CHECK_EQ(cached(&cache, kKey, b), 0);
  CHECK_EQ(cached(&cache, kKey, a), 32);
  CHECK_EQ(cache.n_evicted(), 2);
}

TEST(pages_in_use_are_never_evicted) {
  PrefixCache cache(4);
  const std::vector<int32_t> tokens = numbers(0, 64);
  file(&cache, kKey, tokens, 64);
  const CacheMatch held = cache.match(kKey, tokens.data(), 33);
  CHECK_EQ(static_cast<int32_t>(held.pages.size()), 2);
  CHECK(held.partial_page >= 0);
  cache.release(held.partial_page);
  CHECK(cache.take() >= 0);
  CHECK(cache.take() >= 0);
  CHECK_EQ(cache.take(), -1);
  CHECK_EQ(cached(&cache, kKey, tokens), 32);
  CHECK_EQ(cache.verify(), std::string());
}

TEST(equal_pages_of_two_sequences_become_one) {
  PrefixCache cache(8);
  const std::vector<int32_t> tokens = numbers(0, 16);
  int32_t first = cache.take();
  int32_t second = cache.take();
  CacheNode* a = cache.insert(kKey, nullptr, tokens.data(), 16, &first);
  CacheNode* b = cache.insert(kKey, nullptr, tokens.data(), 16, &second);
  CHECK(a == b);
  CHECK_EQ(first, second);
  CHECK_EQ(cache.holders(first), 3);
  CHECK_EQ(cache.n_free(), 7);
  cache.release(first);
  cache.release(second);
  CHECK_EQ(cache.verify(), std::string());
}

TEST(random_use_agrees_with_a_list_of_what_was_filed) {
  std::mt19937_64 random(6);
  const int32_t n_pages = 4096;  // no eviction: the list can say exactly what must be found
  PrefixCache cache(n_pages);
  std::vector<std::pair<CacheKey, std::vector<int32_t>>> filed;
  for (int32_t round = 0; round < 1500; ++round) {
    const CacheKey key{random() % 2 == 0 ? "a" : "b", static_cast<int64_t>(random() % 2)};
    std::vector<int32_t> tokens;
    if (!filed.empty() && random() % 3 != 0) {
      tokens = filed[random() % filed.size()].second;
      tokens.resize(random() % (tokens.size() + 1));
    }
    const size_t more = 1 + random() % 40;
    for (size_t i = 0; i < more; ++i) tokens.push_back(static_cast<int32_t>(random() % 3));
    int32_t expected = 0;
    for (const auto& [other_key, other] : filed) {
      if (other_key != key) continue;
      const auto end = std::mismatch(tokens.begin(), tokens.end(), other.begin(), other.end()).first;
      expected = std::max(expected, static_cast<int32_t>(end - tokens.begin()));
    }
    CHECK_EQ(cached(&cache, key, tokens), expected);
    if (cache.n_free() < 8) break;
    file(&cache, key, tokens, static_cast<int32_t>(tokens.size()));
    filed.emplace_back(key, tokens);
    if (round % 100 == 0) CHECK_EQ(cache.verify(), std::string());
  }
  CHECK(filed.size() > 500);
}

TEST(random_use_with_eviction_loses_no_page) {
  std::mt19937_64 random(7);
  PrefixCache cache(24);
  std::vector<std::vector<int32_t>> held;
  for (int32_t round = 0; round < 20000; ++round) {
    std::vector<int32_t> tokens;
    const size_t length = 1 + random() % 90;
    for (size_t i = 0; i < length; ++i) tokens.push_back(random() % 12 == 0 ? 1 : 0);
    if (random() % 3 == 0 && held.size() < 3) {
      CacheMatch found = cache.match(kKey, tokens.data(), static_cast<int32_t>(length));
      if (found.partial_page >= 0) cache.release(found.partial_page);
      held.push_back(found.pages);
    } else if (!held.empty() && random() % 3 == 0) {
      cache.release(held.back());
      held.pop_back();
    } else {
      file(&cache, kKey, tokens, static_cast<int32_t>(length));
    }
    if (round % 50 == 0) CHECK_EQ(cache.verify(), std::string());
  }
  for (const auto& pages : held) cache.release(pages);
  CHECK_EQ(cache.n_available(), 24);
  cache.forget("");
  CHECK_EQ(cache.n_free(), 24);
  CHECK(cache.n_evicted() > 1000);
}

TEST_MAIN()
