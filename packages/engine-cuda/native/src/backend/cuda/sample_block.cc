// See sample_block.h.
#include "sample_block.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace chasqui::cuda {

namespace {

constexpr int64_t kLine = 256;
constexpr int64_t kFirstListBytes = 256 << 10;
const char* const kUse = "the description of a draw";

int64_t lines(int64_t bytes) { return (bytes + kLine - 1) / kLine * kLine; }
int64_t row_bytes(int32_t rows) { return kLine + lines(rows * static_cast<int64_t>(sizeof(SampleRow))); }
int64_t mask_bytes(int32_t vocab) { return lines((vocab + 31) / 32 * int64_t{4}); }
int64_t sampled_bytes(int32_t rows) { return lines(rows * static_cast<int64_t>(sizeof(Sampled))); }
int64_t top_bytes(int32_t rows) { return rows * static_cast<int64_t>(sizeof(TokenAmount)) * kMostTop; }

// For all changes that fit into the lists.
int64_t original_bytes(int64_t list_bytes) { return list_bytes / static_cast<int64_t>(sizeof(TokenChange)) * static_cast<int64_t>(sizeof(float)); }

// Four chains, so that they run beside each other. Equal hashes are compared word by word.
uint64_t hash_of(const std::vector<uint32_t>& words) {
  uint64_t chains[4] = {1, 2, 3, 4};
  for (size_t i = 0; i < words.size(); i++) chains[i % 4] = (chains[i % 4] ^ words[i]) * 0x9E3779B97F4A7C15u;
  return chains[0] ^ chains[1] << 1 ^ chains[2] << 2 ^ chains[3] << 3;
}

}  // namespace

SampleBlock::~SampleBlock() {
  if (sent_ != nullptr) runtime_->release(sent_);
}

int64_t SampleBlock::device_bytes(int32_t vocab, int32_t max_rows) {
  if (vocab > kMostVocab) return 0;
  return Pool::rounded(row_bytes(max_rows) + kFirstListBytes) + Pool::rounded(original_bytes(kFirstListBytes)) +
         Pool::rounded(max_rows * mask_bytes(vocab)) + Pool::rounded(sampled_bytes(max_rows) + top_bytes(max_rows));
}

Status SampleBlock::claim(Runtime& runtime, Pool& pool, int32_t vocab, int32_t max_rows) {
  runtime_ = &runtime;
  pool_ = &pool;
  vocab_ = vocab;
  max_rows_ = max_rows;
  if (vocab > kMostVocab) return {};
  mask_bytes_ = mask_bytes(vocab);
  slots_.resize(static_cast<size_t>(max_rows));
  change_of_.assign(static_cast<size_t>(vocab), -1);
  Status status = runtime.event(&sent_);
  if (status.ok()) status = pool.claim(max_rows * mask_bytes_, "masks of constraints", &masks_);
  if (status.ok()) status = mask_mirror_.claim(runtime, max_rows * mask_bytes_, "masks of constraints");
  if (status.ok()) status = pool.claim(sampled_bytes(max_rows) + top_bytes(max_rows), "drawn tokens", &results_);
  if (status.ok()) status = found_.claim(runtime, sampled_bytes(max_rows) + top_bytes(max_rows), "drawn tokens");
  if (status.ok()) status = make_room(kFirstListBytes);
  step_.masks = masks_.as<uint32_t>();
  step_.mask_words = static_cast<int32_t>(mask_bytes_ / 4);
  return status;
}

TokenAmount* SampleBlock::top() const { return reinterpret_cast<TokenAmount*>(results_.as<char>() + sampled_bytes(max_rows_)); }

Status SampleBlock::make_room(int64_t list_bytes) {
  if (list_bytes <= list_bytes_) return {};
  const int64_t room = std::max(list_bytes, 2 * list_bytes_);
  Buffer lists, originals;
  auto mirror = std::make_unique<Pinned>();
  if (Status status = pool_->claim(row_bytes(max_rows_) + room, kUse, &lists); !status.ok()) return status;
  if (Status status = pool_->claim(original_bytes(room), kUse, &originals); !status.ok()) return status;
  if (Status status = mirror->claim(*runtime_, row_bytes(max_rows_) + room, kUse); !status.ok()) return status;
  lists_ = lists;
  originals_ = originals;
  mirror_ = std::move(mirror);
  list_bytes_ = room;
  return {};
}

Status SampleBlock::load(const SamplingContext* rows, int32_t count) {
  // The mirrors may be written again once the last copy has been made, also where the draw was never waited for.
  if (is_sending_) {
    is_sending_ = false;
    if (Status status = runtime_->passed(sent_); !status.ok()) return status;
  }
  draws_++;
  rows_.assign(static_cast<size_t>(count), {});
  changes_.clear();
  banned_.clear();
  last_banned_ = nullptr;
  is_sending_ = true;
  for (int32_t i = 0; i < count; i++) {
    SampleRow* row = &rows_[static_cast<size_t>(i)];
    describe(rows[i], row);
    collect_changes(rows[i], row);
    collect_banned(rows[i], row);
    if (rows[i].mask == nullptr) continue;
    if (Status status = place_mask(*rows[i].mask, &row->mask); !status.ok()) return status;
  }
  if (Status status = send_lists(); !status.ok()) return status;
  return runtime_->mark(sent_);
}

void SampleBlock::describe(const SamplingContext& context, SampleRow* row) {
  const SamplingParams& params = *context.params;
  row->rate = params.temperature == 0.0f ? 0.0f : rate_of(params.temperature);
  row->top_k = params.top_k;
  row->top_p = params.top_p;
  if (params.min_p > 0.0f) {
    row->min_p_exponent = min_p_exponent(params.min_p);
    row->min_p_weight = static_cast<double>(params.min_p) * static_cast<double>(uint64_t{1} << kUnitBits);
  }
  row->repetition_penalty = params.repetition_penalty;
  row->frequency_penalty = params.frequency_penalty;
  row->presence_penalty = params.presence_penalty;
  row->n_top = std::min(context.top_logprobs, kMostTop);
  row->seed = params.seed;
  row->position = context.position;
}

// One entry for each token that a bias or a penalty touches, but for those that are banned anyway.
void SampleBlock::collect_changes(const SamplingContext& context, SampleRow* row) {
  const SamplingParams& params = *context.params;
  const size_t first = changes_.size();
  const auto change = [&](int32_t token) -> TokenChange* {
    if (token < 0 || token >= vocab_) return nullptr;
    int32_t& at = change_of_[static_cast<size_t>(token)];
    if (at < 0) {
      at = static_cast<int32_t>(changes_.size());
      changes_.push_back({token});
    }
    return &changes_[static_cast<size_t>(at)];
  };
  for (const auto& [token, bias] : params.logit_bias) {
    if (TokenChange* of = change(token)) of->bias = bias;
  }
  if (params.repetition_penalty != 1.0f) {
    for (const auto& [token, count] : *context.prompt_counts) {
      if (TokenChange* of = change(token)) of->count = 0.0f;
    }
  }
  if (params.counts_output()) {
    for (const auto& [token, count] : *context.output_counts) {
      if (TokenChange* of = change(token)) of->count = static_cast<float>(count);
    }
  }
  for (size_t i = first; i < changes_.size(); i++) change_of_[static_cast<size_t>(changes_[i].token)] = -1;
  if (context.banned != nullptr && !context.banned->empty() && changes_.size() > first) {
    const auto from = changes_.begin() + static_cast<std::ptrdiff_t>(first);
    changes_.erase(std::remove_if(from, changes_.end(), [&](const TokenChange& each) {
      return std::find(context.banned->begin(), context.banned->end(), each.token) != context.banned->end();
    }), changes_.end());
  }
  row->first_change = static_cast<int32_t>(first);
  row->n_changes = static_cast<int32_t>(changes_.size() - first);
}

// Most requests are denied the same special tokens.
void SampleBlock::collect_banned(const SamplingContext& context, SampleRow* row) {
  if (context.banned == nullptr) return;
  row->n_banned = static_cast<int32_t>(context.banned->size());
  const bool same = last_banned_ != nullptr && *last_banned_ == *context.banned;
  if (!same) banned_.insert(banned_.end(), context.banned->begin(), context.banned->end());
  last_banned_ = context.banned;
  row->first_banned = static_cast<int32_t>(banned_.size()) - row->n_banned;
}

// live, rows, changes, banned: one copy.
Status SampleBlock::send_lists() {
  const int64_t change_bytes = static_cast<int64_t>(changes_.size() * sizeof(TokenChange));
  const int64_t banned_bytes = static_cast<int64_t>(banned_.size() * sizeof(int32_t));
  if (change_bytes + banned_bytes > list_bytes_) {
    // What was queued still reads the old lists.
    if (Status status = runtime_->wait(); !status.ok()) return status;
    if (Status status = make_room(change_bytes + banned_bytes); !status.ok()) return status;
  }
  const int64_t changes_at = row_bytes(max_rows_), banned_at = changes_at + change_bytes;
  char* to = mirror_->as<char>();
  const auto count = static_cast<int32_t>(rows_.size());
  std::memcpy(to, &count, sizeof count);
  std::copy(rows_.begin(), rows_.end(), reinterpret_cast<SampleRow*>(to + kLine));
  std::copy(changes_.begin(), changes_.end(), reinterpret_cast<TokenChange*>(to + changes_at));
  std::copy(banned_.begin(), banned_.end(), reinterpret_cast<int32_t*>(to + banned_at));
  const char* base = lists_.as<char>();
  step_.live = reinterpret_cast<const int32_t*>(base);
  step_.rows = reinterpret_cast<const SampleRow*>(base + kLine);
  step_.changes = reinterpret_cast<const TokenChange*>(base + changes_at);
  step_.banned = reinterpret_cast<const int32_t*>(base + banned_at);
  step_.originals = originals_.as<float>();
  return runtime_->upload(lists_.as(), mirror_->as(), banned_at + banned_bytes);
}

// There are as many places as rows, so one that this draw does not use can always be had.
Status SampleBlock::place_mask(const TokenMask& mask, int32_t* slot) {
  const uint64_t hash = hash_of(mask.words());
  const auto bytes = mask.words().size() * sizeof(uint32_t);
  const auto words = [&](size_t i) { return mask_mirror_.as<char>() + static_cast<int64_t>(i) * mask_bytes_; };
  size_t oldest = 0;
  for (size_t i = 0; i < slots_.size(); i++) {
    Slot& known = slots_[i];
    if (known.is_filled && known.hash == hash && std::memcmp(words(i), mask.words().data(), bytes) == 0) {
      known.last_used = draws_;
      *slot = static_cast<int32_t>(i);
      return {};
    }
    if (known.last_used < slots_[oldest].last_used) oldest = i;
  }
  Slot& taken = slots_[oldest];
  taken.is_filled = false;
  std::memcpy(words(oldest), mask.words().data(), bytes);
  const auto at = static_cast<int64_t>(oldest) * mask_bytes_;
  if (Status status = runtime_->upload(masks_.as<char>() + at, words(oldest), static_cast<int64_t>(bytes)); !status.ok()) return status;
  taken = {hash, true, draws_};
  masks_sent_++;
  *slot = static_cast<int32_t>(oldest);
  return {};
}

Status SampleBlock::fetch(int32_t count) {
  const bool any_top = std::any_of(rows_.begin(), rows_.end(), [](const SampleRow& row) { return row.n_top > 0; });
  const int64_t bytes = any_top ? sampled_bytes(max_rows_) + top_bytes(count) : count * static_cast<int64_t>(sizeof(Sampled));
  return runtime_->download(found_.as(), results_.as(), bytes);
}

void SampleBlock::take(int32_t count, SampledToken* sampled) const {
  const auto* found = found_.as<Sampled>();
  const auto* top = reinterpret_cast<const TokenAmount*>(found_.as<char>() + sampled_bytes(max_rows_));
  for (int32_t i = 0; i < count; i++) {
    const Sampled& one = found[i];
    SampledToken& to = sampled[i];
    to = {one.token, 0.0f, {}};
    if (rows_[static_cast<size_t>(i)].n_top < 0) continue;
    const double log_total = std::isinf(one.highest)
        ? static_cast<double>(one.highest)
        : static_cast<double>(one.highest) + std::log(std::ldexp(static_cast<double>(one.total), -kUnitBits));
    const auto log_probability = [&](float logit) { return static_cast<float>(static_cast<double>(logit) - log_total); };
    if (one.token >= 0) to.logprob = log_probability(one.logit);
    const TokenAmount* first = top + static_cast<int64_t>(i) * kMostTop;
    std::vector<TokenAmount> likeliest(first, first + std::clamp(one.n_top, 0, kMostTop));
    std::sort(likeliest.begin(), likeliest.end(), [](const TokenAmount& a, const TokenAmount& b) {
      return a.amount != b.amount ? a.amount > b.amount : a.token < b.token;
    });
    for (const TokenAmount& token : likeliest) to.top.emplace_back(token.token, log_probability(token.amount));
  }
}

}  // namespace chasqui::cuda
