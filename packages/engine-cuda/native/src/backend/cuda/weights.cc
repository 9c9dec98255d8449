// See weights.h.
#include "weights.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "../../checkpoint/quant.h"
#include "../../model/precision.h"
#include "../../model/quantise_matrix.h"
#include "../cpu/quantise.h"
#include "kernels/pack.h"

namespace chasqui::cuda {

namespace {

constexpr int32_t kRowsTogether = 8;  // rows that lie together in packed weights (pack.h)
const char* const kUse = "weights";

int64_t rows_of(const std::vector<MatrixView>& parts) {
  int64_t rows = 0;
  for (const MatrixView& part : parts) rows += part.rows;
  return rows;
}

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

// Row `row` of the parts stacked.
struct PlacedRow {
  size_t part = 0;
  int64_t row = 0;
};

PlacedRow place(const std::vector<MatrixView>& parts, int64_t row) {
  PlacedRow placed{0, row};
  while (placed.row >= parts[placed.part].rows) placed.row -= parts[placed.part++].rows;
  return placed;
}

// Beside each part that is quantised, or becomes NF4 or FP8, its codes; beside each other one an empty matrix.
using Unpacked = std::vector<QuantMatrix>;

bool is_coded(const QuantMatrix& matrix) { return matrix.codes != nullptr; }

Status encode(const WeightLoader& loader, const MatrixView& part, QuantKind kind, QuantMatrix* made) {
  if (Status status = prepare_quantised(kind, part.rows, part.cols, made); !status.ok()) return status;
  constexpr int64_t kRun = 32;
  loader.threads.run(static_cast<int32_t>((part.rows + kRun - 1) / kRun), [&](int32_t run, int32_t) {
    for (int64_t row = run * kRun; row < std::min(part.rows, (run + 1) * kRun); row++) quantise_row(part, row, made);
  });
  return {};
}

Status unpack(const WeightLoader& loader, const std::vector<MatrixView>& parts, WeightFormat format, Unpacked* made) {
  made->resize(parts.size());
  for (size_t i = 0; i < parts.size(); i++) {
    Status status;
    if (parts[i].quant != nullptr) status = parts[i].quant->unpack(&(*made)[i]);
    else if (format == WeightFormat::kNf4) status = encode(loader, parts[i], QuantKind::kTable4, &(*made)[i]);
    else if (format == WeightFormat::kFp8) status = encode(loader, parts[i], QuantKind::kFp8, &(*made)[i]);
    if (!status.ok()) return status;
  }
  return {};
}

void load_row(const std::vector<MatrixView>& parts, const Unpacked& unpacked, int64_t row, float* out) {
  const PlacedRow placed = place(parts, row);
  const MatrixView& part = parts[placed.part];
  if (is_coded(unpacked[placed.part])) return dequantise_row(unpacked[placed.part], placed.row, out);
  const auto* data = static_cast<const char*>(part.data) + placed.row * part.cols * dtype_bytes(part.type);
  load_elements(data, part.type, part.cols, out);
}

// ---- bf16 ----

void write_bf16_row(const std::vector<MatrixView>& parts, const Unpacked& unpacked, int64_t row, uint16_t* out) {
  const PlacedRow placed = place(parts, row);
  const MatrixView& part = parts[placed.part];
  const int64_t cols = part.cols;
  if (!is_coded(unpacked[placed.part]) && part.type == DType::kBF16) {
    std::memcpy(out, static_cast<const uint16_t*>(part.data) + placed.row * cols, static_cast<size_t>(cols) * 2);
    return;
  }
  std::vector<float> values(static_cast<size_t>(cols));
  load_row(parts, unpacked, row, values.data());
  for (int64_t i = 0; i < cols; i++) out[i] = float_to_bf16(values[static_cast<size_t>(i)]);
}

Status upload_bf16(const WeightLoader& loader, const std::vector<MatrixView>& parts, const Unpacked& unpacked,
                   const char* what, Buffer* made) {
  const int64_t cols = parts.front().cols;
  const int64_t rows = rows_of(parts);
  if (Status status = loader.pool.claim(rows * cols * 2, what, made); !status.ok()) return status;
  return loader.upload.run(made->as(), rows, cols * 2, [&](int64_t first, int64_t count, void* piece) {
    constexpr int64_t kRun = 16;
    loader.threads.run(static_cast<int32_t>((count + kRun - 1) / kRun), [&](int32_t run, int32_t) {
      for (int64_t i = run * kRun; i < std::min(count, (run + 1) * kRun); i++) {
        write_bf16_row(parts, unpacked, first + i, static_cast<uint16_t*>(piece) + i * cols);
      }
    });
  });
}

// ---- packed ----

// Eight rows as QuantMatrix has them.
struct RowGroup {
  std::vector<uint8_t> codes;  // (8, row bytes)
  std::vector<float> scales;   // (8, groups)
  std::vector<int8_t> zeros;   // like scales, or empty
};

struct PackedForm {
  WeightKind kind = WeightKind::kInt8;
  ScaleKind scale_kind = ScaleKind::kBF16;
  int64_t out = 0, in = 0;
  int32_t group = 0;  // as in DeviceLinear
  bool has_zeros = false;

  int64_t row_bytes() const { return kind == WeightKind::kInt4 || kind == WeightKind::kTable4 ? in / 2 : in; }
  int64_t groups() const { return group == 0 ? 1 : (in + group - 1) / group; }
  int64_t row_groups() const { return round_up(out, 2 * kRowsTogether) / kRowsTogether; }
  PackShape shape() const { return {kind, static_cast<int32_t>(out), static_cast<int32_t>(in), group}; }
  int64_t code_bytes() const { return packed_code_bytes(shape()); }
  int64_t scale_width() const { return scale_kind == ScaleKind::kF32 ? 4 : 2; }
  int64_t scale_count() const { return packed_scale_count(shape()); }
  int64_t bytes() const {
    return Pool::rounded(code_bytes()) + Pool::rounded(scale_count() * scale_width()) +
           (has_zeros ? Pool::rounded(scale_count()) : 0) + (kind == WeightKind::kTable4 ? Pool::rounded(16 * 2) : 0);
  }
};

Status upload_bytes(const WeightLoader& loader, const void* data, int64_t bytes, Buffer* made) {
  if (Status status = loader.pool.claim(bytes, kUse, made); !status.ok()) return status;
  return loader.upload.run(made->as(), bytes, 1, [&](int64_t first, int64_t count, void* piece) {
    std::memcpy(piece, static_cast<const char*>(data) + first, static_cast<size_t>(count));
  });
}

// fill(first_row, rows, group): codes and scales of `rows` rows from first_row on.
template <typename Fill>
Status upload_packed(const WeightLoader& loader, const PackedForm& form, const Fill& fill, CudaLinear* made) {
  const PackShape shape = form.shape();
  const int64_t row_groups = form.row_groups();
  const int64_t unit_bytes = form.code_bytes() / row_groups;
  const int64_t unit_scales = form.scale_count() / row_groups;
  std::vector<uint8_t> scales(static_cast<size_t>(form.scale_count() * form.scale_width()));
  std::vector<int8_t> zeros(form.has_zeros ? static_cast<size_t>(form.scale_count()) : 0);
  if (Status status = loader.pool.claim(form.code_bytes(), kUse, &made->codes); !status.ok()) return status;
  Status status = loader.upload.run(made->codes.as(), row_groups, unit_bytes, [&](int64_t first, int64_t count, void* piece) {
    std::memset(piece, 0, static_cast<size_t>(count * unit_bytes));
    loader.threads.run(static_cast<int32_t>(count), [&](int32_t i, int32_t) {
      const int64_t at = first + i;
      const auto rows = static_cast<int32_t>(std::min<int64_t>(kRowsTogether, form.out - at * kRowsTogether));
      if (rows <= 0) return;
      RowGroup group;
      group.codes.resize(static_cast<size_t>(kRowsTogether * form.row_bytes()));
      group.scales.resize(static_cast<size_t>(kRowsTogether * form.groups()));
      if (form.has_zeros) group.zeros.resize(group.scales.size());
      fill(at * kRowsTogether, rows, &group);
      // Eight rows lie together, so each group is packed as the first of a matrix that begins with it.
      pack_codes(shape, group.codes.data(), rows, 0, static_cast<uint8_t*>(piece) + i * unit_bytes);
      pack_scales(shape, form.scale_kind, group.scales.data(), rows, 0, scales.data() + at * unit_scales * form.scale_width());
      if (form.has_zeros) pack_zeros(shape, group.zeros.data(), rows, 0, zeros.data() + at * unit_scales);
    });
  });
  if (status.ok()) status = upload_bytes(loader, scales.data(), static_cast<int64_t>(scales.size()), &made->scales);
  if (status.ok() && form.has_zeros) status = upload_bytes(loader, zeros.data(), static_cast<int64_t>(zeros.size()), &made->zeros);
  if (!status.ok()) return status;
  made->linear.kind = form.kind;
  made->linear.codes = made->codes.as();
  made->linear.group = form.group;
  made->linear.scale_kind = form.scale_kind;
  made->linear.scales = made->scales.as();
  made->linear.zeros = made->zeros.as<int8_t>();
  return {};
}

// ---- quantised on load ----

PackedForm form_of(const std::vector<MatrixView>& parts, WeightFormat format) {
  PackedForm form;
  form.kind = format == WeightFormat::kInt8 ? WeightKind::kInt8 : WeightKind::kInt4;
  form.out = rows_of(parts);
  form.in = parts.front().cols;
  form.group = format == WeightFormat::kInt8 ? cpu::kInt8Scheme.group : cpu::kInt4Scheme.group;
  return form;
}

Status load_quantised(const WeightLoader& loader, const std::vector<MatrixView>& parts, const Unpacked& unpacked,
                      WeightFormat format, CudaLinear* made) {
  const PackedForm form = form_of(parts, format);
  const bool is_int4 = form.kind == WeightKind::kInt4;
  return upload_packed(loader, form, [&](int64_t first_row, int32_t rows, RowGroup* group) {
    std::vector<float> values(static_cast<size_t>(form.in));
    std::vector<int8_t> q(static_cast<size_t>(form.group));
    for (int32_t row = 0; row < rows; row++) {
      load_row(parts, unpacked, first_row + row, values.data());
      uint8_t* codes = group->codes.data() + row * form.row_bytes();
      for (int64_t k = 0; k < form.in; k += form.group) {
        const auto n = static_cast<int32_t>(std::min<int64_t>(form.group, form.in - k));
        float* scale = &group->scales[static_cast<size_t>(row * form.groups() + k / form.group)];
        cpu::quantise_group(values.data() + k, n, is_int4 ? 4 : 8, q.data(), scale);
        for (int32_t i = 0; i < n; i++) {
          const auto code = static_cast<uint8_t>(q[static_cast<size_t>(i)]);
          if (!is_int4) codes[k + i] = code;
          else codes[(k + i) / 2] |= static_cast<uint8_t>(((code + 8) & 15) << (k + i) % 2 * 4);
        }
      }
    }
  }, made);
}

// ---- quantised in the checkpoint ----

WeightKind kind_of(QuantKind kind) {
  switch (kind) {
    case QuantKind::kInt4: return WeightKind::kInt4;
    case QuantKind::kInt8: return WeightKind::kInt8;
    case QuantKind::kFp8: return WeightKind::kFp8;
    case QuantKind::kTable4: return WeightKind::kTable4;
  }
  return WeightKind::kInt8;
}

bool same_form(const QuantMatrix& a, const QuantMatrix& b) {
  return a.kind == b.kind && a.cols == b.cols && a.group == b.group && a.order == b.order && a.table == b.table;
}

ScaleKind scale_kind_of(const Unpacked& matrices) {
  for (const ScaleKind kind : {ScaleKind::kBF16, ScaleKind::kF16}) {
    const bool fits = std::all_of(matrices.begin(), matrices.end(), [&](const QuantMatrix& matrix) {
      return scales_fit(kind, matrix.scales.data(), static_cast<int64_t>(matrix.scales.size()));
    });
    if (fits) return kind;
  }
  return ScaleKind::kF32;
}

bool describe(const std::vector<MatrixView>& parts, const Unpacked& matrices, PackedForm* form) {
  if (!std::all_of(matrices.begin(), matrices.end(), is_coded)) return false;
  const QuantMatrix& first = matrices.front();
  for (const QuantMatrix& matrix : matrices) {
    if (!same_form(matrix, first)) return false;
    if (!matrix.zeros.empty()) form->has_zeros = true;
  }
  form->kind = kind_of(first.kind);
  form->scale_kind = scale_kind_of(matrices);
  form->out = rows_of(parts);
  form->in = first.cols;
  form->group = first.group >= first.cols ? 0 : static_cast<int32_t>(first.group);
  DeviceLinear linear;
  linear.kind = form->kind;
  linear.out = static_cast<int32_t>(form->out);
  linear.in = static_cast<int32_t>(form->in);
  linear.group = form->group;
  linear.scale_kind = form->scale_kind;
  static const int8_t some_zero = 0;
  if (form->has_zeros) linear.zeros = &some_zero;
  return refuses(linear) == nullptr;
}

Status load_as_it_is(const WeightLoader& loader, const std::vector<MatrixView>& parts, const Unpacked& matrices,
                     const PackedForm& form, CudaLinear* made) {
  const QuantMatrix& like = matrices.front();
  const int8_t no_zero = form.kind == WeightKind::kInt4 ? 8 : 0;
  Status status = upload_packed(loader, form, [&](int64_t first_row, int32_t rows, RowGroup* group) {
    for (int32_t row = 0; row < rows; row++) {
      const PlacedRow placed = place(parts, first_row + row);
      const QuantMatrix& matrix = matrices[placed.part];
      const int64_t bytes = matrix.row_bytes();
      std::memcpy(group->codes.data() + row * bytes, matrix.codes.get() + placed.row * bytes, static_cast<size_t>(bytes));
      for (int64_t g = 0; g < form.groups(); g++) {
        const auto from = static_cast<size_t>(placed.row * matrix.groups() + g);
        const auto to = static_cast<size_t>(row * form.groups() + g);
        group->scales[to] = matrix.scales[from];
        if (!form.has_zeros) continue;
        group->zeros[to] = !matrix.zeros.empty() ? matrix.zeros[from] : no_zero;
      }
    }
  }, made);
  if (status.ok() && form.kind == WeightKind::kTable4) {
    uint16_t table[16];
    for (int32_t i = 0; i < 16; i++) table[i] = float_to_bf16(like.table[static_cast<size_t>(i)]);
    status = upload_bytes(loader, table, sizeof table, &made->table);
    made->linear.table = made->table.as<uint16_t>();
  }
  if (status.ok() && !like.order.empty()) {
    status = upload_bytes(loader, like.order.data(), static_cast<int64_t>(like.order.size() * sizeof(int32_t)), &made->order);
    made->linear.order = made->order.as<int32_t>();
  }
  return status;
}

}  // namespace

int64_t device_linear_bytes(const std::vector<MatrixView>& parts, WeightFormat format) {
  const int64_t out = rows_of(parts), in = parts.front().cols;
  const bool plain = std::all_of(parts.begin(), parts.end(), [](const MatrixView& part) { return part.quant == nullptr; });
  if (plain && format == WeightFormat::kAsStored) return Pool::rounded(out * in * 2);
  if (plain && format == WeightFormat::kNf4) {
    // A scale is the largest value of its group, so it is as wide as these are.
    const bool narrow = std::all_of(parts.begin(), parts.end(), [&](const MatrixView& part) {
      return part.type == parts.front().type && part.type != DType::kF32;
    });
    return PackedForm{WeightKind::kTable4, narrow ? ScaleKind::kBF16 : ScaleKind::kF32, out, in, 64, false}.bytes();
  }
  if (plain && format == WeightFormat::kFp8) return PackedForm{WeightKind::kFp8, ScaleKind::kF32, out, in, 0, false}.bytes();
  if (plain) return form_of(parts, format).bytes();
  // Parts of one form stay what they are; others become bf16, which is more.
  PackedForm form{WeightKind::kInt8, ScaleKind::kBF16, out, in, 0, false};
  for (const MatrixView& part : parts) {
    if (part.quant == nullptr || part.quant->kind != parts.front().quant->kind || part.quant->group != parts.front().quant->group) {
      return Pool::rounded(out * in * 2);
    }
    form.kind = kind_of(part.quant->kind);
    form.group = part.quant->group >= in ? 0 : static_cast<int32_t>(part.quant->group);
    form.has_zeros |= part.quant->has_zeros;
    if (part.quant->scale == QuantScale::kF32 || parts.front().quant->scale != part.quant->scale) form.scale_kind = ScaleKind::kF32;
  }
  if (form.group != 0 && form.group < 16) return Pool::rounded(out * in * 2);
  return form.bytes();
}

Status load_linear(const WeightLoader& loader, const std::vector<MatrixView>& parts, WeightFormat format, CudaLinear* made) {
  made->linear.out = static_cast<int32_t>(rows_of(parts));
  made->linear.in = static_cast<int32_t>(parts.front().cols);
  Unpacked unpacked;
  if (Status status = unpack(loader, parts, format, &unpacked); !status.ok()) return status;
  PackedForm form;
  Status status;
  if (describe(parts, unpacked, &form)) {
    status = load_as_it_is(loader, parts, unpacked, form, made);
  } else if (format == WeightFormat::kInt8 || format == WeightFormat::kInt4) {
    status = load_quantised(loader, parts, unpacked, format, made);
  } else {
    status = upload_bf16(loader, parts, unpacked, kUse, &made->codes);
    made->linear.kind = WeightKind::kBF16;
    made->linear.codes = made->codes.as();
  }
  if (!status.ok()) return status;
  if (const char* why = refuses(made->linear)) {
    return failure(Reason::kUnsupported, std::string("The CUDA kernels cannot run this model: ") + why + ".",
                   "Use the device \"cpu\", or the checkpoint in bf16.");
  }
  return {};
}

Status load_bf16(const WeightLoader& loader, const std::vector<MatrixView>& parts, const char* what, Buffer* made) {
  Unpacked unpacked;
  if (Status status = unpack(loader, parts, WeightFormat::kAsStored, &unpacked); !status.ok()) return status;
  return upload_bf16(loader, parts, unpacked, what, made);
}

Status load_floats(const WeightLoader& loader, const std::vector<float>& values, const char* what, Buffer* made) {
  const auto bytes = static_cast<int64_t>(values.size() * sizeof(float));
  if (Status status = loader.pool.claim(bytes, what, made); !status.ok()) return status;
  return loader.upload.run(made->as(), bytes, 1, [&](int64_t first, int64_t count, void* piece) {
    std::memcpy(piece, reinterpret_cast<const char*>(values.data()) + first, static_cast<size_t>(count));
  });
}

}  // namespace chasqui::cuda
