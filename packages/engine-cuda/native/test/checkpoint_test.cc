// Checkpoint folders: what is read, what is left aside, and for every way in which a file can be broken the sentence
// that names tensor, file, what was expected and what was found.
#include <sys/stat.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "src/checkpoint/hf_directory.h"
#include "src/checkpoint/safetensors.h"
#include "src/model/config.h"
#include "src/model/weights.h"
#include "test/check.h"
#include "test/random_checkpoint.h"
#include "test/temp_folder.h"

using namespace chasqui;

namespace {

// A safetensors file with this header text and `data_bytes` bytes of data, each byte its own offset.
std::string container(const std::string& header, size_t data_bytes) {
  std::string file(8, '\0');
  for (int i = 0; i < 8; i++) file[static_cast<size_t>(i)] = static_cast<char>(header.size() >> 8 * i);
  file += header;
  for (size_t i = 0; i < data_bytes; i++) file += static_cast<char>(i);
  return file;
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

Status parse(const std::string& file, std::vector<Tensor>* tensors) {
  static const std::string path = "F";
  return parse_safetensors(reinterpret_cast<const std::byte*>(file.data()), file.size(), path, tensors);
}

// "reason: detail" of a file that is expected to be refused.
std::string refusal(const std::string& file) {
  std::vector<Tensor> tensors;
  const Status status = parse(file, &tensors);
  CHECK(status.ok() || (tensors.empty() && !status.fix.empty()));
  return status.ok() ? "taken" : std::string(reason_name(status.reason)) + ": " + status.detail;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void replace_in_file(const TempFolder& folder, const std::string& name, const std::string& from,
                     const std::string& to) {
  std::string text = read_file(folder.file(name));
  const size_t at = text.find(from);
  CHECK(at != std::string::npos);
  folder.write(name, text.replace(at, from.size(), to));
}

struct Loaded {
  ModelConfig config;
  Weights weights;
  Status status;
};

Loaded load(const std::string& folder) {
  Loaded loaded;
  loaded.status = read_config(folder, &loaded.config);
  if (loaded.status.ok()) loaded.status = load_weights(folder, loaded.config, &loaded.weights);
  return loaded;
}

bool says(const Status& status, const std::string& text) { return status.detail.find(text) != std::string::npos; }

double value_at(const MatrixView& view, int64_t i) {
  const char* at = static_cast<const char*>(view.data) + i * dtype_bytes(view.type);
  uint16_t bits = 0;
  if (view.type == DType::kF32) {
    float value = 0;
    std::memcpy(&value, at, 4);
    return value;
  }
  std::memcpy(&bits, at, 2);
  if (view.type == DType::kBF16) {
    const uint32_t wide = static_cast<uint32_t>(bits) << 16;
    float value = 0;
    std::memcpy(&value, &wide, 4);
    return value;
  }
  const int exponent = bits >> 10 & 31;
  const double size = exponent == 0 ? std::ldexp(bits & 1023, -24) : std::ldexp(1024 + (bits & 1023), exponent - 25);
  return bits >> 15 ? -size : size;
}

}  // namespace

TEST(reads_the_tensors_of_a_file) {
  const std::string file =
      container("{\"__metadata__\":{\"format\":\"pt\"}," + entry("b", "BF16", "[2,3]", "[4,16]") + "," +
                    entry("a", "F32", "[]", "[0,4]") + "," + entry("empty", "I64", "[0,7]", "[16,16]") + "}   ",
                16);
  std::vector<Tensor> tensors;
  CHECK_OK(parse(file, &tensors));
  CHECK_EQ(tensors.size(), size_t{3});
  CHECK_EQ(tensors[0].name, std::string("a"));
  CHECK_EQ(tensors[0].elements(), 1);
  CHECK_EQ(describe(tensors[1]), std::string("[2, 3] BF16"));
  CHECK_EQ(tensors[1].bytes, 12);
  CHECK_EQ(static_cast<int>(tensors[1].data[0]), 4);
  CHECK_EQ(tensors[2].elements(), 0);
}

TEST(refuses_broken_containers_with_a_sentence_each) {
  const std::string good = entry("a", "F32", "[2]", "[0,8]");
  const struct {
    std::string file;
    const char* expected;
  } cases[] = {
      {"", "F: the file has 0 bytes, fewer than the 8 of a header length."},
      {"1234567", "F: the file has 7 bytes, fewer than the 8 of a header length."},
      {std::string("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 8),
       "F: a header of 18446744073709551615 bytes is announced; at most 100000000 are allowed."},
      {std::string("\x10\0\0\0\0\0\0\0{}", 10),
       "F: a header of 16 bytes is announced, but the file has only 10 bytes."},
      {container("{]", 0), "F: the header is no JSON: a key in quotes is expected (byte 1)."},
      {container("[]", 0), "F: the header is no JSON object."},
      {container("{" + good + "," + good + "}", 8),
       "F: the header is no JSON: the key \"a\" occurs twice in an object (byte 107)."},
      {container("{\"a\":{}}", 0), "F: tensor \"a\" has no dtype."},
      {container("{\"a\":3}", 0), "F: tensor \"a\" has no dtype."},
      {container("{\"a\":{\"dtype\":\"F32\"}}", 0), "F: tensor \"a\" has no shape."},
      {container("{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 0), "F: tensor \"a\" has no pair data_offsets."},
      {container("{" + entry("a", "F32", "[2]", "[0,8,9]") + "}", 8), "F: tensor \"a\" has no pair data_offsets."},
      {container("{" + entry("a", "F32", "[-2]", "[0,8]") + "}", 8), "F: tensor \"a\" has the dimension -2."},
      {container("{" + entry("a", "F32", "[2.0]", "[0,8]") + "}", 8), "F: tensor \"a\" has the dimension 2."},
      {container("{" + entry("a", "F32", "[4294967296,4294967296]", "[0,8]") + "}", 8),
       "F: tensor \"a\" has the impossible shape [4294967296, 4294967296]."},
      {container("{" + entry("a", "F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]") + "}", 8),
       "F: tensor \"a\" has more than 8 dimensions."},
      {container("{" + entry("a", "F32", "[2]", "[8,0]") + "}", 8), "F: tensor \"a\" has the data_offsets [8, 0]."},
      {container("{" + entry("a", "F32", "[2]", "[-8,0]") + "}", 8), "F: tensor \"a\" has the data_offsets [-8, 0]."},
      {container("{" + entry("a", "F32", "[2]", "[0,4]") + "}", 8),
       "F: tensor \"a\" of shape [2] and dtype F32 needs 8 bytes, its data_offsets hold 4."},
      {container("{" + good + "}", 7),
       "F: tensor \"a\" ends at byte 8 of the data, but the file holds only 7 bytes of data."},
      {container("{" + good + "," + entry("b", "I8", "[3]", "[7,10]") + "}", 10),
       "F: tensors \"a\" and \"b\" share bytes."},
  };
  for (const auto& one : cases) CHECK_EQ(refusal(one.file), "bad-checkpoint: " + std::string(one.expected));
  CHECK_EQ(refusal(container("{" + entry("a", "F4", "[4]", "[0,2]") + "}", 2)),
           std::string("unsupported: F: tensor \"a\" has the unknown dtype \"F4\"."));
  CHECK_EQ(refusal(container("{" + good + "}", 100)), std::string("taken"));  // what nothing refers to is left aside
}

TEST(loads_every_type_and_layout) {
  for (const DType type : {DType::kBF16, DType::kF16, DType::kF32}) {
    for (const int32_t shards : {1, 3}) {
      for (const bool tied : {false, true}) {
        TempFolder folder;
        RandomCheckpoint shape;
        shape.type = type;
        shape.norm_type = DType::kF32;
        shape.shards = shards;
        shape.tied = tied;
        shape.rope_factor = tied ? 1.0 : 8.0;
        CHECK_OK(write_random_checkpoint(folder.path(), shape));
        const Loaded model = load(folder.path());
        CHECK_OK(model.status);
        CHECK_EQ(model.weights.files.size(), static_cast<size_t>(shards));
        CHECK_EQ(model.weights.layers.size(), size_t{2});
        CHECK(model.weights.copies.empty());
        CHECK(model.weights.embed.type == type && model.weights.norm.type == DType::kF32);
        CHECK_EQ(model.weights.head.data == model.weights.embed.data, tied);
        CHECK_EQ(model.weights.layers[1].down.rows, shape.dim);
        CHECK_EQ(model.weights.layers[1].down.cols, shape.ffn);
        CHECK_EQ(model.weights.layers[1].k.rows, 32);
        CHECK_EQ(model.config.rope.factor, shape.rope_factor);
        CHECK_EQ(model.config.stop_tokens.size(), size_t{3});
      }
    }
  }
}

TEST(random_values_are_the_same_numbers_in_every_type) {
  TempFolder folder;
  double squares = 0;
  Loaded models[3];
  const DType types[3] = {DType::kF32, DType::kF16, DType::kBF16};
  for (int i = 0; i < 3; i++) {
    RandomCheckpoint shape;
    shape.type = types[i];
    CHECK_OK(write_random_checkpoint(folder.path() + "/" + std::to_string(i), shape));
    models[i] = load(folder.path() + "/" + std::to_string(i));
    CHECK_OK(models[i].status);
  }
  const int64_t count = models[0].weights.embed.rows * models[0].weights.embed.cols;
  for (int64_t i = 0; i < count; i++) {
    const double exact = value_at(models[0].weights.embed, i);
    squares += exact * exact;
    CHECK_NEAR(value_at(models[1].weights.embed, i), exact, std::fabs(exact) * 0x1p-11 + 0x1p-25);
    CHECK_NEAR(value_at(models[2].weights.embed, i), exact, std::fabs(exact) * 0x1p-8);
  }
  CHECK_NEAR(std::sqrt(squares / static_cast<double>(count)) * std::sqrt(64.0), 1.0, 0.02);
}

TEST(copies_tensors_that_lie_unaligned) {
  TempFolder folder;
  CHECK_OK(write_random_checkpoint(folder.path(), {}));
  const Loaded before = load(folder.path());
  // One more space after the header: every element now begins at an odd address.
  std::string file = read_file(folder.file("model.safetensors"));
  uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  file.insert(8 + length, 1, ' ');
  length++;
  std::memcpy(file.data(), &length, 8);
  folder.write("odd.safetensors", file);
  std::filesystem::rename(folder.file("odd.safetensors"), folder.file("model.safetensors"));
  const Loaded after = load(folder.path());
  CHECK_OK(after.status);
  CHECK_EQ(after.weights.copies.size(), size_t{21});
  CHECK_EQ(after.weights.fingerprint, before.weights.fingerprint);
  CHECK_EQ(value_at(after.weights.head, 4711), value_at(before.weights.head, 4711));
}

TEST(names_missing_misshapen_and_mistyped_tensors) {
  TempFolder folder;
  CHECK_OK(write_random_checkpoint(folder.path(), {}));
  const std::string original = read_file(folder.file("model.safetensors"));
  replace_in_file(folder, "model.safetensors", "layers.1.mlp.up_proj", "layers.1.mlp.op_proj");
  Loaded model = load(folder.path());
  CHECK_REASON(model.status, Reason::kBadCheckpoint);
  CHECK_EQ(model.status.detail,
           "Tensor model.layers.1.mlp.up_proj.weight ([160, 64]) is missing from the checkpoint (" +
               folder.file("model.safetensors") + ").");

  folder.write("model.safetensors", original);
  replace_in_file(folder, "config.json", "\"intermediate_size\": 160", "\"intermediate_size\": 161");
  model = load(folder.path());
  CHECK_REASON(model.status, Reason::kBadCheckpoint);
  CHECK_EQ(model.status.detail, "Tensor model.layers.0.mlp.gate_proj.weight in " + folder.file("model.safetensors") +
                                    " is [160, 64] BF16, but config.json asks for [161, 64].");

  replace_in_file(folder, "config.json", "\"intermediate_size\": 161", "\"intermediate_size\": 160");
  replace_in_file(folder, "model.safetensors", "layers.0.mlp.gate_proj.weight\":{\"dtype\":\"BF16\"",
                  "layers.0.mlp.gate_proj.weight\":{\"dtype\":\"I16\" ");
  model = load(folder.path());
  CHECK_REASON(model.status, Reason::kUnsupported);
  CHECK(says(model.status, "is [160, 64] I16; supported are BF16, F16 and F32."));

  folder.write("model.safetensors", original);
  replace_in_file(folder, "config.json", "\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true");
  CHECK_OK(load(folder.path()).status);  // an lm_head that a tied model does not need is left aside
}

TEST(leaves_extra_tensors_aside_but_names_quantised_ones) {
  TempFolder folder;
  RandomCheckpoint shape;
  shape.tied = true;
  CHECK_OK(write_random_checkpoint(folder.path(), shape));
  const std::string file = read_file(folder.file("model.safetensors"));
  const auto with_tensor = [&](const std::string& name) {
    std::string changed = file;
    const size_t end = changed.find("]}}", 8) + 2;
    uint64_t length = 0;
    std::memcpy(&length, changed.data(), 8);
    std::string header = changed.substr(8, end - 8) + "," + entry(name, "F32", "[0]", "[0,0]") + "}";
    header.resize((header.size() + 7) / 8 * 8, ' ');
    folder.write("model.safetensors", container(header, 0) + changed.substr(8 + length));
    return load(folder.path()).status;
  };
  CHECK_OK(with_tensor("model.layers.0.self_attn.rotary_emb.inv_freq"));
  CHECK_OK(with_tensor("something.else"));
  for (const char* name : {"model.layers.0.mlp.up_proj.qweight", "model.layers.0.mlp.up_proj.weight_scale",
                           "model.layers.0.mlp.up_proj.SCB", "model.layers.0.mlp.up_proj.weight.absmax",
                           "model.layers.0.mlp.up_proj.weight_packed"}) {
    const Status status = with_tensor(name);
    CHECK_REASON(status, Reason::kUnsupported);
    CHECK(says(status, name));
  }
}

TEST(refuses_files_that_are_cut_off_anywhere) {
  TempFolder folder;
  CHECK_OK(write_random_checkpoint(folder.path(), {}));
  const std::string file = read_file(folder.file("model.safetensors"));
  for (size_t size = 0; size < file.size(); size += size < 3000 ? 37 : 4096) {
    folder.write("model.safetensors", std::string_view(file).substr(0, size));
    const Status status = load(folder.path()).status;
    CHECK_REASON(status, Reason::kBadCheckpoint);
    CHECK(says(status, folder.file("model.safetensors")));
  }
}

TEST(refuses_what_is_no_file_without_waiting) {
  TempFolder folder;
  CHECK_OK(write_random_checkpoint(folder.path(), {}));
  std::filesystem::remove(folder.file("model.safetensors"));
  CHECK_REASON(load(folder.path()).status, Reason::kNotFound);
  folder.write("pytorch_model.bin", "x");
  Status status = load(folder.path()).status;
  CHECK_REASON(status, Reason::kUnsupported);
  CHECK(says(status, "pytorch_model.bin"));
  std::filesystem::create_directory(folder.file("model.safetensors"));
  CHECK_REASON(load(folder.path()).status, Reason::kBadCheckpoint);
  std::filesystem::remove(folder.file("model.safetensors"));
  CHECK_EQ(::mkfifo(folder.file("model.safetensors").c_str(), 0600), 0);
  status = load(folder.path()).status;
  CHECK_REASON(status, Reason::kBadCheckpoint);
  CHECK(says(status, "is not a regular file"));
}

TEST(refuses_broken_indexes) {
  const auto refuse = [](const std::string& text) {
    std::vector<ShardEntry> entries;
    const Status status = parse_shard_index(text, "I", &entries);
    CHECK(status.ok() || entries.empty());
    return status.ok() ? "taken" : std::string(reason_name(status.reason)) + ": " + status.detail;
  };
  CHECK_EQ(refuse(R"({"weight_map": {"a": "x.safetensors"}})"), std::string("taken"));
  CHECK_EQ(refuse("{"), std::string("bad-checkpoint: I: this is no JSON: a key in quotes is expected (byte 1)."));
  CHECK_EQ(refuse("{}"), std::string("bad-checkpoint: I: there is no object weight_map."));
  CHECK_EQ(refuse(R"({"weight_map": {}})"), std::string("bad-checkpoint: I: weight_map is empty."));
  for (const char* name : {R"("../x.safetensors")", R"("a/x.safetensors")", R"("a\\x.safetensors")", R"("..")", R"("")",
                           R"("x\u0000.safetensors")", "3"}) {
    CHECK_EQ(refuse(std::string(R"({"weight_map": {"a": )") + name + "}}").substr(0, 44),
             std::string("bad-checkpoint: I: tensor \"a\" is said to lie in").substr(0, 44));
  }
  CHECK_EQ(refuse(R"({"weight_map": {"a": "x.bin"}})"),
           std::string("unsupported: I: tensor \"a\" lies in \"x.bin\", which is no safetensors file."));
}

TEST(refuses_shards_that_do_not_match_their_index) {
  TempFolder folder;
  RandomCheckpoint shape;
  shape.shards = 3;
  CHECK_OK(write_random_checkpoint(folder.path(), shape));
  CHECK_OK(load(folder.path()).status);
  const std::string index = read_file(folder.file("model.safetensors.index.json"));
  replace_in_file(folder, "model.safetensors.index.json", "\"lm_head.weight\": \"model-00003",
                  "\"lm_head.weight\": \"model-00001");
  Status status = load(folder.path()).status;
  CHECK_REASON(status, Reason::kBadCheckpoint);
  CHECK(says(status, "says that tensor \"lm_head.weight\" lies in model-00001-of-00003.safetensors, but it does not."));

  folder.write("model.safetensors.index.json", index);
  replace_in_file(folder, "model.safetensors.index.json", "model.norm.weight", "model.nurm.weight");
  CHECK(says(load(folder.path()).status, "\"model.nurm.weight\""));

  folder.write("model.safetensors.index.json", index);
  std::filesystem::remove(folder.file("model-00002-of-00003.safetensors"));
  status = load(folder.path()).status;
  CHECK_REASON(status, Reason::kNotFound);
  CHECK(says(status, "lists model-00002-of-00003.safetensors, which is not in the folder."));
}

TEST(the_fingerprint_tells_models_apart) {
  TempFolder folder;
  CHECK_OK(write_random_checkpoint(folder.path(), {}));
  const uint64_t first = load(folder.path()).weights.fingerprint;
  CHECK_EQ(load(folder.path()).weights.fingerprint, first);
  replace_in_file(folder, "config.json", "\"rope_theta\": 500000", "\"rope_theta\": 500001");
  CHECK(load(folder.path()).weights.fingerprint != first);
  replace_in_file(folder, "config.json", "\"rope_theta\": 500001", "\"rope_theta\": 500000");
  std::string file = read_file(folder.file("model.safetensors"));
  file.back() = static_cast<char>(file.back() ^ 1);
  folder.write("model.safetensors", file);
  CHECK(load(folder.path()).weights.fingerprint != first);
  RandomCheckpoint other;
  other.seed = 2;
  CHECK_OK(write_random_checkpoint(folder.path(), other));
  CHECK(load(folder.path()).weights.fingerprint != first);
}

TEST(loads_the_trained_checkpoint_of_the_repository) {
  const std::string folder = CHASQUI_PACKAGES "/tiny-llama/checkpoint";
  if (!std::filesystem::exists(folder)) return check::skip("packages/tiny-llama is not there yet");
  const Loaded model = load(folder);
  CHECK_OK(model.status);
  CHECK(model.weights.fingerprint != 0);
}

TEST_MAIN()
