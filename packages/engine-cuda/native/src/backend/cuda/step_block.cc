// See step_block.h.
#include "step_block.h"

#include <algorithm>
#include <cstring>

namespace chasqui::cuda {

namespace {

constexpr int64_t kLine = 256;          // every array begins on one
constexpr int64_t kFirstPages = 16384;  // entries of page tables to begin with: a quarter million positions

int64_t lines(int64_t bytes) { return (bytes + kLine - 1) / kLine * kLine; }

int32_t slot_of(const StepLimits& limits, int32_t adapter) {
  if (adapter == 0 || limits.slots == nullptr) return -1;
  const auto found = limits.slots->find(adapter);
  return found == limits.slots->end() ? -1 : found->second;
}

}  // namespace

// Byte offsets of the arrays. The page tables come last, so that a step sends only as much of them as it has.
struct StepBlock::Layout {
  int64_t counts = 0, tokens, positions, page_starts, decode_rows, tiles, wanted, slots, pages;

  explicit Layout(int64_t max_rows) {
    const int64_t column = lines(max_rows * static_cast<int64_t>(sizeof(int32_t)));
    tokens = kLine;
    positions = tokens + column;
    page_starts = positions + column;
    decode_rows = page_starts + column;
    wanted = decode_rows + column;
    slots = wanted + column;
    tiles = slots + column;
    pages = tiles + lines(max_rows * static_cast<int64_t>(sizeof(PrefillTile)));
  }
  int64_t bytes(int64_t n_pages) const { return pages + n_pages * static_cast<int64_t>(sizeof(int32_t)); }
};

int32_t power_bucket(int32_t n, int32_t least) {
  int64_t bucket = least;
  while (bucket < n) bucket *= 2;
  return static_cast<int32_t>(std::min<int64_t>(bucket, INT32_MAX));
}

StepBlock::~StepBlock() {
  if (sent_ != nullptr) runtime_->release(sent_);
}

int64_t StepBlock::device_bytes(int32_t max_rows, int64_t pages) {
  return Layout(max_rows).bytes(std::max(pages, kFirstPages));
}

Status StepBlock::claim(Runtime& runtime, Pool& pool, int32_t max_rows) {
  runtime_ = &runtime;
  pool_ = &pool;
  max_rows_ = max_rows;
  if (Status status = runtime.event(&sent_); !status.ok()) return status;
  return make_room(kFirstPages);
}

Status StepBlock::make_room(int64_t pages) {
  if (pages <= max_pages_) return {};
  const int64_t room = std::max(pages, 2 * max_pages_);
  const Layout at(max_rows_);
  Buffer memory;
  auto mirror = std::make_unique<Pinned>();
  if (Status status = pool_->claim(at.bytes(room), "the description of a step", &memory); !status.ok()) return status;
  if (Status status = mirror->claim(*runtime_, at.bytes(room), "the description of a step"); !status.ok()) return status;
  std::memset(mirror->as(), 0, static_cast<size_t>(mirror->bytes()));
  memory_ = memory;
  mirror_ = std::move(mirror);
  max_pages_ = room;
  const char* base = memory_.as<char>();
  step_.counts = reinterpret_cast<const StepCounts*>(base + at.counts);
  step_.tokens = reinterpret_cast<const int32_t*>(base + at.tokens);
  step_.positions = reinterpret_cast<const int32_t*>(base + at.positions);
  step_.page_starts = reinterpret_cast<const int32_t*>(base + at.page_starts);
  step_.decode_rows = reinterpret_cast<const int32_t*>(base + at.decode_rows);
  step_.tiles = reinterpret_cast<const PrefillTile*>(base + at.tiles);
  step_.wanted = reinterpret_cast<const int32_t*>(base + at.wanted);
  step_.slots = reinterpret_cast<const int32_t*>(base + at.slots);
  step_.pages = reinterpret_cast<const int32_t*>(base + at.pages);
  generation_++;
  return {};
}

Status StepBlock::load(const std::vector<BatchSpan>& spans, const std::vector<int32_t>& wanted, const StepLimits& limits) {
  // The mirror may be written again once the last copy has been made, also when nobody waited for that step.
  if (is_sending_) {
    is_sending_ = false;
    if (Status status = runtime_->passed(sent_); !status.ok()) return status;
  }
  int64_t pages = 0;
  for (const BatchSpan& span : spans) pages += (span.position + span.n_tokens + kPage - 1) / kPage;
  if (pages > max_pages_) {
    // What was queued still reads the old block.
    if (Status status = runtime_->wait(); !status.ok()) return status;
    if (Status status = make_room(pages); !status.ok()) return status;
  }
  fill(spans, wanted, limits);
  if (Status status = runtime_->upload(memory_.as(), mirror_->as(), Layout(max_rows_).bytes(n_pages_)); !status.ok()) return status;
  is_sending_ = true;
  return runtime_->mark(sent_);
}

void StepBlock::fill(const std::vector<BatchSpan>& spans, const std::vector<int32_t>& wanted, const StepLimits& limits) {
  const Layout at(max_rows_);
  char* base = mirror_->as<char>();
  auto* tokens = reinterpret_cast<int32_t*>(base + at.tokens);
  auto* positions = reinterpret_cast<int32_t*>(base + at.positions);
  auto* page_starts = reinterpret_cast<int32_t*>(base + at.page_starts);
  auto* decode_rows = reinterpret_cast<int32_t*>(base + at.decode_rows);
  auto* tiles = reinterpret_cast<PrefillTile*>(base + at.tiles);
  auto* slots = reinterpret_cast<int32_t*>(base + at.slots);
  auto* pages = reinterpret_cast<int32_t*>(base + at.pages);
  counts_ = {};
  counts_.wanted = static_cast<int32_t>(wanted.size());
  n_pages_ = 0;
  int32_t longest = 0;
  bool adapted = false;
  for (const BatchSpan& span : spans) {
    const int32_t first_row = counts_.rows;
    const int32_t end = span.position + span.n_tokens;
    const int32_t table = static_cast<int32_t>(n_pages_);
    for (int32_t page = 0; page < (end + kPage - 1) / kPage; page++) pages[n_pages_++] = span.pages[page];
    const int32_t slot = slot_of(limits, span.adapter);
    adapted |= slot >= 0;
    const bool alone = limits.fixed || span.n_tokens <= kLoneRows;
    for (int32_t i = 0; i < span.n_tokens; i++) {
      const int32_t row = counts_.rows++;
      tokens[row] = span.tokens[i];
      positions[row] = span.position + i;
      page_starts[row] = table;
      slots[row] = slot;
      if (alone) decode_rows[counts_.decode_rows++] = row;
    }
    if (alone) {
      longest = std::max(longest, end);
      continue;
    }
    for (int32_t row = first_row; row < counts_.rows; row += limits.tile_rows) {
      tiles[counts_.tiles++] = {row, std::min(limits.tile_rows, counts_.rows - row)};
    }
  }
  std::copy(wanted.begin(), wanted.end(), reinterpret_cast<int32_t*>(base + at.wanted));
  *reinterpret_cast<StepCounts*>(base + at.counts) = counts_;
  choose_buckets(limits, longest);
  buckets_.adapted = adapted;
}

void StepBlock::choose_buckets(const StepLimits& limits, int32_t longest) {
  buckets_ = {};
  // Without wanted rows nobody waits for the step, and there is no good moment to replay it.
  const bool few = counts_.wanted > 0 && counts_.wanted <= limits.max_logits;
  if (limits.fixed) {
    const int32_t context = power_bucket(std::max(limits.context, longest), kShortestLength);
    buckets_ = {limits.max_rows, limits.max_rows, 0, limits.max_logits, context, false, few};
    return;
  }
  const int32_t length = power_bucket(longest, kShortestLength);
  if (counts_.tiles == 0 && few && counts_.rows <= limits.max_logits) {
    const int32_t rows = std::min(power_bucket(counts_.rows, 1), limits.max_rows);
    buckets_ = {rows, rows, 0, std::min(rows, limits.max_logits), length, false, true};
    return;
  }
  buckets_ = {counts_.rows, counts_.decode_rows, counts_.tiles, std::min(counts_.wanted, limits.max_logits), length, false, false};
}

}  // namespace chasqui::cuda
