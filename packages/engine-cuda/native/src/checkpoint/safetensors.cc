// The header is read as JSON, each entry is checked against the size of the file, then all entries against each other.
// Gaps between tensors are allowed: nothing reads them.
#include "safetensors.h"

#include <algorithm>

#include "../json.h"

namespace chasqui {
namespace {

constexpr size_t kMaxHeaderBytes = 100'000'000;  // the limit of the published readers
constexpr size_t kMaxRank = 8;
constexpr char kDownload[] = "The file is damaged or cut off: download it again.";

struct TypeRow {
  TensorType type;
  const char* name;
  int64_t bytes;
};

constexpr TypeRow kTypes[] = {
    {TensorType::kBool, "BOOL", 1},      {TensorType::kU8, "U8", 1},          {TensorType::kI8, "I8", 1},
    {TensorType::kF8E4M3, "F8_E4M3", 1}, {TensorType::kF8E5M2, "F8_E5M2", 1}, {TensorType::kI16, "I16", 2},
    {TensorType::kU16, "U16", 2},        {TensorType::kF16, "F16", 2},        {TensorType::kBF16, "BF16", 2},
    {TensorType::kI32, "I32", 4},        {TensorType::kU32, "U32", 4},        {TensorType::kF32, "F32", 4},
    {TensorType::kI64, "I64", 8},        {TensorType::kU64, "U64", 8},        {TensorType::kF64, "F64", 8},
};

const TypeRow& row_of(TensorType type) { return kTypes[static_cast<size_t>(type)]; }

// What is wrong with one file: every failure of this unit names it.
struct Complaint {
  const std::string& path;

  Status damaged(const std::string& what) const {
    return failure(Reason::kBadCheckpoint, path + ": " + what + ".", kDownload);
  }
  Status tensor(const std::string& name, const std::string& what) const {
    return damaged("tensor " + json_quoted(name) + " " + what);
  }
};

Status header_text(const std::byte* bytes, size_t size, const Complaint& complaint, std::string_view* text) {
  if (size < 8) {
    return complaint.damaged("the file has " + std::to_string(size) + " bytes, fewer than the 8 of a header length");
  }
  uint64_t length = 0;
  for (int i = 7; i >= 0; i--) length = length << 8 | static_cast<uint64_t>(bytes[i]);
  if (length > kMaxHeaderBytes) {
    return complaint.damaged("a header of " + std::to_string(length) + " bytes is announced; at most " +
                             std::to_string(kMaxHeaderBytes) + " are allowed");
  }
  if (length > size - 8) {
    return complaint.damaged("a header of " + std::to_string(length) + " bytes is announced, but the file has only " +
                             std::to_string(size) + " bytes");
  }
  *text = std::string_view(reinterpret_cast<const char*>(bytes) + 8, static_cast<size_t>(length));
  return {};
}

// {dtype, shape, data_offsets} of one tensor. `data` is what follows the header, `size` bytes.
Status read_entry(const std::string& name, const JsonValue& entry, const std::byte* data, int64_t size,
                  const Complaint& complaint, Tensor* tensor) {
  const JsonValue* dtype = entry.find("dtype");
  const JsonValue* shape = entry.find("shape");
  const JsonValue* offsets = entry.find("data_offsets");
  if (dtype == nullptr || dtype->string() == nullptr) return complaint.tensor(name, "has no dtype");
  if (shape == nullptr || shape->array() == nullptr) return complaint.tensor(name, "has no shape");
  if (offsets == nullptr || offsets->array() == nullptr || offsets->array()->size() != 2) {
    return complaint.tensor(name, "has no pair data_offsets");
  }
  const auto row =
      std::find_if(std::begin(kTypes), std::end(kTypes), [&](const TypeRow& r) { return *dtype->string() == r.name; });
  if (row == std::end(kTypes)) {
    return failure(Reason::kUnsupported,
                   complaint.path + ": tensor " + json_quoted(name) + " has the unknown dtype " + dtype->brief() + ".",
                   "Use a checkpoint in BF16, F16 or F32.");
  }
  if (shape->array()->size() > kMaxRank) return complaint.tensor(name, "has more than 8 dimensions");
  int64_t bytes = row->bytes;
  tensor->shape.clear();
  for (const JsonValue& dimension : *shape->array()) {
    const int64_t* extent = dimension.integer();
    if (extent == nullptr || *extent < 0) return complaint.tensor(name, "has the dimension " + dimension.brief());
    if (__builtin_mul_overflow(bytes, *extent, &bytes)) {
      return complaint.tensor(name, "has the impossible shape " + shape->brief());
    }
    tensor->shape.push_back(*extent);
  }
  const int64_t* begin = (*offsets->array())[0].integer();
  const int64_t* end = (*offsets->array())[1].integer();
  if (begin == nullptr || end == nullptr || *begin < 0 || *end < *begin) {
    return complaint.tensor(name, "has the data_offsets " + offsets->brief());
  }
  if (*end - *begin != bytes) {
    return complaint.tensor(name, "of shape " + shape_text(tensor->shape) + " and dtype " + row->name + " needs " +
                                      std::to_string(bytes) + " bytes, its data_offsets hold " +
                                      std::to_string(*end - *begin));
  }
  if (*end > size) {
    return complaint.tensor(name, "ends at byte " + std::to_string(*end) + " of the data, but the file holds only " +
                                      std::to_string(size) + " bytes of data");
  }
  tensor->name = name;
  tensor->type = row->type;
  tensor->data = data + *begin;
  tensor->bytes = bytes;
  tensor->file = &complaint.path;
  return {};
}

Status check_overlap(const std::vector<Tensor>& tensors, const Complaint& complaint) {
  std::vector<const Tensor*> by_place;
  for (const Tensor& tensor : tensors) {
    if (tensor.bytes > 0) by_place.push_back(&tensor);
  }
  std::sort(by_place.begin(), by_place.end(), [](const Tensor* a, const Tensor* b) { return a->data < b->data; });
  for (size_t i = 1; i < by_place.size(); i++) {
    if (by_place[i - 1]->data + by_place[i - 1]->bytes > by_place[i]->data) {
      return complaint.damaged("tensors " + json_quoted(by_place[i - 1]->name) + " and " +
                               json_quoted(by_place[i]->name) + " share bytes");
    }
  }
  return {};
}

}  // namespace

const char* tensor_type_name(TensorType type) { return row_of(type).name; }
int64_t tensor_type_bytes(TensorType type) { return row_of(type).bytes; }

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); i++) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

std::string describe(const Tensor& tensor) { return shape_text(tensor.shape) + " " + tensor_type_name(tensor.type); }

Status parse_safetensors(const std::byte* bytes, size_t size, const std::string& path, std::vector<Tensor>* tensors) {
  const Complaint complaint{path};
  std::string_view text;
  if (Status status = header_text(bytes, size, complaint, &text); !status.ok()) return status;
  JsonLimits limits;
  limits.bytes = kMaxHeaderBytes;
  limits.depth = 4;
  limits.values = size_t{4} << 20;  // about 600,000 tensors
  JsonValue header;
  std::string error;
  if (!parse_json(text, limits, &header, &error)) return complaint.damaged("the header is no JSON: " + error);
  if (header.object() == nullptr) return complaint.damaged("the header is no JSON object");

  const std::byte* const data = bytes + 8 + text.size();
  const int64_t data_bytes = static_cast<int64_t>(size - 8 - text.size());
  tensors->clear();
  for (const JsonMember& member : *header.object()) {
    if (member.key == "__metadata__") continue;
    if (Status status = read_entry(member.key, member.value, data, data_bytes, complaint, &tensors->emplace_back());
        !status.ok()) {
      tensors->clear();
      return status;
    }
  }
  Status status = check_overlap(*tensors, complaint);
  if (!status.ok()) tensors->clear();
  return status;
}

Status open_safetensors(const std::string& path, std::shared_ptr<MappedFile>* file, std::vector<Tensor>* tensors) {
  std::shared_ptr<MappedFile> opened;
  if (Status status = MappedFile::open(path, &opened); !status.ok()) return status;
  if (Status status = parse_safetensors(opened->data(), opened->size(), opened->path(), tensors); !status.ok()) {
    return status;
  }
  *file = std::move(opened);
  return {};
}

}  // namespace chasqui
