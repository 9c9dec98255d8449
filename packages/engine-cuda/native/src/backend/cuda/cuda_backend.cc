// The operations of backend.h on a GPU: each is one launcher of kernels/launch.h with the pointers of its objects. Here is
// only what surrounds them: the description of a step, recordings, and what happens when a device fails. What is made when a
// model is loaded is in loader.h.
//
// A step that may be recorded is collected as a list of operations and run by the first read_logits; any other is issued
// operation by operation. After a failure of the device nothing is issued any more, and every begin and read_logits says so.
#include "cuda_backend.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "device_runtime.h"
#include "graphs.h"
#include "loader.h"
#include "objects.h"

namespace chasqui {

namespace cuda {

namespace {

constexpr int64_t kFloat = sizeof(float);
constexpr int64_t kReserve = int64_t{512} << 20;  // for kernels' code, recordings, the ends of slabs and the driver itself

CudaWorkspace& of(Workspace& work) { return static_cast<CudaWorkspace&>(work); }

class CudaBackend final : public CudaBackendAccess {
 public:
  CudaBackend(std::unique_ptr<Runtime> runtime, const CudaOptions& options);

  const char* device() const override { return device_.c_str(); }
  DeviceMemory memory() const override;
  bool batch_independent() const override { return options_.batch_independent; }
  Runtime& runtime() override { return *runtime_; }
  Graphs& graphs() override { return graphs_; }
  const Pool& pool() const override { return loader_.pool(); }

  Status supports(const WorkShape& shape, KvType kv_type) const override;
  int64_t embedding_bytes(const MatrixView& table) const override { return loader_.embedding_bytes(table); }
  int64_t linear_bytes(const std::vector<MatrixView>& parts, WeightFormat format) const override {
    return loader_.linear_bytes(parts, format);
  }
  bool shares_table(const MatrixView& table, const MatrixView& head, WeightFormat format) const override {
    return loader_.shares_table(table, head, format);
  }
  int64_t norm_bytes(const MatrixView& weight) const override { return loader_.norm_bytes(weight); }
  int64_t rope_bytes(int32_t head_dim, int32_t context) const override { return loader_.rope_bytes(head_dim, context); }
  int64_t kv_page_bytes(const KvShape& shape) const override { return loader_.kv_page_bytes(shape); }
  int64_t workspace_bytes(const WorkShape& shape) const override { return loader_.workspace_bytes(shape); }

  Status embedding(const MatrixView& table, std::unique_ptr<Embedding>* made) override { return loader_.embedding(table, made); }
  Status norm(const MatrixView& weight, double eps, std::unique_ptr<Norm>* made) override { return loader_.norm(weight, eps, made); }
  Status linear(const std::vector<MatrixView>& parts, LinearLayout, WeightFormat format, std::unique_ptr<Linear>* made) override {
    return loader_.linear(parts, format, made);
  }
  Status rope(const std::vector<double>& inverse_frequencies, int32_t context, std::unique_ptr<Rope>* made) override {
    return loader_.rope(inverse_frequencies, context, made);
  }
  Status kv_cache(const KvShape& shape, std::unique_ptr<KvCache>* made) override { return loader_.kv_cache(shape, made); }
  Status workspace(const WorkShape& shape, std::unique_ptr<Workspace>* made) override { return loader_.workspace(shape, made); }

  Status adapt(Linear& linear, int32_t adapter, const std::vector<LowRank>& parts) override;

  Status begin(Workspace& work, const std::vector<BatchSpan>& spans, const std::vector<int32_t>& wanted,
               Rope& rope) override;
  void embed(Workspace& work, const Embedding& table) override { add(work, {OpKind::kEmbed, 0, 0, {&table}}); }
  void norm_qkv_rope_store(Workspace& work, const Norm& norm, const Linear& qkv, KvCache& cache, int32_t layer) override {
    add(work, {OpKind::kQkv, layer, 0, {&norm, &qkv, &cache}});
  }
  void attend(Workspace& work, const KvCache& cache, int32_t layer) override {
    add(work, {OpKind::kAttend, layer, 0, {&cache}});
  }
  void o_residual(Workspace& work, const Linear& o) override { add(work, {OpKind::kO, 0, 0, {&o}}); }
  void norm_gateup_silu(Workspace& work, const Norm& norm, const Linear& gate_up) override {
    add(work, {OpKind::kGateUp, 0, 0, {&norm, &gate_up}});
  }
  void down_residual(Workspace& work, const Linear& down) override { add(work, {OpKind::kDown, 0, 0, {&down}}); }
  void head(Workspace& work, const Norm& norm, const Linear& head, int32_t first, int32_t) override {
    add(work, {OpKind::kHead, 0, first, {&norm, &head}});
  }
  Status read_logits(Workspace& work, int32_t count, float* logits) override;
  void set_going(Workspace&) override { flush(); }
  bool samples(const WorkShape& shape) const override { return shape.vocab <= SampleBlock::kMostVocab; }
  Status sample(Workspace& work, int32_t count, const SamplingContext* rows, SampledToken* drawn) override;
  void copy_page(KvCache& cache, int32_t from, int32_t to, int32_t n_tokens) override;

 private:
  Target target(const CudaWorkspace& work) {
    return {&runtime_->stream(), runtime_->limits(), work.scratch, options_.untried};
  }
  StepLimits step_limits(const CudaWorkspace& work) const;
  void add(Workspace& work, Op op);
  void issue(CudaWorkspace& work, const Op& op);
  void flush();
  // Keeps the first failure of the device.
  const Status& note(Status status);

  std::unique_ptr<Runtime> runtime_;  // first: everything below gives memory back to it
  CudaOptions options_;
  std::string device_;
  Loader loader_;
  Graphs graphs_;
  std::vector<Op> ops_;                // of a step that may be recorded, until it is run
  CudaWorkspace* collecting_ = nullptr;  // whose step that is
  Status lost_;
};

CudaBackend::CudaBackend(std::unique_ptr<Runtime> runtime, const CudaOptions& options)
    : runtime_(std::move(runtime)), options_(options), loader_(*runtime_, options), graphs_(*runtime_) {
  const DeviceFacts& facts = runtime_->facts();
  char text[64];
  std::snprintf(text, sizeof text, ", %.1f GiB)", static_cast<double>(runtime_->memory().total_bytes) / (1 << 30));
  device_ = "cuda (" + facts.name + text;
  graphs_.set_enabled(options.graphs);
}

DeviceMemory CudaBackend::memory() const {
  DeviceMemory memory = runtime_->memory();
  if (runtime_->facts().is_real) memory.available_bytes = std::max<int64_t>(0, memory.available_bytes - kReserve);
  return memory;
}

Status CudaBackend::supports(const WorkShape& shape, KvType kv_type) const {
  if (const char* why = refuses(model_of(shape))) {
    return failure(Reason::kUnsupported, std::string("The CUDA kernels cannot run this model: ") + why + ".",
                   "Use the device \"cpu\".");
  }
  if (kv_type != KvType::kF32) return {};
  return failure(Reason::kUnsupported, "The CUDA backend keeps no cache in f32.", "Use bf16 or fp8, or the device \"cpu\".");
}

// ---- a step ----

StepLimits CudaBackend::step_limits(const CudaWorkspace& work) const {
  return {work.shape.max_rows, work.shape.max_logits, prefill_tile_rows(work.model), work.rope->context,
          options_.batch_independent, &loader_.adapters().slots()};
}

Status CudaBackend::adapt(Linear& linear, int32_t adapter, const std::vector<LowRank>& parts) {
  flush();
  if (!lost_.ok()) return lost_;
  graphs_.forget();
  Status status = loader_.adapt(static_cast<CudaLinear&>(linear), adapter, parts);
  if (status.reason == Reason::kDeviceLost) return note(std::move(status));
  return status;
}

Status CudaBackend::begin(Workspace& workspace, const std::vector<BatchSpan>& spans, const std::vector<int32_t>& wanted,
                          Rope& rope) {
  flush();
  if (lost_.ok()) (void)note(runtime_->launched());
  if (lost_.ok()) (void)note(loader_.settle());
  if (!lost_.ok()) return lost_;
  CudaWorkspace& work = of(workspace);
  work.rope = static_cast<const CudaRope*>(&rope);
  Status loaded = work.step.load(spans, wanted, step_limits(work));
  if (loaded.ok() && work.step.buckets().recordable) collecting_ = &work;
  // Short of memory for a larger step block: this step fails and the next may fit.
  if (loaded.reason == Reason::kOutOfMemory) return loaded;
  return note(std::move(loaded));
}

void CudaBackend::add(Workspace& workspace, Op op) {
  if (!lost_.ok()) return;
  CudaWorkspace& work = of(workspace);
  if (collecting_ == &work) ops_.push_back(op);
  else issue(work, op);
}

void CudaBackend::issue(CudaWorkspace& work, const Op& op) {
  const Target to = target(work);
  const Step& step = work.step.device();
  const Buckets& sizes = work.step.buckets();
  const auto linear = [&](int i) -> const DeviceLinear& { return static_cast<const CudaLinear*>(op.objects[i])->linear; };
  const auto norm = [&](int i) -> const DeviceNorm& { return static_cast<const CudaNorm*>(op.objects[i])->norm; };
  const auto kv = [&](int i) -> const DeviceKv& { return static_cast<const CudaKvCache*>(op.objects[i])->kv; };
  const auto table = [&](int i) -> const DeviceTable& { return static_cast<const CudaEmbedding*>(op.objects[i])->table; };
  const auto low_rank = [&](int i) {
    return sizes.adapted ? loader_.adapters().of(*static_cast<const CudaLinear*>(op.objects[i])) : LayerLowRank{};
  };
  switch (op.kind) {
    case OpKind::kEmbed: return cuda::embed(to, work.model, step, sizes.rows, table(0), work.work);
    case OpKind::kQkv:
      return cuda::norm_qkv_rope_store(to, work.model, step, sizes.rows, norm(0), linear(1), work.rope->rope, kv(2), op.layer,
                                       work.work, low_rank(1));
    case OpKind::kAttend:
      if (sizes.decode_rows > 0) {
        attend_decode(to, work.model, step, sizes.decode_rows, sizes.max_length, kv(0), op.layer, work.work);
      }
      if (sizes.tiles > 0) attend_prefill(to, work.model, step, sizes.tiles, kv(0), op.layer, work.work);
      return;
    case OpKind::kO: return cuda::o_residual(to, work.model, step, sizes.rows, linear(0), work.work, low_rank(0));
    case OpKind::kGateUp:
      return cuda::norm_gateup_silu(to, work.model, step, sizes.rows, norm(0), linear(1), work.work, low_rank(1));
    case OpKind::kDown: return cuda::down_residual(to, work.model, step, sizes.rows, linear(0), work.work, low_rank(0));
    case OpKind::kHead:
      return cuda::head(to, work.model, step, op.first, sizes.wanted, norm(0), linear(1), work.work);
  }
}

// Runs what has been collected.
void CudaBackend::flush() {
  if (collecting_ == nullptr) return;
  CudaWorkspace& work = *collecting_;
  collecting_ = nullptr;
  if (lost_.ok()) {
    (void)note(graphs_.run(ops_, work.step.buckets(), work.step.generation(), [&](const Op& op) { issue(work, op); }));
  }
  ops_.clear();
}

Status CudaBackend::read_logits(Workspace& workspace, int32_t count, float* logits) {
  CudaWorkspace& work = of(workspace);
  flush();
  if (lost_.ok()) (void)note(runtime_->launched());
  const int64_t bytes = static_cast<int64_t>(count) * work.shape.vocab * kFloat;
  if (lost_.ok()) (void)note(runtime_->download(work.read.as(), work.logits.as(), bytes));
  if (lost_.ok()) (void)note(runtime_->wait());
  if (lost_.ok()) std::memcpy(logits, work.read.as(), static_cast<size_t>(bytes));
  return lost_;
}

Status CudaBackend::sample(Workspace& workspace, int32_t count, const SamplingContext* rows, SampledToken* drawn) {
  CudaWorkspace& work = of(workspace);
  flush();
  if (lost_.ok()) (void)note(runtime_->launched());
  if (!lost_.ok()) return lost_;
  Status loaded = work.draw.load(rows, count);
  // Short of memory for longer lists: this draw fails and the next may fit.
  if (loaded.reason == Reason::kOutOfMemory) return loaded;
  if (!note(std::move(loaded)).ok()) return lost_;
  cuda::sample(target(work), work.shape.vocab, work.draw.device(), count, work.logits.as<float>(), work.draw.sampled(), work.draw.top());
  (void)note(runtime_->launched());
  if (lost_.ok()) (void)note(work.draw.fetch(count));
  if (lost_.ok()) (void)note(runtime_->wait());
  if (lost_.ok()) work.draw.take(count, drawn);
  return lost_;
}

void CudaBackend::copy_page(KvCache& cache, int32_t from, int32_t to, int32_t) {
  flush();
  if (!lost_.ok()) return;
  // The launcher needs a shape only for the size of a page.
  const auto& kv = static_cast<const CudaKvCache&>(cache);
  ModelShape shape;
  shape.n_kv_heads = kv.n_kv_heads;
  shape.head_dim = kv.head_dim;
  cuda::copy_page({&runtime_->stream(), runtime_->limits(), {}}, shape, kv.kv, from, to);
}

// Whatever goes wrong after loading leaves the device in a state that nobody knows.
const Status& CudaBackend::note(Status status) {
  if (lost_.ok() && !status.ok()) {
    lost_ = std::move(status);
    lost_.reason = Reason::kDeviceLost;
  }
  return lost_;
}

}  // namespace

Status make_cuda_backend_on(std::unique_ptr<Runtime> runtime, const CudaOptions& options,
                            std::unique_ptr<CudaBackendAccess>* made) {
  *made = std::make_unique<CudaBackend>(std::move(runtime), options);
  return {};
}

}  // namespace cuda

bool has_cuda_backend() { return true; }

Status make_cuda_backend(const BackendOptions& options, std::unique_ptr<Backend>* made) {
  std::unique_ptr<cuda::Runtime> runtime;
  if (Status status = cuda::make_runtime(&runtime); !status.ok()) return status;
  std::unique_ptr<cuda::CudaBackendAccess> backend;
  Status status = make_cuda_backend_on(std::move(runtime), {options.batch_independent, true, options.threads}, &backend);
  if (status.ok()) *made = std::move(backend);
  return status;
}

}  // namespace chasqui
