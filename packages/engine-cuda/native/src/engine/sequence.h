// One request under way: its tokens, how many of them are computed, and the pages where their keys and values are.
#pragma once

#include <chrono>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "request.h"

namespace chasqui {

using Clock = std::chrono::steady_clock;

enum class SequenceState : uint8_t {
  kWaiting,  // holds no pages
  kRunning,
  kParked,   // its consumer lags: is not computed, keeps its pages unless others need them
};

struct Sequence {
  uint64_t order = 0;  // of arrival; smaller is older
  Request request;
  SequenceState state = SequenceState::kWaiting;

  std::vector<int32_t> tokens;  // prefix and output
  int32_t n_prompt = 0;
  int32_t n_computed = 0;        // positions whose keys and values are in `pages`
  std::vector<int32_t> pages;    // (ceil(n_computed / kPageTokens)), more only within a step
  int32_t n_filed = 0;           // full pages that are in the prefix cache
  CacheNode* last_filed = nullptr;  // node of the last of them
  int32_t n_planned = 0;         // pending tokens that the pass being planned computes
  int32_t n_lost = 0;            // positions that had been computed before a pre-emption
  bool was_admitted = false;
  int32_t n_queued = 0;          // tokens it counts for in the queue

  std::unordered_map<int32_t, int32_t> prompt_counts;  // filled only for a repetition penalty
  std::unordered_map<int32_t, int32_t> output_counts;  // filled only for a penalty
  std::vector<int32_t> banned;  // special tokens that may not be sampled
  int32_t n_delivered = 0;      // tokens handed over
  int32_t n_consumed = 0;       // of these, taken by the consumer

  Usage usage;
  std::vector<float> scores;
  Clock::time_point submitted;
  Clock::time_point first_pass;
  Clock::time_point first_token;
  Clock::time_point last_token;

  int32_t length() const { return static_cast<int32_t>(tokens.size()); }
  // Tokens whose keys and values are not in the cache yet; at least 1 while it runs.
  int32_t n_pending() const { return length() - n_computed; }
  bool is_scoring() const { return request.kind == RequestKind::kScore; }
  bool is_decoding() const { return usage.generated > 0; }
};

constexpr int32_t pages_for(int32_t n_tokens) { return (n_tokens + kPageTokens - 1) / kPageTokens; }

}  // namespace chasqui
