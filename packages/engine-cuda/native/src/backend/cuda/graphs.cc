// See graphs.h.
#include "graphs.h"

#include <algorithm>

namespace chasqui::cuda {

Status Graphs::run(const std::vector<Op>& ops, const Buckets& buckets, uint64_t generation,
                   const std::function<void(const Op&)>& issue) {
  if (generation != generation_) {
    forget();
    generation_ = generation;
  }
  if (enabled_ && buckets.recordable) {
    const auto known = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
      return entry.buckets == buckets && entry.ops == ops;
    });
    if (known != entries_.end()) {
      if (known->graph == nullptr) {
        Status recorded = record(&*known, issue);
        if (!recorded.ok() && recorded.reason != Reason::kOutOfMemory) return recorded;
      }
      if (known->graph != nullptr) {
        Status replayed = runtime_.replay(known->graph);
        if (replayed.ok()) counts_.replayed++;
        if (replayed.reason != Reason::kOutOfMemory) return replayed;
      }
      // A device that is short of memory has none for recordings, and goes on without.
      enabled_ = false;
      forget();
    } else {
      // Kernels are loaded at their first launch, which must not happen inside a recording.
      entries_.push_back({ops, buckets, nullptr});
    }
  }
  counts_.eager++;
  for (const Op& op : ops) issue(op);
  return runtime_.launched();
}

Status Graphs::record(Entry* entry, const std::function<void(const Op&)>& issue) {
  if (Status status = runtime_.begin_capture(); !status.ok()) return status;
  for (const Op& op : entry->ops) issue(op);
  Graph made = nullptr;
  Status launched = runtime_.launched();
  Status ended = runtime_.end_capture(&made);
  if (launched.ok() && ended.ok()) {
    counts_.recorded++;
    entry->graph = made;
    return {};
  }
  if (made != nullptr) runtime_.release(made);
  return launched.ok() ? ended : launched;
}

void Graphs::forget() {
  for (Entry& entry : entries_) {
    if (entry.graph != nullptr) runtime_.release(entry.graph);
  }
  entries_.clear();
}

}  // namespace chasqui::cuda
