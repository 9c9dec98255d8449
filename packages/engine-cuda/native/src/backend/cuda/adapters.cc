// See adapters.h.
#include "adapters.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "../../model/precision.h"

namespace chasqui::cuda {

namespace {

const char* const kUse = "an adapter";

Status check_parts(const CudaLinear& linear, const std::vector<LowRank>& parts) {
  for (const LowRank& part : parts) {
    const bool fits = part.part >= 0 && part.part < static_cast<int32_t>(linear.part_rows.size()) && part.part < kMostParts &&
                      part.a.cols == linear.linear.in && part.a.rows > 0 && part.a.rows == part.b.cols &&
                      part.b.rows == linear.part_rows[static_cast<size_t>(part.part)];
    if (fits) continue;
    return failure(Reason::kBadCheckpoint, "A matrix of the adapter does not fit the layer that it changes.",
                   "Use an adapter that was made for this model.");
  }
  return {};
}

// By the number of the part, each at most once.
std::vector<LowRank> sorted(std::vector<LowRank> parts) {
  std::sort(parts.begin(), parts.end(), [](const LowRank& a, const LowRank& b) { return a.part < b.part; });
  return parts;
}

DeviceLowRank describe(const CudaLinear& linear, const std::vector<LowRank>& parts) {
  DeviceLowRank entry;
  int32_t output = 0;
  for (int32_t part = 0; part < kMostParts; part++) {
    entry.first_output[part] = output;
    const auto own = std::find_if(parts.begin(), parts.end(), [&](const LowRank& each) { return each.part == part; });
    const int32_t ranks = own == parts.end() ? 0 : static_cast<int32_t>(own->a.rows);
    entry.scale[part] = own == parts.end() ? 0.0f : own->scale;
    entry.first_rank[part + 1] = entry.first_rank[part] + ranks;
    entry.b_stride = std::max(entry.b_stride, ranks);
    if (part < static_cast<int32_t>(linear.part_rows.size())) output += static_cast<int32_t>(linear.part_rows[static_cast<size_t>(part)]);
  }
  entry.ranks = entry.first_rank[kMostParts];
  return entry;
}

template <typename T>
Status upload(const WeightLoader& loader, void* device, const T* values, int64_t n) {
  return loader.upload.run(device, n, sizeof(T), [&](int64_t first, int64_t count, void* piece) {
    std::memcpy(piece, values + first, static_cast<size_t>(count) * sizeof(T));
  });
}

// A row for each output: the ranks of its part, and nothing behind them.
Status load_b(const WeightLoader& loader, const CudaLinear& linear, const std::vector<LowRank>& parts, const DeviceLowRank& entry,
              Buffer* made) {
  std::vector<uint16_t> rows(static_cast<size_t>(linear.linear.out) * static_cast<size_t>(entry.b_stride), 0);
  for (const LowRank& part : parts) {
    std::vector<float> values(static_cast<size_t>(part.b.rows * part.b.cols));
    load_elements(part.b.data, part.b.type, part.b.rows * part.b.cols, values.data());
    uint16_t* to = rows.data() + int64_t{entry.first_output[part.part]} * entry.b_stride;
    for (int64_t row = 0; row < part.b.rows; row++) {
      for (int64_t i = 0; i < part.b.cols; i++) to[row * entry.b_stride + i] = float_to_bf16(values[static_cast<size_t>(row * part.b.cols + i)]);
    }
  }
  const auto n = static_cast<int64_t>(rows.size());
  if (Status status = loader.pool.claim(n * 2, kUse, made); !status.ok()) return status;
  return upload(loader, made->as(), rows.data(), n);
}

}  // namespace

Status Adapters::adapt(const WeightLoader& loader, CudaLinear& linear, int32_t adapter, const std::vector<LowRank>& given, int32_t max_rows) {
  if (given.empty()) return remove(loader, linear, adapter);
  if (Status status = check_parts(linear, given); !status.ok()) return status;
  const std::vector<LowRank> parts = sorted(given);
  int32_t slot = 0;
  if (Status status = place(adapter, &slot); !status.ok()) return status;
  CudaAdaptation made;
  made.entry = describe(linear, parts);
  std::vector<MatrixView> a;
  for (const LowRank& part : parts) a.push_back(part.a);
  Status status = make_room(loader, made.entry.ranks, linear.linear.out, max_rows);
  if (status.ok()) status = load_bf16(loader, a, kUse, &made.a);
  if (status.ok()) status = load_b(loader, linear, parts, made.entry, &made.b);
  if (status.ok() && !linear.entries) status = loader.pool.claim(kMost * static_cast<int64_t>(sizeof(DeviceLowRank)), kUse, &linear.entries);
  if (!status.ok()) return status;
  made.entry.a = made.a.as<uint16_t>();
  made.entry.b = made.b.as<uint16_t>();
  status = upload(loader, linear.entries.as<DeviceLowRank>() + slot, &made.entry, 1);
  if (!status.ok()) return status;
  slots_[adapter] = slot;
  if (!linear.adaptations.contains(adapter)) layers_[adapter]++;
  linear.adaptations[adapter] = std::move(made);
  return {};
}

Status Adapters::place(int32_t adapter, int32_t* slot) const {
  if (const auto known = slots_.find(adapter); known != slots_.end()) {
    *slot = known->second;
    return {};
  }
  for (*slot = 0; *slot < kMost; ++*slot) {
    const bool taken = std::any_of(slots_.begin(), slots_.end(), [&](const auto& each) { return each.second == *slot; });
    if (!taken) return {};
  }
  return failure(Reason::kUnsupported, "The device holds " + std::to_string(kMost) + " adapters already.", "Unload one of them.");
}

Status Adapters::make_room(const WeightLoader& loader, int64_t ranks, int64_t outputs, int32_t max_rows) {
  const auto grow = [&](Buffer* buffer, int64_t n, int64_t* room) -> Status {
    if (n <= *room) return {};
    if (Status status = loader.runtime.wait(); !status.ok()) return status;
    *buffer = Buffer();  // the old one is of no use, and there may be no room for both
    *room = 0;
    Status status = loader.pool.claim(max_rows * n * static_cast<int64_t>(sizeof(float)), "steps with adapters", buffer);
    if (status.ok()) *room = n;
    return status;
  };
  Status status = grow(&hidden_, ranks, &ranks_);
  return status.ok() ? grow(&sums_, outputs, &outputs_) : status;
}

Status Adapters::remove(const WeightLoader& loader, CudaLinear& linear, int32_t adapter) {
  const auto known = linear.adaptations.find(adapter);
  if (known == linear.adaptations.end()) return {};
  const DeviceLowRank nothing;
  Status status = upload(loader, linear.entries.as<DeviceLowRank>() + slots_[adapter], &nothing, 1);
  // What was queued may still read the matrices.
  if (status.ok()) status = loader.runtime.wait();
  linear.adaptations.erase(known);
  if (--layers_[adapter] == 0) {
    layers_.erase(adapter);
    slots_.erase(adapter);
  }
  return status;
}

LayerLowRank Adapters::of(const CudaLinear& linear) const {
  LayerLowRank made;
  if (linear.adaptations.empty()) return made;
  made.entries = linear.entries.as<DeviceLowRank>();
  for (const auto& [adapter, adaptation] : linear.adaptations) made.ranks = std::max(made.ranks, adaptation.entry.ranks);
  made.hidden = hidden_.as<float>();
  made.stride = static_cast<int32_t>(ranks_);
  made.sums = sums_.as<float>();
  return made;
}

}  // namespace chasqui::cuda
