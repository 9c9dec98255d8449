// Linear layers with quantised parts: each panel of 32 outputs in the form of its own part, so that parts of different
// formats (or with scales, zeros and orders of their own) lie side by side. A panel that spans two parts, of which one is
// quantised, holds floats: with sizes that are multiples of 32 there is none.
#pragma once

#include <vector>

#include "../backend.h"
#include "kernels.h"
#include "memory.h"
#include "quant_panel_tile.h"
#include "thread_pool.h"

namespace chasqui::cpu {

struct QuantPanels {
  std::vector<QuantPanel> panels;  // (n_panels), pointing into `data`
  InputType input = kInputF32;     // what all panels can be multiplied with at best
  const int32_t* order = nullptr;  // (in): input of each step, where all parts order them alike; null: as they come
  Memory data;
};

// Whether one of the parts is quantised in its file, or becomes NF4 or FP8.
bool needs_quant_panels(const std::vector<MatrixView>& parts, WeightFormat format);

// What make_quant_panels claims. More where panels span parts.
int64_t quant_panels_bytes(const std::vector<MatrixView>& parts, WeightFormat format);

// Unpacks and packs the parts. Fails for codes that are no numbers and for want of memory.
Status make_quant_panels(const std::vector<MatrixView>& parts, LinearLayout layout, WeightFormat format, int64_t n_panels,
                         ThreadPool& pool, QuantPanels* made);

// How `rows` rows are multiplied: in the arithmetic of `input` where the table has tiles for it, else in float.
const Product& quant_product(const Kernels& kernels, InputType input, int32_t rows);

// k steps of a panel as the product's tiles take them, from step `first` on: in `block`, or where they are stored.
const char* quant_codes(const Product& product, const QuantPanel& panel, int64_t first, int64_t k, char* block);

// c (rows, ldc)[.., 0..31] += a (k, rows) * steps [first, first + k) of one panel, `codes` from quant_codes.
void multiply_quant_panel(const Kernels& kernels, const Product& product, const QuantPanel& panel, const char* codes,
                          const char* a, int32_t rows, int64_t first, int64_t k, float* c, int64_t ldc);

}  // namespace chasqui::cpu
