// Adapters on the device: their matrices in bf16, a table of them beside each layer that they change, and the memory that a
// step with adapted rows needs, which is claimed with the first adapter.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "objects.h"
#include "weights.h"

namespace chasqui::cuda {

class Adapters {
 public:
  static constexpr int32_t kMost = 64;  // at a time

  // Adds an adapter's parts to a layer of a workspace of up to max_rows rows, or takes them away where there are none. The
  // copies are queued. Recordings made before are worthless.
  Status adapt(const WeightLoader& loader, CudaLinear& linear, int32_t adapter, const std::vector<LowRank>& parts, int32_t max_rows);

  // The places of adapters in the tables, by their numbers.
  const std::map<int32_t, int32_t>& slots() const { return slots_; }
  // For a step with adapted rows.
  LayerLowRank of(const CudaLinear& linear) const;

 private:
  Status place(int32_t adapter, int32_t* slot) const;
  Status make_room(const WeightLoader& loader, int64_t ranks, int64_t outputs, int32_t max_rows);
  Status remove(const WeightLoader& loader, CudaLinear& linear, int32_t adapter);

  std::map<int32_t, int32_t> slots_;
  std::map<int32_t, int32_t> layers_;  // how many an adapter changes, by its number
  Buffer hidden_, sums_;
  int64_t ranks_ = 0, outputs_ = 0;    // that these have room for
};

}  // namespace chasqui::cuda
