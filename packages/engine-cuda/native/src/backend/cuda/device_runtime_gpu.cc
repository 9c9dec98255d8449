// The runtime on a GPU: each call is one call of cudart, its error turned into a Status. cudart is linked statically and
// finds the driver when it is first called, so a machine without one gets an answer instead of a load failure.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <string>
#include <unordered_set>

#include "device_runtime.h"

namespace chasqui::cuda {

namespace {

constexpr int32_t kOldestMajor = 8;  // the kernels are built for sm_80 and later

std::string gibibytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GiB", static_cast<double>(bytes) / (1 << 30));
  return text;
}

std::string version(int32_t number) { return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10); }

// Launches go to the driver; the first error is kept until somebody asks.
class GpuStream final : public Stream {
 public:
  void launch(const Launch& launch, const void* entry, void** arguments) override;

  cudaStream_t stream = nullptr;
  int most_shared = 0;       // of a block: a kernel's launches differ in what they take
  bool can_overlap = false;  // programmatic dependent launch: from compute capability 9.0 on
  cudaError_t error = cudaSuccess;
  const char* failed = "";  // the kernel of the error

 private:
  static constexpr uint32_t kOptIn = 48 << 10;  // dynamic shared memory above this is asked for once per kernel
  std::unordered_set<const void*> opted_in_;
};

class GpuRuntime final : public Runtime {
 public:
  ~GpuRuntime() override {
    if (stream_.stream != nullptr) cudaStreamDestroy(stream_.stream);
  }

  Status open();

  const DeviceFacts& facts() const override { return facts_; }
  DeviceMemory memory() const override;
  Stream& stream() override { return stream_; }
  DeviceLimits limits() const override { return limits_; }

  Status claim(int64_t bytes, const char* what, void** made) override;
  void release(void* memory) override { cudaFree(memory); }
  Status claim_pinned(int64_t bytes, const char* what, void** made) override;
  void release_pinned(void* memory) override { cudaFreeHost(memory); }

  Status upload(void* device, const void* pinned, int64_t bytes) override {
    return checked(cudaMemcpyAsync(device, pinned, size_of(bytes), cudaMemcpyHostToDevice, stream_.stream), "a copy to the device");
  }
  Status download(void* pinned, const void* device, int64_t bytes) override {
    return checked(cudaMemcpyAsync(pinned, device, size_of(bytes), cudaMemcpyDeviceToHost, stream_.stream), "a copy from the device");
  }
  Status copy(void* to, const void* from, int64_t bytes) override {
    return checked(cudaMemcpyAsync(to, from, size_of(bytes), cudaMemcpyDeviceToDevice, stream_.stream), "a copy on the device");
  }

  Status wait() override { return checked(cudaStreamSynchronize(stream_.stream), "the work of a step"); }
  Status launched() override;

  Status begin_capture() override {
    return checked(cudaStreamBeginCapture(stream_.stream, cudaStreamCaptureModeThreadLocal), "the beginning of a graph");
  }
  Status end_capture(Graph* made) override;
  Status replay(Graph graph) override {
    return checked(cudaGraphLaunch(reinterpret_cast<cudaGraphExec_t>(graph), stream_.stream), "the launch of a graph");
  }
  void release(Graph graph) override { cudaGraphExecDestroy(reinterpret_cast<cudaGraphExec_t>(graph)); }

  Status event(Event* made) override {
    return checked(cudaEventCreate(reinterpret_cast<cudaEvent_t*>(made)), "an event");
  }
  Status mark(Event event) override { return checked(cudaEventRecord(reinterpret_cast<cudaEvent_t>(event), stream_.stream), "an event"); }
  Status passed(Event event) override {
    return checked(cudaEventSynchronize(reinterpret_cast<cudaEvent_t>(event)), "the work before an event");
  }
  Status milliseconds(Event from, Event to, float* between) override {
    return checked(cudaEventElapsedTime(between, reinterpret_cast<cudaEvent_t>(from), reinterpret_cast<cudaEvent_t>(to)),
                   "the time between two events");
  }
  void release(Event event) override { cudaEventDestroy(reinterpret_cast<cudaEvent_t>(event)); }

 private:
  static size_t size_of(int64_t bytes) { return static_cast<size_t>(bytes); }
  Status checked(cudaError_t error, const char* what) const;
  Status no_memory(int64_t bytes, const char* what) const;

  DeviceFacts facts_;
  DeviceLimits limits_;
  GpuStream stream_;
};

void GpuStream::launch(const Launch& launch, const void* entry, void** arguments) {
  if (error != cudaSuccess) return;
  failed = launch.kernel;
  if (launch.shared_bytes > kOptIn && opted_in_.insert(entry).second) {
    error = cudaFuncSetAttribute(entry, cudaFuncAttributeMaxDynamicSharedMemorySize, most_shared);
    if (error != cudaSuccess) return;
  }
  cudaLaunchAttribute attributes[2];
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(launch.grid.x, launch.grid.y, launch.grid.z);
  config.blockDim = dim3(launch.block.x, launch.block.y, launch.block.z);
  config.dynamicSmemBytes = launch.shared_bytes;
  config.stream = stream;
  config.attrs = attributes;
  if (launch.cluster.x * launch.cluster.y * launch.cluster.z > 1) {
    attributes[config.numAttrs].id = cudaLaunchAttributeClusterDimension;
    attributes[config.numAttrs++].val.clusterDim = {launch.cluster.x, launch.cluster.y, launch.cluster.z};
  }
  if (launch.overlaps && can_overlap) {
    attributes[config.numAttrs].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[config.numAttrs++].val.programmaticStreamSerializationAllowed = 1;
  }
  error = cudaLaunchKernelExC(&config, entry, arguments);
}

Status GpuRuntime::open() {
  int driver = 0, runtime = 0, count = 0;
  cudaDriverGetVersion(&driver);  // 0 without a driver
  cudaRuntimeGetVersion(&runtime);
  const cudaError_t counted = cudaGetDeviceCount(&count);
  cudaGetLastError();
  if (driver == 0) {
    return failure(Reason::kUnsupported, "This machine has no NVIDIA driver.", "Install one, or use the device \"cpu\".");
  }
  // A driver serves every runtime of its own major version.
  if (counted == cudaErrorInsufficientDriver || driver / 1000 < runtime / 1000) {
    return failure(Reason::kUnsupported,
                   "The NVIDIA driver speaks CUDA " + version(driver) + " and this build needs " + version(runtime / 1000 * 1000) +
                       " or later.",
                   "Update the driver, build with an older CUDA toolkit, or use the device \"cpu\".");
  }
  if (counted != cudaSuccess || count == 0) {
    return failure(Reason::kUnsupported,
                   std::string("There is a driver and no usable NVIDIA device: ") + cudaGetErrorString(counted) + ".",
                   "Check `nvidia-smi` and CUDA_VISIBLE_DEVICES, or use the device \"cpu\".");
  }
  cudaDeviceProp properties;
  if (Status status = checked(cudaGetDeviceProperties(&properties, 0), "the question what the device is"); !status.ok()) {
    return status;
  }
  facts_ = {properties.name,
            properties.major,
            properties.minor,
            properties.multiProcessorCount,
            properties.l2CacheSize,
            static_cast<int64_t>(properties.sharedMemPerBlockOptin),
            driver,
            runtime,
            true};
  limits_ = {facts_.n_sms, facts_.major * 10 + facts_.minor, static_cast<int32_t>(facts_.shared_bytes),
             static_cast<int32_t>(properties.sharedMemPerMultiprocessor)};
  stream_.most_shared = limits_.shared_per_block;
  stream_.can_overlap = facts_.major >= 9;
  if (facts_.major < kOldestMajor) {
    return failure(Reason::kUnsupported,
                   facts_.name + " has compute capability " + std::to_string(facts_.major) + "." + std::to_string(facts_.minor) +
                       ", and the kernels need 8.0 or later.",
                   "Use a GPU of the Ampere generation or later, or the device \"cpu\".");
  }
  if (Status status = checked(cudaSetDevice(0), "the choice of the device"); !status.ok()) return status;
  return checked(cudaStreamCreateWithFlags(&stream_.stream, cudaStreamNonBlocking), "a stream");
}

DeviceMemory GpuRuntime::memory() const {
  size_t available = 0, total = 0;
  if (cudaMemGetInfo(&available, &total) != cudaSuccess) {
    cudaGetLastError();
    return {};
  }
  return {static_cast<int64_t>(total), static_cast<int64_t>(available)};
}

Status GpuRuntime::claim(int64_t bytes, const char* what, void** made) {
  const cudaError_t error = cudaMalloc(made, size_of(bytes));
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // it is not sticky
    return no_memory(bytes, what);
  }
  if (Status status = checked(error, "an allocation"); !status.ok()) return status;
  return checked(cudaMemsetAsync(*made, 0, size_of(bytes), stream_.stream), "the clearing of memory");
}

Status GpuRuntime::launched() {
  const cudaError_t error = stream_.error != cudaSuccess ? stream_.error : cudaGetLastError();
  if (error == cudaSuccess) return {};
  // A launch that got no memory did nothing, and the next may get some. Any other failure stays.
  if (error == cudaErrorMemoryAllocation) stream_.error = cudaSuccess;
  const std::string what = std::string("the launch of ") + stream_.failed;
  return checked(error, what.c_str());
}

Status GpuRuntime::claim_pinned(int64_t bytes, const char* what, void** made) {
  const cudaError_t error = cudaMallocHost(made, size_of(bytes));
  if (error != cudaErrorMemoryAllocation) return checked(error, "an allocation");
  cudaGetLastError();
  return failure(Reason::kOutOfMemory, "The system gave no " + gibibytes(bytes) + " of pinned memory for " + what + ".",
                 "Free memory of this machine, or raise its limit of locked memory.");
}

Status GpuRuntime::no_memory(int64_t bytes, const char* what) const {
  const DeviceMemory now = memory();
  return failure(Reason::kOutOfMemory,
                 facts_.name + " gave no memory for " + what + " (" + gibibytes(bytes) + ")" + "; " + gibibytes(now.available_bytes) + " of " +
                     gibibytes(now.total_bytes) + " are free.",
                 "Use a smaller cache, a smaller or quantised model, or a device with more memory.");
}

Status GpuRuntime::end_capture(Graph* made) {
  cudaGraph_t graph = nullptr;
  if (Status status = checked(cudaStreamEndCapture(stream_.stream, &graph), "the end of a graph"); !status.ok()) return status;
  cudaGraphExec_t ready = nullptr;
  Status status = checked(cudaGraphInstantiate(&ready, graph, 0), "making a graph ready");
  cudaGraphDestroy(graph);
  *made = reinterpret_cast<Graph>(ready);
  return status;
}

// Nearly every error that is not about memory leaves the device's context unusable for good. The few that do not are
// mistakes of this program, and going on after one would be no better.
Status GpuRuntime::checked(cudaError_t error, const char* what) const {
  if (error == cudaSuccess) return {};
  cudaGetLastError();  // it is told here: `launched` must not tell it again for a later launch. What is sticky comes back
  if (error == cudaErrorMemoryAllocation) {
    return failure(Reason::kOutOfMemory, facts_.name + " has no memory left for " + what + ".",
                   "Use a smaller cache, or a smaller or quantised model.");
  }
  return failure(Reason::kDeviceLost,
                 facts_.name + " failed in " + what + ": " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) + ").",
                 "Load the engine again in a new process; if it fails again, run `nvidia-smi` and look for Xid errors in the "
                 "system's log.");
}

}  // namespace

Status make_runtime(std::unique_ptr<Runtime>* made) {
  auto runtime = std::make_unique<GpuRuntime>();
  Status status = runtime->open();
  if (status.ok()) *made = std::move(runtime);
  return status;
}

}  // namespace chasqui::cuda
