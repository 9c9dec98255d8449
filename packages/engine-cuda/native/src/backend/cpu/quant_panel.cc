// Sizes first, then the packing: a part is unpacked into the common form of checkpoint/quant.h (or quantised into it),
// and panels are made from that.
#include "quant_panel.h"

#include <atomic>
#include <cstring>
#include <numeric>

#include "../../checkpoint/quant.h"
#include "../../model/precision.h"
#include "../../model/quantise_matrix.h"
#include "kernels.h"
#include "linear.h"

namespace chasqui::cpu {

namespace {

constexpr int64_t kUnit = 64;
constexpr int64_t kRun = 128;  // steps that are summed before they are scaled, where groups are longer
constexpr int64_t kShortestRun = 4;

int64_t padded(int64_t bytes) { return (bytes + kUnit - 1) / kUnit * kUnit; }

// How the panels of a part are stored.
struct PanelForm {
  bool is_plain = false;
  WeightType plain = kWeightF32;
  QuantKind kind = QuantKind::kInt4;
  int64_t group = 1;
  int64_t groups = 1;
  PanelCode code = kCodeTable4;
  int64_t run = 0;          // 0: each step has a scale of its own
  bool is_ordered = false;  // each step may need a scale of its own
  ScaleType scale = kScaleF32;
  bool has_zeros = false;
  int64_t code_bytes = 0;  // of a panel, as the two below
  int64_t scale_bytes = 0;
  int64_t zero_bytes = 0;
  int64_t shared_bytes = 0;  // of the part: table and groups of steps

  int64_t panel_bytes() const { return code_bytes + scale_bytes + zero_bytes; }
};

bool becomes_quantised(const MatrixView& part, WeightFormat format) {
  return part.quant == nullptr && (format == WeightFormat::kNf4 || format == WeightFormat::kFp8);
}

int64_t bytes_of_step(PanelCode code) { return code == kCodeTable4 || code == kCodeInt4 ? 16 : 32; }

bool has_four_bits(QuantKind kind) { return kind == QuantKind::kInt4 || kind == QuantKind::kTable4; }

PanelForm plain_form(WeightType type, int64_t in) {
  PanelForm form;
  form.is_plain = true;
  form.plain = type;
  form.code_bytes = bytes_of_panel(type, in);
  return form;
}

// Integers of four bits are stored for 8 bit products where whole input groups share a scale.
PanelCode code_of(QuantKind kind, int64_t group, int64_t groups) {
  switch (kind) {
    case QuantKind::kInt8: return kCodeInt8;
    case QuantKind::kFp8: return kCodeFp8;
    case QuantKind::kTable4: return kCodeTable4;
    case QuantKind::kInt4: break;
  }
  return groups == 1 || group % kInputGroup == 0 ? kCodeInt4 : kCodeTable4;
}

PanelForm form_of(const MatrixView& part, WeightFormat format) {
  const int64_t in = part.cols;
  if (part.quant == nullptr && !becomes_quantised(part, format)) return plain_form(weight_type({part}, format), in);
  PanelForm form;
  if (part.quant != nullptr) {
    form.kind = part.quant->kind;
    form.group = part.quant->group;
    form.scale = static_cast<ScaleType>(part.quant->scale);
    form.has_zeros = part.quant->has_zeros;
    form.is_ordered = part.quant->is_ordered;
  } else {
    form.kind = format == WeightFormat::kNf4 ? QuantKind::kTable4 : QuantKind::kFp8;
    form.group = format == WeightFormat::kNf4 ? kNf4Block : in;
  }
  form.groups = (in + form.group - 1) / form.group;
  form.code = code_of(form.kind, form.group, form.groups);
  form.run = form.groups == 1 ? kRun : std::gcd(form.group, kRun);
  if (form.run < kShortestRun) form.run = 0;
  form.code_bytes = (in + kCodeSteps - 1) / kCodeSteps * kCodeSteps * bytes_of_step(form.code);
  form.scale_bytes = form.groups * kPanel * (form.scale == kScaleF32 ? 4 : 2);
  form.zero_bytes = form.has_zeros ? padded(form.groups * kPanel) : 0;
  form.shared_bytes = (has_four_bits(form.kind) ? kUnit : 0) + (form.run == 0 || form.is_ordered ? padded(in * 4) : 0);
  return form;
}

static_assert(static_cast<int>(QuantScale::kF16) == kScaleF16 && static_cast<int>(QuantScale::kBF16) == kScaleBF16);
static_assert(kStretch % kRun == 0, "a stretch of k begins with a run");

// A part on its way into panels.
struct Part {
  const MatrixView* view = nullptr;
  PanelForm form;
  QuantMatrix matrix;            // of a quantised part
  std::vector<int32_t> place;    // (in): which code of a row belongs to an input; empty: its own number
  const float* table = nullptr;  // the three are in QuantPanels::data
  int32_t* by_step = nullptr;    // (in): the order of the inputs, or the group of each step
  const int32_t* group_of = nullptr;
};

// The part that a panel is made of, or -1 where it needs floats because several meet in it.
int64_t part_of_panel(const PanelRows& rows, const std::vector<MatrixView>& parts) {
  const MatrixView* only = nullptr;
  for (const MatrixView* part : rows.part) {
    if (part == nullptr) continue;
    if (only != nullptr && only != part) return -1;
    only = part;
  }
  return only - parts.data();
}

// Reads or makes the codes of a part, and lays its table into `memory`.
Status unpack_part(WeightFormat format, ThreadPool& pool, char* memory, Part* part) {
  const MatrixView& view = *part->view;
  QuantMatrix& matrix = part->matrix;
  if (becomes_quantised(view, format)) {
    if (Status status = prepare_quantised(part->form.kind, view.rows, view.cols, &matrix); !status.ok()) return status;
    constexpr int32_t kRows = 8;
    pool.run(static_cast<int32_t>((view.rows + kRows - 1) / kRows), [&](int32_t task, int32_t) {
      for (int64_t row = task * kRows; row < std::min<int64_t>(view.rows, (task + 1) * kRows); row++) {
        quantise_row(view, row, &matrix);
      }
    });
  } else if (Status status = view.quant->unpack(&matrix); !status.ok()) {
    return status;
  }
  if (has_four_bits(matrix.kind)) {
    auto* table = reinterpret_cast<float*>(memory);
    const int centre = matrix.zeros.empty() ? 8 : 0;
    for (int code = 0; code < 16; code++) {
      table[code] = matrix.kind == QuantKind::kTable4 ? matrix.table[static_cast<size_t>(code)] : static_cast<float>(code - centre);
    }
    part->table = table;
    memory += kUnit;
  }
  if (part->form.shared_bytes > 0) part->by_step = reinterpret_cast<int32_t*>(memory);
  return {};
}

// Whether all parts order their inputs alike: then the inputs are brought into that order instead of the codes.
bool share_order(const std::vector<Part>& parts) {
  for (const Part& part : parts) {
    if (part.form.is_plain || part.form.run == 0 || part.matrix.order != parts.front().matrix.order) return false;
  }
  return true;
}

// Codes stay in their own order, or go to their inputs, and then each step needs the group that it belongs to.
void place_steps(bool is_shared, Part* part) {
  const QuantMatrix& matrix = part->matrix;
  if (part->form.is_plain || (part->form.run > 0 && (is_shared || matrix.order.empty()))) return;
  part->form.run = 0;
  if (!matrix.order.empty()) part->place.resize(static_cast<size_t>(matrix.cols));
  for (int64_t j = 0; j < matrix.cols; j++) {
    const int32_t input = matrix.order.empty() ? static_cast<int32_t>(j) : matrix.order[static_cast<size_t>(j)];
    part->by_step[input] = static_cast<int32_t>(j / matrix.group);
    if (!matrix.order.empty()) part->place[static_cast<size_t>(input)] = static_cast<int32_t>(j);
  }
  part->group_of = part->by_step;
}

// The bit of a unit where a code begins, its word counted in.
int64_t bit_of(PanelCode code, int64_t step, int32_t column) {
  const int64_t lane = column % 16 * 32;
  const int64_t half = column / 16;
  switch (code) {
    case kCodeTable4: return lane + 4 * (step % 2 * 4 + step / 2 * 2 + half);
    case kCodeFp8: return lane + 8 * (step * 2 + half);
    case kCodeInt4: return half * 512 + lane + 4 * (step % 4 * 2 + step / 4);
    default: return half * 512 + lane + 8 * step;
  }
}

int64_t steps_of_unit(PanelCode code) { return (code == kCodeInt4 || code == kCodeInt8 ? 128 : 64) / bytes_of_step(code); }

// Codes of one panel into zeroed units. False for a code that is no number.
bool fill_codes(const Part& part, const PanelRows& rows, char* codes) {
  const QuantMatrix& matrix = part.matrix;
  const PanelCode code = part.form.code;
  const bool nibbles = has_four_bits(matrix.kind);
  const int64_t steps = steps_of_unit(code);
  auto* words = reinterpret_cast<uint32_t*>(codes);
  bool are_numbers = true;
  for (int32_t column = 0; column < kPanel; column++) {
    if (rows.part[column] == nullptr) continue;
    const uint8_t* row = matrix.codes.get() + rows.row[column] * matrix.row_bytes();
    for (int64_t k = 0; k < matrix.cols; k++) {
      const int64_t j = part.place.empty() ? k : part.place[static_cast<size_t>(k)];
      const uint32_t value = nibbles ? row[j / 2] >> (j % 2 == 0 ? 0 : 4) & 15u : row[j];
      if (matrix.kind == QuantKind::kFp8 && (value & 0x7f) == 0x7f) are_numbers = false;
      const int64_t bit = k / steps * steps * bytes_of_step(code) * 8 + bit_of(code, k % steps, column);
      words[bit / 32] |= value << bit % 32;
    }
  }
  return are_numbers;
}

// The lines of scales and zeros of one panel. Outputs that do not exist have zeros everywhere.
void fill_lines(const Part& part, const PanelRows& rows, char* scales, int8_t* zeros) {
  const QuantMatrix& matrix = part.matrix;
  for (int32_t column = 0; column < kPanel; column++) {
    if (rows.part[column] == nullptr) continue;
    for (int64_t group = 0; group < part.form.groups; group++) {
      const size_t from = static_cast<size_t>(rows.row[column] * part.form.groups + group);
      const int64_t to = group * kPanel + column;
      const float scale = matrix.scales[from];
      if (part.form.scale == kScaleF32) {
        reinterpret_cast<float*>(scales)[to] = scale;
      } else {
        reinterpret_cast<uint16_t*>(scales)[to] = part.form.scale == kScaleF16 ? float_to_half(scale) : float_to_bf16(scale);
      }
      if (!matrix.zeros.empty()) zeros[to] = matrix.zeros[from];
    }
  }
}

// A panel of rows of several parts, as floats; `order` is the input of each step, or null.
void fill_floats(const std::vector<Part>& parts, const PanelRows& rows, int64_t in, const int32_t* order, float* panel) {
  std::vector<float> values(static_cast<size_t>(in));
  for (int32_t column = 0; column < kPanel; column++) {
    const MatrixView* view = rows.part[column];
    if (view == nullptr) continue;
    const Part& part = parts[static_cast<size_t>(view - parts.front().view)];
    if (part.form.is_plain) {
      load_elements(static_cast<const char*>(view->data) + rows.row[column] * in * dtype_bytes(view->type), view->type, in,
                    values.data());
    } else {
      dequantise_row(part.matrix, rows.row[column], values.data());
    }
    for (int64_t k = 0; k < in; k++) panel[k * kPanel + column] = values[static_cast<size_t>(order != nullptr ? order[k] : k)];
  }
}

// One panel at `memory`. False for a code that is no number.
bool fill_one(const std::vector<Part>& parts, const PanelRows& rows, int64_t only, const PanelForm& form, int64_t in,
              const int32_t* order, char* memory, QuantPanel* panel) {
  panel->codes = memory;
  panel->is_plain = form.is_plain;
  panel->plain = form.plain;
  if (only < 0) {
    fill_floats(parts, rows, in, order, reinterpret_cast<float*>(memory));
    return true;
  }
  if (form.is_plain) {
    fill_panel(rows, form.plain, in, memory);
    return true;
  }
  const Part& part = parts[static_cast<size_t>(only)];
  panel->code = form.code;
  panel->scale_type = form.scale;
  panel->group = static_cast<int32_t>(form.group);
  panel->run = static_cast<int32_t>(form.run);
  // Codes come last: who runs ahead of them at the end of a panel finds the next panel's scales.
  panel->scales = memory;
  auto* zeros = reinterpret_cast<int8_t*>(memory + form.scale_bytes);
  panel->codes = memory + form.scale_bytes + form.zero_bytes;
  panel->zeros = part.matrix.zeros.empty() ? nullptr : zeros;
  panel->group_of = part.group_of;
  panel->table = part.table;
  fill_lines(part, rows, memory, zeros);
  return fill_codes(part, rows, memory + form.scale_bytes + form.zero_bytes);
}

// What a panel can be multiplied with at best.
InputType best_input(const QuantPanel& panel, int64_t in) {
  if (panel.is_plain) return panel.plain == kWeightBF16 ? kInputBF16 : kInputF32;
  if (panel.group_of != nullptr) return kInputF32;
  if (panel.code == kCodeInt4 || panel.code == kCodeInt8) {
    return panel.group >= in || panel.group % kInputGroup == 0 ? kInputInt8 : kInputF32;
  }
  return panel.zeros == nullptr && panel.run % kBlockSteps == 0 ? kInputBF16 : kInputF32;
}

InputType best_input(const std::vector<QuantPanel>& panels, int64_t in) {
  const InputType first = best_input(panels.front(), in);
  for (const QuantPanel& panel : panels) {
    if (best_input(panel, in) != first) return kInputF32;
  }
  return first;
}

Status no_number() {
  return failure(Reason::kBadCheckpoint, "A matrix in FP8 holds codes that are no numbers.",
                 "The file is damaged: download it again.");
}

}  // namespace

bool needs_quant_panels(const std::vector<MatrixView>& parts, WeightFormat format) {
  for (const MatrixView& part : parts) {
    if (part.quant != nullptr || becomes_quantised(part, format)) return true;
  }
  return false;
}

int64_t quant_panels_bytes(const std::vector<MatrixView>& parts, WeightFormat format) {
  int64_t bytes = 0;
  for (const MatrixView& part : parts) {
    const PanelForm form = form_of(part, format);
    bytes += (part.rows + kPanel - 1) / kPanel * form.panel_bytes() + form.shared_bytes;
    if (part.rows % kPanel != 0 && parts.size() > 1) bytes += bytes_of_panel(kWeightF32, part.cols);
  }
  return bytes;
}

Status make_quant_panels(const std::vector<MatrixView>& views, LinearLayout layout, WeightFormat format, int64_t n_panels,
                         ThreadPool& pool, QuantPanels* made) {
  const int64_t in = views.front().cols;
  std::vector<Part> parts(views.size());
  int64_t bytes = 0;
  for (size_t i = 0; i < parts.size(); i++) {
    parts[i].view = &views[i];
    parts[i].form = form_of(views[i], format);
    bytes += parts[i].form.shared_bytes;
  }
  const PanelForm floats = plain_form(kWeightF32, in);
  std::vector<int64_t> offsets;
  std::vector<int64_t> only;  // part of each panel, or -1
  for (int64_t p = 0; p < n_panels; p++) {
    offsets.push_back(bytes);
    only.push_back(part_of_panel(rows_of_panel(views, layout, p), views));
    bytes += (only.back() < 0 ? floats : parts[static_cast<size_t>(only.back())].form).panel_bytes();
  }
  if (Status status = made->data.claim(bytes, "weights"); !status.ok()) return status;
  int64_t shared = 0;
  for (Part& part : parts) {
    if (part.form.is_plain) continue;
    if (Status status = unpack_part(format, pool, made->data.as<char>() + shared, &part); !status.ok()) return status;
    shared += part.form.shared_bytes;
  }
  const bool is_shared = share_order(parts);
  for (Part& part : parts) place_steps(is_shared, &part);
  if (const std::vector<int32_t>& order = parts.front().matrix.order; is_shared && !order.empty()) {
    std::copy(order.begin(), order.end(), parts.front().by_step);
    made->order = parts.front().by_step;
  }
  made->panels.resize(static_cast<size_t>(n_panels));
  std::atomic<bool> are_numbers{true};
  pool.run(static_cast<int32_t>(n_panels), [&](int32_t p, int32_t) {
    const size_t i = static_cast<size_t>(p);
    const PanelForm& form = only[i] < 0 ? floats : parts[static_cast<size_t>(only[i])].form;
    if (!fill_one(parts, rows_of_panel(views, layout, p), only[i], form, in, made->order,
                  made->data.as<char>() + offsets[i], &made->panels[i])) {
      are_numbers = false;
    }
  });
  if (!are_numbers) return no_number();
  made->input = best_input(made->panels, in);
  return {};
}

const Product& quant_product(const Kernels& kernels, InputType input, int32_t rows) {
  const Product& floats = kernels.in_float[kWeightF32];
  if (input == kInputF32) return floats;
  const WeightType type = input == kInputInt8 ? kWeightInt8 : kWeightBF16;
  const Product& product = rows <= kernels.few[type].rows ? kernels.few[type] : kernels.many[type];
  return product.input == input ? product : floats;
}

const char* quant_codes(const Product& product, const QuantPanel& panel, int64_t first, int64_t k, char* block) {
  if (panel.is_plain) {
    const StepGroup group = step_group(static_cast<WeightType>(panel.plain));
    return panel.codes + first / group.steps * group.bytes;
  }
  const char* codes = panel.codes + first * bytes_of_step(panel.code);
  if (product.quant_unpack[panel.code] == nullptr) return codes;
  product.quant_unpack[panel.code](panel, codes, k, block);
  return block;
}

void multiply_quant_panel(const Kernels& kernels, const Product& product, const QuantPanel& panel, const char* codes,
                          const char* a, int32_t rows, int64_t first, int64_t k, float* c, int64_t ldc) {
  if (panel.is_plain) {
    const Tile tile = product.input == kInputF32 ? kernels.tile[panel.plain][rows] : product.tile[rows];
    return tile(a, codes, k, c, ldc);
  }
  product.quant[panel.code][rows](panel, codes, a, first, k, c, ldc);
}

}  // namespace chasqui::cpu
