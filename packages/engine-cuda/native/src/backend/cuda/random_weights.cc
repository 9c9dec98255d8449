// See random_weights.h.
#include "random_weights.h"

#include <cmath>

#include "../../checkpoint/quant.h"
#include "../../model/precision.h"
#include "kernels/pack.h"

namespace chasqui::cuda {

namespace {

struct ScaleForm {
  int32_t group;     // as in DeviceLinear
  ScaleKind kind;
  float code_rms;    // of random codes
};

ScaleForm scale_form(WeightKind kind) {
  switch (kind) {
    case WeightKind::kFp8: return {0, ScaleKind::kF32, 0.5f};
    case WeightKind::kInt8: return {128, ScaleKind::kBF16, 73.9f};
    case WeightKind::kInt4: return {128, ScaleKind::kBF16, 4.6f};
    case WeightKind::kTable4: return {64, ScaleKind::kF32, 0.5f};
    case WeightKind::kBF16: break;
  }
  return {0, ScaleKind::kF32, 1.0f};
}

PackShape pack_shape(WeightKind kind, int64_t out, int64_t in) {
  return {kind, static_cast<int32_t>(out), static_cast<int32_t>(in), scale_form(kind).group};
}

int64_t scale_bytes(const PackShape& shape) {
  return packed_scale_count(shape) * (scale_form(shape.kind).kind == ScaleKind::kF32 ? 4 : 2);
}

Status send_table(Runtime& runtime, Pool& pool, Buffer* made) {
  Pinned table;
  if (Status status = table.claim(runtime, 32, "a table of weights"); !status.ok()) return status;
  for (int i = 0; i < 16; i++) table.as<uint16_t>()[i] = float_to_bf16(kNf4Table[static_cast<size_t>(i)]);
  if (Status status = pool.claim(32, "a table of weights", made); !status.ok()) return status;
  if (Status status = runtime.upload(made->as(), table.as(), 32); !status.ok()) return status;
  return runtime.wait();
}

}  // namespace

int64_t random_linear_bytes(WeightKind kind, int64_t out, int64_t in) {
  if (kind == WeightKind::kBF16) return out * in * 2;
  const PackShape shape = pack_shape(kind, out, in);
  return packed_code_bytes(shape) + scale_bytes(shape);
}

Status random_linear(const Target& target, Runtime& runtime, Pool& pool, WeightKind kind, int64_t out, int64_t in, uint64_t seed,
                     CudaLinear* made) {
  DeviceLinear& linear = made->linear;
  linear.kind = kind;
  linear.out = static_cast<int32_t>(out);
  linear.in = static_cast<int32_t>(in);
  const float unit = 1.0f / std::sqrt(static_cast<float>(in));
  if (kind == WeightKind::kBF16) {
    if (Status status = pool.claim(out * in * 2, "random weights", &made->codes); !status.ok()) return status;
    random_bf16(target, made->codes, 1.7320508f * unit, seed);
    linear.codes = made->codes.as();
    return runtime.launched();
  }
  const ScaleForm form = scale_form(kind);
  const PackShape shape = pack_shape(kind, out, in);
  const int64_t codes = packed_code_bytes(shape);
  if (Status status = pool.claim(codes, "random weights", &made->codes); !status.ok()) return status;
  if (Status status = pool.claim(scale_bytes(shape), "random scales", &made->scales); !status.ok()) return status;
  fill_codes(target, kind, made->codes.as(), codes, seed);
  const float scale = unit / form.code_rms;
  const int64_t n = packed_scale_count(shape);
  if (form.kind == ScaleKind::kF32) fill_f32(target, made->scales.as<float>(), n, scale, 0.1f * scale, seed + 1);
  else fill_bf16(target, made->scales.as<uint16_t>(), n, 1.7320508f * scale, seed + 1);
  if (kind == WeightKind::kTable4) {
    if (Status status = send_table(runtime, pool, &made->table); !status.ok()) return status;
  }
  linear.codes = made->codes.as();
  linear.group = form.group;
  linear.scale_kind = form.kind;
  linear.scales = made->scales.as();
  linear.table = made->table.as<uint16_t>();
  return runtime.launched();
}

void random_bf16(const Target& target, const Buffer& buffer, float scale, uint64_t seed) {
  fill_bf16(target, buffer.as<uint16_t>(), buffer.bytes() / 2, scale, seed);
}

void random_codes(const Target& target, const Buffer& buffer, uint64_t seed) {
  fill_codes(target, WeightKind::kFp8, buffer.as(), buffer.bytes() / 8 * 8, seed);
}

}  // namespace chasqui::cuda
