// Packing of weights, and the loops around the tile kernels.
#include "linear.h"

#include <cstring>

#include "../../model/precision.h"
#include "adaptation.h"
#include "quant_panel.h"
#include "quantise.h"

namespace chasqui::cpu {

namespace {

DType common_type(const std::vector<MatrixView>& parts) {
  for (const MatrixView& part : parts) {
    if (part.type != parts.front().type) return DType::kF32;
  }
  return parts.front().type;
}

constexpr int64_t kUnit = 64;  // bytes of a unit, and of a line of scales

}  // namespace

WeightType weight_type(const std::vector<MatrixView>& parts, WeightFormat format) {
  if (format == WeightFormat::kInt8) return kWeightInt8;
  if (format == WeightFormat::kInt4) return kWeightInt4;
  switch (common_type(parts)) {
    case DType::kF32: return kWeightF32;
    case DType::kF16: return kWeightF16;
    case DType::kBF16: return kWeightBF16;
  }
  return kWeightF32;
}

StepGroup step_group(WeightType type) {
  switch (type) {
    case kWeightF32: return {1, kPanel * 4};
    case kWeightInt8: return {kInt8Scheme.group, kUnit + kInt8Scheme.group * kPanel};
    case kWeightInt4: return {kInt4Scheme.group, kUnit + kInt4Scheme.group * kPanel / 2};
    case kWeightBF16: return {kBlockSteps, kBlockSteps * kPanel * 2};
    default: return {1, kPanel * 2};
  }
}

int64_t bytes_of_panel(WeightType type, int64_t in) {
  const StepGroup group = step_group(type);
  return (in + group.steps - 1) / group.steps * group.bytes;
}

namespace {

constexpr int32_t kMaxQuantGroup = 128;
constexpr int64_t kRun = 32;  // columns at a time: one cache line of each row, read whole

// Sixteen-bit weights: words of two outputs (2j, 2j + 1) in half, of two steps of k in bf16. The memory is zeroed.
void fill_short_panel(const PanelRows& rows, WeightType type, int64_t in, uint16_t* panel) {
  const int64_t steps = type == kWeightBF16 ? 2 : 1;  // of a unit
  for (int64_t first = 0; first < in; first += kRun) {
    const int64_t last = std::min(in, first + kRun);
    for (int32_t column = 0; column < kPanel; column++) {
      const MatrixView* part = rows.part[column];
      if (part == nullptr) continue;
      const uint16_t* source = static_cast<const uint16_t*>(part->data) + rows.row[column] * in;
      for (int64_t k = first; k < last; k++) {
        panel[k / steps * steps * kPanel + column * steps + k % steps] = source[k];
      }
    }
  }
}

void fill_float_panel(const PanelRows& rows, int64_t in, float* panel) {
  for (int64_t first = 0; first < in; first += kRun) {
    const int64_t last = std::min(in, first + kRun);
    for (int32_t column = 0; column < kPanel; column++) {
      const MatrixView* part = rows.part[column];
      if (part == nullptr) continue;  // the memory is zeroed
      for (int64_t k = first; k < last; k++) {
        panel[k * kPanel + column] = load_element(part->data, part->type, rows.row[column] * in + k);
      }
    }
  }
}

// Groups of steps: a line of scales, then units of a word for each output (see kernels.h). The memory is zeroed.
void fill_quant_panel(const PanelRows& rows, const QuantScheme& scheme, int64_t in, char* panel) {
  const int64_t group_bytes = kUnit + scheme.group * kPanel * scheme.bits / 8;
  const int64_t steps_of_unit = 32 / scheme.bits;
  const uint32_t mask = (1u << scheme.bits) - 1;
  for (int64_t first = 0; first < in; first += scheme.group, panel += group_bytes) {
    const int32_t count = static_cast<int32_t>(std::min<int64_t>(scheme.group, in - first));
    auto* scales = reinterpret_cast<uint16_t*>(panel);
    auto* words = reinterpret_cast<uint32_t*>(panel + kUnit);
    for (int32_t column = 0; column < kPanel; column++) {
      const MatrixView* part = rows.part[column];
      if (part == nullptr) continue;
      float values[kMaxQuantGroup];
      int8_t q[kMaxQuantGroup];
      float scale;
      const int64_t start = rows.row[column] * in + first;
      load_elements(static_cast<const char*>(part->data) + start * dtype_bytes(part->type), part->type, count, values);
      quantise_group(values, count, scheme.bits, q, &scale);
      scales[2 * (column % 16) + column / 16] = float_to_bf16(scale);
      for (int32_t k = 0; k < count; k++) {
        const int64_t step = k % steps_of_unit;
        const int64_t field = scheme.bits == 4 ? step % 4 * 2 + step / 4 : step;
        words[k / steps_of_unit * kPanel + column] |= (static_cast<uint32_t>(q[k]) & mask) << (field * scheme.bits);
      }
    }
  }
}

}  // namespace

void fill_panel(const PanelRows& rows, WeightType type, int64_t in, char* panel) {
  switch (type) {
    case kWeightF32: return fill_float_panel(rows, in, reinterpret_cast<float*>(panel));
    case kWeightInt8: return fill_quant_panel(rows, kInt8Scheme, in, panel);
    case kWeightInt4: return fill_quant_panel(rows, kInt4Scheme, in, panel);
    default: return fill_short_panel(rows, type, in, reinterpret_cast<uint16_t*>(panel));
  }
}

PanelRows rows_of_panel(const std::vector<MatrixView>& parts, LinearLayout layout, int64_t panel) {
  PanelRows rows;
  for (int32_t column = 0; column < kPanel; column++) {
    if (layout == LinearLayout::kPaired) {
      const MatrixView& part = parts[static_cast<size_t>(panel & 1)];
      const int64_t row = (panel >> 1) * kPanel + column;
      if (row >= part.rows) continue;
      rows.part[column] = &part;
      rows.row[column] = row;
      continue;
    }
    int64_t row = panel * kPanel + column;
    for (const MatrixView& part : parts) {
      if (row < part.rows) {
        rows.part[column] = &part;
        rows.row[column] = row;
        break;
      }
      row -= part.rows;
    }
  }
  return rows;
}

namespace {

int64_t panels_of(int64_t rows) { return (rows + kPanel - 1) / kPanel; }

static_assert(kInt8Scheme.group <= kMaxQuantGroup && kInt4Scheme.group <= kMaxQuantGroup);
static_assert(kStretch % kInt8Scheme.group == 0 && kStretch % kInt4Scheme.group == 0 && kStretch % kBlockSteps == 0);

}  // namespace

PanelLinear::PanelLinear() = default;
PanelLinear::~PanelLinear() = default;

int64_t panel_linear_bytes(const std::vector<MatrixView>& parts, WeightFormat format) {
  if (needs_quant_panels(parts, format)) return quant_panels_bytes(parts, format);
  int64_t panels = 0;
  for (const MatrixView& part : parts) panels += panels_of(part.rows);
  return panels * bytes_of_panel(weight_type(parts, format), parts.front().cols);
}

Status make_panel_linear(const std::vector<MatrixView>& parts, LinearLayout layout, WeightFormat format, ThreadPool& pool,
                         PanelLinear* made) {
  made->type = needs_quant_panels(parts, format) ? kWeightF32 : weight_type(parts, format);
  made->in = parts.front().cols;
  made->step = layout == LinearLayout::kPaired ? 2 : 1;
  made->out = 0;
  made->part_rows.clear();
  for (const MatrixView& part : parts) {
    made->out += part.rows;
    made->part_rows.push_back(part.rows);
  }
  made->out /= made->step;
  made->n_panels = panels_of(made->out) * made->step;
  if (needs_quant_panels(parts, format)) {
    made->quant = std::make_unique<QuantPanels>();
    return make_quant_panels(parts, layout, format, made->n_panels, pool, made->quant.get());
  }
  const StepGroup group = step_group(made->type);
  made->group = group.steps;
  made->group_bytes = group.bytes;
  made->panel_bytes = bytes_of_panel(made->type, made->in);
  Status claimed = made->data.claim(made->n_panels * made->panel_bytes, "weights");
  if (!claimed.ok()) return claimed;
  constexpr int64_t kPanelsOfTask = 8;
  pool.run(static_cast<int32_t>((made->n_panels + kPanelsOfTask - 1) / kPanelsOfTask), [&](int32_t task, int32_t) {
    for (int64_t p = task * kPanelsOfTask; p < std::min<int64_t>(made->n_panels, (task + 1) * kPanelsOfTask); p++) {
      fill_panel(rows_of_panel(parts, layout, p), made->type, made->in, made->data.as<char>() + p * made->panel_bytes);
    }
  });
  return {};
}

int64_t nanoseconds_of(const PanelLinear& linear, const Product& product, int32_t rows) {
  // Of one core, a little below what Zen 4 does: multiplications and bytes a nanosecond, the slower of the two counts.
  constexpr int64_t kRates[kInputTypes] = {24, 90, 160};
  constexpr int64_t kBytes = 24;
  const int64_t multiplications = linear.n_panels * kPanel * linear.in * rows;
  const int64_t bytes = linear.quant != nullptr ? linear.quant->data.bytes() : linear.n_panels * linear.panel_bytes;
  return std::max(multiplications / kRates[product.input], bytes / kBytes);
}

int32_t panels_per_task(const PanelLinear& linear, int32_t rows, int64_t nanoseconds, int32_t threads) {
  constexpr int64_t kWorthTaking = 4'000;  // nanoseconds; to take a task costs about a tenth of a microsecond
  constexpr int32_t kManyRows = 24;
  const int64_t steps = std::max<int64_t>(1, linear.n_panels / linear.step);
  int64_t wanted = std::max<int64_t>(1, kWorthTaking * steps / std::max<int64_t>(1, nanoseconds));
  if (rows > kManyRows) wanted = std::max<int64_t>(wanted, kPanelsAtOnce / linear.step);
  // Four tasks for each thread even out what a busy machine does to them.
  wanted = std::min(wanted, std::max<int64_t>(1, steps / (4 * threads)));
  wanted = std::min<int64_t>(wanted, kPanelsAtOnce / linear.step);
  return static_cast<int32_t>(wanted * linear.step);
}

void multiply_panels(const Kernels& kernels, const PanelLinear& linear, const PackedRows& input, int32_t first_block, int32_t last_block,
                     int64_t first_panel, int32_t panels, float* scratch) {
  const RowBlocks& blocks = input.blocks;
  const Product& product = *input.product;
  const int64_t ldc = static_cast<int64_t>(panels) * kPanel;
  const int32_t first_row = blocks.first(first_block);
  char* unpacked = reinterpret_cast<char*>(scratch + kSumFloats);
  std::memset(scratch, 0, static_cast<size_t>(blocks.first(last_block) - first_row) * static_cast<size_t>(ldc) * sizeof(float));
  // A panel that is gone through once is read from end to end. Several blocks of rows, and float tiles of more than two
  // rows, go through it more often, and a stretch of it stays in the cache.
  const bool is_once = blocks.count == 1 && (product.input != kInputF32 || blocks.rows <= 2) && product.unpack == nullptr &&
                       product.quant_unpack[kCodeInt4] == nullptr && product.quant_unpack[kCodeFp8] == nullptr;
  const int64_t stretch = is_once ? linear.in : kStretch;
  for (int64_t k = 0; k < linear.in; k += stretch) {
    const int64_t count = std::min(stretch, linear.in - k);
    const char* codes[kPanelsAtOnce] = {};
    for (int32_t p = 0; p < panels && linear.quant != nullptr; p++) {
      const QuantPanel& panel = linear.quant->panels[static_cast<size_t>(first_panel + p)];
      codes[p] = quant_codes(product, panel, k, count, unpacked + p * kBlockBytes);
    }
    if (product.unpack != nullptr) {
      for (int32_t p = 0; p < panels; p++) product.unpack(linear.panel(first_panel + p, k), count, unpacked + p * kBlockBytes);
    }
    for (int32_t block = first_block; block < last_block; block++) {
      const int32_t size = blocks.size(block);
      const char* a = input.block(block, linear.in) + input_bytes(product, k, size);
      float* sums = scratch + (blocks.first(block) - first_row) * ldc;
      if (linear.quant != nullptr) {
        for (int32_t p = 0; p < panels; p++) {
          multiply_quant_panel(kernels, product, linear.quant->panels[static_cast<size_t>(first_panel + p)], codes[p], a, size, k,
                               count, sums + p * kPanel, ldc);
        }
        continue;
      }
      const Tile tile = product.tile[size];
      for (int32_t p = 0; p < panels; p++) {
        const void* weights = product.unpack != nullptr ? unpacked + p * kBlockBytes : linear.panel(first_panel + p, k);
        tile(a, weights, count, sums + p * kPanel, ldc);
      }
    }
  }
}

}  // namespace chasqui::cpu
