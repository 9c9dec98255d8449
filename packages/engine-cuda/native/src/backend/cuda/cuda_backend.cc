// The operations of backend.h on a GPU: each is one launcher of kernels/launch.h with the pointers of its objects. Here is
// only what surrounds them: memory, loading, the description of a step, recordings, and what happens when a device fails.
//
// A step that may be recorded is collected as a list of operations and run by the first read_logits; any other is issued
// operation by operation. After a failure of the device nothing is issued any more, and every begin and read_logits says so.
#include "cuda_backend.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <thread>

#include "../../model/precision.h"
#include "device_runtime.h"
#include "graphs.h"
#include "objects.h"
#include "random_weights.h"
#include "weights.h"

namespace chasqui {

namespace cuda {

namespace {

constexpr int64_t kFloat = sizeof(float);
constexpr int64_t kShort = sizeof(uint16_t);
constexpr int64_t kReserve = int64_t{512} << 20;  // for kernels' code, recordings and the driver itself

ModelShape model_of(const WorkShape& shape) {
  return {shape.dim, shape.ffn, shape.n_heads, shape.n_kv_heads, shape.head_dim, shape.vocab};
}

CudaWorkspace& of(Workspace& work) { return static_cast<CudaWorkspace&>(work); }

class CudaBackend final : public CudaBackendAccess {
 public:
  CudaBackend(std::unique_ptr<Runtime> runtime, const CudaOptions& options);

  const char* device() const override { return device_.c_str(); }
  DeviceMemory memory() const override;
  bool batch_independent() const override { return options_.batch_independent; }
  Runtime& runtime() override { return *runtime_; }
  Graphs& graphs() override { return graphs_; }

  Status supports(const WorkShape& shape, KvType kv_type) const override;
  int64_t embedding_bytes(const MatrixView& table) const override { return Pool::rounded(table.rows * table.cols * kShort); }
  int64_t linear_bytes(const std::vector<MatrixView>& parts, WeightFormat format) const override;
  int64_t kv_page_bytes(const KvShape& shape) const override;
  int64_t workspace_bytes(const WorkShape& shape) const override;

  Status embedding(const MatrixView& table, std::unique_ptr<Embedding>* made) override;
  Status norm(const MatrixView& weight, double eps, std::unique_ptr<Norm>* made) override;
  Status linear(const std::vector<MatrixView>& parts, LinearLayout layout, WeightFormat format,
                std::unique_ptr<Linear>* made) override;
  Status rope(const std::vector<double>& inverse_frequencies, int32_t context, std::unique_ptr<Rope>* made) override;
  Status kv_cache(const KvShape& shape, std::unique_ptr<KvCache>* made) override;
  Status workspace(const WorkShape& shape, std::unique_ptr<Workspace>* made) override;

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
  void copy_page(KvCache& cache, int32_t from, int32_t to, int32_t n_tokens) override;

 private:
  struct Claim {
    Buffer* buffer;
    int64_t bytes;
  };
  static std::vector<Claim> claims(CudaWorkspace* work, const DeviceLimits& limits);

  WeightLoader loader() { return {*runtime_, pool_, upload_, *threads_}; }
  WeightKind random_kind(const std::vector<MatrixView>& parts) const;
  uint64_t next_seed() { return ++seed_; }
  Target bare_target() { return {&runtime_->stream(), runtime_->limits(), {}}; }
  Target target(const CudaWorkspace& work) { return {&runtime_->stream(), runtime_->limits(), work.scratch}; }
  StepLimits step_limits(const CudaWorkspace& work) const;
  void add(Workspace& work, Op op);
  void issue(CudaWorkspace& work, const Op& op);
  void flush();
  // Keeps the first failure of the device.
  const Status& note(Status status);

  std::unique_ptr<Runtime> runtime_;  // first: everything below gives memory back to it
  CudaOptions options_;
  std::string device_;
  Pool pool_;
  Upload upload_;
  std::unique_ptr<cpu::ThreadPool> threads_;  // while loading
  Graphs graphs_;
  std::vector<Op> ops_;                // of a step that may be recorded, until it is run
  CudaWorkspace* collecting_ = nullptr;  // whose step that is
  MatrixView table_;                   // of the last embedding: a tied head shares its memory
  Buffer table_memory_;
  uint64_t seed_ = 0;
  Status lost_;
};

CudaBackend::CudaBackend(std::unique_ptr<Runtime> runtime, const CudaOptions& options)
    : runtime_(std::move(runtime)), options_(options), pool_(*runtime_), upload_(*runtime_), graphs_(*runtime_) {
  const DeviceFacts& facts = runtime_->facts();
  char text[64];
  std::snprintf(text, sizeof text, ", %.1f GiB)", static_cast<double>(runtime_->memory().total_bytes) / (1 << 30));
  device_ = "cuda (" + facts.name + text;
  const auto cores = static_cast<int32_t>(std::max(1u, std::thread::hardware_concurrency()));
  threads_ = std::make_unique<cpu::ThreadPool>(options.threads > 0 ? options.threads : std::min(cores, 8));
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

int64_t CudaBackend::kv_page_bytes(const KvShape& shape) const {
  const int64_t element = shape.type == KvType::kFp8 ? 1 : kShort;
  return 2 * element * shape.n_layers * shape.n_kv_heads * kPage * shape.head_dim;
}

// ---- what is made once ----

WeightKind CudaBackend::random_kind(const std::vector<MatrixView>& parts) const {
  const bool is_head = parts.size() == 1 && parts[0].rows == table_.rows;
  return is_head ? options_.random->head : options_.random->layers;
}

int64_t CudaBackend::linear_bytes(const std::vector<MatrixView>& parts, WeightFormat format) const {
  if (options_.random == nullptr) return device_linear_bytes(parts, format);
  int64_t rows = 0;
  for (const MatrixView& part : parts) rows += part.rows;
  return random_linear_bytes(random_kind(parts), rows, parts[0].cols);
}

Status CudaBackend::embedding(const MatrixView& table, std::unique_ptr<Embedding>* made) {
  auto embedding = std::make_unique<CudaEmbedding>();
  if (options_.random != nullptr) {
    if (Status status = pool_.claim(table.rows * table.cols * kShort, "the embedding", &embedding->memory); !status.ok()) return status;
    random_bf16(bare_target(), embedding->memory, 1.0f, next_seed());
  } else if (Status status = load_bf16(loader(), {table}, "the embedding", &embedding->memory); !status.ok()) {
    return status;
  }
  embedding->table.rows = embedding->memory.as<uint16_t>();
  table_ = table;
  table_memory_ = embedding->memory;
  *made = std::move(embedding);
  return {};
}

Status CudaBackend::norm(const MatrixView& weight, double eps, std::unique_ptr<Norm>* made) {
  auto norm = std::make_unique<CudaNorm>();
  std::vector<float> values(static_cast<size_t>(weight.rows * weight.cols), 1.0f);
  if (options_.random == nullptr) load_elements(weight.data, weight.type, weight.rows * weight.cols, values.data());
  if (Status status = load_floats(loader(), values, "a norm", &norm->memory); !status.ok()) return status;
  norm->norm = {norm->memory.as<float>(), static_cast<float>(eps)};
  *made = std::move(norm);
  return {};
}

Status CudaBackend::linear(const std::vector<MatrixView>& parts, LinearLayout, WeightFormat format,
                           std::unique_ptr<Linear>* made) {
  auto linear = std::make_unique<CudaLinear>();
  const bool is_table = parts.size() == 1 && parts[0].quant == nullptr && parts[0].data == table_.data &&
                        parts[0].type == table_.type && parts[0].rows == table_.rows && format == WeightFormat::kAsStored;
  if (options_.random != nullptr) {
    int64_t rows = 0;
    for (const MatrixView& part : parts) rows += part.rows;
    if (Status status = random_linear(bare_target(), *runtime_, pool_, random_kind(parts), rows, parts[0].cols, next_seed(), linear.get());
        !status.ok()) {
      return status;
    }
  } else if (is_table) {
    linear->codes = table_memory_;
    linear->linear.out = static_cast<int32_t>(parts[0].rows);
    linear->linear.in = static_cast<int32_t>(parts[0].cols);
    linear->linear.codes = linear->codes.as();
  } else if (Status status = load_linear(loader(), parts, format, linear.get()); !status.ok()) {
    return status;
  }
  *made = std::move(linear);
  return {};
}

Status CudaBackend::rope(const std::vector<double>& inverse_frequencies, int32_t context, std::unique_ptr<Rope>* made) {
  auto rope = std::make_unique<CudaRope>();
  const auto width = static_cast<int64_t>(inverse_frequencies.size()) * 2;
  if (Status status = pool_.claim(context * width * kFloat, "the rope table", &rope->memory); !status.ok()) return status;
  Status sent = upload_.run(rope->memory.as(), context, width * kFloat, [&](int64_t first, int64_t count, void* piece) {
    threads_->run(static_cast<int32_t>((count + 63) / 64), [&](int32_t run, int32_t) {
      for (int64_t i = run * 64; i < std::min<int64_t>(count, run * 64 + 64); i++) {
        float* turn = static_cast<float*>(piece) + i * width;
        for (const double frequency : inverse_frequencies) {
          const double angle = static_cast<double>(first + i) * frequency;
          *turn++ = static_cast<float>(std::cos(angle));
          *turn++ = static_cast<float>(std::sin(angle));
        }
      }
    });
  });
  if (!sent.ok()) return sent;
  rope->rope.turns = rope->memory.as<float>();
  rope->context = context;
  *made = std::move(rope);
  return {};
}

Status CudaBackend::kv_cache(const KvShape& shape, std::unique_ptr<KvCache>* made) {
  auto cache = std::make_unique<CudaKvCache>();
  const int64_t half = kv_page_bytes(shape) / 2 * shape.n_pages;
  if (Status status = pool_.claim(half, "the cached keys", &cache->keys); !status.ok()) return status;
  if (Status status = pool_.claim(half, "the cached values", &cache->values); !status.ok()) return status;
  if (options_.random != nullptr) {
    for (const Buffer* half_cache : {&cache->keys, &cache->values}) {
      if (shape.type == KvType::kFp8) random_codes(bare_target(), *half_cache, next_seed());
      else random_bf16(bare_target(), *half_cache, 1.0f, next_seed());
    }
  }
  cache->kv.keys = cache->keys.as();
  cache->kv.values = cache->values.as();
  cache->kv.kind = shape.type == KvType::kFp8 ? KvKind::kFp8 : KvKind::kBF16;
  cache->kv.n_layers = shape.n_layers;
  cache->kv.n_pages = shape.n_pages;
  cache->n_kv_heads = shape.n_kv_heads;
  cache->head_dim = shape.head_dim;
  *made = std::move(cache);
  return {};
}

std::vector<CudaBackend::Claim> CudaBackend::claims(CudaWorkspace* work, const DeviceLimits& limits) {
  const WorkShape& shape = work->shape;
  const int64_t rows = shape.max_rows;
  const int64_t q_dim = static_cast<int64_t>(shape.n_heads) * shape.head_dim;
  const int64_t widest = std::max<int64_t>({shape.dim, shape.ffn, q_dim});
  const ScratchSizes scratch = scratch_sizes(model_of(shape), shape.max_rows, shape.max_logits, limits);
  return {
      {&work->x, rows * shape.dim * kFloat},
      {&work->normed, std::max(rows, static_cast<int64_t>(shape.max_logits)) * widest * kShort},
      {&work->q, rows * q_dim * kShort},
      {&work->attended, rows * q_dim * kShort},
      {&work->hidden, rows * shape.ffn * kShort},
      {&work->logits, static_cast<int64_t>(shape.max_logits) * shape.vocab * kFloat},
      {&work->partials, scratch.partial_bytes},
      {&work->counters, scratch.counter_bytes},
  };
}

int64_t CudaBackend::workspace_bytes(const WorkShape& shape) const {
  CudaWorkspace work;
  work.shape = shape;
  int64_t bytes = StepBlock::device_bytes(shape.max_rows, 0);
  for (const Claim& claim : claims(&work, runtime_->limits())) bytes += Pool::rounded(claim.bytes);
  return bytes;
}

Status CudaBackend::workspace(const WorkShape& shape, std::unique_ptr<Workspace>* made) {
  auto work = std::make_unique<CudaWorkspace>();
  work->shape = shape;
  work->model = model_of(shape);
  for (const Claim& claim : claims(work.get(), runtime_->limits())) {
    if (Status status = pool_.claim(claim.bytes, "the workspace", claim.buffer); !status.ok()) return status;
  }
  const int64_t logits = static_cast<int64_t>(shape.max_logits) * shape.vocab * kFloat;
  if (Status status = work->read.claim(*runtime_, logits, "the logits"); !status.ok()) return status;
  if (Status status = work->step.claim(*runtime_, pool_, shape.max_rows); !status.ok()) return status;
  work->work = {work->x.as<float>(),         work->normed.as<uint16_t>(), work->q.as<uint16_t>(),
                work->attended.as<uint16_t>(), work->hidden.as<uint16_t>(), work->logits.as<float>()};
  work->scratch = {work->partials.as<float>(), work->counters.as<uint32_t>()};
  // The last thing that a load makes: what has been queued arrives, and the host's threads and pinned memory are let go.
  if (Status status = upload_.finish(); !status.ok()) return status;
  if (Status status = runtime_->wait(); !status.ok()) return status;
  threads_ = std::make_unique<cpu::ThreadPool>(1);
  *made = std::move(work);
  return {};
}

// ---- a step ----

StepLimits CudaBackend::step_limits(const CudaWorkspace& work) const {
  return {work.shape.max_rows, work.shape.max_logits, prefill_tile_rows(work.model), work.rope->context,
          options_.batch_independent};
}

Status CudaBackend::begin(Workspace& workspace, const std::vector<BatchSpan>& spans, const std::vector<int32_t>& wanted,
                          Rope& rope) {
  flush();
  if (lost_.ok()) (void)note(runtime_->launched());
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
  switch (op.kind) {
    case OpKind::kEmbed: return cuda::embed(to, work.model, step, sizes.rows, table(0), work.work);
    case OpKind::kQkv:
      return cuda::norm_qkv_rope_store(to, work.model, step, sizes.rows, norm(0), linear(1), work.rope->rope, kv(2), op.layer,
                                       work.work);
    case OpKind::kAttend:
      if (sizes.decode_rows > 0) {
        attend_decode(to, work.model, step, sizes.decode_rows, sizes.max_length, kv(0), op.layer, work.work);
      }
      if (sizes.tiles > 0) attend_prefill(to, work.model, step, sizes.tiles, kv(0), op.layer, work.work);
      return;
    case OpKind::kO: return cuda::o_residual(to, work.model, step, sizes.rows, linear(0), work.work);
    case OpKind::kGateUp:
      return cuda::norm_gateup_silu(to, work.model, step, sizes.rows, norm(0), linear(1), work.work);
    case OpKind::kDown: return cuda::down_residual(to, work.model, step, sizes.rows, linear(0), work.work);
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

void CudaBackend::copy_page(KvCache& cache, int32_t from, int32_t to, int32_t) {
  flush();
  if (!lost_.ok()) return;
  // The launcher needs a shape only for the size of a page.
  const auto& kv = static_cast<const CudaKvCache&>(cache);
  ModelShape shape;
  shape.n_kv_heads = kv.n_kv_heads;
  shape.head_dim = kv.head_dim;
  cuda::copy_page(bare_target(), shape, kv.kv, from, to);
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
