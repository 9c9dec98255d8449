// An index is believed only as far as the shards bear it out: a tensor must lie in the file that the index names.
#include "hf_directory.h"

#include <algorithm>
#include <map>

#include "../json.h"

namespace chasqui {
namespace {

constexpr size_t kMaxIndexBytes = 64'000'000;
constexpr size_t kMaxShards = 4096;
constexpr char kIndexName[] = "model.safetensors.index.json";
constexpr char kSingleName[] = "model.safetensors";
constexpr char kSuffix[] = ".safetensors";

// A name that stays inside the folder: no separator, no parent, nothing that ends a C string early.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

// A folder without safetensors: what lies there instead is named, since it says what to do.
Status no_weights(const std::string& folder) {
  static constexpr const char* kOthers[] = {"pytorch_model.bin",   "pytorch_model.bin.index.json",
                                            "consolidated.00.pth", "consolidated.safetensors",
                                            "flax_model.msgpack",  "tf_model.h5"};
  for (const char* other : kOthers) {
    if (!path_exists(folder + "/" + other)) continue;
    return failure(Reason::kUnsupported, folder + " holds its weights in " + other + ", which is not supported.",
                   "Convert the checkpoint to Hugging Face safetensors, or download that form of it.");
  }
  return failure(Reason::kNotFound, folder + " holds neither " + kSingleName + " nor " + kIndexName + ".",
                 "Give the folder of a Hugging Face checkpoint with safetensors weights.");
}

Status open_single(const std::string& folder, TensorDirectory* directory) {
  std::shared_ptr<MappedFile> file;
  std::vector<Tensor> tensors;
  if (Status status = open_safetensors(folder + "/" + kSingleName, &file, &tensors); !status.ok()) return status;
  *directory = TensorDirectory(std::move(tensors), {file});
  return {};
}

Status open_shards(const std::string& folder, const std::string& index_path, TensorDirectory* directory) {
  std::string text;
  std::vector<ShardEntry> entries;
  if (Status status = read_small_file(index_path, kMaxIndexBytes, &text); !status.ok()) return status;
  if (Status status = parse_shard_index(text, index_path, &entries); !status.ok()) return status;

  std::map<std::string, std::vector<std::string>> wanted;  // file name -> tensor names, sorted
  for (ShardEntry& entry : entries) wanted[entry.file].push_back(std::move(entry.tensor));
  if (wanted.size() > kMaxShards) {
    return failure(Reason::kBadCheckpoint, index_path + " lists " + std::to_string(wanted.size()) + " files.",
                   "Check that this is the index of a checkpoint.");
  }
  std::vector<Tensor> all;
  std::vector<std::shared_ptr<MappedFile>> files;
  for (const auto& [name, tensor_names] : wanted) {
    std::shared_ptr<MappedFile> file;
    std::vector<Tensor> found;
    Status status = open_safetensors(folder + "/" + name, &file, &found);
    if (status.reason == Reason::kNotFound) {
      return failure(Reason::kNotFound, index_path + " lists " + name + ", which is not in the folder.",
                     "Download the missing shard.");
    }
    if (!status.ok()) return status;
    // Both lists are sorted; tensors of the shard that the index does not list are left out.
    size_t next = 0;
    for (const std::string& tensor_name : tensor_names) {
      while (next < found.size() && found[next].name < tensor_name) next++;
      if (next == found.size() || found[next].name != tensor_name) {
        return failure(
            Reason::kBadCheckpoint,
            index_path + " says that tensor " + json_quoted(tensor_name) + " lies in " + name + ", but it does not.",
            "Index and shards are of different checkpoints, or a shard is damaged: download them again.");
      }
      all.push_back(std::move(found[next++]));
    }
    files.push_back(std::move(file));
  }
  *directory = TensorDirectory(std::move(all), std::move(files));
  return {};
}

}  // namespace

TensorDirectory::TensorDirectory(std::vector<Tensor> tensors, std::vector<std::shared_ptr<MappedFile>> files)
    : tensors_(std::move(tensors)), files_(std::move(files)) {
  std::sort(tensors_.begin(), tensors_.end(), [](const Tensor& a, const Tensor& b) { return a.name < b.name; });
}

const Tensor* TensorDirectory::find(std::string_view name) const {
  const auto found =
      std::lower_bound(tensors_.begin(), tensors_.end(), name,
                       [](const Tensor& tensor, std::string_view wanted) { return tensor.name < wanted; });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

Status parse_shard_index(std::string_view text, const std::string& path, std::vector<ShardEntry>* entries) {
  const auto bad = [&path](const std::string& what) {
    return failure(Reason::kBadCheckpoint, path + ": " + what + ".", "The index is damaged: download it again.");
  };
  JsonLimits limits;
  limits.bytes = kMaxIndexBytes;
  JsonValue index;
  std::string error;
  if (!parse_json(text, limits, &index, &error)) return bad("this is no JSON: " + error);
  const JsonValue* map = index.find("weight_map");
  if (map == nullptr || map->object() == nullptr) return bad("there is no object weight_map");
  if (map->object()->empty()) return bad("weight_map is empty");
  entries->clear();
  for (const JsonMember& member : *map->object()) {
    const std::string* file = member.value.string();
    if (file == nullptr || !is_plain_name(*file)) {
      entries->clear();
      return bad("tensor " + json_quoted(member.key) + " is said to lie in " + member.value.brief() +
                 ", which is no plain file name");
    }
    if (!file->ends_with(kSuffix)) {
      entries->clear();
      return failure(Reason::kUnsupported,
                     path + ": tensor " + json_quoted(member.key) + " lies in " + json_quoted(*file) +
                         ", which is no safetensors file.",
                     "Use the safetensors form of the checkpoint.");
    }
    entries->push_back({member.key, *file});
  }
  return {};
}

Status open_tensor_directory(const std::string& folder, TensorDirectory* directory) {
  const std::string index_path = folder + "/" + kIndexName;
  if (path_exists(index_path)) return open_shards(folder, index_path, directory);
  if (path_exists(folder + "/" + kSingleName)) return open_single(folder, directory);
  return no_weights(folder);
}

}  // namespace chasqui
