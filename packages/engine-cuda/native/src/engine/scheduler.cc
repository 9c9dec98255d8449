// See scheduler.h.
#include "scheduler.h"

#include <algorithm>
#include <string>

namespace chasqui {

Scheduler::Scheduler(const SchedulerLimits& limits, CopyPage copy_page)
    : limits_(limits), copy_page_(std::move(copy_page)), cache_(limits.n_pages) {}

Scheduler::~Scheduler() = default;

Status Scheduler::submit(Request request, Sequence** sequence) {
  if (Status status = check(request); !status.ok()) return status;
  auto added = std::make_unique<Sequence>();
  added->order = ++arrivals_;
  added->tokens = std::move(request.tokens);
  added->n_prompt = added->length();
  added->usage.prompt = added->n_prompt;
  added->submitted = Clock::now();
  if (request.kind == RequestKind::kScore) added->scores.assign(added->tokens.size(), 0.0f);
  if (request.sampling.repetition_penalty != 1.0f) {
    for (const int32_t token : added->tokens) ++added->prompt_counts[token];
  }
  added->request = std::move(request);
  *sequence = added.get();
  queue(std::move(added));
  return {};
}

Status Scheduler::check(const Request& request) const {
  const auto length = static_cast<int64_t>(request.tokens.size());
  const bool scores = request.kind == RequestKind::kScore;
  if (length == 0) {
    return failure(Reason::kBadRequest, "The prefix is empty.", "Give at least one token, usually begin-of-text.");
  }
  if (!scores && request.max_tokens < 1) {
    return failure(Reason::kBadRequest, "maxTokens is " + std::to_string(request.max_tokens) + ".", "Ask for at least one token.");
  }
  if (length > limits_.context - (scores ? 0 : 1)) {
    return failure(Reason::kContextFull,
                   "The prefix has " + std::to_string(length) + " tokens and the context holds " + std::to_string(limits_.context) + ".",
                   "Shorten the conversation, or load the engine with a longer context if the model has one.");
  }
  if (static_cast<int64_t>(waiting_.size()) >= limits_.max_queued ||
      (!waiting_.empty() && waiting_tokens_ + length > limits_.max_queued_tokens)) {
    return failure(Reason::kBusy,
                   std::to_string(waiting_.size()) + " requests with " + std::to_string(waiting_tokens_) + " tokens are waiting already.",
                   "Try again when a request has ended, or raise the engine's queue limits.");
  }
  return {};
}

void Scheduler::plan(std::vector<PlannedSpan>* spans) {
  spans->clear();
  admit();
  budget_ = limits_.step_tokens;
  std::vector<Sequence*> order;
  for (const auto& sequence : running_) order.push_back(sequence.get());
  // A sequence of this list may be pre-empted on the way; it then no longer runs, but it still exists.
  for (Sequence* sequence : order) {
    if (sequence->state == SequenceState::kRunning && sequence->is_decoding()) grant(sequence, 1, spans);
  }
  for (Sequence* sequence : order) {
    if (sequence->state != SequenceState::kRunning || budget_ == 0) continue;
    if (!sequence->is_scoring() && !sequence->is_decoding()) {
      share_new_pages(sequence);
      if (leader_in_plan(*sequence, *spans)) continue;
    }
    const int32_t wanted = sequence->n_pending() - sequence->n_planned;
    grant(sequence, sequence->is_scoring() ? std::min(wanted, limits_.score_rows) : wanted, spans);
  }
  for (PlannedSpan& span : *spans) {
    span.n_tokens = span.sequence->n_planned;
    span.samples = !span.sequence->is_scoring() && span.n_tokens == span.sequence->n_pending();
  }
}

void Scheduler::computed(const PlannedSpan& span) {
  Sequence* sequence = span.sequence;
  const int32_t again = std::min(sequence->n_lost, sequence->n_computed + span.n_tokens) - sequence->n_computed;
  sequence->usage.discarded += std::max(again, 0);
  sequence->n_computed += span.n_tokens;
  sequence->n_planned = 0;
  if (!sequence->is_scoring()) file_full_pages(sequence);
}

void Scheduler::finish(Sequence* sequence) {
  const std::unique_ptr<Sequence> ended = extract(sequence);
  trim_pages(ended.get());
  if (!ended->is_scoring()) file_last_page(ended.get());
  if (!ended->request.retain || ended->pages.empty() || ended->is_scoring()) {
    cache_.release(ended->pages);
    return;
  }
  ended->tokens.resize(static_cast<size_t>(ended->n_computed));
  retained_.push_back({std::move(ended->request.cache_key), std::move(ended->tokens), std::move(ended->pages)});
}

void Scheduler::discard(Sequence* sequence) {
  const std::unique_ptr<Sequence> ended = extract(sequence);
  cache_.release(ended->pages);
}

void Scheduler::park(Sequence* sequence) {
  if (sequence->state == SequenceState::kRunning) sequence->state = SequenceState::kParked;
}

void Scheduler::unpark(Sequence* sequence) {
  if (sequence->state != SequenceState::kParked) return;
  if (sequence->n_computed > 0) {
    sequence->state = SequenceState::kRunning;
    return;
  }
  queue(extract(sequence));  // its pages went to others meanwhile
}

void Scheduler::release_retained(const std::string& name_space) {
  for (auto entry = retained_.begin(); entry != retained_.end();) {
    const auto next = std::next(entry);
    if (entry->key.name_space == name_space) drop_retained(entry);
    entry = next;
  }
}

int32_t Scheduler::n_active() const {
  int32_t active = 0;
  for (const auto& sequence : running_) active += sequence->state == SequenceState::kRunning ? 1 : 0;
  return active;
}

// In order of arrival, so that nobody is overtaken; the first always gets in when nothing else runs.
void Scheduler::admit() {
  for (int32_t active = n_active(); !waiting_.empty() && active < limits_.max_running; ++active) {
    if (active > 0 && !fits(*waiting_.front())) return;
    std::unique_ptr<Sequence> sequence = extract(waiting_.front().get());
    Sequence* admitted = sequence.get();
    const auto at = std::find_if(running_.begin(), running_.end(), [&](const auto& other) { return other->order > admitted->order; });
    running_.insert(at, std::move(sequence));
    start(admitted);
  }
}

// Whether all its tokens and one more page fit beside what the running sequences still need for theirs.
bool Scheduler::fits(const Sequence& sequence) const {
  int32_t needed = pages_for(sequence.length()) + 1;
  if (!sequence.is_scoring()) needed -= cache_.shared_pages(sequence.request.cache_key, sequence.tokens.data(), sequence.length() - 1);
  for (const auto& other : running_) {
    if (other->state != SequenceState::kRunning) continue;
    needed += std::max(0, pages_for(other->length()) - static_cast<int32_t>(other->pages.size()));
  }
  return needed <= cache_.n_available();
}

// Takes what the cache holds of it. The last token is always computed: its logits are wanted.
void Scheduler::start(Sequence* sequence) {
  sequence->state = SequenceState::kRunning;
  if (!sequence->was_admitted) prompt_tokens_ += sequence->n_prompt;
  if (!sequence->is_scoring()) {
    CacheMatch found = cache_.match(sequence->request.cache_key, sequence->tokens.data(), sequence->length() - 1);
    drop_continued(*sequence);
    sequence->pages = std::move(found.pages);
    sequence->last_filed = found.last;
    sequence->n_filed = static_cast<int32_t>(sequence->pages.size());
    sequence->n_computed = sequence->n_filed * kPageTokens;
    const Beginning running = find_beginning(*sequence);
    copy_beginning(sequence, running.n_tokens > found.partial_tokens ? running : Beginning{found.partial_page, found.partial_tokens});
    if (found.partial_page >= 0) cache_.release(found.partial_page);
    // What it had computed itself before a pre-emption was no find.
    const int32_t known = sequence->was_admitted ? std::max(sequence->n_lost, sequence->usage.cached) : 0;
    count_found(sequence, known, sequence->n_computed);
  }
  sequence->was_admitted = true;
}

void Scheduler::count_found(Sequence* sequence, int32_t from, int32_t to) {
  const int32_t found = std::max(0, std::min(to, sequence->n_prompt) - from);
  sequence->usage.cached += found;
  cached_tokens_ += found;
}

// What others have computed since this one started: full pages are shared, the beginning of a page is copied.
void Scheduler::share_new_pages(Sequence* sequence) {
  if (sequence->n_planned > 0) return;
  trim_pages(sequence);
  const auto begin = [&] { return sequence->n_filed * kPageTokens; };
  while (begin() + kPageTokens < sequence->length()) {
    CacheNode* next = cache_.match_next(sequence->request.cache_key, sequence->last_filed, sequence->tokens.data() + begin());
    if (next == nullptr) break;
    if (sequence->n_computed > begin()) {  // it had a part of that page already
      cache_.release(sequence->pages.back());
      sequence->pages.pop_back();
    }
    count_found(sequence, std::max(sequence->n_computed, sequence->n_lost), begin() + kPageTokens);
    sequence->pages.push_back(cache_.page_of(next));
    sequence->last_filed = next;
    ++sequence->n_filed;
    sequence->n_computed = begin();
  }
  if (sequence->n_computed > begin()) return;
  copy_beginning(sequence, find_beginning(*sequence));
  count_found(sequence, std::max(begin(), sequence->n_lost), sequence->n_computed);
}

// The most that another running sequence has computed of this one's next page in a page of its own.
Scheduler::Beginning Scheduler::find_beginning(const Sequence& sequence) const {
  const int32_t at = sequence.n_filed * kPageTokens;
  const PageTokens wanted = PageTokens::of(sequence.tokens.data() + at, sequence.length() - 1 - at);
  Beginning best;
  for (const auto& other : running_) {
    if (other.get() == &sequence || other->is_scoring() || other->n_filed != sequence.n_filed || other->last_filed != sequence.last_filed ||
        other->n_computed <= at || !(other->request.cache_key == sequence.request.cache_key)) {
      continue;
    }
    const int32_t common = PageTokens::of(other->tokens.data() + at, other->n_computed - at).common_prefix(wanted);
    if (common > best.n_tokens) best = {other->pages[static_cast<size_t>(sequence.n_filed)], common};
  }
  return best;
}

// Copied and not shared, because the sequence will write behind it.
void Scheduler::copy_beginning(Sequence* sequence, const Beginning& beginning) {
  if (beginning.n_tokens == 0) return;
  const int32_t page = cache_.take();
  if (page < 0) return;
  copy_page_(beginning.page, page, beginning.n_tokens);
  sequence->pages.push_back(page);
  sequence->n_computed += beginning.n_tokens;
}

// Whether this pass already computes the very page that this sequence would compute next: it then waits and shares it.
bool Scheduler::leader_in_plan(const Sequence& sequence, const std::vector<PlannedSpan>& spans) const {
  const int32_t at = sequence.n_computed;
  if (at != sequence.n_filed * kPageTokens || at + kPageTokens >= sequence.length()) return false;
  const PageTokens wanted = PageTokens::of(sequence.tokens.data() + at, kPageTokens);
  return std::any_of(spans.begin(), spans.end(), [&](const PlannedSpan& span) {
    const Sequence& leader = *span.sequence;
    return !leader.is_scoring() && leader.n_filed == sequence.n_filed && leader.last_filed == sequence.last_filed &&
           leader.request.cache_key == sequence.request.cache_key && leader.length() >= at + kPageTokens &&
           leader.n_computed + leader.n_planned > at && PageTokens::of(leader.tokens.data() + at, kPageTokens) == wanted;
  });
}

// Plans the next n_tokens of a sequence, or as many as there are budget and pages for.
void Scheduler::grant(Sequence* sequence, int32_t n_tokens, std::vector<PlannedSpan>* spans) {
  const int32_t begin = sequence->n_computed + sequence->n_planned;
  const int32_t wanted = begin + std::min(n_tokens, budget_);
  while (static_cast<int32_t>(sequence->pages.size()) < pages_for(wanted)) {
    const int32_t page = cache_.take();
    if (page >= 0) {
      sequence->pages.push_back(page);
    } else if (!reclaim(sequence, spans)) {
      break;
    }
  }
  // Pages taken back from others also gave their share of the budget back; it goes to the next in turn.
  const int32_t granted = std::min(wanted, static_cast<int32_t>(sequence->pages.size()) * kPageTokens) - begin;
  if (granted <= 0) return;
  if (sequence->n_planned == 0) spans->push_back({sequence, 0, false});
  sequence->n_planned += granted;
  budget_ -= granted;
}

// Makes pages available for the claimant; false when all that is left belongs to older sequences.
bool Scheduler::reclaim(const Sequence* claimant, std::vector<PlannedSpan>* spans) {
  if (!retained_.empty()) {
    drop_retained(retained_.begin());
    ++n_retained_dropped_;
    return true;
  }
  for (auto entry = running_.rbegin(); entry != running_.rend(); ++entry) {
    if ((*entry)->state == SequenceState::kParked && !(*entry)->pages.empty()) {
      preempt(entry->get(), spans);
      return true;
    }
  }
  for (auto entry = running_.rbegin(); entry != running_.rend() && (*entry)->order > claimant->order; ++entry) {
    if ((*entry)->state == SequenceState::kRunning && !(*entry)->pages.empty()) {
      preempt(entry->get(), spans);
      return true;
    }
  }
  return false;
}

// Takes all pages of a sequence. It starts over when its turn comes, from what the cache still holds of it then.
void Scheduler::preempt(Sequence* sequence, std::vector<PlannedSpan>* spans) {
  std::erase_if(*spans, [&](const PlannedSpan& span) { return span.sequence == sequence; });
  budget_ += sequence->n_planned;
  sequence->n_planned = 0;
  trim_pages(sequence);
  if (!sequence->is_scoring()) file_last_page(sequence);
  cache_.release(sequence->pages);
  sequence->pages.clear();
  sequence->n_lost = std::max(sequence->n_lost, sequence->n_computed);
  sequence->n_computed = 0;
  sequence->n_filed = 0;
  sequence->last_filed = nullptr;
  ++n_preempted_;
  if (sequence->state == SequenceState::kRunning) queue(extract(sequence));
}

void Scheduler::file_full_pages(Sequence* sequence) {
  while ((sequence->n_filed + 1) * kPageTokens <= sequence->n_computed) {
    const auto i = static_cast<size_t>(sequence->n_filed);
    sequence->last_filed = cache_.insert(sequence->request.cache_key, sequence->last_filed,
                                         sequence->tokens.data() + i * kPageTokens, kPageTokens, &sequence->pages[i]);
    ++sequence->n_filed;
  }
}

void Scheduler::file_last_page(Sequence* sequence) {
  const int32_t rest = sequence->n_computed - sequence->n_filed * kPageTokens;
  if (rest <= 0) return;
  const auto i = static_cast<size_t>(sequence->n_filed);
  cache_.insert(sequence->request.cache_key, sequence->last_filed, sequence->tokens.data() + i * kPageTokens, rest, &sequence->pages[i]);
}

// Gives back pages that were granted and not written.
void Scheduler::trim_pages(Sequence* sequence) {
  while (static_cast<int32_t>(sequence->pages.size()) > pages_for(sequence->n_computed)) {
    cache_.release(sequence->pages.back());
    sequence->pages.pop_back();
  }
}

// Retained pages that this sequence goes on from are its own now.
void Scheduler::drop_continued(const Sequence& sequence) {
  for (auto entry = retained_.begin(); entry != retained_.end();) {
    const auto next = std::next(entry);
    const std::vector<int32_t>& held = entry->tokens;
    if (entry->key == sequence.request.cache_key && held.size() <= sequence.tokens.size() &&
        std::equal(held.begin(), held.end(), sequence.tokens.begin())) {
      drop_retained(entry);
    }
    entry = next;
  }
}

void Scheduler::drop_retained(std::list<Retained>::iterator entry) {
  cache_.release(entry->pages);
  retained_.erase(entry);
}

void Scheduler::queue(std::unique_ptr<Sequence> sequence) {
  sequence->state = SequenceState::kWaiting;
  sequence->n_queued = sequence->length();
  waiting_tokens_ += sequence->n_queued;
  const uint64_t order = sequence->order;
  auto at = waiting_.end();
  while (at != waiting_.begin() && (*std::prev(at))->order > order) --at;
  waiting_.insert(at, std::move(sequence));
}

std::unique_ptr<Sequence> Scheduler::extract(Sequence* sequence) {
  const bool waits = sequence->state == SequenceState::kWaiting;
  SequenceList& list = waits ? waiting_ : running_;
  const auto entry = std::find_if(list.begin(), list.end(), [&](const auto& other) { return other.get() == sequence; });
  std::unique_ptr<Sequence> extracted = std::move(*entry);
  list.erase(entry);
  if (waits) waiting_tokens_ -= extracted->n_queued;
  return extracted;
}

SchedulerCounts Scheduler::counts() const {
  SchedulerCounts counts;
  counts.n_waiting = static_cast<int32_t>(waiting_.size());
  counts.waiting_tokens = waiting_tokens_;
  counts.n_running = n_active();
  counts.n_parked = static_cast<int32_t>(running_.size()) - counts.n_running;
  counts.pages_free = cache_.n_free();
  counts.pages_cached = cache_.n_idle();
  counts.pages_used = cache_.n_pages() - counts.pages_free - counts.pages_cached;
  counts.n_retained = static_cast<int32_t>(retained_.size());
  counts.n_preempted = n_preempted_;
  counts.n_retained_dropped = n_retained_dropped_;
  counts.n_evicted = cache_.n_evicted();
  counts.prompt_tokens = prompt_tokens_;
  counts.cached_tokens = cached_tokens_;
  return counts;
}

}  // namespace chasqui
