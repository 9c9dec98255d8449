// See stepper.h.
#include "stepper.h"

#include <algorithm>
#include <string>

namespace chasqui {
namespace {

constexpr int32_t kMostLogprobs = 64;

SchedulerLimits within(SchedulerLimits limits, const Forward& forward) {
  limits.n_pages = forward.n_pages();
  limits.step_tokens = std::max(1, std::min(limits.step_tokens, forward.max_batch_tokens()));
  limits.max_running = std::max(1, std::min(limits.max_running, limits.step_tokens));
  limits.score_rows = std::max(1, std::min(limits.score_rows, limits.step_tokens));
  const int32_t context = limits.context > 0 ? std::min(limits.context, forward.context()) : forward.context();
  limits.context = static_cast<int32_t>(std::min<int64_t>(context, int64_t{limits.n_pages} * kPageTokens));
  return limits;
}

StepperOptions within(StepperOptions options, const Forward& forward) {
  options.limits = within(options.limits, forward);
  return options;
}

double seconds_between(Clock::time_point from, Clock::time_point to) { return std::chrono::duration<double>(to - from).count(); }

bool contains(const std::vector<int32_t>& tokens, int32_t token) {
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

}  // namespace

Stepper::Stepper(std::unique_ptr<Forward> forward, StepperOptions options)
    : forward_(std::move(forward)),
      options_(within(std::move(options), *forward_)),
      vocab_(forward_->vocab()),
      scheduler_(options_.limits, [this](int32_t from, int32_t to, int32_t n) { copies_.push_back({from, to, n}); }),
      pool_(std::max(1, options_.threads)) {
  for (int32_t i = 0; i < pool_.size(); ++i) samplers_.push_back(std::make_unique<Sampler>(vocab_));
}

Stepper::~Stepper() = default;

void Stepper::submit(Request request, StepEvents* events) {
  EndEvent refused;
  refused.request = request.id;
  refused.usage.prompt = static_cast<int32_t>(request.tokens.size());
  refused.failure = check(request);
  Sequence* sequence = nullptr;
  if (refused.failure.ok()) refused.failure = scheduler_.submit(std::move(request), &sequence);
  if (!refused.failure.ok()) {
    ++totals_.requests_ended;
    events->ends.push_back(std::move(refused));
    return;
  }
  live_[sequence->request.id] = sequence;
  touched_.push_back(sequence->request.id);
  for (const int32_t token : options_.special_tokens) {
    if (!contains(sequence->request.allowed_special, token)) sequence->banned.push_back(token);
  }
  append_forced(sequence, events);
}

Status Stepper::check(const Request& request) const {
  if (!lost_.ok()) return lost_;
  if (live_.contains(request.id)) {
    return failure(Reason::kInternal, "Request id " + std::to_string(request.id) + " is in use.", "Report this as a bug of the engine's binding.");
  }
  if (request.cache_key.adapter != 0 && !adapters_.contains(request.cache_key.adapter)) {
    return failure(Reason::kNotFound, "The request's adapter has been unloaded.", "Load it again.");
  }
  const auto outside = [&](const std::vector<int32_t>& tokens) {
    return std::find_if(tokens.begin(), tokens.end(), [&](int32_t token) { return token < 0 || token >= vocab_; });
  };
  if (const auto bad = outside(request.tokens); bad != request.tokens.end()) {
    return failure(Reason::kBadRequest,
                   "Token " + std::to_string(*bad) + " at position " + std::to_string(bad - request.tokens.begin()) +
                       " is outside the vocabulary of " + std::to_string(vocab_) + ".",
                   "Encode the text with this model's own tokenizer.");
  }
  if (const auto bad = outside(request.stop_tokens); bad != request.stop_tokens.end()) {
    return failure(Reason::kBadRequest, "Stop token " + std::to_string(*bad) + " is outside the vocabulary of " + std::to_string(vocab_) + ".",
                   "Use ids of this model's tokenizer.");
  }
  if (request.top_logprobs > kMostLogprobs) {
    return failure(Reason::kBadRequest, "logprobs is " + std::to_string(request.top_logprobs) + ".",
                   "Ask for at most " + std::to_string(kMostLogprobs) + " alternatives.");
  }
  return check_sampling(request.sampling, vocab_);
}

void Stepper::cancel(uint64_t request, StepEvents* events) {
  const auto found = live_.find(request);
  if (found != live_.end()) end(found->second, StopReason::kAborted, events);
}

void Stepper::consumed(uint64_t request, int32_t n_tokens) {
  const auto found = live_.find(request);
  if (found == live_.end()) return;
  Sequence* sequence = found->second;
  sequence->n_consumed = std::max(sequence->n_consumed, std::min(n_tokens, sequence->n_delivered));
  if (sequence->n_delivered - sequence->n_consumed < options_.undelivered) scheduler_.unpark(sequence);
}

Status Stepper::add_adapter(int32_t id, const LoraAdapter& adapter) {
  if (!lost_.ok()) return lost_;
  Status status = forward_->add_adapter(id, adapter);
  if (status.ok()) adapters_.insert(id);
  return status;
}

Status Stepper::remove_adapter(int32_t id) {
  for (const auto& [request, sequence] : live_) {
    if (sequence->request.cache_key.adapter != id) continue;
    return failure(Reason::kBusy, "Requests under way use the adapter.", "Wait for them, or cancel them, and unload it then.");
  }
  if (adapters_.erase(id) > 0) forward_->remove_adapter(id);
  return {};
}

bool Stepper::step(StepEvents* events) {
  if (!plan()) return false;
  compute();
  finish(events);
  return true;
}

bool Stepper::plan() {
  scheduler_.plan(&plan_);
  for (const PageCopy& copy : copies_) forward_->copy_page(copy.from, copy.to, copy.n_tokens);
  copies_.clear();
  touched_.clear();
  const auto now = Clock::now();
  for (const PlannedSpan& span : plan_) {
    touched_.push_back(span.sequence->request.id);
    if (span.sequence->first_pass == Clock::time_point{}) span.sequence->first_pass = now;
  }
  return !plan_.empty();
}

void Stepper::snapshot(std::vector<EndEvent>* ends) const {
  for (const uint64_t request : touched_) {
    const auto found = live_.find(request);
    if (found == live_.end()) continue;
    ends->push_back(end_event(*found->second));
    ends->back().reason = StopReason::kAborted;
  }
}

void Stepper::compute() {
  const auto begin = Clock::now();
  outcome_ = forward();
  compute_seconds_ = seconds_between(begin, Clock::now());
}

void Stepper::finish(StepEvents* events) {
  if (!outcome_.ok()) {
    for (const PlannedSpan& span : plan_) fail(span.sequence, outcome_, events);
    if (outcome_.reason == Reason::kDeviceLost) {
      lost_ = outcome_;
      fail_all(lost_, events);
    }
    return;
  }
  const auto begin = Clock::now();
  int32_t n_tokens = 0;
  int32_t n_prefill = 0;
  for (const PlannedSpan& span : plan_) {
    n_tokens += span.n_tokens;
    if (!span.sequence->is_decoding()) n_prefill += span.n_tokens;
    scheduler_.computed(span);
  }
  collect_scores(events);
  if (!forward_->can_draw()) sample_rows();
  for (Draw& draw : draws_) take_token(&draw, events);
  const double seconds = compute_seconds_ + seconds_between(begin, Clock::now());
  const double prefill_share = static_cast<double>(n_prefill) / n_tokens;
  ++totals_.steps;
  totals_.batch = static_cast<int32_t>(plan_.size());
  totals_.batch_tokens = n_tokens;
  totals_.prefill_tokens += n_prefill;
  totals_.prefill_seconds += seconds * prefill_share;
  totals_.decode_seconds += seconds * (1.0 - prefill_share);
}

Status Stepper::forward() {
  batch_.clear();
  int64_t rows = 0;
  for (const PlannedSpan& span : plan_) {
    const Sequence& sequence = *span.sequence;
    BatchSpan batch;
    batch.tokens = sequence.tokens.data() + sequence.n_computed;
    batch.n_tokens = span.n_tokens;
    batch.position = sequence.n_computed;
    batch.pages = sequence.pages.data();
    batch.all_logits = sequence.is_scoring();
    batch.last_logits = span.samples && !forward_->can_draw();
    batch.draws = span.samples && forward_->can_draw();
    batch.adapter = static_cast<int32_t>(sequence.request.cache_key.adapter);
    rows += batch.all_logits ? batch.n_tokens : batch.last_logits ? 1 : 0;
    batch_.push_back(batch);
  }
  if (logits_.size() < static_cast<size_t>(rows * vocab_)) logits_.resize(static_cast<size_t>(rows * vocab_));
  const bool constrained = std::any_of(plan_.begin(), plan_.end(), [](const PlannedSpan& span) {
    return span.samples && span.sequence->request.constraint != nullptr;
  });
  if (constrained) {
    if (helper_ == nullptr) helper_ = std::make_unique<Helper>();
    helper_->start([this] { fill_masks(); });
  }
  const Status status = forward_->run(batch_, logits_.data());
  if (constrained) helper_->wait();
  if (!status.ok()) return status;
  collect_draws();
  return forward_->can_draw() ? draw() : status;
}

// What may follow depends on the tokens that this pass feeds, not on its logits, so this runs beside the model.
void Stepper::fill_masks() {
  while (masks_.size() < plan_.size()) masks_.emplace_back(vocab_);
  for (size_t i = 0; i < plan_.size(); ++i) {
    const Sequence& sequence = *plan_[i].sequence;
    TokenConstraint* constraint = sequence.request.constraint.get();
    if (!plan_[i].samples || constraint == nullptr) continue;
    masks_[i].clear();
    constraint->fill_mask(&masks_[i]);
    if (constraint->is_complete()) {
      for (const int32_t token : sequence.request.stop_tokens) masks_[i].permit(token);
    }
    for (const int32_t token : sequence.banned) masks_[i].forbid(token);
  }
}

void Stepper::end(Sequence* sequence, StopReason reason, StepEvents* events) {
  EndEvent event = end_event(*sequence);
  event.reason = reason;
  event.scores = std::move(sequence->scores);
  events->ends.push_back(std::move(event));
  live_.erase(sequence->request.id);
  ++totals_.requests_ended;
  scheduler_.finish(sequence);
}

void Stepper::fail(Sequence* sequence, const Status& status, StepEvents* events) {
  EndEvent event = end_event(*sequence);
  event.failure = status;
  events->ends.push_back(std::move(event));
  live_.erase(sequence->request.id);
  ++totals_.requests_ended;
  scheduler_.discard(sequence);
}

EndEvent Stepper::end_event(const Sequence& sequence) const {
  EndEvent event;
  event.request = sequence.request.id;
  event.usage = sequence.usage;
  const auto passed = sequence.first_pass != Clock::time_point{};
  const auto began = passed ? sequence.first_pass : Clock::now();
  event.timing.queue_ms = 1000.0 * seconds_between(sequence.submitted, began);
  if (sequence.usage.generated > 0) {
    event.timing.first_token_ms = 1000.0 * seconds_between(sequence.submitted, sequence.first_token);
    event.timing.prefill_ms = 1000.0 * seconds_between(began, sequence.first_token);
    event.timing.decode_ms = 1000.0 * seconds_between(sequence.first_token, sequence.last_token);
  } else if (passed) {
    event.timing.prefill_ms = 1000.0 * seconds_between(began, Clock::now());
  }
  return event;
}

void Stepper::fail_all(const Status& status, StepEvents* events) {
  std::vector<Sequence*> all;
  for (const auto& [id, sequence] : live_) all.push_back(sequence);
  std::sort(all.begin(), all.end(), [](const Sequence* a, const Sequence* b) { return a->order < b->order; });
  for (Sequence* sequence : all) fail(sequence, status, events);
}

EngineMetrics Stepper::metrics() const {
  EngineMetrics metrics = totals_;
  metrics.now = scheduler_.counts();
  return metrics;
}

}  // namespace chasqui
