// A linear layer on the CPU: its weights in panels (see kernels.h), its input rows packed for the tiles, and the product
// with whatever is to be done with each 32 outputs once they are complete.
//
// Many rows go through a panel a stretch of k at a time. A type of weights that is not multiplied as it is stored is
// unpacked then, once for all rows of a task, into a block that stays in the cache.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "../backend.h"
#include "kernels.h"
#include "memory.h"
#include "quant_panel.h"
#include "thread_pool.h"

namespace chasqui::cpu {

struct Adaptation;

struct PanelLinear final : Linear {
  PanelLinear();
  ~PanelLinear() override;
  PanelLinear(const PanelLinear&) = delete;
  PanelLinear& operator=(const PanelLinear&) = delete;

  int64_t out = 0;          // rows of the stacked parts; of one part when paired
  int64_t in = 0;
  int64_t n_panels = 0;     // paired: panel 2i holds outputs of the first part, panel 2i + 1 the same of the second
  int32_t step = 1;         // panels that belong together: 1, or 2 when paired
  WeightType type = kWeightF32;
  bool in_float = false;    // whatever else the kernels can do
  int64_t group = 1;        // steps of k that are stored together: 1, or a quantisation group
  int64_t group_bytes = 0;  // of a panel
  int64_t panel_bytes = 0;
  Memory data;              // (n_panels, in / group, group_bytes)
  std::unique_ptr<QuantPanels> quant;  // instead of `data` where a part is quantised in a way of its own

  std::vector<int64_t> part_rows;      // outputs of each part
  std::map<int32_t, std::unique_ptr<Adaptation>> adaptations;  // what adapters add, by their numbers

  // (in): the input of each step of the panels; null: as they come.
  const int32_t* order() const { return quant != nullptr ? quant->order : nullptr; }

  // Panel `index` from step k on; k is a multiple of `group`.
  const char* panel(int64_t index, int64_t k) const {
    return data.as<char>() + index * panel_bytes + k / group * group_bytes;
  }
};

// How steps of k are stored: so many together in so many bytes of a panel.
struct StepGroup {
  int64_t steps;
  int64_t bytes;
};
StepGroup step_group(WeightType type);
int64_t bytes_of_panel(WeightType type, int64_t in);
// The type of panels of plain parts; parts of different types become floats.
WeightType weight_type(const std::vector<MatrixView>& parts, WeightFormat format);

// The 32 rows that a panel is made of; null where it is filled with zeros.
struct PanelRows {
  const MatrixView* part[kPanel] = {};
  int64_t row[kPanel] = {};
};
PanelRows rows_of_panel(const std::vector<MatrixView>& parts, LinearLayout layout, int64_t panel);
// Packs rows of plain matrices into zeroed memory.
void fill_panel(const PanelRows& rows, WeightType type, int64_t in, char* panel);

// Bytes of the panels for these parts.
int64_t panel_linear_bytes(const std::vector<MatrixView>& parts, WeightFormat format);

// Copies the parts into panels, quantised if asked for. Parts of different types become floats.
Status make_panel_linear(const std::vector<MatrixView>& parts, LinearLayout layout, WeightFormat format, ThreadPool& pool,
                         PanelLinear* made);

// Rows cut into blocks of at most `most`, as evenly as can be: block b has rows first(b) .. first(b + 1) - 1.
struct RowBlocks {
  int32_t rows;
  int32_t count;
  RowBlocks(int32_t rows, int32_t most) : rows(rows), count((rows + most - 1) / most) {}
  int32_t first(int32_t block) const { return block * (rows / count) + std::min(block, rows % count); }
  int32_t size(int32_t block) const { return first(block + 1) - first(block); }
  // The block of a row: the first rows % count blocks have one row more than the others.
  int32_t of(int32_t row) const {
    const int32_t less = rows / count, more = rows % count;
    return row < more * (less + 1) ? row / (less + 1) : more + (row - more * (less + 1)) / less;
  }
};

// How `rows` rows are multiplied with a layer.
inline const Product& product_of(const Kernels& kernels, const PanelLinear& linear, int32_t rows) {
  if (linear.quant != nullptr) return quant_product(kernels, linear.in_float ? kInputF32 : linear.quant->input, rows);
  if (linear.in_float) return kernels.in_float[linear.type];
  return rows <= kernels.few[linear.type].rows ? kernels.few[linear.type] : kernels.many[linear.type];
}

// Bytes of `k` steps of a packed block of rows; k ends at the end of the row or lies at a multiple of 64.
inline int64_t input_bytes(const Product& product, int64_t k, int32_t rows) {
  const int64_t chunk = product.input == kInputInt8 ? kInputGroup : product.chunk;
  const int64_t chunks = (k + chunk - 1) / chunk;
  if (product.input == kInputInt8) return chunks * rows * (kInputGroup + 8);
  return chunks * chunk * rows * (product.input == kInputF32 ? 4 : 2);
}

// Most bytes that `rows` rows take packed, whatever the product.
inline int64_t most_input_bytes(int64_t k, int64_t rows) { return (k + kInputGroup) * rows * 4; }

// Rows as a product takes them: block b begins at input_bytes(product, in, blocks.first(b)).
struct PackedRows {
  const Product* product = nullptr;
  RowBlocks blocks;
  char* data = nullptr;
  char* block(int32_t b, int64_t in) const { return data + input_bytes(*product, in, blocks.first(b)); }
};

constexpr int32_t kRowsAtOnce = 96;    // rows whose sums a task holds while it goes through k
constexpr int32_t kPanelsAtOnce = 4;   // panels of a task when there are many rows
constexpr int64_t kStretch = 256;      // steps of k between which sums rest in memory; a multiple of every group

// Scratch of one thread in `multiply`: sums, and an unpacked stretch of each panel of a task.
constexpr int64_t kSumFloats = static_cast<int64_t>(kRowsAtOnce) * kPanelsAtOnce * kPanel;
constexpr int64_t kBlockBytes = kStretch * kPanel * 2;
constexpr int64_t kMultiplyScratch = kSumFloats + kPanelsAtOnce * kBlockBytes / 4;  // floats

// About how long one thread takes for the product of so many rows, in nanoseconds.
int64_t nanoseconds_of(const PanelLinear& linear, const Product& product, int32_t rows);

// Panels of one task: enough work to be worth taking, few enough that all threads have some. `nanoseconds` is the whole
// product's.
int32_t panels_per_task(const PanelLinear& linear, int32_t rows, int64_t nanoseconds, int32_t threads);

// Sums of one task for rows of blocks [first_block, last_block): scratch becomes (rows, panels * 32).
void multiply_panels(const Kernels& kernels, const PanelLinear& linear, const PackedRows& input, int32_t first_block, int32_t last_block,
                     int64_t first_panel, int32_t panels, float* scratch);

// done(row, panel, c): for each row and each `step` panels, c holds their step * 32 sums.
template <typename Done>
void multiply(ThreadPool& pool, const Kernels& kernels, const PanelLinear& linear, const PackedRows& input, float* scratch, const Done& done) {
  const RowBlocks& blocks = input.blocks;
  if (blocks.rows == 0) return;
  const int64_t nanoseconds = nanoseconds_of(linear, *input.product, blocks.rows);
  const int32_t threads = pool.threads_for(nanoseconds);
  const int32_t per_task = panels_per_task(linear, blocks.rows, nanoseconds, threads);
  const int32_t blocks_at_once = std::max(1, kRowsAtOnce / input.product->rows);
  const int32_t tasks = static_cast<int32_t>((linear.n_panels + per_task - 1) / per_task);
  pool.run_on(threads, tasks, [&](int32_t task, int32_t thread) {
    float* c = scratch + thread * kMultiplyScratch;
    const int64_t first_panel = static_cast<int64_t>(task) * per_task;
    const int32_t panels = static_cast<int32_t>(std::min<int64_t>(per_task, linear.n_panels - first_panel));
    for (int32_t first = 0; first < blocks.count; first += blocks_at_once) {
      const int32_t last = std::min(blocks.count, first + blocks_at_once);
      multiply_panels(kernels, linear, input, first, last, first_panel, panels, c);
      const int32_t first_row = blocks.first(first);
      for (int32_t row = first_row; row < blocks.first(last); row++) {
        const float* sums = c + static_cast<int64_t>(row - first_row) * panels * kPanel;
        for (int32_t p = 0; p < panels; p += linear.step) done(row, first_panel + p, sums + p * kPanel);
      }
    }
  });
}

}  // namespace chasqui::cpu
