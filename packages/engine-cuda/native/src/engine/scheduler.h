// Decides what the next pass computes: one budget of tokens, first one token for each sequence that decodes, then the rest
// of the prompts, oldest first. It owns all sequences and all pages; it computes nothing and samples nothing.
//
// Order of arrival is the order of rights: on a shortage of pages idle cache pages go first, then retained ones, then those
// of parked sequences, then the youngest running sequence starts over. The oldest can always go on, so every request ends.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <vector>

#include "prefix_cache.h"
#include "sequence.h"

namespace chasqui {

struct SchedulerLimits {
  int32_t n_pages = 0;
  int32_t context = 0;             // most tokens of one sequence
  int32_t step_tokens = 512;       // most tokens of one pass
  int32_t max_running = 64;        // most sequences computed at the same time
  int32_t score_rows = 64;         // most logit rows of one scoring request in one pass
  int32_t max_queued = 1024;       // requests waiting; one more is refused as busy
  int64_t max_queued_tokens = 4 << 20;  // their tokens
};

// A part of a pass: the next n_tokens pending tokens of a sequence.
struct PlannedSpan {
  Sequence* sequence = nullptr;
  int32_t n_tokens = 0;
  bool samples = false;  // reaches the sequence's last token, so that the next can be sampled
};

struct SchedulerCounts {
  int32_t n_waiting = 0;
  int64_t waiting_tokens = 0;
  int32_t n_running = 0;
  int32_t n_parked = 0;
  int32_t pages_used = 0;    // held by sequences or retained
  int32_t pages_cached = 0;  // held by the prefix cache alone
  int32_t pages_free = 0;
  int32_t n_retained = 0;    // ended sequences whose pages are held
  int64_t n_preempted = 0;
  int64_t n_retained_dropped = 0;  // given up for want of pages
  int64_t n_evicted = 0;
  int64_t prompt_tokens = 0;  // of all admitted requests
  int64_t cached_tokens = 0;  // of these, found in the cache
};

class Scheduler {
 public:
  // To be carried out in this order before the next pass, and not before the one that is running is over.
  using CopyPage = std::function<void(int32_t from, int32_t to, int32_t n_tokens)>;

  Scheduler(const SchedulerLimits& limits, CopyPage copy_page);
  ~Scheduler();

  // Checks the request against the limits and queues it. `sequence` gets a pointer that is valid until finish().
  Status submit(Request request, Sequence** sequence);

  // Takes in waiting sequences as far as there is room. plan() does it too; on its own it may run beside the pass that was
  // planned last, and touches none of that pass's sequences.
  void admit();
  // The next pass; empty when nothing can run.
  void plan(std::vector<PlannedSpan>* spans);
  // The span's keys and values are written: files its full pages in the cache.
  void computed(const PlannedSpan& span);
  // Ends a sequence: its computed part stays in the cache, its pages are released, or retained if it asked for that.
  void finish(Sequence* sequence);
  // Ends a sequence whose pages may hold anything: files nothing of its last, failed pass.
  void discard(Sequence* sequence);

  void park(Sequence* sequence);
  void unpark(Sequence* sequence);

  // Gives up retained pages of a namespace; they stay in the cache until evicted.
  void release_retained(const std::string& name_space);

  bool idle() const { return waiting_.empty() && running_.empty(); }
  SchedulerCounts counts() const;
  // Empty, or the first inconsistency found; looks at every page.
  std::string verify() const;

 private:
  struct Retained {
    CacheKey key;
    std::vector<int32_t> tokens;
    std::vector<int32_t> pages;
  };
  using SequenceList = std::list<std::unique_ptr<Sequence>>;

  // Positions of a page that are computed and equal to those that a sequence needs next.
  struct Beginning {
    int32_t page = -1;
    int32_t n_tokens = 0;
  };

  Status check(const Request& request) const;
  bool fits(const Sequence& sequence) const;
  int32_t n_active() const;
  void start(Sequence* sequence);
  void share_new_pages(Sequence* sequence);
  Beginning find_beginning(const Sequence& sequence) const;
  void copy_beginning(Sequence* sequence, const Beginning& beginning);
  void count_found(Sequence* sequence, int32_t from, int32_t to);
  bool leader_in_plan(const Sequence& sequence, const std::vector<PlannedSpan>& spans) const;
  void grant(Sequence* sequence, int32_t n_tokens, std::vector<PlannedSpan>* spans);
  bool reclaim(const Sequence* claimant, std::vector<PlannedSpan>* spans);
  void preempt(Sequence* sequence, std::vector<PlannedSpan>* spans);
  void file_full_pages(Sequence* sequence);
  void file_last_page(Sequence* sequence);
  void trim_pages(Sequence* sequence);
  void queue(std::unique_ptr<Sequence> sequence);
  void drop_continued(const Sequence& sequence);
  void drop_retained(std::list<Retained>::iterator entry);
  std::unique_ptr<Sequence> extract(Sequence* sequence);

  SchedulerLimits limits_;
  CopyPage copy_page_;
  PrefixCache cache_;
  SequenceList waiting_;  // by order of arrival
  SequenceList running_;  // by order of arrival, parked ones among them
  std::list<Retained> retained_;  // oldest first
  int32_t budget_ = 0;  // tokens left in the pass being planned
  uint64_t arrivals_ = 0;
  int64_t waiting_tokens_ = 0;
  int64_t n_preempted_ = 0;
  int64_t n_retained_dropped_ = 0;
  int64_t prompt_tokens_ = 0;
  int64_t cached_tokens_ = 0;
};

}  // namespace chasqui
