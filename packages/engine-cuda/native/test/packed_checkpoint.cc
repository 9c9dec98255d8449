// See packed_checkpoint.h. A layout for each format; the codes come from packed_codes.h.
#include "packed_checkpoint.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <numeric>
#include <sstream>

#include "packed_codes.h"
#include "src/checkpoint/quant.h"
#include "src/model/config.h"
#include "src/model/precision.h"
#include "src/model/weights.h"

namespace chasqui {
namespace {

constexpr int kAwqOrder[8] = {0, 2, 4, 6, 1, 3, 5, 7};

void pack_awq(const Matrix& m, Writer* out) {
  const Codes codes = encode(m, 4, Zeros::kFree, false);
  std::vector<uint32_t> words, zeros;
  for (int64_t k = 0; k < m.cols; k++) {
    for (int64_t c = 0; c < m.rows / 8; c++) {
      uint32_t word = 0;
      for (int i = 0; i < 8; i++) word |= static_cast<uint32_t>(codes.q[m.index(8 * c + kAwqOrder[i], k)]) << 4 * i;
      words.push_back(word);
    }
  }
  for (int64_t g = 0; g < codes.groups; g++) {
    for (int64_t c = 0; c < m.rows / 8; c++) {
      uint32_t word = 0;
      for (int i = 0; i < 8; i++) {
        word |= static_cast<uint32_t>(codes.z[static_cast<size_t>((8 * c + kAwqOrder[i]) * codes.groups + g)]) << 4 * i;
      }
      zeros.push_back(word);
    }
  }
  out->add(m.name + ".qweight", "I32", {m.cols, m.rows / 8}, words);
  out->add(m.name + ".qzeros", "I32", {codes.groups, m.rows / 8}, zeros);
  out->add_f16(m.name + ".scales", {codes.groups, m.rows}, transposed(codes.s, m.rows, codes.groups));
}

void pack_gptq(const Matrix& m, int bits, int version, Zeros kind, bool by_norm, Writer* out) {
  const Codes codes = encode(m, bits, kind, by_norm);
  const int64_t per_word = 32 / bits;
  const uint32_t mask = (1u << bits) - 1;
  std::vector<uint32_t> words, zeros;
  for (int64_t r = 0; r < m.cols / per_word; r++) {
    for (int64_t n = 0; n < m.rows; n++) {
      uint32_t word = 0;
      for (int i = 0; i < per_word; i++) word |= static_cast<uint32_t>(codes.q[m.index(n, r * per_word + i)]) << bits * i;
      words.push_back(word);
    }
  }
  for (int64_t g = 0; g < codes.groups; g++) {
    for (int64_t c = 0; c < m.rows / per_word; c++) {
      uint32_t word = 0;
      for (int i = 0; i < per_word; i++) {
        const uint32_t zero = codes.z[static_cast<size_t>((c * per_word + i) * codes.groups + g)];
        word |= ((zero - (version == 1 ? 1u : 0u)) & mask) << bits * i;
      }
      zeros.push_back(word);
    }
  }
  out->add(m.name + ".qweight", "I32", {m.cols / per_word, m.rows}, words);
  out->add(m.name + ".qzeros", "I32", {codes.groups, m.rows / per_word}, zeros);
  out->add_f16(m.name + ".scales", {codes.groups, m.rows}, transposed(codes.s, m.rows, codes.groups));
  out->add(m.name + ".g_idx", "I32", {m.cols}, codes.g_idx);
}

void pack_ct_int4(const Matrix& m, Writer* out) {
  const Codes codes = encode(m, 4, Zeros::kCentre, false);
  std::vector<uint32_t> words;
  for (int64_t row = 0; row < m.rows; row++) {
    for (int64_t c = 0; c < m.cols / 8; c++) {
      uint32_t word = 0;
      for (int i = 0; i < 8; i++) word |= static_cast<uint32_t>(codes.q[m.index(row, 8 * c + i)]) << 4 * i;
      words.push_back(word);
    }
  }
  out->add(m.name + ".weight_packed", "I32", {m.rows, m.cols / 8}, words);
  out->add_f16(m.name + ".weight_scale", {m.rows, codes.groups}, codes.s);
  out->add(m.name + ".weight_shape", "I64", {2}, std::vector<int64_t>{m.rows, m.cols});
}

// ---- A byte to a weight ----

// Codes of one row or block with its scale; `top` is the largest magnitude that a code stands for.
std::vector<uint8_t> encode_bytes(const Matrix& m, float top, const std::function<float(int64_t, int64_t)>& scale) {
  std::vector<uint8_t> codes;
  for (int64_t row = 0; row < m.rows; row++) {
    for (int64_t col = 0; col < m.cols; col++) {
      const float value = m.at(row, col) / scale(row, col);
      codes.push_back(top == 448.0f ? float_to_e4m3(value)
                                    : static_cast<uint8_t>(static_cast<int8_t>(std::lround(std::clamp(value, -top, top)))));
    }
  }
  return codes;
}

std::vector<float> row_scales(const Matrix& m, float top) {
  std::vector<float> scales;
  for (int64_t row = 0; row < m.rows; row++) {
    scales.push_back(bf16_to_float(float_to_bf16(std::max(largest(m.w.data() + row * m.cols, m.cols), 1e-8f) / top * 1.01f)));
  }
  return scales;
}

void pack_rows(const Matrix& m, float top, const char* type, bool is_bf16, Writer* out) {
  const std::vector<float> scales = row_scales(m, top);
  out->add(m.name + ".weight", type, {m.rows, m.cols},
           encode_bytes(m, top, [&](int64_t row, int64_t) { return scales[static_cast<size_t>(row)]; }));
  if (is_bf16) {
    out->add_bf16(m.name + ".weight_scale", {m.rows, 1}, scales);
  } else {
    out->add(m.name + ".weight_scale", "F32", {m.rows, 1}, scales);
  }
}

void pack_fp8_blocks(const Matrix& m, Writer* out) {
  constexpr int64_t kBlock = 128;
  const int64_t down = (m.rows + kBlock - 1) / kBlock, across = (m.cols + kBlock - 1) / kBlock;
  std::vector<float> scales(static_cast<size_t>(down * across), 1e-8f);
  const auto place = [&](int64_t row, int64_t col) { return static_cast<size_t>(row / kBlock * across + col / kBlock); };
  for (int64_t row = 0; row < m.rows; row++) {
    for (int64_t col = 0; col < m.cols; col++) {
      scales[place(row, col)] = std::max(scales[place(row, col)], std::fabs(m.at(row, col)) / 448.0f);
    }
  }
  out->add(m.name + ".weight", "F8_E4M3", {m.rows, m.cols},
           encode_bytes(m, 448.0f, [&](int64_t row, int64_t col) { return scales[place(row, col)]; }));
  out->add(m.name + ".weight_scale_inv", "F32", {down, across}, scales);
}

void pack_bnb_int8(const Matrix& m, Writer* out) {
  std::vector<float> scb;
  for (int64_t row = 0; row < m.rows; row++) scb.push_back(largest(m.w.data() + row * m.cols, m.cols));
  out->add(m.name + ".weight", "I8", {m.rows, m.cols},
           encode_bytes(m, 127.0f, [&](int64_t row, int64_t) { return scb[static_cast<size_t>(row)] / 127.0f; }));
  out->add(m.name + ".SCB", "F32", {m.rows}, scb);
}

// ---- Tables of sixteen values ----

const float kFp4Table[16] = {0.0f,  0.0052083333f,  0.6666667f,  1.0f,  0.3333333f,  0.5f,  0.1666667f,  0.25f,
                             -0.0f, -0.0052083333f, -0.6666667f, -1.0f, -0.3333333f, -0.5f, -0.1666667f, -0.25f};

// The scales of NF4 in a byte each: 256 steps from -1 to 1, times the largest of 256 scales, around their mean.
void add_nested_scales(const Matrix& m, const std::vector<float>& absmax, std::string* state, Writer* out) {
  constexpr size_t kOuter = 256;
  std::vector<float> map, outer;
  std::vector<uint8_t> codes;
  for (int i = 0; i < 256; i++) map.push_back(static_cast<float>(i - 127) / 128.0f);
  const float mean = std::accumulate(absmax.begin(), absmax.end(), 0.0f) / static_cast<float>(absmax.size());
  for (size_t first = 0; first < absmax.size(); first += kOuter) {
    float widest = 1e-9f;
    for (size_t i = first; i < std::min(absmax.size(), first + kOuter); i++) widest = std::max(widest, std::fabs(absmax[i] - mean));
    outer.push_back(widest);
    for (size_t i = first; i < std::min(absmax.size(), first + kOuter); i++) {
      codes.push_back(static_cast<uint8_t>(std::clamp(std::lround((absmax[i] - mean) / widest * 128.0f) + 127, 0l, 255l)));
    }
  }
  char text[96];
  std::snprintf(text, sizeof text, ", \"nested_blocksize\": 256, \"nested_dtype\": \"float32\", \"nested_offset\": %.9g", static_cast<double>(mean));
  *state += text;
  out->add(m.name + ".weight.absmax", "U8", {static_cast<int64_t>(codes.size())}, codes);
  out->add(m.name + ".weight.nested_absmax", "F32", {static_cast<int64_t>(outer.size())}, outer);
  out->add(m.name + ".weight.nested_quant_map", "F32", {256}, map);
}

void pack_table(const Matrix& m, const char* kind, const float* table, bool is_nested, Writer* out) {
  std::vector<float> absmax;
  std::vector<uint8_t> codes;
  for (size_t first = 0; first < m.w.size(); first += kGroup) {
    absmax.push_back(largest(m.w.data() + first, kGroup));
    for (size_t i = first; i < first + kGroup; i++) {
      const float value = absmax.back() == 0 ? 0 : m.w[i] / absmax.back();
      uint8_t best = 0;
      for (uint8_t code = 1; code < 16; code++) {
        if (std::fabs(table[code] - value) < std::fabs(table[best] - value)) best = code;
      }
      if (i % 2 == 0) codes.push_back(static_cast<uint8_t>(best << 4));
      else codes.back() = static_cast<uint8_t>(codes.back() | best);
    }
  }
  std::string state = std::string("{\"quant_type\": \"") + kind + "\", \"blocksize\": 64, \"dtype\": \"bfloat16\", \"shape\": [" +
                      std::to_string(m.rows) + ", " + std::to_string(m.cols) + "]";
  out->add(m.name + ".weight", "U8", {static_cast<int64_t>(codes.size()), 1}, codes);
  out->add(m.name + ".weight.quant_map", "F32", {16}, std::vector<float>(table, table + 16));
  if (is_nested) {
    add_nested_scales(m, absmax, &state, out);
  } else {
    out->add(m.name + ".weight.absmax", "F32", {static_cast<int64_t>(absmax.size())}, absmax);
  }
  state += "}";
  out->add(m.name + ".weight.quant_state.bitsandbytes__" + kind, "U8", {static_cast<int64_t>(state.size())}, state.data(), state.size());
}

// ---- Formats ----

struct Format {
  std::string name;
  std::string config;
  std::function<void(const Matrix&, Writer*)> pack;
};

std::string compressed(const char* format, const char* weights, const char* activations) {
  return std::string(R"({"quant_method": "compressed-tensors", "format": ")") + format +
         R"(", "config_groups": {"group_0": {"targets": ["Linear"], "weights": )" + weights + R"(, "input_activations": )" +
         activations + R"(}}, "ignore": ["lm_head"], "quantization_status": "compressed"})";
}

std::string gptq(int bits, const char* format, bool symmetric, bool ordered) {
  return R"({"quant_method": "gptq", "bits": )" + std::to_string(bits) + R"(, "group_size": 64, "checkpoint_format": ")" + format +
         R"(", "sym": )" + (symmetric ? "true" : "false") + R"(, "desc_act": )" + (ordered ? "true" : "false") + "}";
}

const std::vector<Format>& formats() {
  static const std::vector<Format> all = {
      {"fp8-channel",
       compressed("float-quantized", R"({"num_bits": 8, "type": "float", "symmetric": true, "strategy": "channel", "dynamic": false})",
                  R"({"num_bits": 8, "type": "float", "symmetric": true, "strategy": "token", "dynamic": true})"),
       [](const Matrix& m, Writer* out) { pack_rows(m, 448.0f, "F8_E4M3", true, out); }},
      {"fp8-block", R"({"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]})", pack_fp8_blocks},
      {"fbgemm-fp8", R"({"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0, "modules_to_not_convert": ["lm_head"]})",
       [](const Matrix& m, Writer* out) { pack_rows(m, 448.0f, "F8_E4M3", false, out); }},
      {"awq", R"({"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": true, "version": "gemm"})", pack_awq},
      {"gptq", gptq(4, "gptq", false, false), [](const Matrix& m, Writer* out) { pack_gptq(m, 4, 1, Zeros::kFree, false, out); }},
      {"gptq-v2", gptq(4, "gptq_v2", true, false), [](const Matrix& m, Writer* out) { pack_gptq(m, 4, 2, Zeros::kCentre, false, out); }},
      {"gptq-act-order", gptq(4, "gptq", false, true), [](const Matrix& m, Writer* out) { pack_gptq(m, 4, 1, Zeros::kFree, true, out); }},
      {"gptq-int8", gptq(8, "gptq", true, false), [](const Matrix& m, Writer* out) { pack_gptq(m, 8, 1, Zeros::kCentre, false, out); }},
      {"ct-int4",
       compressed("pack-quantized", R"({"num_bits": 4, "type": "int", "symmetric": true, "strategy": "group", "group_size": 64})", "null"),
       pack_ct_int4},
      {"ct-int8",
       compressed("int-quantized", R"({"num_bits": 8, "type": "int", "symmetric": true, "strategy": "channel", "dynamic": false})",
                  R"({"num_bits": 8, "type": "int", "symmetric": true, "strategy": "token", "dynamic": true})"),
       [](const Matrix& m, Writer* out) { pack_rows(m, 127.0f, "I8", true, out); }},
      {"bnb-nf4",
       R"({"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": true})",
       [](const Matrix& m, Writer* out) { pack_table(m, "nf4", kNf4Table.data(), true, out); }},
      {"bnb-fp4",
       R"({"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "fp4", "bnb_4bit_use_double_quant": false})",
       [](const Matrix& m, Writer* out) { pack_table(m, "fp4", kFp4Table, false, out); }},
      {"bnb-int8", R"({"quant_method": "bitsandbytes", "load_in_8bit": true})", pack_bnb_int8},
  };
  return all;
}

void add_plain(const std::string& name, const MatrixView& view, Writer* out) {
  const char* type = view.type == DType::kF32 ? "F32" : view.type == DType::kF16 ? "F16" : "BF16";
  const std::vector<int64_t> shape = view.rows == 1 ? std::vector<int64_t>{view.cols} : std::vector<int64_t>{view.rows, view.cols};
  out->add(name, type, shape, view.data, static_cast<size_t>(view.rows * view.cols * dtype_bytes(view.type)));
}

void pack_view(const std::string& name, const MatrixView& view, const Format& format, Writer* out) {
  Matrix matrix{name, view.rows, view.cols, std::vector<float>(static_cast<size_t>(view.rows * view.cols))};
  load_elements(view.data, view.type, view.rows * view.cols, matrix.w.data());
  format.pack(matrix, out);
}

}  // namespace

const std::vector<std::string>& packed_formats() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Format& format : formats()) all.push_back(format.name);
    return all;
  }();
  return names;
}

Status write_packed_checkpoint(const std::string& source, const std::string& name, const std::string& folder) {
  const auto format = std::find_if(formats().begin(), formats().end(), [&](const Format& each) { return each.name == name; });
  if (format == formats().end()) return failure(Reason::kBadRequest, "There is no format " + name + ".", "Use one of the list.");
  ModelConfig config;
  Weights weights;
  if (Status status = read_config(source, &config); !status.ok()) return status;
  if (Status status = load_weights(source, config, &weights); !status.ok()) return status;
  Writer out;
  add_plain("model.embed_tokens.weight", weights.embed, &out);
  add_plain("model.norm.weight", weights.norm, &out);
  if (!config.tied_head) add_plain("lm_head.weight", weights.head, &out);
  for (size_t i = 0; i < weights.layers.size(); i++) {
    const LayerWeights& layer = weights.layers[i];
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    add_plain(prefix + "input_layernorm.weight", layer.attn_norm, &out);
    add_plain(prefix + "post_attention_layernorm.weight", layer.ffn_norm, &out);
    pack_view(prefix + "self_attn.q_proj", layer.q, *format, &out);
    pack_view(prefix + "self_attn.k_proj", layer.k, *format, &out);
    pack_view(prefix + "self_attn.v_proj", layer.v, *format, &out);
    pack_view(prefix + "self_attn.o_proj", layer.o, *format, &out);
    pack_view(prefix + "mlp.gate_proj", layer.gate, *format, &out);
    pack_view(prefix + "mlp.up_proj", layer.up, *format, &out);
    pack_view(prefix + "mlp.down_proj", layer.down, *format, &out);
  }
  std::ifstream from(source + "/config.json");
  std::stringstream text;
  text << from.rdbuf();
  std::ofstream(folder + "/config.json") << "{\"quantization_config\": " << format->config << "," << text.str().substr(text.str().find('{') + 1);
  std::ofstream file(folder + "/model.safetensors", std::ios::binary);
  out.header += "}";
  const uint64_t length = out.header.size();
  file.write(reinterpret_cast<const char*>(&length), 8);
  file << out.header << out.data;
  return file.good() ? Status{} : failure(Reason::kInternal, "Cannot write " + folder + ".", "Check the free space.");
}

}  // namespace chasqui
