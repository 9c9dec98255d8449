// Quantised matrices: every layout against weights that an independent program packed (fixtures/make_quant_golden.py),
// bit for bit; what is broken or unsupported in them is refused by name; a whole quantised model runs once it is
// dequantised.
#include "src/checkpoint/quant.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "src/checkpoint/mapped_file.h"
#include "src/checkpoint/quant_module.h"
#include "src/model/dequantise.h"
#include "src/model/weights.h"
#include "src/reference/reference_llama.h"
#include "test/check.h"
#include "test/random_checkpoint.h"
#include "test/temp_folder.h"

using namespace chasqui;

namespace {

const char kFixtures[] = CHASQUI_PACKAGES "/engine-cuda/native/test/fixtures/";

struct Golden {
  TensorDirectory directory;
  JsonValue cases;
};

Golden read_golden() {
  Golden golden;
  std::shared_ptr<MappedFile> file;
  std::vector<Tensor> tensors;
  std::string text;
  std::string error;
  CHECK_OK(open_safetensors(std::string(kFixtures) + "quant_golden.safetensors", &file, &tensors));
  CHECK_OK(read_small_file(std::string(kFixtures) + "quant_golden.json", 1 << 20, &text));
  CHECK(parse_json(text, {}, &golden.cases, &error));
  golden.directory = TensorDirectory(std::move(tensors), {file});
  return golden;
}

double number_of(const JsonValue* value, double otherwise) {
  if (value != nullptr) value->number(&otherwise);
  return otherwise;
}

QuantConfig config_of(const char* text) {
  JsonValue json;
  std::string error;
  QuantConfig config;
  CHECK(parse_json(text, {}, &json, &error));
  CHECK_OK(parse_quant_config(json, "Q", &config));
  return config;
}

std::string config_refusal(const char* text) {
  JsonValue json;
  std::string error;
  QuantConfig config;
  CHECK(parse_json(text, {}, &json, &error));
  const Status status = parse_quant_config(json, "Q", &config);
  return status.ok() ? "taken" : std::string(reason_name(status.reason)) + ": " + status.detail;
}

// The same bits, or both no number.
bool same(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}

// A directory over bytes that the test keeps.
struct Shelf {
  std::vector<Tensor> tensors;
  std::vector<std::unique_ptr<std::byte[]>> memory;
  std::string file = "shelf";

  void put(const std::string& name, TensorType type, std::vector<int64_t> shape, const void* data) {
    Tensor tensor;
    tensor.name = name;
    tensor.type = type;
    tensor.shape = std::move(shape);
    tensor.bytes = tensor_type_bytes(type);
    for (const int64_t extent : tensor.shape) tensor.bytes *= extent;
    memory.push_back(std::make_unique<std::byte[]>(static_cast<size_t>(tensor.bytes) + 1));
    if (data != nullptr) std::memcpy(memory.back().get(), data, static_cast<size_t>(tensor.bytes));
    tensor.data = memory.back().get();
    tensor.file = &file;
    std::erase_if(tensors, [&](const Tensor& other) { return other.name == name; });
    tensors.push_back(std::move(tensor));
  }
  void drop(const std::string& name) {
    std::erase_if(tensors, [&](const Tensor& tensor) { return tensor.name == name; });
  }
};

// What find_quantised says of module "m" with 8 outputs and 16 inputs; unpacks where it finds something.
Status find(const Shelf& shelf, const QuantConfig& config) {
  const TensorDirectory directory(shelf.tensors, {});
  std::shared_ptr<QuantSource> source;
  QuantMatrix matrix;
  const Status status = find_quantised(QuantModule(directory, config, "m", 8, 16), &source);
  if (!status.ok() || source == nullptr) return status;
  return source->unpack(&matrix);
}

bool says(const Status& status, const std::string& text) {
  if (status.detail.find(text) != std::string::npos) return true;
  std::printf("  (says: %s)\n", status.detail.c_str());
  return false;
}

}  // namespace

TEST(every_layout_dequantises_to_the_golden_weights_bit_for_bit) {
  const Golden golden = read_golden();
  CHECK_EQ(golden.cases.array()->size(), size_t{28});
  for (const JsonValue& one : *golden.cases.array()) {
    const std::string& name = *one.find("module")->string();
    const int64_t rows = *one.find("rows")->integer();
    const int64_t cols = *one.find("cols")->integer();
    QuantConfig config;
    std::shared_ptr<QuantSource> source;
    QuantMatrix matrix;
    CHECK_OK(parse_quant_config(*one.find("quantization_config"), name, &config));
    CHECK_OK(find_quantised(QuantModule(golden.directory, config, name, rows, cols), &source));
    if (source == nullptr) return check::fail(__FILE__, __LINE__, name + " is not found");
    CHECK_OK(source->unpack(&matrix));
    CHECK(matrix.kind == source->kind && matrix.rows == rows && matrix.cols == cols && source->stored.size() >= 2);
    CHECK_EQ(matrix.scales.size(), static_cast<size_t>(rows * matrix.groups()));
    CHECK(matrix.zeros.empty() || matrix.zeros.size() == matrix.scales.size());
    const Tensor* expected = golden.directory.find(name + ".expected");
    std::vector<float> row(static_cast<size_t>(cols));
    int different = 0;
    for (int64_t r = 0; r < rows; r++) {
      dequantise_row(matrix, r, row.data());
      for (int64_t c = 0; c < cols; c++) {
        float wanted = 0;
        std::memcpy(&wanted, expected->data + 4 * (r * cols + c), 4);
        different += !same(row[static_cast<size_t>(c)], wanted);
      }
    }
    if (different > 0) check::fail(__FILE__, __LINE__, name + ": " + std::to_string(different) + " weights differ");

    const std::string scheme = one.find("activation") == nullptr ? "none" : *one.find("activation")->string();
    const auto kind = source->activation.kind;
    CHECK_EQ(kind == ActivationScheme::Kind::kNone       ? "none"
             : kind == ActivationScheme::Kind::kPerToken ? "per-token"
                                                         : "per-tensor",
             scheme);
    CHECK_EQ(source->activation.scale, static_cast<float>(number_of(one.find("input_scale"), 0)));
    CHECK_EQ(source->activation.bound, static_cast<float>(number_of(one.find("bound"), 0)));
  }
}

TEST(symmetric_matrices_have_no_zeros_and_sorted_ones_no_order) {
  const Golden golden = read_golden();
  const struct {
    const char* name;
    const char* config;
    bool zeros;
    bool order;
  } cases[] = {
      {"gptq_v1", R"({"quant_method": "gptq"})", true, false},
      {"gptq_v1_desc_act", R"({"quant_method": "gptq"})", true, true},
      {"gptq_v1_symmetric_rows", R"({"quant_method": "gptq"})", false, false},
      {"gptq_v2_desc_act_symmetric", R"({"quant_method": "gptq", "checkpoint_format": "gptq_v2"})", false, true},
  };
  for (const auto& one : cases) {
    const QuantConfig config = config_of(one.config);
    std::shared_ptr<QuantSource> source;
    QuantMatrix matrix;
    CHECK_OK(find_quantised(QuantModule(golden.directory, config, one.name, 8, 64), &source));
    CHECK_OK(source->unpack(&matrix));
    CHECK_EQ(!matrix.zeros.empty(), one.zeros);
    CHECK_EQ(!matrix.order.empty(), one.order);
  }
}

TEST(e4m3_has_the_values_of_the_format) {
  CHECK_EQ(e4m3_to_float(0x00), 0.0f);
  CHECK_EQ(e4m3_to_float(0x01), 0x1p-9f);
  CHECK_EQ(e4m3_to_float(0x08), 0x1p-6f);
  CHECK_EQ(e4m3_to_float(0x38), 1.0f);
  CHECK_EQ(e4m3_to_float(0x7e), 448.0f);
  CHECK_EQ(e4m3_to_float(0xfe), -448.0f);
  CHECK(std::isnan(e4m3_to_float(0x7f)) && std::isnan(e4m3_to_float(0xff)));
  for (int code = 1; code < 0x7f; code++) {
    CHECK(e4m3_to_float(static_cast<uint8_t>(code)) > e4m3_to_float(static_cast<uint8_t>(code - 1)));
  }
}

TEST(refuses_configurations_by_name) {
  const struct {
    const char* config;
    const char* expected;
  } cases[] = {
      {R"({"quant_method": "aqlm"})", "quant_method is \"aqlm\""},
      {R"({})", "quant_method is \"\""},
      {R"("awq")", "a value that is no object"},
      {R"({"quant_method": "awq", "version": "gemv_fast"})", "version is \"gemv_fast\""},
      {R"({"quant_method": "awq", "bits": 8})", "bits is 8"},
      {R"({"quant_method": "awq", "zero_point": false})", "zero_point is false"},
      {R"({"quant_method": "gptq", "checkpoint_format": "marlin"})", "checkpoint_format is \"marlin\""},
      {R"({"quant_method": "gptq", "is_marlin_format": true})", "is_marlin_format is true"},
      {R"({"quant_method": "gptq", "bits": 3})", "bits is 3"},
      {R"({"quant_method": "fp8", "fmt": "e5m2"})", "fmt is \"e5m2\""},
      {R"({"quant_method": "fp8", "weight_block_size": [0, 128]})", "weight_block_size is [0, 128]"},
      {R"({"quant_method": "fbgemm_fp8", "activation_scale_ub": -1})", "activation_scale_ub is -1"},
      {R"({"quant_method": "compressed-tensors", "format": "marlin-24"})", "format is \"marlin-24\""},
      {R"({"quant_method": "compressed-tensors", "format": "int-quantized"})", "config_groups is missing or empty"},
      {R"({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 4, "type": "float"}}}})",
       "4-bit float"},
      {R"({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"strategy": "tensor_group"}}}})",
       "strategy is \"tensor_group\""},
      {R"({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {}}}, "sparsity_config": {"format": "sparse-24-bitmask"}})",
       "format is \"sparse-24-bitmask\""},
      {R"({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {}}}, "transform_config": {"config_groups": {"u": {}}}})",
       "transform_config"},
      {R"({"quant_method": "bitsandbytes"})", "neither load_in_4bit nor load_in_8bit alone is true"},
      {R"({"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "int4"})",
       "bnb_4bit_quant_type is \"int4\""},
  };
  for (const auto& one : cases) {
    const std::string found = config_refusal(one.config);
    CHECK(found.starts_with("unsupported: Q"));
    CHECK(found.ends_with(std::string(": ") + one.expected + ", which is not supported."));
  }
  CHECK_EQ(config_refusal(R"({"quant_method": "gptq", "group_size": "128"})"),
           std::string("bad-checkpoint: Q: group_size is \"128\"."));
}

TEST(refuses_broken_gptq_modules_by_tensor) {
  const QuantConfig config = config_of(R"({"quant_method": "gptq", "bits": 4, "group_size": 8})");
  const std::vector<uint16_t> scales(16, 0x3C00);
  Shelf shelf;
  CHECK_OK(find(shelf, config));  // nothing there: a plain module
  shelf.put("m.qweight", TensorType::kI32, {2, 8}, nullptr);
  CHECK(says(find(shelf, config), "Tensor m.scales is missing"));
  shelf.put("m.scales", TensorType::kF16, {2, 8}, scales.data());
  CHECK(says(find(shelf, config), "Tensor m.qzeros ([2, 1]) is missing"));
  shelf.put("m.qzeros", TensorType::kI32, {2, 1}, nullptr);
  CHECK_OK(find(shelf, config));

  std::vector<int32_t> group_of = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2};
  shelf.put("m.g_idx", TensorType::kI32, {16}, group_of.data());
  CHECK(says(find(shelf, config), "a group below 2 for each input (one is 2)"));
  group_of.back() = -1;
  shelf.put("m.g_idx", TensorType::kI32, {16}, group_of.data());
  CHECK_REASON(find(shelf, config), Reason::kBadCheckpoint);
  group_of.back() = 0;
  shelf.put("m.g_idx", TensorType::kI32, {16}, group_of.data());
  CHECK_REASON(find(shelf, config), Reason::kUnsupported);
  shelf.put("m.g_idx", TensorType::kI64, {16}, nullptr);
  CHECK(says(find(shelf, config), "is [16] I64, but [16] I32 is expected"));
  shelf.drop("m.g_idx");

  shelf.put("m.bias", TensorType::kF16, {8}, nullptr);
  CHECK_OK(find(shelf, config));
  shelf.put("m.bias", TensorType::kF16, {8}, scales.data());
  CHECK(says(find(shelf, config), "a bias, which is not supported"));
  shelf.drop("m.bias");

  shelf.put("m.scales", TensorType::kF16, {4, 8}, nullptr);
  CHECK(says(find(shelf, config), "one row of scales for each group of 8 inputs"));
  const std::vector<uint16_t> infinite(16, 0x7C00);
  shelf.put("m.scales", TensorType::kF16, {2, 8}, infinite.data());
  CHECK(says(find(shelf, config), "holds a scale that is no finite number"));
  shelf.put("m.scales", TensorType::kF16, {2, 8}, scales.data());
  shelf.put("m.qweight", TensorType::kI32, {2, 9}, nullptr);
  CHECK(says(find(shelf, config),
             "is [2, 9] I32, but [2, 8] I32 is expected of a gptq matrix of 8 outputs and 16 inputs"));
}

TEST(refuses_other_broken_modules_by_tensor) {
  const QuantConfig fp8 = config_of(R"({"quant_method": "fp8"})");
  const float ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  Shelf shelf;
  shelf.put("m.weight", TensorType::kF8E4M3, {8, 16}, nullptr);
  CHECK(says(find(shelf, fp8), "Tensor m.weight_scale is missing"));
  shelf.put("m.weight_scale", TensorType::kF32, {3}, ones);
  CHECK(says(find(shelf, fp8), "one scale, one for each output, or one for each group"));
  shelf.put("m.weight_scale", TensorType::kF32, {8}, ones);
  CHECK_OK(find(shelf, fp8));
  shelf.put("m.weight_zero_point", TensorType::kF8E4M3, {8}, nullptr);
  CHECK_OK(find(shelf, fp8));
  shelf.put("m.weight_zero_point", TensorType::kF8E4M3, {8}, ones);
  CHECK(says(find(shelf, fp8), "a zero point beside float weights"));
  shelf.put("m.weight", TensorType::kF8E4M3, {16, 8}, nullptr);
  CHECK(says(find(shelf, fp8), "is [16, 8] F8_E4M3"));

  const QuantConfig bnb = config_of(R"({"quant_method": "bitsandbytes", "load_in_4bit": true})");
  const auto with_state = [&](const std::string& text) {
    Shelf four;
    four.put("m.weight", TensorType::kU8, {64, 1}, nullptr);
    four.put("m.weight.absmax", TensorType::kF32, {8}, ones);
    four.put("m.weight.quant_map", TensorType::kF32, {16}, ones);
    four.put("m.weight.quant_state.bitsandbytes__nf4", TensorType::kU8, {static_cast<int64_t>(text.size())},
             text.data());
    return find(four, bnb);
  };
  CHECK_OK(with_state(R"({"blocksize": 16, "shape": [8, 16]})"));
  CHECK(says(with_state("{"), "a JSON text in U8"));
  CHECK(says(with_state(R"({"shape": [8, 16]})"), "a blocksize"));
  CHECK(says(with_state(R"({"blocksize": 32, "shape": [8, 16]})"), "blocks of 32 weights that cross rows"));
  CHECK(says(with_state(R"({"blocksize": 16, "shape": [16, 8]})"), "the shape of this matrix"));
  CHECK(says(with_state(R"({"blocksize": 8, "shape": [8, 16]})"), "weight.absmax"));

  const QuantConfig packed =
      config_of(R"({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 4}}}})");
  Shelf ct;
  const int64_t sizes[2] = {8, 17};
  ct.put("m.weight_packed", TensorType::kI32, {8, 2}, nullptr);
  ct.put("m.weight_scale", TensorType::kF32, {8, 2}, ones);
  CHECK_OK(find(ct, packed));
  ct.put("m.weight_shape", TensorType::kI64, {2}, sizes);
  CHECK(says(find(ct, packed), "the values of this shape (they are 8 and 17)"));
  ct.drop("m.weight_shape");
  ct.put("m.weight_zero_point", TensorType::kI32, {8, 2}, nullptr);
  CHECK(says(find(ct, packed), "is [8, 2] I32, but [1, 2] I32 or I8 is expected"));
}

TEST(a_quantised_model_gives_the_logits_of_its_dequantised_weights) {
  // The matrices of layer 0 of a random model as bitsandbytes stores 8 bits; the rest stays plain.
  TempFolder folder;
  ModelConfig config;
  Weights plain;
  CHECK_OK(write_random_checkpoint(folder.path(), {}));
  CHECK_OK(read_config(folder.path(), &config));
  CHECK_OK(load_weights(folder.path(), config, &plain));
  std::shared_ptr<MappedFile> file;
  std::vector<Tensor> tensors;
  CHECK_OK(open_safetensors(folder.file("model.safetensors"), &file, &tensors));
  Shelf shelf;
  shelf.tensors = tensors;
  std::vector<std::vector<float>> expected;  // the matrices as they should come back
  const struct {
    const char* module;
    MatrixView* view;
  } linears[] = {{"self_attn.q_proj", &plain.layers[0].q}, {"mlp.down_proj", &plain.layers[0].down}};
  for (const auto& linear : linears) {
    const int64_t rows = linear.view->rows;
    const int64_t cols = linear.view->cols;
    std::vector<int8_t> codes(static_cast<size_t>(rows * cols));
    std::vector<float> scb(static_cast<size_t>(rows));
    std::vector<float>& values = expected.emplace_back(codes.size());
    for (size_t i = 0; i < codes.size(); i++) codes[i] = static_cast<int8_t>(i * 37 % 255 - 127);
    for (size_t i = 0; i < scb.size(); i++) scb[i] = 0.1f + 0.01f * static_cast<float>(i);
    for (size_t i = 0; i < codes.size(); i++) {
      values[i] = static_cast<float>(codes[i]) * (scb[i / static_cast<size_t>(cols)] / 127.0f);
    }
    const std::string module = std::string("model.layers.0.") + linear.module;
    shelf.put(module + ".weight", TensorType::kI8, {rows, cols}, codes.data());
    shelf.put(module + ".SCB", TensorType::kF32, {rows}, scb.data());
    linear.view->data = values.data();
    linear.view->type = DType::kF32;
  }
  const TensorDirectory directory(shelf.tensors, {file});
  Weights quantised;
  CHECK(says(collect_weights(directory, config, &quantised, Quantised::kRead),
             "but config.json has no quantization_config"));
  config.quantization = config_of(R"({"quant_method": "bitsandbytes", "load_in_8bit": true})");
  Status status = collect_weights(directory, config, &quantised);
  CHECK_REASON(status, Reason::kUnsupported);
  CHECK(says(status, "the checkpoint is quantised (bitsandbytes)"));
  CHECK_OK(collect_weights(directory, config, &quantised, Quantised::kRead));
  CHECK(quantised.layers[0].q.quant != nullptr && quantised.layers[0].k.quant == nullptr &&
        quantised.fingerprint != plain.fingerprint);

  ReferenceRun run;
  ReferenceRun wanted;
  CHECK_REASON(reference_forward(config, quantised, {1, 2, 3}, {}, &run), Reason::kUnsupported);
  CHECK_OK(dequantise_weights(&quantised));
  CHECK_OK(reference_forward(config, quantised, {1, 2, 3}, {}, &run));
  CHECK_OK(reference_forward(config, plain, {1, 2, 3}, {}, &wanted));
  CHECK(run.logits == wanted.logits);
}

TEST_MAIN()
