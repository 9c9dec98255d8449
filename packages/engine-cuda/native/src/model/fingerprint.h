// A fast 64-bit hash for telling models and adapters apart by names, sizes and samples of their data. Not for security.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace chasqui {

class Fingerprint {
 public:
  void add(uint64_t word) { state_ = std::rotl((state_ ^ word) * 0x9E3779B97F4A7C15u, 29) + 0x165667B19E3779F9u; }
  void add(double number) { add(std::bit_cast<uint64_t>(number)); }
  void add(const void* bytes, size_t size) {
    add(static_cast<uint64_t>(size));
    const char* at = static_cast<const char*>(bytes);
    for (; size >= 8; size -= 8, at += 8) add_word(at, 8);
    if (size > 0) add_word(at, size);
  }
  // Up to eight windows of 64 bytes, spread from the first byte to the last.
  void add_sample(const void* bytes, int64_t size) {
    constexpr int64_t kWindow = 64;
    constexpr int64_t kWindows = 8;
    if (size <= kWindow * kWindows) return add(bytes, static_cast<size_t>(size));
    for (int64_t i = 0; i < kWindows; i++) {
      add(static_cast<const char*>(bytes) + (size - kWindow) * i / (kWindows - 1), kWindow);
    }
  }
  uint64_t value() const { return state_ ^ state_ >> 31; }

 private:
  void add_word(const char* at, size_t size) {
    uint64_t word = 0;
    std::memcpy(&word, at, size);
    add(word);
  }

  uint64_t state_ = 0x243F6A8885A308D3u;
};

}  // namespace chasqui
