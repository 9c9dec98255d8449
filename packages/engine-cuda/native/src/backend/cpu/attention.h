// The paged KV cache and flash-style attention over it: scores of a block of positions, running softmax, weighted values,
// with no array as long as the context. Rows are (token, query head) pairs that share a key-value head.
//
// Positions are worked on in blocks of 256 inside segments of 2048. A segment's result depends only on the row and the
// segment, and segments are merged in order, so a row has the same bits whether its segments are shared among threads (one
// new token, long context) or done one after the other (prefill).
//
// Layout: [layer][page][kv_head], for keys a tile of (head_dim, 16 positions), for values a tile of (16 positions,
// head_dim rounded up to 16); in bf16 two dimensions of a key and two positions of a value lie side by side (see kernels.h).
// In fp8 keys and values are e4m3 codes (to nearest, no scale, at most 448) in the same order; a block of them is expanded to
// bf16, exactly, and attended as such: the result has the bits of a bf16 cache that holds the rounded values.
#pragma once

#include <cstdint>
#include <vector>

#include "../backend.h"
#include "kernels.h"
#include "linear.h"
#include "memory.h"
#include "thread_pool.h"

namespace chasqui::cpu {

constexpr int32_t kAttendBlock = 256;    // positions whose scores are held at once
constexpr int32_t kAttendSegment = 2048;
constexpr int32_t kAttendRowsAtOnce = 96;

struct PagedCache final : KvCache {
  KvShape shape;
  KvElement element = kKvBF16;  // as the kernels take it
  int32_t width = 0;        // head_dim rounded up to kKvTile
  int64_t tile_bytes = 0;   // keys (or values) of one page and head
  Memory keys;              // (n_layers, n_pages, n_kv_heads, head_dim -> width, 16)
  Memory values;            // (n_layers, n_pages, n_kv_heads, 16, width)

  Status claim(const KvShape& wanted);
  int64_t tile_offset(int32_t layer, int32_t page, int32_t head) const {
    return ((static_cast<int64_t>(layer) * shape.n_pages + page) * shape.n_kv_heads + head) * tile_bytes;
  }
  // Writes key and value (head_dim) of one head at position `slot` of a page.
  void store(int32_t layer, int32_t page, int32_t head, int32_t slot, const float* key, const float* value);
};

int64_t paged_cache_page_bytes(const KvShape& shape);

// What one thread does at once: the rows of some tokens of a span and one key-value head, over some segments.
struct AttendTask {
  int32_t span = 0;
  int32_t kv_head = 0;
  int32_t first_token = 0;  // within the span
  int32_t n_tokens = 0;
  int32_t first_segment = 0;
  int32_t n_segments = 0;
  int64_t partial = -1;     // where its result goes (floats) when the segments are shared among tasks; -1: to the output
};

// Rows whose segments were shared among tasks: all its partial results lie one after the other from `partial` on.
struct AttendMerge {
  AttendTask task;
  int64_t partial = 0;
};

// Rows of running softmax results: weighted values (rows, width), and each row's maximum and sum.
struct AttendState {
  float* values = nullptr;
  float* max = nullptr;
  float* sum = nullptr;
};

struct AttendShape {
  int32_t n_heads = 0;
  int32_t n_kv_heads = 0;
  int32_t head_dim = 0;
};

// The tasks of a step, made once and used in every layer.
class Attention {
 public:
  Status prepare(const AttendShape& shape, int32_t threads);
  Status plan(const std::vector<BatchSpan>& spans);
  // q, out: rows of the step, with strides. Rows of spans follow each other. `attend` is one of the kernels' for the
  // cache's element.
  void run(ThreadPool& pool, const Kernels& kernels, const Attend& attend, const PagedCache& cache, int32_t layer,
           const std::vector<BatchSpan>& spans, const float* q, int64_t q_stride, float* out, int64_t out_stride);

 private:
  // What the kernels of a step are.
  struct Means {
    const Kernels& kernels;
    const Attend& attend;
  };

  // The pages of a block, and as many whose keys are wanted after it.
  struct Block {
    const void* keys[kAttendBlock / kPageTokens];
    const void* values[kAttendBlock / kPageTokens];
    const void* next[kAttendBlock / kPageTokens];
  };

  struct Scratch {
    float* q;       // packed rows by blocks
    float* scores;  // (rows, kAttendBlock)
    char* keys;     // a block of an fp8 cache in bf16, and its values behind it
    AttendState segment;
    AttendState total;
  };

  int32_t group() const { return shape_.n_heads / shape_.n_kv_heads; }
  int32_t rows_of(const AttendTask& task) const { return task.n_tokens * group(); }
  AttendState state_at(float* memory, int32_t rows) const;
  Scratch scratch_of(int32_t thread) const;
  void plan_span(const BatchSpan& span, int32_t index);
  float* packed_block(const Attend& attend, const RowBlocks& blocks, int32_t block, float* packed) const;
  void pack_queries(const Means& means, const AttendTask& task, const float* q, int64_t q_stride, float* packed) const;
  void find_next(const PagedCache& cache, int32_t layer, const BatchSpan& span, const AttendTask& task, int32_t start, Block* block) const;
  void attend_segment(const Means& means, const PagedCache& cache, int32_t layer, const BatchSpan& span,
                      const AttendTask& task, int32_t index, const Scratch& scratch) const;
  void attend_block(const Means& means, const BatchSpan& span, const AttendTask& task, int32_t start,
                    const Block& block, const Scratch& scratch) const;
  void merge(const AttendState& part, int32_t rows, const AttendState& total) const;
  void write(const AttendState& total, const AttendTask& task, float* out, int64_t out_stride) const;

  AttendShape shape_;
  float scale_ = 0;              // of scores: 1 / sqrt(head_dim)
  int32_t width_ = 0;
  int32_t max_rows_ = 0;         // of a task
  int64_t scratch_floats_ = 0;   // of one thread
  int64_t partial_floats_ = 0;   // of this step
  int64_t nanoseconds_ = 0;      // of this step's tasks on one thread, about
  Memory scratch_;
  Memory partials_;
  std::vector<AttendTask> tasks_;
  std::vector<AttendMerge> merges_;
  std::vector<int32_t> first_rows_;  // of each span, within the step
};

}  // namespace chasqui::cpu
