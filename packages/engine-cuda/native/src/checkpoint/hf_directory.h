// The tensors of a Hugging Face folder by name, wherever they lie: in model.safetensors, or in the shards that
// model.safetensors.index.json lists. Knows nothing of what the tensors mean.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../status.h"
#include "mapped_file.h"
#include "safetensors.h"

namespace chasqui {

class TensorDirectory {
 public:
  TensorDirectory() = default;
  // From tensors of any order; names must be unique. The files keep the tensors' bytes alive.
  TensorDirectory(std::vector<Tensor> tensors, std::vector<std::shared_ptr<MappedFile>> files);

  const Tensor* find(std::string_view name) const;
  const std::vector<Tensor>& tensors() const { return tensors_; }  // sorted by name
  const std::vector<std::shared_ptr<MappedFile>>& files() const { return files_; }

 private:
  std::vector<Tensor> tensors_;
  std::vector<std::shared_ptr<MappedFile>> files_;
};

// One line of an index: where a tensor is said to lie.
struct ShardEntry {
  std::string tensor;
  std::string file;  // a plain name inside the folder
};

// Reads the text of model.safetensors.index.json, entries sorted by tensor. `path` names it in messages.
Status parse_shard_index(std::string_view text, const std::string& path, std::vector<ShardEntry>* entries);

// Maps every file of a folder that holds weights. Where both exist the index wins over model.safetensors.
Status open_tensor_directory(const std::string& folder, TensorDirectory* directory);

}  // namespace chasqui
