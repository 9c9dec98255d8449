// Recorded steps. A step is a list of operations; the first time a list comes with its buckets it runs operation by
// operation, the second time it is recorded and the recording is run, and from then on it is one launch. All do the same
// work with the same launch parameters, so the results are the same to the bit.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "device_runtime.h"
#include "step_block.h"

namespace chasqui::cuda {

enum class OpKind : uint8_t { kEmbed, kQkv, kAttend, kO, kGateUp, kDown, kHead };

// One call of a fused operation with the objects it works on.
struct Op {
  OpKind kind = OpKind::kEmbed;
  int32_t layer = 0;
  int32_t first = 0;                // of kHead
  const void* objects[3] = {};      // norm, linear, cache or table: whatever the kind takes

  bool operator==(const Op&) const = default;
};

class Graphs {
 public:
  explicit Graphs(Runtime& runtime) : runtime_(runtime) {}
  ~Graphs() { forget(); }
  Graphs(const Graphs&) = delete;
  Graphs& operator=(const Graphs&) = delete;

  // Runs the list through `issue`, a recording of it, or both. `generation` is that of the step block.
  Status run(const std::vector<Op>& ops, const Buckets& buckets, uint64_t generation,
             const std::function<void(const Op&)>& issue);

  void forget();
  void set_enabled(bool enabled) { enabled_ = enabled; }

  struct Counts {
    int64_t eager = 0, recorded = 0, replayed = 0;
  };
  const Counts& counts() const { return counts_; }

 private:
  struct Entry {
    std::vector<Op> ops;
    Buckets buckets;
    Graph graph = nullptr;  // null after the first time
  };

  Status record(Entry* entry, const std::function<void(const Op&)>& issue);

  Runtime& runtime_;
  bool enabled_ = true;
  uint64_t generation_ = 0;
  std::vector<Entry> entries_;  // a few dozen: buckets of rows times buckets of lengths
  Counts counts_;
};

}  // namespace chasqui::cuda
