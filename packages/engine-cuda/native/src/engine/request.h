// What a caller asks of the engine, and what it gets back. Plain values; tokens only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../sampling/constraint.h"
#include "../sampling/sampling_params.h"
#include "../status.h"
#include "prefix_cache.h"

namespace chasqui {

enum class RequestKind : uint8_t { kGenerate, kScore };

struct Request {
  uint64_t id = 0;  // chosen by the caller, unique among requests under way
  RequestKind kind = RequestKind::kGenerate;
  std::vector<int32_t> tokens;  // the whole prefix, or the tokens to score
  int32_t max_tokens = 0;       // to generate, the stop token included
  SamplingParams sampling;
  std::vector<int32_t> stop_tokens;
  std::vector<int32_t> allowed_special;  // special tokens that may be sampled
  std::unique_ptr<TokenConstraint> constraint;
  CacheKey cache_key;
  bool retain = false;       // hold the pages after the end, until a request continues them
  int32_t top_logprobs = -1;  // -1: no log-probabilities; n: the token's own and the n likeliest
};

enum class StopReason : uint8_t { kStopToken, kMaxTokens, kContextFull, kAborted };

// Exact at any end, also after a cancel.
struct Usage {
  int32_t prompt = 0;     // tokens of the prefix
  int32_t cached = 0;     // of these, found in the cache
  int32_t generated = 0;  // the stop token included
  int32_t forced = 0;     // of the generated, those that the constraint left no choice about
  int32_t discarded = 0;  // computed and thrown away: pre-emption
};

struct Timing {
  double queue_ms = 0.0;        // from submission to the first pass
  double first_token_ms = 0.0;  // from submission to the first token; 0 without one
  double prefill_ms = 0.0;      // from the first pass to the first token
  double decode_ms = 0.0;       // from the first token to the last
};

struct TokenEvent {
  uint64_t request = 0;
  int32_t token = 0;
  bool forced = false;
  bool has_logprob = false;
  float logprob = 0.0f;
  std::vector<std::pair<int32_t, float>> top;
};

struct EndEvent {
  uint64_t request = 0;
  Status failure;  // ok: see reason
  StopReason reason = StopReason::kStopToken;
  Usage usage;
  Timing timing;
  std::vector<float> scores;  // of a kScore request: (n_tokens), natural log-probabilities, the first is 0
};

// Everything that one step of the engine has to say, in order.
struct StepEvents {
  std::vector<TokenEvent> tokens;
  std::vector<EndEvent> ends;
  bool empty() const { return tokens.empty() && ends.empty(); }
  void clear() {
    tokens.clear();
    ends.clear();
  }
};

}  // namespace chasqui
