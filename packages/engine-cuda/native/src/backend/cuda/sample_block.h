// What a draw of tokens differs in from the last one, in device memory: how each row is sampled, with what it penalises and
// bans, in one copy; and the masks of constraints, each of which stays where it is and is sent again only when no row's mask
// has been the same before. And the way back: tokens, and what log-probabilities are made of.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "../../sampling/sampler.h"
#include "kernels/launch.h"
#include "memory.h"

namespace chasqui::cuda {

class SampleBlock {
 public:
  ~SampleBlock();

  // Rows of more tokens cannot be sampled on the device.
  static constexpr int32_t kMostVocab = (1 << 18) - 1;

  static int64_t device_bytes(int32_t vocab, int32_t max_rows);
  Status claim(Runtime& runtime, Pool& pool, int32_t vocab, int32_t max_rows);

  // Queues the description of `count` rows.
  Status load(const SamplingContext* rows, int32_t count);
  const SampleStep& device() const { return step_; }
  Sampled* sampled() const { return results_.as<Sampled>(); }
  TokenAmount* top() const;
  // Queues the copy of what the kernel found; after a wait, `take` gives it.
  Status fetch(int32_t count);
  void take(int32_t count, SampledToken* sampled) const;

  int64_t masks_sent() const { return masks_sent_; }

 private:
  // A mask on the device: the one with these words.
  struct Slot {
    uint64_t hash = 0;
    bool is_filled = false;
    int64_t last_used = -1;  // the draw that used it last
  };

  void describe(const SamplingContext& context, SampleRow* row);
  void collect_changes(const SamplingContext& context, SampleRow* row);
  void collect_banned(const SamplingContext& context, SampleRow* row);
  Status send_lists();
  Status make_room(int64_t list_bytes);
  Status place_mask(const TokenMask& mask, int32_t* slot);

  Runtime* runtime_ = nullptr;
  Pool* pool_ = nullptr;
  int32_t vocab_ = 0;
  int32_t max_rows_ = 0;
  int64_t mask_bytes_ = 0;

  std::vector<SampleRow> rows_;
  std::vector<TokenChange> changes_;
  std::vector<int32_t> banned_;
  const std::vector<int32_t>* last_banned_ = nullptr;  // of the row before, where this one may have the same
  std::vector<int32_t> change_of_;  // (vocab): index into changes_ of the row at hand, or -1

  Buffer lists_, originals_, masks_, results_;
  std::unique_ptr<Pinned> mirror_;  // of lists_
  int64_t list_bytes_ = 0;
  Pinned mask_mirror_, found_;
  std::vector<Slot> slots_;
  int64_t draws_ = 0;
  int64_t masks_sent_ = 0;
  Event sent_ = nullptr;
  bool is_sending_ = false;
  SampleStep step_;
};

}  // namespace chasqui::cuda
