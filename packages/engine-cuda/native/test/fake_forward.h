// A Forward without arithmetic whose logits are a function of every token id found at the cached positions, page by page. A
// page that was mixed up, shared wrongly, overwritten or never written changes the output, so any such fault shows as a
// wrong token. The same function of plain token lists is the oracle.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "src/model/forward.h"

namespace fake {

inline uint64_t mix(uint64_t hash, uint64_t value) {
  hash ^= value + 0x9E3779B97F4A7C15u + (hash << 6) + (hash >> 2);
  hash *= 0xBF58476D1CE4E5B9u;
  return hash ^ (hash >> 29);
}

// Logits of the token after one whose chained hash is given: some thirds of a unit, so that equal logits occur.
inline void logits_of(uint64_t hash, int32_t vocab, float* logits) {
  for (int32_t token = 0; token < vocab; ++token) {
    logits[token] = static_cast<float>(mix(hash, static_cast<uint64_t>(token)) % 48) / 3.0f - 8.0f;
  }
}

inline uint64_t chain(const std::vector<int32_t>& tokens, size_t n) {
  uint64_t hash = 0;
  for (size_t i = 0; i < n; ++i) hash = mix(hash, static_cast<uint64_t>(tokens[i]));
  return hash;
}

// The oracle: logits after all these tokens.
inline std::vector<float> logits_after(const std::vector<int32_t>& tokens, int32_t vocab) {
  std::vector<float> logits(static_cast<size_t>(vocab));
  logits_of(chain(tokens, tokens.size()), vocab, logits.data());
  return logits;
}

// log(sum(exp(logits))), in double precision.
inline double log_sum_exp(const std::vector<float>& logits) {
  double total = 0.0;
  for (const float logit : logits) total += std::exp(static_cast<double>(logit));
  return std::log(total);
}

struct Shape {
  int32_t vocab = 64;
  int32_t context = 512;
  int32_t n_pages = 64;
  int32_t max_batch_tokens = 64;
};

class FakeForward final : public chasqui::Forward {
 public:
  explicit FakeForward(const Shape& shape)
      : shape_(shape), cells_(static_cast<size_t>(shape.n_pages) * chasqui::kPageTokens, kUnwritten) {}

  int32_t vocab() const override { return shape_.vocab; }
  int32_t context() const override { return shape_.context; }
  int32_t n_pages() const override { return shape_.n_pages; }
  int32_t max_batch_tokens() const override { return shape_.max_batch_tokens; }

  chasqui::Status run(const std::vector<chasqui::BatchSpan>& spans, float* logits) override {
    ++n_runs;
    if (sizes != nullptr) sizes->push_back(static_cast<int32_t>(spans.size()));
    if (before_run) before_run();
    if (n_runs == fail_at_run) return chasqui::failure(fail_with, "The fake device failed.", "Nothing to do.");
    int32_t n_tokens = 0;
    for (const chasqui::BatchSpan& span : spans) {
      n_tokens += span.n_tokens;
      for (int32_t i = 0; i < span.n_tokens; ++i) cell(span, span.position + i) = span.tokens[i];
    }
    n_computed += n_tokens;
    if (n_tokens > shape_.max_batch_tokens) fault = "a pass of more tokens than the model takes";
    for (const chasqui::BatchSpan& span : spans) {
      uint64_t hash = 0;
      for (int32_t at = 0; at < span.position + span.n_tokens; ++at) {
        const int32_t token = cell(span, at);
        if (token == kUnwritten) fault = "a position was read that nobody wrote";
        hash = mix(hash, static_cast<uint64_t>(token));
        const int32_t i = at - span.position;
        if (i >= 0 && (span.all_logits || (span.last_logits && i == span.n_tokens - 1))) {
          logits_of(hash, shape_.vocab, logits);
          logits += shape_.vocab;
        }
      }
    }
    return {};
  }

  void copy_page(int32_t from, int32_t to, int32_t n_tokens) override {
    ++n_copies;
    for (int32_t i = 0; i < chasqui::kPageTokens; ++i) {
      cells_[static_cast<size_t>(to * chasqui::kPageTokens + i)] =
          i < n_tokens ? cells_[static_cast<size_t>(from * chasqui::kPageTokens + i)] : kUnwritten;
    }
  }

  std::function<void()> before_run;  // called at the beginning of each pass
  std::vector<int32_t>* sizes = nullptr;  // where to note how many sequences each pass has
  std::string fault;        // empty, or what the engine did wrong
  int64_t n_runs = 0;
  int64_t fail_at_run = -1;
  chasqui::Reason fail_with = chasqui::Reason::kDeviceLost;
  int64_t n_computed = 0;   // tokens
  int64_t n_copies = 0;

 private:
  static constexpr int32_t kUnwritten = -1;

  int32_t& cell(const chasqui::BatchSpan& span, int32_t at) {
    int32_t page = span.pages[at / chasqui::kPageTokens];
    if (page < 0 || page >= shape_.n_pages) {
      fault = "a page that does not exist";
      page = 0;
    }
    return cells_[static_cast<size_t>(page * chasqui::kPageTokens + at % chasqui::kPageTokens)];
  }

  Shape shape_;
  std::vector<int32_t> cells_;  // (n_pages, kPageTokens) token ids
};

}  // namespace fake
