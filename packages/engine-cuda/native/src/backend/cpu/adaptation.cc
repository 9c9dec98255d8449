// See adaptation.h.
#include "adaptation.h"

#include <cstring>

#include "../../model/precision.h"

namespace chasqui::cpu {

namespace {

// A of all parts, one below the other, and B of each part beside zeros; floats.
struct Stacked {
  std::vector<float> a;
  std::vector<std::vector<float>> b;
  std::vector<float> scales;
};

void load_floats(const MatrixView& view, float* to) { load_elements(view.data, view.type, view.rows * view.cols, to); }

Stacked stack(const PanelLinear& linear, const std::vector<LowRank>& parts) {
  Stacked stacked;
  int64_t ranks = 0;
  for (const LowRank& part : parts) ranks += part.a.rows;
  stacked.a.resize(static_cast<size_t>(ranks * linear.in));
  for (const int64_t rows : linear.part_rows) stacked.b.emplace_back(static_cast<size_t>(rows * ranks), 0.0f);
  int64_t first = 0;
  for (const LowRank& part : parts) {
    load_floats(part.a, stacked.a.data() + first * linear.in);
    std::vector<float> values(static_cast<size_t>(part.b.rows * part.b.cols));
    load_floats(part.b, values.data());
    float* to = stacked.b[static_cast<size_t>(part.part)].data();
    for (int64_t row = 0; row < part.b.rows; row++) {
      std::memcpy(to + row * ranks + first, values.data() + row * part.b.cols, static_cast<size_t>(part.b.cols) * sizeof(float));
    }
    stacked.scales.insert(stacked.scales.end(), static_cast<size_t>(part.a.rows), part.scale);
    first += part.a.rows;
  }
  return stacked;
}

Status check_parts(const PanelLinear& linear, const std::vector<LowRank>& parts) {
  for (const LowRank& part : parts) {
    const bool fits = part.part >= 0 && part.part < static_cast<int32_t>(linear.part_rows.size()) &&
                      part.a.cols == linear.in && part.a.rows > 0 && part.a.rows == part.b.cols &&
                      part.b.rows == linear.part_rows[static_cast<size_t>(part.part)];
    if (fits) continue;
    return failure(Reason::kBadCheckpoint, "A matrix of the adapter does not fit the layer that it changes.",
                   "Use an adapter that was made for this model.");
  }
  return {};
}

}  // namespace

Status adapt_linear(PanelLinear& linear, int32_t adapter, const std::vector<LowRank>& parts, ThreadPool& pool) {
  if (parts.empty()) {
    linear.adaptations.erase(adapter);
    return {};
  }
  if (Status status = check_parts(linear, parts); !status.ok()) return status;
  Stacked stacked = stack(linear, parts);
  const int64_t ranks = static_cast<int64_t>(stacked.scales.size());
  std::vector<MatrixView> b;
  for (size_t i = 0; i < stacked.b.size(); i++) b.push_back({stacked.b[i].data(), DType::kF32, linear.part_rows[i], ranks, nullptr});
  auto made = std::make_unique<Adaptation>();
  Status status = make_panel_linear({{stacked.a.data(), DType::kF32, ranks, linear.in, nullptr}}, LinearLayout::kStacked,
                                    WeightFormat::kAsStored, pool, &made->shrink);
  if (status.ok()) {
    status = make_panel_linear(b, linear.step == 2 ? LinearLayout::kPaired : LinearLayout::kStacked, WeightFormat::kAsStored,
                               pool, &made->expand);
  }
  if (!status.ok()) return status;
  made->scales = std::move(stacked.scales);
  linear.adaptations[adapter] = std::move(made);
  return {};
}

bool LowRankStep::begin(const PanelLinear& linear, const std::vector<int32_t>& row_adapters) {
  if (linear.adaptations.empty()) return false;
  of_row_.assign(row_adapters.size(), nullptr);
  stride_ = 0;
  for (size_t row = 0; row < row_adapters.size(); row++) {
    const auto found = linear.adaptations.find(row_adapters[row]);
    if (row_adapters[row] == 0 || found == linear.adaptations.end()) continue;
    of_row_[row] = found->second.get();
    stride_ = std::max(stride_, static_cast<int64_t>(found->second->scales.size()));
  }
  return stride_ > 0;
}

void LowRankStep::shrink(ThreadPool& pool, const Kernels& kernels, const PackedRows& input, float* scratch) {
  const RowBlocks& blocks = input.blocks;
  hidden_.resize(static_cast<size_t>(blocks.rows * stride_));
  // A block is multiplied once for each adapter that it has rows of; rows of others are computed and left.
  int64_t nanoseconds = 0;
  for (const Adaptation* adaptation : of_row_) {
    if (adaptation != nullptr) nanoseconds += nanoseconds_of(adaptation->shrink, *input.product, 1);
  }
  pool.run_on(pool.threads_for(nanoseconds), blocks.count, [&](int32_t block, int32_t thread) {
    float* c = scratch + thread * kMultiplyScratch;
    const int32_t first = blocks.first(block);
    const Adaptation* previous = nullptr;
    for (int32_t row = first; row < first + blocks.size(block); row++) {
      const Adaptation* adaptation = of_row_[static_cast<size_t>(row)];
      if (adaptation == nullptr || adaptation == previous) continue;
      previous = adaptation;
      const int64_t ranks = static_cast<int64_t>(adaptation->scales.size());
      for (int64_t p = 0; p < adaptation->shrink.n_panels; p++) {
        multiply_panels(kernels, adaptation->shrink, input, block, block + 1, p, 1, c);
        for (int32_t own = row; own < first + blocks.size(block); own++) {
          if (of_row_[static_cast<size_t>(own)] != adaptation) continue;
          for (int64_t i = p * kPanel; i < std::min(ranks, (p + 1) * kPanel); i++) {
            hidden_[static_cast<size_t>(own * stride_ + i)] =
                adaptation->scales[static_cast<size_t>(i)] * c[(own - first) * kPanel + i - p * kPanel];
          }
        }
      }
    }
  });
}

const float* LowRankStep::expand(const Kernels& kernels, int32_t row, int64_t panel, int32_t step, const float* sums,
                                 float* own) const {
  const Adaptation* adaptation = of_row_[static_cast<size_t>(row)];
  if (adaptation == nullptr) return sums;
  std::memcpy(own, sums, static_cast<size_t>(step * kPanel) * sizeof(float));
  const PanelLinear& b = adaptation->expand;
  for (int32_t p = 0; p < step; p++) {
    kernels.tile[b.type][1](hidden_.data() + row * stride_, b.panel(panel + p, 0), b.in, own + p * kPanel, kPanel);
  }
  return own;
}

}  // namespace chasqui::cpu
