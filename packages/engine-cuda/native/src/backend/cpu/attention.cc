// Planning, the loops around the attention kernels, and the merge of segments.
#include "attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "../../checkpoint/quant.h"
#include "../../model/precision.h"

namespace chasqui::cpu {

namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();
constexpr int64_t kMultiplicationsOfNs = 16;  // of one thread, about
constexpr int32_t kPagesOfBlock = kAttendBlock / kPageTokens;

int32_t rounded_width(int32_t head_dim) { return (head_dim + kKvTile - 1) / kKvTile * kKvTile; }

int32_t element_bytes(KvType type) {
  switch (type) {
    case KvType::kF32: return 4;
    case KvType::kBF16: return 2;
    case KvType::kFp8: return 1;
  }
  return 4;
}

// The place of step `step` (a dimension of a key, a position of a value) and lane `lane` in a tile of `width` lanes.
int64_t place(KvType type, int64_t step, int64_t lane, int64_t width) {
  if (type == KvType::kF32) return step * width + lane;
  return (step / 2 * width + lane) * 2 + step % 2;
}

template <typename Element, typename Convert>
void put(void* key_tile, void* value_tile, const KvShape& shape, int32_t slot, int32_t width, const float* key, const float* value,
         const Convert& convert) {
  const int64_t first = place(shape.type, slot, 0, width), next = place(shape.type, slot, 1, width) - first;
  auto* keys = static_cast<Element*>(key_tile);
  auto* values = static_cast<Element*>(value_tile) + first;
  for (int32_t d = 0; d < shape.head_dim; d++) {
    keys[place(shape.type, d, slot, kKvTile)] = convert(key[d]);
    values[d * next] = convert(value[d]);
  }
}

}  // namespace

int64_t paged_cache_page_bytes(const KvShape& shape) {
  return static_cast<int64_t>(shape.n_layers) * shape.n_kv_heads * kPageTokens * rounded_width(shape.head_dim) *
         element_bytes(shape.type) * 2;
}

Status PagedCache::claim(const KvShape& wanted) {
  shape = wanted;
  element = wanted.type == KvType::kF32 ? kKvF32 : kKvBF16;
  width = rounded_width(wanted.head_dim);
  tile_bytes = static_cast<int64_t>(kPageTokens) * width * element_bytes(wanted.type);
  const int64_t bytes = paged_cache_page_bytes(wanted) * wanted.n_pages / 2;
  Status claimed = keys.claim(bytes, "the key cache");
  if (!claimed.ok()) return claimed;
  return values.claim(bytes, "the value cache");
}

void PagedCache::store(int32_t layer, int32_t page, int32_t head, int32_t slot, const float* key, const float* value) {
  const int64_t offset = tile_offset(layer, page, head);
  char* key_tile = keys.as<char>() + offset;
  char* value_tile = values.as<char>() + offset;
  switch (shape.type) {
    case KvType::kF32: return put<float>(key_tile, value_tile, shape, slot, width, key, value, [](float x) { return x; });
    case KvType::kBF16: return put<uint16_t>(key_tile, value_tile, shape, slot, width, key, value, float_to_bf16);
    case KvType::kFp8: return put<uint8_t>(key_tile, value_tile, shape, slot, width, key, value, float_to_e4m3);
  }
}

Status Attention::prepare(const AttendShape& shape, int32_t threads) {
  shape_ = shape;
  scale_ = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_dim)));
  width_ = rounded_width(shape.head_dim);
  max_rows_ = std::max(kAttendRowsAtOnce, group());
  scratch_floats_ = static_cast<int64_t>(max_rows_) * (width_ + kAttendBlock + 2 * (width_ + 2)) + kAttendBlock * width_;
  return scratch_.claim(scratch_floats_ * threads * static_cast<int64_t>(sizeof(float)), "attention");
}

AttendState Attention::state_at(float* memory, int32_t rows) const {
  float* max = memory + static_cast<int64_t>(rows) * width_;
  return {memory, max, max + rows};
}

Attention::Scratch Attention::scratch_of(int32_t thread) const {
  float* memory = scratch_.as<float>() + thread * scratch_floats_;
  const int64_t rows = max_rows_;
  float* scores = memory + rows * width_;
  float* segment = scores + rows * kAttendBlock;
  float* total = segment + rows * (width_ + 2);
  char* keys = reinterpret_cast<char*>(total + rows * (width_ + 2));
  return {memory, scores, keys, state_at(segment, max_rows_), state_at(total, max_rows_)};
}

Status Attention::plan(const std::vector<BatchSpan>& spans) {
  tasks_.clear();
  merges_.clear();
  first_rows_.clear();
  partial_floats_ = 0;
  nanoseconds_ = 0;
  int32_t row = 0;
  for (size_t i = 0; i < spans.size(); i++) {
    first_rows_.push_back(row);
    row += spans[i].n_tokens;
    plan_span(spans[i], static_cast<int32_t>(i));
  }
  // Long tasks first: what is left at the end is short.
  std::stable_sort(tasks_.begin(), tasks_.end(), [&](const AttendTask& a, const AttendTask& b) {
    return a.n_tokens * a.n_segments > b.n_tokens * b.n_segments;
  });
  const int64_t bytes = partial_floats_ * static_cast<int64_t>(sizeof(float));
  return bytes > partials_.bytes() ? partials_.claim(bytes, "attention over a long context") : Status{};
}

void Attention::plan_span(const BatchSpan& span, int32_t index) {
  const int32_t tokens = std::max(1, max_rows_ / group());  // of a task
  for (int32_t first = 0; first < span.n_tokens; first += tokens) {
    AttendTask task;
    task.span = index;
    task.first_token = first;
    task.n_tokens = std::min(tokens, span.n_tokens - first);
    const int32_t length = span.position + first + task.n_tokens;
    nanoseconds_ += static_cast<int64_t>(task.n_tokens) * shape_.n_heads * length * width_ * 2 / kMultiplicationsOfNs;
    const int32_t segments = (length + kAttendSegment - 1) / kAttendSegment;
    const bool shared = segments > 1 && span.n_tokens <= tokens;
    for (task.kv_head = 0; task.kv_head < shape_.n_kv_heads; task.kv_head++) {
      task.n_segments = segments;
      if (!shared) {
        tasks_.push_back(task);
        continue;
      }
      merges_.push_back({task, partial_floats_});
      merges_.back().task.n_segments = segments;
      task.n_segments = 1;
      for (task.first_segment = 0; task.first_segment < segments; task.first_segment++) {
        task.partial = partial_floats_;
        partial_floats_ += static_cast<int64_t>(rows_of(task)) * (width_ + 2);
        tasks_.push_back(task);
      }
      task.first_segment = 0;
      task.partial = -1;
    }
  }
}

void Attention::run(ThreadPool& pool, const Kernels& kernels, const Attend& attend, const PagedCache& cache, int32_t layer,
                    const std::vector<BatchSpan>& spans, const float* q, int64_t q_stride, float* out,
                    int64_t out_stride) {
  const Means means = {kernels, attend};
  pool.run_on(pool.threads_for(nanoseconds_), static_cast<int32_t>(tasks_.size()), [&](int32_t index, int32_t thread) {
    const AttendTask& task = tasks_[static_cast<size_t>(index)];
    const BatchSpan& span = spans[static_cast<size_t>(task.span)];
    Scratch scratch = scratch_of(thread);
    const int64_t first_row = first_rows_[static_cast<size_t>(task.span)] + task.first_token;
    pack_queries(means, task, q + first_row * q_stride, q_stride, scratch.q);
    if (task.partial >= 0) {
      scratch.segment = state_at(partials_.as<float>() + task.partial, rows_of(task));
      attend_segment(means, cache, layer, span, task, task.first_segment, scratch);
      return;
    }
    for (int32_t segment = 0; segment < task.n_segments; segment++) {
      const bool first = segment == 0;
      Scratch into = scratch;
      if (first) into.segment = scratch.total;
      attend_segment(means, cache, layer, span, task, segment, into);
      if (!first) merge(scratch.segment, rows_of(task), scratch.total);
    }
    write(scratch.total, task, out + first_row * out_stride, out_stride);
  });
  if (merges_.empty()) return;
  pool.run_on(pool.threads_for(partial_floats_), static_cast<int32_t>(merges_.size()), [&](int32_t index, int32_t) {
    const AttendMerge& each = merges_[static_cast<size_t>(index)];
    const int32_t rows = rows_of(each.task);
    float* parts = partials_.as<float>() + each.partial;
    const AttendState total = state_at(parts, rows);
    for (int32_t segment = 1; segment < each.task.n_segments; segment++) {
      merge(state_at(parts + static_cast<int64_t>(segment) * rows * (width_ + 2), rows), rows, total);
    }
    const int64_t first_row = first_rows_[static_cast<size_t>(each.task.span)] + each.task.first_token;
    write(total, each.task, out + first_row * out_stride, out_stride);
  });
}

float* Attention::packed_block(const Attend& attend, const RowBlocks& blocks, int32_t block, float* packed) const {
  const int64_t steps = (shape_.head_dim + attend.chunk - 1) / attend.chunk;  // each of a word
  return packed + blocks.first(block) * steps;
}

void Attention::pack_queries(const Means& means, const AttendTask& task, const float* q, int64_t q_stride, float* packed) const {
  const PackRow pack_row = means.kernels.pack[means.attend.input];
  const RowBlocks blocks(rows_of(task), means.attend.rows);
  for (int32_t block = 0; block < blocks.count; block++) {
    for (int32_t i = 0; i < blocks.size(block); i++) {
      const int32_t row = blocks.first(block) + i;
      const float* from = q + row / group() * q_stride + (task.kv_head * group() + row % group()) * shape_.head_dim;
      pack_row(from, shape_.head_dim, means.attend.chunk, blocks.size(block), i, packed_block(means.attend, blocks, block, packed));
    }
  }
}

// Positions go on with the next block of the same head, or begin again with the next one.
void Attention::find_next(const PagedCache& cache, int32_t layer, const BatchSpan& span, const AttendTask& task, int32_t start,
                          Block* block) const {
  const int32_t n_pages = (span.position + task.first_token + task.n_tokens + kPageTokens - 1) / kPageTokens;
  const bool goes_on = start / kPageTokens + kPagesOfBlock < n_pages;
  const int32_t head = goes_on ? task.kv_head : std::min(task.kv_head + 1, shape_.n_kv_heads - 1);
  const int32_t first = goes_on ? start / kPageTokens + kPagesOfBlock : 0;
  for (int32_t i = 0; i < kPagesOfBlock; i++) {
    const int32_t page = span.pages[std::min(first + i, n_pages - 1)];
    block->next[i] = cache.keys.as<char>() + cache.tile_offset(layer, page, head);
  }
}

void Attention::attend_segment(const Means& means, const PagedCache& cache, int32_t layer, const BatchSpan& span,
                               const AttendTask& task, int32_t index, const Scratch& scratch) const {
  const int32_t rows = rows_of(task);
  const AttendState& state = scratch.segment;
  std::memset(state.values, 0, static_cast<size_t>(rows) * static_cast<size_t>(width_) * sizeof(float));
  std::fill(state.max, state.max + rows, kNothing);
  std::fill(state.sum, state.sum + rows, 0.0f);
  const int32_t length = span.position + task.first_token + task.n_tokens;
  const int32_t end = std::min(length, (index + 1) * kAttendSegment);
  for (int32_t start = index * kAttendSegment; start < end; start += kAttendBlock) {
    Block block;
    find_next(cache, layer, span, task, start, &block);
    const int32_t n_pages = (std::min(kAttendBlock, end - start) + kPageTokens - 1) / kPageTokens;
    for (int32_t i = 0; i < n_pages; i++) {
      const int64_t offset = cache.tile_offset(layer, span.pages[start / kPageTokens + i], task.kv_head);
      block.keys[i] = cache.keys.as<char>() + offset;
      block.values[i] = cache.values.as<char>() + offset;
      if (cache.shape.type != KvType::kFp8) continue;
      // Pages lie anywhere: the next one is asked for while this one is expanded.
      if (i + 1 < n_pages) {
        const int64_t next = cache.tile_offset(layer, span.pages[start / kPageTokens + i + 1], task.kv_head);
        for (int64_t byte = 0; byte < cache.tile_bytes; byte += 64) {
          __builtin_prefetch(cache.keys.as<char>() + next + byte);
          __builtin_prefetch(cache.values.as<char>() + next + byte);
        }
      }
      char* key_lines = scratch.keys + 2 * i * cache.tile_bytes;
      char* value_lines = key_lines + 2 * kPagesOfBlock * cache.tile_bytes;
      means.kernels.expand_kv(block.keys[i], cache.tile_bytes / kKvTile, key_lines);
      means.kernels.expand_kv(block.values[i], cache.tile_bytes / kKvTile, value_lines);
      block.keys[i] = key_lines;
      block.values[i] = value_lines;
    }
    attend_block(means, span, task, start, block, scratch);
  }
}

// All rows of the task against positions start .. start + 255. A row sees positions up to its own.
void Attention::attend_block(const Means& means, const BatchSpan& span, const AttendTask& task, int32_t start,
                             const Block& pages, const Scratch& scratch) const {
  const AttendState& state = scratch.segment;
  const Attend& attend = means.attend;
  const RowBlocks blocks(rows_of(task), attend.rows);
  const int32_t first_position = span.position + task.first_token;
  const auto seen = [&](int32_t row) { return std::min(kAttendBlock, first_position + row / group() + 1 - start); };
  for (int32_t block = 0; block < blocks.count; block++) {
    const int32_t first = blocks.first(block);
    const int32_t size = blocks.size(block);
    const int32_t most = seen(first + size - 1);
    if (most <= 0) continue;
    const int32_t n_pages = (most + kPageTokens - 1) / kPageTokens;
    const int32_t padded = n_pages * kPageTokens;
    float* s = scratch.scores;
    attend.scores[size](packed_block(attend, blocks, block, scratch.q), shape_.head_dim, pages.keys, pages.values,
                        n_pages, s, kAttendBlock);
    for (int32_t i = 0; i < size; i++) {
      const int32_t row = first + i;
      const int32_t n = seen(row);
      float* p = s + static_cast<int64_t>(i) * kAttendBlock;
      if (n <= 0) {
        std::memset(p, 0, static_cast<size_t>(padded) * sizeof(float));
        continue;
      }
      const float factor = attend.softmax(p, n, padded, scale_, &state.max[row], &state.sum[row]);
      if (factor != 1.0f) means.kernels.scale(state.values + static_cast<int64_t>(row) * width_, width_, factor);
    }
    attend.mix[size](s, kAttendBlock, pages.values, pages.next, most, width_, state.values + static_cast<int64_t>(first) * width_,
                     width_);
  }
}

// total becomes what one softmax over the positions of both would be.
void Attention::merge(const AttendState& part, int32_t rows, const AttendState& total) const {
  for (int32_t row = 0; row < rows; row++) {
    if (part.max[row] == kNothing) continue;
    const float max = std::max(total.max[row], part.max[row]);
    const float keep = std::exp(total.max[row] - max);
    const float add = std::exp(part.max[row] - max);
    float* values = total.values + static_cast<int64_t>(row) * width_;
    const float* more = part.values + static_cast<int64_t>(row) * width_;
    for (int32_t d = 0; d < width_; d++) values[d] = values[d] * keep + more[d] * add;
    total.sum[row] = total.sum[row] * keep + part.sum[row] * add;
    total.max[row] = max;
  }
}

void Attention::write(const AttendState& total, const AttendTask& task, float* out, int64_t out_stride) const {
  const int32_t head_dim = shape_.head_dim;
  for (int32_t row = 0; row < rows_of(task); row++) {
    const float scale = 1.0f / total.sum[row];
    const float* values = total.values + static_cast<int64_t>(row) * width_;
    float* to = out + row / group() * out_stride + (task.kv_head * group() + row % group()) * head_dim;
    for (int32_t d = 0; d < head_dim; d++) to[d] = values[d] * scale;
  }
}

}  // namespace chasqui::cpu
