// Seeded mutation fuzz of quantised matrices and of LoRA adapters: their tensors' names, shapes, types and bytes, and
// the configurations beside them.
//   quant_fuzz_test [MUTANTS [SEED]]
// Every mutant must end in a Status; what is accepted is unpacked and read to its last value. 100,000 mutants by
// default.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>

#include "linear_product.h"
#include "src/backend/cpu/adaptation.h"
#include "src/backend/cpu/linear.h"
#include "src/checkpoint/mapped_file.h"
#include "src/checkpoint/quant_module.h"
#include "src/model/lora_adapter.h"
#include "test/fuzz.h"
#include "test/mutate.h"

using namespace chasqui;

namespace {

// A safetensors file as its two parts; offsets in the header count from the beginning of `data`.
struct Container {
  std::string header;
  std::string data;

  void add(const Tensor& tensor) {
    header += std::string(header.empty() ? "{\"" : ",\"") + tensor.name + "\":{\"dtype\":\"" +
              tensor_type_name(tensor.type) + "\",\"shape\":" + shape_text(tensor.shape) + ",\"data_offsets\":[" +
              std::to_string(data.size()) + "," + std::to_string(data.size() + static_cast<size_t>(tensor.bytes)) +
              "]}";
    data.append(reinterpret_cast<const char*>(tensor.data), static_cast<size_t>(tensor.bytes));
  }
};

// The bytes of a file in an allocation of exactly their size.
struct FileBytes {
  std::unique_ptr<std::byte[]> bytes;
  size_t size = 0;

  FileBytes(const std::string& header, const std::string& data) : size(8 + header.size() + data.size()) {
    const uint64_t length = header.size();
    bytes.reset(new std::byte[size]);
    std::memcpy(bytes.get(), &length, 8);
    std::memcpy(bytes.get() + 8, header.data(), header.size());
    std::memcpy(bytes.get() + 8 + header.size(), data.data(), data.size());
  }
};

const std::string kPath = "model.safetensors";

// Changes the header, some bytes of the data, or neither.
FileBytes mutated(const Container& from, Mutator* mutator) {
  std::string data = from.data;
  for (uint64_t changes = mutator->below(4); changes > 0 && !data.empty(); changes--) {
    data[mutator->below(data.size())] = static_cast<char>(mutator->below(256));
  }
  return FileBytes(mutator->below(3) > 0 ? mutator->mutate(from.header + "}") : from.header + "}", data);
}

// What the engine makes of a matrix that was accepted: panels, and a product with them, to the last byte.
Status multiply_once(const std::shared_ptr<QuantSource>& source, int64_t rows, int64_t cols, Tally* tally) {
  static cpu::ThreadPool pool(1);
  MatrixView view;
  view.rows = rows;
  view.cols = cols;
  view.quant = source;
  cpu::PanelLinear linear;
  if (Status status = cpu::make_panel_linear({view}, LinearLayout::kStacked, WeightFormat::kAsStored, pool, &linear); !status.ok()) {
    return status;
  }
  require(linear.quant->data.bytes() <= cpu::panel_linear_bytes({view}, WeightFormat::kAsStored), "more bytes than reckoned", tally);
  const std::vector<float> x(static_cast<size_t>(cols), 1.0f);
  const auto out = cpu::product(linear, *cpu::best_kernels(), 1, x, 1);
  read_all(out.data(), out.size() * sizeof(float));
  return {};
}

// What the engine makes of a pair of an adapter that was accepted.
Status adapt_once(const LoraMatrix& matrix) {
  static cpu::ThreadPool pool(1);
  const std::vector<float> zeros(static_cast<size_t>(matrix.b.rows * matrix.a.cols));
  cpu::PanelLinear linear;
  Status status = cpu::make_panel_linear({{zeros.data(), DType::kF32, matrix.b.rows, matrix.a.cols, nullptr}}, LinearLayout::kStacked,
                                         WeightFormat::kAsStored, pool, &linear);
  if (status.ok()) status = cpu::adapt_linear(linear, 1, {{0, matrix.a, matrix.b, matrix.scale}}, pool);
  return status;
}

struct QuantCase {
  std::string module;
  int64_t rows = 0;
  int64_t cols = 0;
  std::string config;
  Container tensors;
};

Status read_quantised(const QuantCase& one, const FileBytes& file, const std::string& config_text, Tally* tally) {
  JsonValue json;
  std::string error;
  QuantConfig config;
  std::vector<Tensor> tensors;
  std::shared_ptr<QuantSource> source;
  QuantMatrix matrix;
  if (!parse_json(config_text, {}, &json, &error)) return failure(Reason::kBadCheckpoint, error, "None.");
  if (Status status = parse_quant_config(json, "config", &config); !status.ok()) return status;
  if (Status status = parse_safetensors(file.bytes.get(), file.size, kPath, &tensors); !status.ok()) return status;
  const TensorDirectory directory(std::move(tensors), {});
  if (Status status = find_quantised(QuantModule(directory, config, one.module, one.rows, one.cols), &source);
      !status.ok()) {
    return status;
  }
  if (source == nullptr) return failure(Reason::kNotFound, "No quantised matrix.", "None.");
  if (Status status = source->unpack(&matrix); !status.ok()) return status;
  std::vector<float> row(static_cast<size_t>(one.cols));
  require(matrix.rows == one.rows && matrix.cols == one.cols && matrix.group >= 1, "a matrix of another size", tally);
  for (int64_t r = 0; r < one.rows; r++) dequantise_row(matrix, r, row.data());
  read_all(row.data(), one.cols * 4);
  for (const std::span<const std::byte> stored : source->stored) {
    read_all(stored.data(), static_cast<int64_t>(stored.size()));
  }
  return multiply_once(source, one.rows, one.cols, tally);
}

// The golden cases of quant_test.cc.
bool read_cases(std::vector<QuantCase>* cases, std::shared_ptr<MappedFile>* file) {
  const std::string fixtures = CHASQUI_PACKAGES "/engine-cuda/native/test/fixtures/";
  std::vector<Tensor> tensors;
  std::string text;
  std::string error;
  JsonValue list;
  if (!open_safetensors(fixtures + "quant_golden.safetensors", file, &tensors).ok()) return false;
  if (!read_small_file(fixtures + "quant_golden.json", 1 << 20, &text).ok() || !parse_json(text, {}, &list, &error)) {
    return false;
  }
  for (const JsonValue& golden : *list.array()) {
    QuantCase& one = cases->emplace_back();
    one.module = *golden.find("module")->string();
    one.rows = *golden.find("rows")->integer();
    one.cols = *golden.find("cols")->integer();
    // The text of this case's configuration: it stands on a line of its own.
    const size_t line = text.find("{\"module\": \"" + one.module + "\"");
    const size_t begin = text.find("{\"quant_method\"", line);
    int depth = 0;
    size_t end = begin;
    do depth += text[end] == '{' ? 1 : text[end] == '}' ? -1 : 0;
    while (++end < text.size() && depth > 0);
    one.config = text.substr(begin, end - begin);
    for (const Tensor& tensor : tensors) {
      if (tensor.name.starts_with(one.module + ".") && !tensor.name.ends_with(".expected")) one.tensors.add(tensor);
    }
  }
  return !cases->empty();
}

ModelConfig small_model() {
  ModelConfig model;
  model.n_layers = 2;
  model.dim = 8;
  model.ffn = 12;
  model.n_heads = 4;
  model.n_kv_heads = 2;
  model.head_dim = 4;
  return model;
}

Container small_adapter() {
  static const float values[64] = {};
  static const std::string path = "adapter";
  Container adapter;
  const auto add = [&adapter](const char* module, const char* part, int64_t rows, int64_t cols) {
    Tensor tensor;
    tensor.name = std::string("base_model.model.model.layers.") + module + part;
    tensor.shape = {rows, cols};
    tensor.bytes = rows * cols * 4;
    tensor.data = reinterpret_cast<const std::byte*>(values);
    tensor.file = &path;
    adapter.add(tensor);
  };
  add("0.self_attn.q_proj", ".lora_A.weight", 2, 8);
  add("0.self_attn.q_proj", ".lora_B.weight", 16, 2);
  add("1.mlp.down_proj", ".lora_A.weight", 2, 12);
  add("1.mlp.down_proj", ".lora_B.weight", 8, 2);
  return adapter;
}

void fuzz_adapter(const Container& adapter, Mutator* mutator, Tally* tally) {
  static const std::string config = R"({"peft_type": "LORA", "r": 2, "lora_alpha": 6, "bias": "none", "use_dora": false,
    "modules_to_save": null, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"layers.1.mlp.down_proj": 3}, "use_rslora": true})";
  const FileBytes file = mutated(adapter, mutator);
  std::vector<Tensor> tensors;
  LoraAdapter read;
  Status status = parse_safetensors(file.bytes.get(), file.size, kPath, &tensors);
  if (status.ok()) {
    status = collect_lora(mutator->below(2) == 0 ? mutator->mutate(config) : config, "adapter_config.json",
                          TensorDirectory(std::move(tensors), {}), small_model(), &read);
  }
  if (!count(status, tally)) return;
  for (const LoraMatrix& matrix : read.matrices) {
    require(matrix.a.rows == matrix.b.cols && matrix.a.rows >= 1 && matrix.layer >= 0 && matrix.layer < 2,
            "a pair that does not fit", tally);
    read_all(matrix.a.data, matrix.a.rows * matrix.a.cols * dtype_bytes(matrix.a.type));
    read_all(matrix.b.data, matrix.b.rows * matrix.b.cols * dtype_bytes(matrix.b.type));
    require(adapt_once(matrix).ok(), "an accepted pair that no layer takes", tally);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const long mutants = argc > 1 ? std::atol(argv[1]) : 100'000;
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  std::vector<QuantCase> cases;
  std::shared_ptr<MappedFile> file;
  if (!read_cases(&cases, &file)) {
    std::printf("the fixtures cannot be read\n0 passed, 1 failed\n");
    return 1;
  }
  const Container adapter = small_adapter();
  const auto start = std::chrono::steady_clock::now();
  Tally tallies[] = {{"quantised matrices"}, {"adapters"}};
  Mutator mutator(seed);
  for (long i = 0; i < mutants; i++) {
    if (i % 4 == 3) {
      fuzz_adapter(adapter, &mutator, &tallies[1]);
      continue;
    }
    const QuantCase& one = cases[mutator.below(cases.size())];
    const FileBytes bytes = mutated(one.tensors, &mutator);
    count(read_quantised(one, bytes, mutator.below(3) == 0 ? mutator.mutate(one.config) : one.config, &tallies[0]),
          &tallies[0]);
  }
  std::printf("%ld mutants with seed %llu in %.1f s\n", mutants, static_cast<unsigned long long>(seed),
              std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return report(std::begin(tallies), std::end(tallies), mutants);
}
