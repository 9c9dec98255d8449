// What adapters add to linear layers on the CPU. The A matrices of a layer's parts are one panel layer, (ranks, in); its B
// matrices another with the panels of the layer itself, (outputs, ranks), zero where a part has no such rank. A row's
// h = scale * A x is computed before the product, B h is added to each panel's sums as they leave it.
#pragma once

#include <cstdint>
#include <vector>

#include "../backend.h"
#include "linear.h"

namespace chasqui::cpu {

struct Adaptation {
  PanelLinear shrink;         // A
  PanelLinear expand;         // B
  std::vector<float> scales;  // (ranks)
};

// Adds an adapter's parts to a layer, or takes them away where there are none.
Status adapt_linear(PanelLinear& linear, int32_t adapter, const std::vector<LowRank>& parts, ThreadPool& pool);

// The adapters' share of one product.
class LowRankStep {
 public:
  // Whether the adapter of any row changes the layer.
  bool begin(const PanelLinear& linear, const std::vector<int32_t>& row_adapters);
  // h of those rows. `input` holds floats; `scratch` is that of `multiply`.
  void shrink(ThreadPool& pool, const Kernels& kernels, const PackedRows& input, float* scratch);
  // The sums of `step` panels with B h added, in `own`; `sums` itself where the row's adapter adds nothing.
  const float* expand(const Kernels& kernels, int32_t row, int64_t panel, int32_t step, const float* sums, float* own) const;

 private:
  std::vector<const Adaptation*> of_row_;  // (rows): null for none
  std::vector<float> hidden_;              // (rows, stride_)
  int64_t stride_ = 0;
};

}  // namespace chasqui::cpu
