// Seeded mutation fuzz of everything that is read from a checkpoint folder: safetensors headers, shard indexes,
// configs.
//   checkpoint_fuzz_test [MUTANTS [SEED]]
// Every mutant must end in a Status: refused with a sentence and a fix, or accepted with values that keep their
// promises (all bytes of all tensors are read, so that a sanitizer sees a view that leaves its file). 200,000 mutants
// by default.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "src/checkpoint/hf_directory.h"
#include "src/model/config.h"
#include "src/model/weights.h"
#include "test/fuzz.h"
#include "test/mutate.h"
#include "test/random_checkpoint.h"
#include "test/temp_folder.h"

using namespace chasqui;

namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void check_config(const ModelConfig& config, Tally* tally) {
  using Limits = ConfigLimits;
  require(config.n_layers >= 1 && config.n_layers <= Limits::kLayers && config.dim >= 1 && config.dim <= Limits::kDim &&
              config.ffn >= 1 && config.ffn <= Limits::kFfn && config.vocab >= 1 && config.vocab <= Limits::kVocab &&
              config.context >= 1 && config.context <= Limits::kContext,
          "a size outside its limits", tally);
  require(config.n_heads % config.n_kv_heads == 0 && config.head_dim % 2 == 0 && config.head_dim >= 2 &&
              config.q_dim() <= Limits::kProjection,
          "heads that do not fit", tally);
  for (const int32_t token : config.stop_tokens) {
    require(token >= 0 && token < config.vocab, "a stop token outside the vocabulary", tally);
  }
  require(
      config.rope.high_freq_factor > config.rope.low_freq_factor && config.rope.factor >= 1 && config.rope_theta >= 1,
      "a rope that cannot be computed", tally);
}

void fuzz_config(const std::string& config_text, const std::string& generation_text, Mutator* mutator, Tally* tally) {
  const bool change_config = mutator->below(4) > 0;
  ModelConfig config;
  const Status status = parse_config(change_config ? mutator->mutate(config_text) : config_text, "config.json",
                                     change_config ? generation_text : mutator->mutate(generation_text),
                                     "generation_config.json", &config);
  if (count(status, tally)) check_config(config, tally);
}

// A mutated header, usually with the right length in front, and the whole way from bytes to weights.
void fuzz_safetensors(const std::string& file, size_t header_bytes, const ModelConfig& config, Mutator* mutator,
                      Tally* tally) {
  static const std::string path = "model.safetensors";
  std::string header = mutator->mutate(file.substr(8, header_bytes));
  uint64_t length = header.size();
  if (mutator->below(8) == 0) length = mutator->interesting();
  std::string data = file.substr(8 + header_bytes);
  if (mutator->below(8) == 0) data.resize(mutator->below(data.size() + 1));
  // An allocation of exactly this size, so that one byte too many is seen.
  const size_t size = 8 + header.size() + data.size();
  const std::unique_ptr<std::byte[]> bytes(new std::byte[size]);
  std::memcpy(bytes.get(), &length, 8);
  std::memcpy(bytes.get() + 8, header.data(), header.size());
  std::memcpy(bytes.get() + 8 + header.size(), data.data(), data.size());

  std::vector<Tensor> tensors;
  Status status = parse_safetensors(bytes.get(), size, path, &tensors);
  if (status.ok()) {
    for (const Tensor& tensor : tensors) read_all(tensor.data, tensor.bytes);
    Weights weights;
    status = collect_weights(TensorDirectory(std::move(tensors), {}), config, &weights);
    for (const LayerWeights& layer : weights.layers) {
      read_all(layer.down.data, layer.down.rows * layer.down.cols * dtype_bytes(layer.down.type));
    }
  }
  count(status, tally);
}

void fuzz_index(const std::string& index, const TempFolder& folder, Mutator* mutator, Tally* tally) {
  const std::string mutant = mutator->mutate(index);
  std::vector<ShardEntry> entries;
  const Status status = parse_shard_index(mutant, "index", &entries);
  if (!count(status, tally)) return;
  for (const ShardEntry& entry : entries) {
    require(
        entry.file.find('/') == std::string::npos && entry.file.find('\0') == std::string::npos && entry.file != "..",
        "a shard outside the folder", tally);
  }
  if (mutator->below(16) > 0) return;  // the files themselves are slow to map
  folder.write("model.safetensors.index.json", mutant);
  TensorDirectory directory;
  const Status opened = open_tensor_directory(folder.path(), &directory);
  tally->accepted--;
  if (!count(opened, tally)) return;
  for (const Tensor& tensor : directory.tensors()) read_all(tensor.data, tensor.bytes);
}

}  // namespace

int main(int argc, char** argv) {
  const long mutants = argc > 1 ? std::atol(argv[1]) : 200'000;
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  TempFolder folder;
  RandomCheckpoint shape;
  shape.n_layers = 1;
  shape.dim = 8;
  shape.ffn = 12;
  shape.n_heads = 2;
  shape.n_kv_heads = 1;
  shape.head_dim = 4;
  shape.vocab = 10;
  shape.shards = 2;
  Status status = write_random_checkpoint(folder.file("sharded"), shape);
  shape.shards = 1;
  if (status.ok()) status = write_random_checkpoint(folder.path(), shape);
  ModelConfig config;
  if (status.ok()) status = read_config(folder.path(), &config);
  if (!status.ok()) {
    std::printf("%s\n0 passed, 1 failed\n", status.detail.c_str());
    return 1;
  }
  const std::string config_text = read_file(folder.file("config.json"));
  const std::string generation_text = read_file(folder.file("generation_config.json"));
  const std::string index = read_file(folder.file("sharded/model.safetensors.index.json"));
  const std::string file = read_file(folder.file("model.safetensors"));
  for (const auto& shard : std::filesystem::directory_iterator(folder.file("sharded"))) {
    if (shard.path().extension() == ".safetensors") {
      std::filesystem::rename(shard.path(), folder.file(shard.path().filename().string()));
    }
  }
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), 8);

  const auto start = std::chrono::steady_clock::now();
  Tally tallies[] = {{"configs"}, {"safetensors"}, {"indexes"}};
  Mutator mutator(seed);
  for (long i = 0; i < mutants; i++) {
    if (i % 3 == 0) fuzz_config(config_text, generation_text, &mutator, &tallies[0]);
    if (i % 3 == 1) fuzz_safetensors(file, header_bytes, config, &mutator, &tallies[1]);
    if (i % 3 == 2) fuzz_index(index, folder, &mutator, &tallies[2]);
  }
  std::printf("%ld mutants with seed %llu in %.1f s\n", mutants, static_cast<unsigned long long>(seed),
              std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return report(std::begin(tallies), std::end(tallies), mutants);
}
