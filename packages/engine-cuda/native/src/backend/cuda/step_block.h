// All that differs from step to step, in one block of device memory at addresses that stay: tokens, positions, page tables,
// which rows attend alone and which in tiles, whose logits are wanted. Written on the host and sent in one copy, before the
// step's kernels, recorded or not, read it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "../backend.h"
#include "kernels/launch.h"
#include "memory.h"

namespace chasqui::cuda {

// The sizes that launches are made for: those of the step, or rounded up so that one recording serves many steps.
struct Buckets {
  int32_t rows = 0;
  int32_t decode_rows = 0;
  int32_t tiles = 0;
  int32_t wanted = 0;      // rows of logits in one call of `head`
  int32_t max_length = 0;  // of the sequences of the decode rows, in positions
  bool adapted = false;    // some row has an adapter
  bool recordable = false; // the sizes are rounded: worth a graph

  bool operator==(const Buckets&) const = default;
};

struct StepLimits {
  int32_t max_rows = 0;
  int32_t max_logits = 0;
  int32_t tile_rows = 0;  // most rows of a tile
  int32_t context = 0;    // of the rope table; 0: not known yet
  // One size for all steps, and every row attends alone: nothing of a row's arithmetic depends on the rows beside it.
  bool fixed = false;
  const std::map<int32_t, int32_t>* slots = nullptr;  // of adapters, by their numbers; null: there are none
};

// Spans of at most this many tokens attend row by row: their keys are then shared among more blocks than one tile would.
constexpr int32_t kLoneRows = 8;
constexpr int32_t kShortestLength = 512;  // bucket of all shorter sequences

// Rounds up to a power of two, at least `least`.
int32_t power_bucket(int32_t n, int32_t least);

class StepBlock {
 public:
  ~StepBlock();

  static int64_t device_bytes(int32_t max_rows, int64_t pages);
  Status claim(Runtime& runtime, Pool& pool, int32_t max_rows);

  // Queues the copy of a step. Spans and wanted rows are checked already.
  Status load(const std::vector<BatchSpan>& spans, const std::vector<int32_t>& wanted, const StepLimits& limits);

  const Step& device() const { return step_; }
  const StepCounts& counts() const { return counts_; }
  const Buckets& buckets() const { return buckets_; }
  // Changes when the block had to move: recordings made before are worthless.
  uint64_t generation() const { return generation_; }

 private:
  struct Layout;

  Status make_room(int64_t pages);
  void fill(const std::vector<BatchSpan>& spans, const std::vector<int32_t>& wanted, const StepLimits& limits);
  void choose_buckets(const StepLimits& limits, int32_t longest);

  Runtime* runtime_ = nullptr;
  Pool* pool_ = nullptr;
  int32_t max_rows_ = 0;
  int64_t max_pages_ = 0;
  Buffer memory_;
  std::unique_ptr<Pinned> mirror_;
  Event sent_ = nullptr;
  bool is_sending_ = false;
  Step step_;
  StepCounts counts_;
  Buckets buckets_;
  int64_t n_pages_ = 0;  // entries of the page tables of this step
  uint64_t generation_ = 0;
};

}  // namespace chasqui::cuda
