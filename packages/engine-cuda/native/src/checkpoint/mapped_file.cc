// POSIX: open, fstat, mmap, madvise. Only regular files are opened; a pipe or a device would block or never end.
#include "mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace chasqui {
namespace {

// Opens a regular file. O_NONBLOCK keeps open() from waiting for a writer where the path is a pipe.
Status open_regular(const std::string& path, int* descriptor, size_t* bytes) {
  const int opened = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (opened < 0) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) {
      return failure(Reason::kNotFound, "There is no file " + path + ".",
                     "Give the folder of a Hugging Face checkpoint.");
    }
    return failure(Reason::kInternal, "Cannot open " + path + ": " + std::strerror(error) + ".",
                   "Check the file's permissions.");
  }
  struct stat info = {};
  if (::fstat(opened, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(opened);
    return failure(Reason::kBadCheckpoint, path + " is not a regular file.", "Download the checkpoint again.");
  }
  *descriptor = opened;
  *bytes = static_cast<size_t>(info.st_size);
  return {};
}

}  // namespace

Status MappedFile::open(const std::string& path, std::shared_ptr<MappedFile>* file) {
  int descriptor = -1;
  size_t bytes = 0;
  if (Status status = open_regular(path, &descriptor, &bytes); !status.ok()) return status;
  void* data = nullptr;
  if (bytes > 0) {
    data = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (data == MAP_FAILED) {
      const std::string why = std::strerror(errno);
      ::close(descriptor);
      return failure(Reason::kOutOfMemory,
                     "Cannot map " + path + " (" + std::to_string(bytes) + " bytes): " + why + ".",
                     "Free address space or raise the limit on virtual memory (ulimit -v).");
    }
  }
  ::close(descriptor);  // the mapping stays
  file->reset(new MappedFile(path, static_cast<const std::byte*>(data), bytes));
  return {};
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::advise(const void* begin, size_t bytes, Access access) const {
  const uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const uintptr_t first = reinterpret_cast<uintptr_t>(begin) / page * page;
  const uintptr_t last = reinterpret_cast<uintptr_t>(begin) + bytes;
  const int advice = access == Access::kSequential ? MADV_SEQUENTIAL
                     : access == Access::kRandom   ? MADV_RANDOM
                     : access == Access::kSoon     ? MADV_WILLNEED
                     : access == Access::kDone     ? MADV_DONTNEED
                                                   : MADV_NORMAL;
  if (data_ != nullptr) (void)::madvise(reinterpret_cast<void*>(first), last - first, advice);
}

Status read_small_file(const std::string& path, size_t max_bytes, std::string* text) {
  int descriptor = -1;
  size_t bytes = 0;
  if (Status status = open_regular(path, &descriptor, &bytes); !status.ok()) return status;
  if (bytes > max_bytes) {
    ::close(descriptor);
    return failure(
        Reason::kBadCheckpoint,
        path + " has " + std::to_string(bytes) + " bytes; at most " + std::to_string(max_bytes) + " are read.",
        "Check that this is the file of a checkpoint.");
  }
  text->resize(bytes);
  size_t have = 0;
  while (have < bytes) {
    const ssize_t got = ::read(descriptor, text->data() + have, bytes - have);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    have += static_cast<size_t>(got);
  }
  ::close(descriptor);
  if (have == bytes) return {};
  return failure(Reason::kInternal, "Cannot read " + path + " to its end.",
                 "Check the disk, and download the file again.");
}

bool path_exists(const std::string& path) {
  struct stat info = {};
  return ::stat(path.c_str(), &info) == 0;
}

}  // namespace chasqui
