// See stepper.h.
#include "stepper.h"

#include <algorithm>
#include <string>

namespace chasqui {
namespace {

constexpr int32_t kMostLogprobs = 64;
constexpr int64_t kLogitsToShare = 1 << 18;  // fewer are sampled sooner than a thread wakes

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
  collect_rows(events);
  sample_rows();
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
    batch.last_logits = span.samples;
    batch.adapter = static_cast<int32_t>(sequence.request.cache_key.adapter);
    rows += batch.all_logits ? batch.n_tokens : batch.last_logits ? 1 : 0;
    batch_.push_back(batch);
  }
  if (logits_.size() < static_cast<size_t>(rows * vocab_)) logits_.resize(static_cast<size_t>(rows * vocab_));
  const bool constrained = std::any_of(plan_.begin(), plan_.end(), [](const PlannedSpan& span) {
    return span.samples && span.sequence->request.constraint != nullptr;
  });
  if (!constrained) return forward_->run(batch_, logits_.data());
  if (helper_ == nullptr) helper_ = std::make_unique<Helper>();
  helper_->start([this] { fill_masks(); });
  const Status status = forward_->run(batch_, logits_.data());
  helper_->wait();
  return status;
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

// `rows`: (span.n_tokens, vocab); row i tells of the token after position first_position + i.
void Stepper::score(const PlannedSpan& span, int32_t first_position, const float* rows, StepEvents* events) {
  Sequence* sequence = span.sequence;
  for (int32_t i = 0; i < span.n_tokens; ++i) {
    const int32_t position = first_position + i + 1;
    if (position >= sequence->length()) break;
    const float* row = rows + static_cast<int64_t>(i) * vocab_;
    const float logit = row[sequence->tokens[static_cast<size_t>(position)]];
    sequence->scores[static_cast<size_t>(position)] = static_cast<float>(static_cast<double>(logit) - samplers_[0]->log_sum_exp(row));
  }
  if (sequence->n_pending() == 0) end(sequence, StopReason::kMaxTokens, events);
}

// Scores are taken where they lie; rows to draw from are noted.
void Stepper::collect_rows(StepEvents* events) {
  draws_.clear();
  float* row = logits_.data();
  for (size_t i = 0; i < plan_.size(); ++i) {
    const PlannedSpan& span = plan_[i];
    Sequence* sequence = span.sequence;
    if (sequence->is_scoring()) {
      score(span, sequence->n_computed - span.n_tokens, row, events);
      row += static_cast<int64_t>(span.n_tokens) * vocab_;
    } else if (span.samples) {
      draws_.push_back({sequence, row, sequence->request.constraint ? &masks_[i] : nullptr, 0, {}});
      row += vocab_;
    }
  }
}

void Stepper::sample_rows() {
  const auto n = static_cast<int32_t>(draws_.size());
  if (n < 2 || int64_t{n} * vocab_ < kLogitsToShare) {
    for (Draw& draw : draws_) sample_row(&draw, samplers_[0].get());
    return;
  }
  pool_.run(n, [this](int32_t i, int32_t thread) { sample_row(&draws_[static_cast<size_t>(i)], samplers_[static_cast<size_t>(thread)].get()); });
}

// Changes nothing but the draw and its row, so that rows can be sampled at the same time.
void Stepper::sample_row(Draw* draw, Sampler* sampler) const {
  const Sequence& sequence = *draw->sequence;
  draw->n_permitted = draw->mask == nullptr ? vocab_ : draw->mask->count();
  if (draw->n_permitted == 0) return;
  SamplingContext context;
  context.params = &sequence.request.sampling;
  context.output_counts = &sequence.output_counts;
  context.prompt_counts = &sequence.prompt_counts;
  context.banned = &sequence.banned;
  context.mask = draw->mask;
  context.position = static_cast<uint64_t>(sequence.length());
  context.top_logprobs = sequence.request.top_logprobs;
  draw->sampled = sampler->sample(draw->row, context);
}

void Stepper::take_token(Draw* draw, StepEvents* events) {
  Sequence* sequence = draw->sequence;
  const Request& request = sequence->request;
  if (draw->n_permitted == 0 && request.constraint->is_complete()) {
    end(sequence, StopReason::kStopToken, events);
    return;
  }
  if (draw->sampled.token < 0) {
    const Status dead = draw->n_permitted > 0
        ? failure(Reason::kInternal, "The model gave no finite logit for any permitted token.",
                  "Check the checkpoint's weights for NaN or infinite values, and logitBias for minus infinity.")
        : failure(Reason::kBadRequest, "The constraint permits no token after " + std::to_string(sequence->usage.generated) + " tokens of output.",
                  "Permit the special tokens it needs, or relax it.");
    fail(sequence, dead, events);
    return;
  }
  TokenEvent event;
  event.token = draw->sampled.token;
  event.forced = draw->n_permitted == 1;
  event.has_logprob = request.top_logprobs >= 0;
  event.logprob = draw->sampled.logprob;
  event.top = std::move(draw->sampled.top);
  if (append(sequence, std::move(event), events)) append_forced(sequence, events);
}

// Tokens that have to come next need no logits: they are appended at once and fed together in the next pass.
void Stepper::append_forced(Sequence* sequence, StepEvents* events) {
  if (sequence->request.constraint == nullptr || sequence->request.top_logprobs >= 0) return;
  std::vector<int32_t> forced;
  sequence->request.constraint->forced(&forced);
  for (const int32_t token : forced) {
    if (contains(sequence->banned, token)) return;
    TokenEvent event;
    event.token = token;
    event.forced = true;
    if (!append(sequence, std::move(event), events)) return;
  }
}

// False if the sequence ended with this token.
bool Stepper::append(Sequence* sequence, TokenEvent event, StepEvents* events) {
  const Request& request = sequence->request;
  const int32_t token = event.token;
  const auto now = Clock::now();
  if (sequence->usage.generated == 0) {
    sequence->first_token = now;
    if (sequence->first_pass == Clock::time_point{}) sequence->first_pass = now;
    const double waited = seconds_between(sequence->submitted, now);
    ++totals_.first_tokens;
    totals_.first_token_seconds += waited;
    totals_.last_first_token_ms = waited * 1000.0;
  }
  sequence->last_token = now;
  sequence->tokens.push_back(token);
  if (request.sampling.counts_output()) ++sequence->output_counts[token];
  ++sequence->usage.generated;
  if (event.forced) ++sequence->usage.forced;
  ++totals_.decode_tokens;
  ++sequence->n_delivered;
  event.request = request.id;
  events->tokens.push_back(std::move(event));

  if (contains(request.stop_tokens, token)) {
    end(sequence, StopReason::kStopToken, events);
    return false;
  }
  if (request.constraint != nullptr && !request.constraint->accept(token)) {
    fail(sequence, failure(Reason::kInternal, "The constraint refused token " + std::to_string(token) + " after permitting it.", "Report this as a bug of the constraint."), events);
    return false;
  }
  if (sequence->usage.generated >= request.max_tokens) {
    end(sequence, StopReason::kMaxTokens, events);
    return false;
  }
  if (sequence->length() >= options_.limits.context) {
    end(sequence, StopReason::kContextFull, events);
    return false;
  }
  if (sequence->n_delivered - sequence->n_consumed >= options_.undelivered) scheduler_.park(sequence);
  return true;
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
