// Memory in large pieces: zeroed, 64-byte aligned, on huge pages where the system gives them, and a Status instead of
// an abort when there is none.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../status.h"
#include "../backend.h"

namespace chasqui::cpu {

class Memory {
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { release(); }

  // Frees what it held and claims `bytes` zeroed bytes; physical memory is taken at the first touch. `what` names the
  // use in the error.
  Status claim(int64_t bytes, const char* what);
  void release();

  int64_t bytes() const { return bytes_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

// Memory of this machine, or of the control group that the process is limited to.
DeviceMemory machine_memory();

}  // namespace chasqui::cpu
