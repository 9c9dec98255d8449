// Anonymous mappings; /proc/meminfo and the cgroup v2 files for what is left.
#include "memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>

namespace chasqui::cpu {

namespace {

std::string gibibytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GiB", static_cast<double>(bytes) / (1 << 30));
  return text;
}

// The number in a one-line file, or -1 where there is none ("max" in a control group).
int64_t number_in(const char* path) {
  std::FILE* file = std::fopen(path, "r");
  if (file == nullptr) return -1;
  long long value = -1;
  if (std::fscanf(file, "%lld", &value) != 1) value = -1;
  std::fclose(file);
  return value;
}

}  // namespace

Status Memory::claim(int64_t bytes, const char* what) {
  release();
  if (bytes <= 0) return {};
  void* data = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    return failure(Reason::kOutOfMemory, "The system gave no " + gibibytes(bytes) + " for " + what + ".",
                   "Use a smaller model, fewer cache pages, or a machine with more memory.");
  }
#ifdef MADV_HUGEPAGE
  if (bytes >= (4 << 20)) madvise(data, static_cast<size_t>(bytes), MADV_HUGEPAGE);
#endif
  data_ = data;
  bytes_ = bytes;
  return {};
}

void Memory::release() {
  if (data_ != nullptr) munmap(data_, static_cast<size_t>(bytes_));
  data_ = nullptr;
  bytes_ = 0;
}

DeviceMemory machine_memory() {
  DeviceMemory memory;
  const int64_t page = sysconf(_SC_PAGESIZE);
  memory.total_bytes = page * sysconf(_SC_PHYS_PAGES);
#ifdef _SC_AVPHYS_PAGES
  memory.available_bytes = page * sysconf(_SC_AVPHYS_PAGES);
#else
  memory.available_bytes = memory.total_bytes;
#endif
  if (std::FILE* file = std::fopen("/proc/meminfo", "r")) {
    char line[128];
    long long kibibytes = 0;
    while (std::fgets(line, sizeof line, file) != nullptr) {
      if (std::sscanf(line, "MemAvailable: %lld", &kibibytes) == 1) memory.available_bytes = kibibytes * 1024;
    }
    std::fclose(file);
  }
  const int64_t limit = number_in("/sys/fs/cgroup/memory.max");
  const int64_t used = number_in("/sys/fs/cgroup/memory.current");
  if (limit > 0 && limit < memory.total_bytes) {
    memory.total_bytes = limit;
    if (used >= 0) memory.available_bytes = std::min(memory.available_bytes, std::max<int64_t>(0, limit - used));
  }
  return memory;
}

}  // namespace chasqui::cpu
