// A device for tests of kernels: the GPU where the program is built with nvcc, a CPU in its place elsewhere. What a test puts
// on it and reads back goes through the runtime, so the same test runs in both worlds.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "src/backend/cuda/device_runtime.h"
#include "src/backend/cuda/kernels/launch.h"
#include "src/backend/cuda/memory.h"

namespace chasqui::cuda {

class TestDevice {
 public:
  TestDevice() {
    must(make_runtime(&runtime_));
    pool_ = std::make_unique<Pool>(*runtime_);
  }

  // A copy on the device, which lives as long as this.
  template <typename T>
  T* put(const std::vector<T>& values) {
    T* made = room<T>(static_cast<int64_t>(values.size()));
    overwrite(made, values);
    return made;
  }

  template <typename T>
  T* put_one(const T& value) {
    return put(std::vector<T>{value});
  }

  // Zeroed memory for n values.
  template <typename T>
  T* room(int64_t n) {
    buffers_.emplace_back();
    must(pool_->claim(n * static_cast<int64_t>(sizeof(T)), "a test", &buffers_.back()));
    return buffers_.back().as<T>();
  }

  template <typename T>
  void overwrite(T* device, const std::vector<T>& values) {
    if (values.empty()) return;
    const auto bytes = static_cast<int64_t>(values.size() * sizeof(T));
    Pinned pinned;
    must(pinned.claim(*runtime_, bytes, "a test"));
    std::memcpy(pinned.as(), values.data(), static_cast<size_t>(bytes));
    must(runtime_->upload(device, pinned.as(), bytes));
    must(runtime_->wait());
  }

  // Waits for what was launched. The program ends if the device failed.
  template <typename T>
  std::vector<T> get(const T* device, int64_t n) {
    const int64_t bytes = n * static_cast<int64_t>(sizeof(T));
    Pinned pinned;
    must(pinned.claim(*runtime_, bytes, "a test"));
    must(runtime_->launched());
    must(runtime_->download(pinned.as(), device, bytes));
    must(runtime_->wait());
    std::vector<T> values(static_cast<size_t>(n));
    std::memcpy(values.data(), pinned.as(), static_cast<size_t>(bytes));
    return values;
  }

  // With scratch for steps of this size.
  Target target(const ModelShape& shape, int32_t max_rows, int32_t max_logits) {
    const ScratchSizes sizes = scratch_sizes(shape, max_rows, max_logits, runtime_->limits());
    return {&runtime_->stream(),
            runtime_->limits(),
            {room<float>(sizes.partial_bytes / 4 + 1), room<uint32_t>(sizes.counter_bytes / 4 + 1)}};
  }

  Runtime& runtime() { return *runtime_; }
  bool is_real() const { return runtime_->facts().is_real; }

 private:
  static void must(const Status& status) {
    if (status.ok()) return;
    std::fprintf(stderr, "%s %s\n", status.detail.c_str(), status.fix.c_str());
    std::exit(1);
  }

  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<Pool> pool_;
  std::vector<Buffer> buffers_;
};

}  // namespace chasqui::cuda
