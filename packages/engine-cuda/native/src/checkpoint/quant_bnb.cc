// bitsandbytes. Four bits (nf4, fp4): `weight` holds out*in/2 bytes of any type, flat over the rows, high nibble first;
// weight.quant_map F32 [16]; weight.absmax F32 [out*in/block], or U8 with weight.nested_absmax and
// weight.nested_quant_map F32 [256]; weight.quant_state.bitsandbytes__nf4 (or __fp4) U8: the rest as JSON text. value =
// quant_map[code] * absmax. Eight bits: weight I8 [out, in], SCB F32 [out]; value = code * SCB / 127.
#include <algorithm>

#include "quant_module.h"

namespace chasqui {
namespace {

struct FourBitTensors {
  Tensor weight;
  Tensor absmax;
  Tensor nested_absmax;  // without data where absmax is not nested
  Tensor nested_map;
  std::array<float, 16> table = {};
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t block = 64;
  int64_t nested_block = 256;
  float nested_offset = 0.0f;
};

Status unpack_four_bit(const FourBitTensors& from, QuantMatrix* matrix) {
  if (Status status = new_matrix(QuantKind::kTable4, from.rows, from.cols, from.block, matrix); !status.ok()) {
    return status;
  }
  matrix->table = from.table;
  const size_t bytes = static_cast<size_t>(from.rows * from.cols / 2);
  for (size_t i = 0; i < bytes; i++) {
    const uint8_t pair = static_cast<uint8_t>(from.weight.data[i]);
    matrix->codes[i] = static_cast<uint8_t>(pair >> 4 | pair << 4);
  }
  if (from.nested_absmax.data == nullptr) return read_floats(from.absmax, &matrix->scales);
  std::vector<float> outer;
  std::vector<float> map;
  if (Status status = read_floats(from.nested_absmax, &outer); !status.ok()) return status;
  if (Status status = read_floats(from.nested_map, &map); !status.ok()) return status;
  for (int64_t i = 0; i < from.absmax.elements(); i++) {
    const size_t code = static_cast<size_t>(from.absmax.data[i]);
    const float scaled = map[code] * outer[static_cast<size_t>(i / from.nested_block)];
    matrix->scales.push_back(scaled + from.nested_offset);
  }
  return {};
}

// The JSON text in the U8 tensor quant_state.
Status read_state(const QuantModule& module, const Tensor& state, FourBitTensors* tensors) {
  JsonValue json;
  std::string error;
  const std::string_view text(reinterpret_cast<const char*>(state.data), static_cast<size_t>(state.bytes));
  JsonLimits limits;
  limits.bytes = 1 << 16;
  if (state.type != TensorType::kU8 || !parse_json(text, limits, &json, &error)) {
    return module.bad(state, "a JSON text in U8");
  }
  const auto whole = [&json](const char* key, int64_t otherwise) {
    const JsonValue* value = json.find(key);
    return value == nullptr || value->integer() == nullptr ? otherwise : *value->integer();
  };
  tensors->block = whole("blocksize", 0);
  tensors->nested_block = whole("nested_blocksize", 256);
  if (tensors->block < 2 || tensors->block > 1 << 16 || tensors->nested_block < 1 || tensors->nested_block > 1 << 16) {
    return module.bad(state, "a blocksize");
  }
  if (module.cols % tensors->block != 0) {
    return module.unsupported("blocks of " + std::to_string(tensors->block) + " weights that cross rows");
  }
  double offset = 0.0;
  const JsonValue* given = json.find("nested_offset");
  if (given != nullptr && !given->is_null() && !given->number(&offset)) return module.bad(state, "a nested_offset");
  tensors->nested_offset = static_cast<float>(offset);
  const JsonValue* shape = json.find("shape");
  const JsonArray* sizes = shape == nullptr ? nullptr : shape->array();
  const bool fits = sizes != nullptr && sizes->size() == 2 && (*sizes)[0].integer() != nullptr &&
                    (*sizes)[1].integer() != nullptr && *(*sizes)[0].integer() == module.rows &&
                    *(*sizes)[1].integer() == module.cols;
  return fits ? Status{} : module.bad(state, "the shape of this matrix");
}

Status find_four_bit(const QuantModule& module, const Tensor& state, std::shared_ptr<QuantSource>* source) {
  FourBitTensors tensors;
  tensors.rows = module.rows;
  tensors.cols = module.cols;
  if (Status status = read_state(module, state, &tensors); !status.ok()) return status;
  const int64_t blocks = module.rows * module.cols / tensors.block;
  const Tensor* weight = module.find("weight");
  if (weight == nullptr || weight->bytes != module.rows * module.cols / 2) {
    return module.bad(weight == nullptr ? state : *weight,
                      std::to_string(module.rows * module.cols / 2) + " bytes of codes");
  }
  const Tensor* absmax = nullptr;
  const Tensor* map = nullptr;
  Status status = module.expect("weight.quant_map", {TensorType::kF32}, {16}, &map);
  if (status.ok()) status = module.expect("weight.absmax", {TensorType::kF32, TensorType::kU8}, {blocks}, &absmax);
  if (status.ok() && absmax->type == TensorType::kU8) {
    const Tensor* nested = nullptr;
    const int64_t outer = (blocks + tensors.nested_block - 1) / tensors.nested_block;
    status = module.expect("weight.nested_absmax", {TensorType::kF32}, {outer}, &nested);
    if (status.ok()) tensors.nested_absmax = *nested;
    if (status.ok()) status = module.expect("weight.nested_quant_map", {TensorType::kF32}, {256}, &nested);
    if (status.ok()) tensors.nested_map = *nested;
  }
  std::vector<float> table;
  if (status.ok()) status = read_floats(*map, &table);
  if (!status.ok()) return status;
  std::copy(table.begin(), table.end(), tensors.table.begin());
  tensors.weight = *weight;
  tensors.absmax = *absmax;
  auto found = std::make_shared<QuantSource>();
  found->kind = QuantKind::kTable4;
  found->group = tensors.block;
  found->stored = stored_bytes({weight, absmax, &tensors.nested_absmax});
  found->unpack = [tensors = std::move(tensors)](QuantMatrix* matrix) { return unpack_four_bit(tensors, matrix); };
  *source = std::move(found);
  return {};
}

Status unpack_eight_bit(const Tensor& weight, const Tensor& scb, QuantMatrix* matrix) {
  if (Status status = new_matrix(QuantKind::kInt8, weight.shape[0], weight.shape[1], weight.shape[1], matrix);
      !status.ok()) {
    return status;
  }
  if (Status status = read_floats(scb, &matrix->scales); !status.ok()) return status;
  for (float& scale : matrix->scales) scale /= 127.0f;
  std::memcpy(matrix->codes.get(), weight.data, static_cast<size_t>(weight.bytes));
  return {};
}

Status find_eight_bit(const QuantModule& module, std::shared_ptr<QuantSource>* source) {
  const Tensor* weight = nullptr;
  const Tensor* scb = nullptr;
  Status status = module.expect("weight", {TensorType::kI8}, {module.rows, module.cols}, &weight);
  if (status.ok()) status = module.expect("SCB", {TensorType::kF32}, {module.rows}, &scb);
  const Tensor* layout = module.find("weight_format");  // 0: by rows; others are layouts of one generation of devices
  if (status.ok() && layout != nullptr && (layout->bytes < 1 || layout->data[0] != std::byte{0})) {
    status = module.unsupported("a weight_format other than rows");
  }
  if (!status.ok()) return status;
  auto found = std::make_shared<QuantSource>();
  found->kind = QuantKind::kInt8;
  found->group = module.cols;
  found->stored = stored_bytes({weight, scb});
  found->unpack = [weight = *weight, scb = *scb](QuantMatrix* matrix) { return unpack_eight_bit(weight, scb, matrix); };
  *source = std::move(found);
  return {};
}

}  // namespace

Status find_bitsandbytes(const QuantModule& module, std::shared_ptr<QuantSource>* source) {
  for (const char* name : {"weight.quant_state.bitsandbytes__nf4", "weight.quant_state.bitsandbytes__fp4"}) {
    if (const Tensor* state = module.find(name)) return find_four_bit(module, *state, source);
  }
  const Tensor* weight = module.find("weight");
  if (weight != nullptr && weight->type == TensorType::kI8) return find_eight_bit(module, source);
  return {};
}

}  // namespace chasqui
