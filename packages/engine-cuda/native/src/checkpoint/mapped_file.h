// A file as bytes in memory: mapped read-only (weights) or read whole (small JSON files). Knows nothing of formats.
// A mapped file must not shrink while it is in use: touching pages past its end raises SIGBUS, as with any mapping.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "../status.h"

namespace chasqui {

class MappedFile {
 public:
  // How the bytes are about to be read (madvise).
  enum class Access { kNormal, kSequential, kRandom, kSoon, kDone };

  // Fails with kNotFound for a missing file, kBadCheckpoint for a folder or device, kInternal where reading is refused.
  static Status open(const std::string& path, std::shared_ptr<MappedFile>* file);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  const std::byte* data() const { return data_; }  // null for an empty file
  size_t size() const { return size_; }            // bytes
  // Advice for `bytes` bytes from `begin` (a pointer into data()). Only a hint: failures are ignored.
  void advise(const void* begin, size_t bytes, Access access) const;

 private:
  MappedFile(std::string path, const std::byte* data, size_t size) : path_(std::move(path)), data_(data), size_(size) {}

  std::string path_;
  const std::byte* data_;
  size_t size_;
};

// Reads a whole file of at most `max_bytes` bytes.
Status read_small_file(const std::string& path, size_t max_bytes, std::string* text);

// Whether a path names something that exists.
bool path_exists(const std::string& path);

}  // namespace chasqui
