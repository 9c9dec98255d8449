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
  int64_t run = 0;  // 0: each step has a scale of its own
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

bool has_four_bits(QuantKind kind) { return kind == QuantKind::kInt4 || kind == QuantKind::kTable4; }

PanelForm plain_form(WeightType type, int64_t in) {
  PanelForm form;
  form.is_plain = true;
  form.plain = type;
  form.code_bytes = bytes_of_panel(type, in);
  return form;
}

PanelForm form_of(const MatrixView& part, WeightFormat format) {
  const int64_t in = part.cols;
  if (part.quant == nullptr && !becomes_quantised(part, format)) return plain_form(weight_type({part}, format), in);
  PanelForm form;
  bool is_ordered = false;
  if (part.quant != nullptr) {
    form.kind = part.quant->kind;
    form.group = part.quant->group;
    form.scale = static_cast<ScaleType>(part.quant->scale);
    form.has_zeros = part.quant->has_zeros;
    is_ordered = part.quant->is_ordered;
  } else {
    form.kind = format == WeightFormat::kNf4 ? QuantKind::kTable4 : QuantKind::kFp8;
    form.group = format == WeightFormat::kNf4 ? kNf4Block : in;
  }
  form.groups = (in + form.group - 1) / form.group;
  form.run = form.groups == 1 ? kRun : std::gcd(form.group, kRun);
  if (is_ordered || form.run < kShortestRun) form.run = 0;
  const int64_t steps = has_four_bits(form.kind) ? 4 : 2;
  form.code_bytes = (in + steps - 1) / steps * kUnit;
  form.scale_bytes = form.groups * kPanel * (form.scale == kScaleF32 ? 4 : 2);
  form.zero_bytes = form.has_zeros ? padded(form.groups * kPanel) : 0;
  form.shared_bytes = (has_four_bits(form.kind) ? kUnit : 0) + (form.run == 0 ? padded(in * 4) : 0);
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
  const float* table = nullptr;  // the two are in QuantPanels::data
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

// Reads or makes the codes of a part, and lays its table and the groups of its steps into `memory`.
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
  if (part->form.run > 0) return {};
  auto* group_of = reinterpret_cast<int32_t*>(memory);
  if (!matrix.order.empty()) part->place.resize(static_cast<size_t>(view.cols));
  for (int64_t j = 0; j < view.cols; j++) {
    const int32_t input = matrix.order.empty() ? static_cast<int32_t>(j) : matrix.order[static_cast<size_t>(j)];
    group_of[input] = static_cast<int32_t>(j / matrix.group);
    if (!matrix.order.empty()) part->place[static_cast<size_t>(input)] = static_cast<int32_t>(j);
  }
  part->group_of = group_of;
  return {};
}

// Codes of one panel into zeroed units. False for a code that is no number.
bool fill_codes(const Part& part, const PanelRows& rows, char* codes) {
  const QuantMatrix& matrix = part.matrix;
  const bool nibbles = has_four_bits(matrix.kind);
  const int64_t steps = nibbles ? 4 : 2;
  auto* words = reinterpret_cast<uint32_t*>(codes);
  bool are_numbers = true;
  for (int32_t column = 0; column < kPanel; column++) {
    if (rows.part[column] == nullptr) continue;
    const uint8_t* row = matrix.codes.get() + rows.row[column] * matrix.row_bytes();
    for (int64_t k = 0; k < matrix.cols; k++) {
      const int64_t j = part.place.empty() ? k : part.place[static_cast<size_t>(k)];
      const uint32_t code = nibbles ? row[j / 2] >> (j % 2 == 0 ? 0 : 4) & 15u : row[j];
      if (matrix.kind == QuantKind::kFp8 && (code & 0x7f) == 0x7f) are_numbers = false;
      const int64_t field = k % steps * 2 + column / 16;
      words[k / steps * 16 + column % 16] |= code << field * (nibbles ? 4 : 8);
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

// A panel of rows of several parts, as floats.
void fill_floats(const std::vector<Part>& parts, const PanelRows& rows, int64_t in, float* panel) {
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
    for (int64_t k = 0; k < in; k++) panel[k * kPanel + column] = values[static_cast<size_t>(k)];
  }
}

// One panel at `memory`. False for a code that is no number.
bool fill_one(const std::vector<Part>& parts, const PanelRows& rows, int64_t only, const PanelForm& form, int64_t in,
              char* memory, QuantPanel* panel) {
  panel->codes = memory;
  panel->is_plain = form.is_plain;
  panel->plain = form.plain;
  if (only < 0) {
    fill_floats(parts, rows, in, reinterpret_cast<float*>(memory));
    return true;
  }
  if (form.is_plain) {
    fill_panel(rows, form.plain, in, memory);
    return true;
  }
  const Part& part = parts[static_cast<size_t>(only)];
  const QuantKind kind = part.matrix.kind;
  panel->code = has_four_bits(kind) ? kCodeTable4 : kind == QuantKind::kInt8 ? kCodeInt8 : kCodeFp8;
  panel->scale_type = form.scale;
  panel->group = static_cast<int32_t>(form.group);
  panel->run = static_cast<int32_t>(form.run);
  panel->scales = memory + form.code_bytes;
  auto* zeros = reinterpret_cast<int8_t*>(memory + form.code_bytes + form.scale_bytes);
  panel->zeros = part.matrix.zeros.empty() ? nullptr : zeros;
  panel->group_of = part.group_of;
  panel->table = part.table;
  fill_lines(part, rows, memory + form.code_bytes, zeros);
  return fill_codes(part, rows, memory);
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
  made->panels.resize(static_cast<size_t>(n_panels));
  std::atomic<bool> are_numbers{true};
  pool.run(static_cast<int32_t>(n_panels), [&](int32_t p, int32_t) {
    const size_t i = static_cast<size_t>(p);
    const PanelForm& form = only[i] < 0 ? floats : parts[static_cast<size_t>(only[i])].form;
    if (!fill_one(parts, rows_of_panel(views, layout, p), only[i], form, in, made->data.as<char>() + offsets[i],
                  &made->panels[i])) {
      are_numbers = false;
    }
  });
  return are_numbers ? Status{} : no_number();
}

void multiply_quant_panel(const Kernels& kernels, const QuantPanel& panel, const float* a, int32_t rows, int64_t first,
                          int64_t k, float* c, int64_t ldc) {
  if (!panel.is_plain) return kernels.quant_tile[panel.code][rows](panel, a, first, k, c, ldc);
  const StepGroup group = step_group(static_cast<WeightType>(panel.plain));
  kernels.tile[panel.plain][rows](a, panel.codes + first / group.steps * group.bytes, k, c, ldc);
}

}  // namespace chasqui::cpu
