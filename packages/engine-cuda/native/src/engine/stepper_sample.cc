// The last part of a step: from rows of logits to tokens, and what a token brings about.
#include "stepper.h"

#include <algorithm>
#include <string>

namespace chasqui {
namespace {

constexpr int64_t kLogitsToShare = 1 << 18;  // fewer are sampled sooner than a thread wakes

double seconds_between(Clock::time_point from, Clock::time_point to) { return std::chrono::duration<double>(to - from).count(); }

bool contains(const std::vector<int32_t>& tokens, int32_t token) {
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

}  // namespace

// Rows to draw from are noted, in the order of the pass.
void Stepper::collect_draws() {
  draws_.clear();
  float* row = logits_.data();
  for (size_t i = 0; i < plan_.size(); ++i) {
    const PlannedSpan& span = plan_[i];
    Sequence* sequence = span.sequence;
    if (sequence->is_scoring()) {
      row += static_cast<int64_t>(span.n_tokens) * vocab_;
    } else if (span.samples) {
      const TokenMask* mask = sequence->request.constraint ? &masks_[i] : nullptr;
      draws_.push_back({sequence, forward_->can_draw() ? nullptr : row, mask, mask == nullptr ? vocab_ : mask->count(), {}});
      if (!forward_->can_draw()) row += vocab_;
    }
  }
}

// Where the logits are.
Status Stepper::draw() {
  if (draws_.empty()) return {};
  contexts_.clear();
  for (const Draw& draw : draws_) contexts_.push_back(context_of(draw));
  Status status = forward_->draw(contexts_, &drawn_);
  if (!status.ok()) return status;
  for (size_t i = 0; i < draws_.size(); ++i) draws_[i].sampled = std::move(drawn_[i]);
  return {};
}

void Stepper::collect_scores(StepEvents* events) {
  const float* row = logits_.data();
  for (const PlannedSpan& span : plan_) {
    if (span.sequence->is_scoring()) {
      score(span, span.sequence->n_computed - span.n_tokens, row, events);
      row += static_cast<int64_t>(span.n_tokens) * vocab_;
    } else if (span.samples && !forward_->can_draw()) {
      row += vocab_;
    }
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

// A draw changes nothing but itself and its row, so that rows can be sampled at the same time.
void Stepper::sample_rows() {
  const auto n = static_cast<int32_t>(draws_.size());
  const auto sample = [this](Draw* draw, Sampler* sampler) {
    if (draw->n_permitted > 0) draw->sampled = sampler->sample(draw->row, context_of(*draw));
  };
  if (n < 2 || int64_t{n} * vocab_ < kLogitsToShare) {
    for (Draw& draw : draws_) sample(&draw, samplers_[0].get());
    return;
  }
  pool_.run(n, [&](int32_t i, int32_t thread) { sample(&draws_[static_cast<size_t>(i)], samplers_[static_cast<size_t>(thread)].get()); });
}

SamplingContext Stepper::context_of(const Draw& draw) const {
  const Sequence& sequence = *draw.sequence;
  SamplingContext context;
  context.params = &sequence.request.sampling;
  context.output_counts = &sequence.output_counts;
  context.prompt_counts = &sequence.prompt_counts;
  context.banned = &sequence.banned;
  context.mask = draw.mask;
  context.position = static_cast<uint64_t>(sequence.length());
  context.top_logprobs = sequence.request.top_logprobs;
  return context;
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

}  // namespace chasqui
