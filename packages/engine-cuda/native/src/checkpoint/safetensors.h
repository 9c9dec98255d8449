// The safetensors container: bytes of a file in, its tensors as views into those bytes out, every header field checked
// against the file's size. Knows nothing of models. Format: an 8-byte little-endian header length N, N bytes of JSON
// {name: {dtype, shape, data_offsets}}, then data (https://github.com/huggingface/safetensors#format).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../status.h"
#include "mapped_file.h"

namespace chasqui {

enum class TensorType : uint8_t {
  kBool, kU8, kI8, kF8E4M3, kF8E5M2, kI16, kU16, kF16, kBF16, kI32, kU32, kF32, kI64, kU64, kF64
};

// As it is written in a safetensors header, for example "BF16".
const char* tensor_type_name(TensorType type);
int64_t tensor_type_bytes(TensorType type);

struct Tensor {
  std::string name;
  TensorType type = TensorType::kF32;
  std::vector<int64_t> shape;       // empty for a scalar
  const std::byte* data = nullptr;  // row-major, at any alignment
  int64_t bytes = 0;
  const std::string* file = nullptr;  // path, for messages

  int64_t elements() const { return bytes / tensor_type_bytes(type); }
};

// "[4096, 1024] BF16"
std::string describe(const Tensor& tensor);
std::string shape_text(const std::vector<int64_t>& shape);

// The tensors of a file's bytes, sorted by name. `path` names the file in messages, and must outlive the tensors.
Status parse_safetensors(const std::byte* bytes, size_t size, const std::string& path, std::vector<Tensor>* tensors);

// Maps a file and reads its header. The tensors live as long as the file.
Status open_safetensors(const std::string& path, std::shared_ptr<MappedFile>* file, std::vector<Tensor>* tensors);

}  // namespace chasqui
