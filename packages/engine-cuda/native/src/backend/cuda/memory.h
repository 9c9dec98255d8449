// Device memory: buffers that free themselves, claimed one by one when they are large and out of shared slabs when they are
// small, and the way that weights take from mapped files to the device.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "device_runtime.h"

namespace chasqui::cuda {

// A piece of device memory, or of a slab that lives as long as one of its pieces.
class Buffer {
 public:
  template <typename T = void>
  T* as() const {
    return static_cast<T*>(data_);
  }
  int64_t bytes() const { return bytes_; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  friend class Pool;
  std::shared_ptr<void> slab_;
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

class Pool {
 public:
  explicit Pool(Runtime& runtime) : runtime_(runtime) {}

  // `bytes` zeroed bytes, aligned to kAlignment; none for 0. `what` names the use in an out-of-memory failure.
  Status claim(int64_t bytes, const char* what, Buffer* made);
  // What a claim takes away from the device, a share of a slab included.
  static int64_t rounded(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

  // So far, given back or not: what was claimed from the device, whole slabs, and what of it was handed out.
  int64_t claimed_bytes() const { return claimed_bytes_; }
  int64_t handed_out_bytes() const { return handed_out_bytes_; }

 private:
  static constexpr int64_t kAlignment = 256;
  static constexpr int64_t kSlab = 32 << 20;
  static constexpr int64_t kSmall = 4 << 20;  // what goes into slabs

  Status claim_alone(int64_t bytes, const char* what, std::shared_ptr<void>* made);

  Runtime& runtime_;
  std::shared_ptr<void> slab_;  // the one that is being filled
  int64_t slab_used_ = 0;
  int64_t claimed_bytes_ = 0;
  int64_t handed_out_bytes_ = 0;
};

// Pinned host memory.
class Pinned {
 public:
  Pinned() = default;
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  ~Pinned() { release(); }

  Status claim(Runtime& runtime, int64_t bytes, const char* what);
  void release();

  int64_t bytes() const { return bytes_; }
  template <typename T = void>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  Runtime* runtime_ = nullptr;
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

// Two pinned pieces in turn: one is filled while the device reads the other.
class Upload {
 public:
  explicit Upload(Runtime& runtime) : runtime_(runtime) {}
  ~Upload();
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  // Writes `units` units of `unit_bytes` to device memory. fill(first, count, piece) makes units [first, first + count).
  using Fill = std::function<void(int64_t first, int64_t count, void* piece)>;
  Status run(void* device, int64_t units, int64_t unit_bytes, const Fill& fill);
  // Waits for the last copy and gives the pinned memory back.
  Status finish();

 private:
  struct Piece {
    Pinned memory;
    Event copied = nullptr;
    bool is_copying = false;
  };
  static constexpr int64_t kPieceBytes = 16 << 20;

  Status ready(Piece* piece, int64_t bytes);

  Runtime& runtime_;
  Piece pieces_[2];
  int32_t next_ = 0;
};

}  // namespace chasqui::cuda
