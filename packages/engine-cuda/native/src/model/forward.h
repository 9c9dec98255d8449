// The one call between the engine (requests, pages, sampling) and the model (arithmetic): run these tokens at these
// positions against these pages of the KV cache, and give logits where they are asked for, or the tokens drawn from them.
#pragma once

#include <cstdint>
#include <vector>

#include "../status.h"

namespace chasqui {

constexpr int32_t kPageTokens = 16;  // positions per page of the KV cache

// A run of consecutive tokens of one sequence: one token in decode, many in prefill.
struct BatchSpan {
  const int32_t* tokens = nullptr;  // (n_tokens)
  int32_t n_tokens = 0;
  int32_t position = 0;             // of tokens[0]; earlier positions are in the cache
  const int32_t* pages = nullptr;   // (ceil((position + n_tokens) / kPageTokens)) page ids, in order of position
  bool all_logits = false;          // logits for every token of the span (scoring) instead of none
  bool last_logits = false;         // logits for its last token (sampling)
  int32_t adapter = 0;              // of its sequence, see Forward::add_adapter; 0: the model alone
  bool draws = false;               // the logits of its last token stay where they are, for Forward::draw
};

struct LoraAdapter;
struct SamplingContext;
struct SampledToken;

// What a model has claimed, in bytes.
struct ForwardMemory {
  int64_t weights = 0;     // of linear layers and norms as the backend holds them; of the head, unless that is the table
  int64_t embedding = 0;   // the table, which may be read from its file
  int64_t cache = 0;
  int64_t workspace = 0;   // the table of rope among it
};

class Forward {
 public:
  virtual ~Forward() = default;
  virtual int32_t vocab() const = 0;
  // What runs it, for people to read: "cpu (AVX2, 2 threads)".
  virtual const char* device() const { return "cpu"; }
  virtual int32_t context() const = 0;
  // Pages of the KV cache that exist; ids are 0 .. n_pages() - 1.
  virtual int32_t n_pages() const = 0;
  // Most tokens in one call, over all spans.
  virtual int32_t max_batch_tokens() const = 0;
  virtual ForwardMemory memory() const { return {}; }
  // Takes an adapter in under a number from 1 on that spans can name, or gives it up. Between two runs.
  virtual Status add_adapter(int32_t id, const LoraAdapter& adapter);
  virtual void remove_adapter(int32_t) {}
  // Writes keys and values of all spans into their pages, and one row of float logits per wanted token, in span order.
  // `logits`: (number of wanted rows, vocab()).
  virtual Status run(const std::vector<BatchSpan>& spans, float* logits) = 0;
  // Whether tokens can be drawn where the logits are; if not, no span of a run may ask for it.
  virtual bool can_draw() const { return false; }
  // After a run: a token for each span that `draws`, in their order, as Sampler::sample draws it. Once a run.
  virtual Status draw(const std::vector<SamplingContext>& rows, std::vector<SampledToken>* drawn);
  // Copies the first n_tokens positions of a page, all layers, keys and values (copy on write of a partial last page).
  virtual void copy_page(int32_t from, int32_t to, int32_t n_tokens) = 0;
};

inline Status Forward::draw(const std::vector<SamplingContext>&, std::vector<SampledToken>*) {
  return failure(Reason::kInternal, "This model does not draw.", "Report this as a bug of the engine.");
}

inline Status Forward::add_adapter(int32_t, const LoraAdapter&) {
  return failure(Reason::kUnsupported, "This model takes no adapters.", "Merge the adapter into the weights.");
}

}  // namespace chasqui
