// The host's part of the CUDA backend without a GPU and without its arithmetic: which steps are recorded and replayed, what
// is launched for the shapes of 8B and 70B, what memory is reckoned and claimed, and what happens when a device is short of
// memory or lost.
#include <sys/mman.h>

#include <map>

#include "cuda_model.h"
#include "src/backend/cuda/device_runtime_shim.h"
#include "src/backend/cuda/memory.h"
#include "src/engine/stepper.h"

using namespace cuda_model;
using namespace chasqui::cuda;

// ---- what is launched ----

namespace {

// Address space full of zeros, in which all matrices of a large model lie.
struct LargeModel {
  ModelConfig config;
  Weights weights;

  LargeModel(int32_t dim, int32_t ffn, int32_t n_heads, int32_t n_kv_heads, int32_t n_layers) {
    config.n_layers = n_layers;
    config.dim = dim;
    config.ffn = ffn;
    config.n_heads = n_heads;
    config.n_kv_heads = n_kv_heads;
    config.head_dim = 128;
    config.vocab = 4096;  // real ones have 128256: nothing here depends on it but the time that the test takes
    config.context = 131072;
    bytes_ = static_cast<size_t>(ffn) * static_cast<size_t>(dim) * 2;
    zeros_ = mmap(nullptr, bytes_, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    const auto view = [&](int64_t rows, int64_t cols) { return MatrixView{zeros_, DType::kBF16, rows, cols, nullptr}; };
    weights.embed = weights.head = view(config.vocab, dim);
    weights.embed.data = weights.head.data = static_cast<const char*>(zeros_) + 4096;  // a place of its own: a tied head is known by it
    weights.norm = view(1, dim);
    const LayerWeights layer = {view(1, dim),  view(config.q_dim(), dim),  view(config.kv_dim(), dim), view(config.kv_dim(), dim),
                                view(dim, config.q_dim()), view(1, dim), view(ffn, dim), view(ffn, dim), view(dim, ffn)};
    weights.layers.assign(static_cast<size_t>(n_layers), layer);
  }
  ~LargeModel() { munmap(zeros_, bytes_); }

 private:
  void* zeros_;
  size_t bytes_;
};

struct Pretending {
  OnDevice on;
  ShimStream* stream = nullptr;
};

Pretending pretending(const LargeModel& model, const LlamaOptions& options, int64_t memory_bytes = int64_t{140} << 30) {
  ShimOptions shim;
  shim.pretends = true;
  shim.memory_bytes = memory_bytes;
  shim.limits = {132, 90, 227 << 10, 228 << 10};
  auto runtime = std::make_unique<ShimRuntime>(shim);
  Pretending made;
  made.stream = &runtime->stream();
  made.stream->keeps_records = true;
  made.on = on_device(model.config, model.weights, options, {}, std::move(runtime));
  return made;
}

// One decode of `n` sequences at `position`; what it launched.
std::vector<Launch> launches_of_decode(Pretending* on, int32_t n, int32_t position) {
  const std::vector<int32_t> token = {1};
  const std::vector<int32_t> pages(static_cast<size_t>(position / 16 + 1), 0);
  std::vector<BatchSpan> spans(static_cast<size_t>(n), {token.data(), 1, position, pages.data(), false, true});
  std::vector<float> logits(static_cast<size_t>(n) * 4096);
  on->stream->records.clear();
  CHECK_OK(on->on.forward->run(spans, logits.data()));
  return on->stream->records;
}

bool same_launches(const std::vector<Launch>& a, const std::vector<Launch>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Launch& x, const Launch& y) {
    const auto same = [](const Dim& p, const Dim& q) { return p.x == q.x && p.y == q.y && p.z == q.z; };
    return std::strcmp(x.kernel, y.kernel) == 0 && same(x.grid, y.grid) && same(x.block, y.block) && x.shared_bytes == y.shared_bytes;
  });
}

const LargeModel& model_8b() {
  static const LargeModel model(4096, 14336, 32, 8, 1);
  return model;
}
const LargeModel& model_70b() {
  static const LargeModel model(8192, 28672, 64, 8, 1);
  return model;
}

}  // namespace

TEST(launches_fit_the_device_and_are_the_same_recorded_and_eager) {
  for (const LargeModel* model : {&model_8b(), &model_70b()}) {
    LlamaOptions options;
    options.n_pages = 8192;
    Pretending on = pretending(*model, options);
    if (!on.on) continue;
    for (const int32_t n : {1, 3, 16, 64}) {
      for (const int32_t position : {100, 16000, 131000}) {
        const auto eager = launches_of_decode(&on, n, position);
        CHECK(same_launches(launches_of_decode(&on, n, position), eager));      // recorded
        CHECK(same_launches(launches_of_decode(&on, n, position + 1), eager));  // replayed
        CHECK(!eager.empty());
        for (const Launch& launch : eager) {
          const uint32_t threads = launch.block.x * launch.block.y * launch.block.z;
          const bool fits = launch.grid.x > 0 && launch.grid.y > 0 && launch.grid.z > 0 && launch.grid.y <= 65535 &&
                            launch.grid.z <= 65535 && threads > 0 && threads <= 1024 && launch.shared_bytes <= 227 * 1024;
          if (!fits) check::fail(__FILE__, __LINE__, std::string(launch.kernel) + " does not fit the device");
        }
      }
    }
    const auto& counts = on.on.backend->graphs().counts();
    CHECK_EQ(counts.eager, 12);
    CHECK_EQ(counts.recorded, 12);
    CHECK_EQ(counts.replayed, 24);
  }
}

TEST(a_layer_of_a_decode_takes_few_launches) {
  LlamaOptions options;
  options.n_pages = 8192;
  Pretending on = pretending(model_8b(), options);
  if (!on.on) return;
  const auto launches = launches_of_decode(&on, 1, 1000);
  std::map<std::string, int32_t> kernels;
  for (const Launch& launch : launches) kernels[launch.kernel]++;
  for (const auto& [kernel, n] : kernels) std::printf("  %2d x %s\n", n, kernel.c_str());
  CHECK(launches.size() <= 8 + 3);  // every boundary between kernels costs about a microsecond
}

TEST(a_prompt_runs_in_tiles_and_is_not_recorded) {
  LlamaOptions options;
  options.n_pages = 8192;
  Pretending on = pretending(model_8b(), options);
  if (!on.on) return;
  const std::vector<int32_t> tokens(500, 1), pages(32, 0);
  std::vector<float> logits(4096);
  for (int32_t i = 0; i < 3; i++) CHECK_OK(on.on.forward->run({{tokens.data(), 500, 0, pages.data(), false, true}}, logits.data()));
  CHECK_EQ(on.on.backend->graphs().counts().eager, 0);
  CHECK_EQ(on.on.backend->graphs().counts().recorded, 0);
  CHECK(on.stream->n_launches > 0);
}

// ---- memory ----

TEST(what_is_planned_is_what_is_claimed) {
  for (const bool tied : {false, true}) {
    const RandomModel model = random_model(config(4, 2, 64, 256, 704, tied), DType::kBF16, 5);
    for (const WeightFormat format : {WeightFormat::kAsStored, WeightFormat::kInt8, WeightFormat::kInt4, WeightFormat::kNf4, WeightFormat::kFp8}) {
      for (const KvType kv : {KvType::kBF16, KvType::kFp8}) {
        LlamaOptions options = small_cache();
        options.weight_format = format;
        options.kv_type = kv;
        auto runtime = std::make_unique<ShimRuntime>(ShimOptions{});
        const ShimRuntime* device = runtime.get();
        const OnDevice on = on_device(model.config, model.weights, options, {}, std::move(runtime));
        if (!on) continue;
        const ForwardMemory planned = on.forward->memory();
        CHECK_EQ(planned.weights + planned.embedding + planned.cache + planned.workspace, on.backend->pool().handed_out_bytes());
        const DeviceMemory memory = device->memory();
        CHECK_EQ(memory.total_bytes - memory.available_bytes, on.backend->pool().claimed_bytes());
        CHECK(on.backend->pool().claimed_bytes() <= on.backend->pool().handed_out_bytes() + (int64_t{64} << 20));  // ends of slabs
      }
    }
  }
}

TEST(a_tied_head_takes_no_memory_of_its_own) {
  const RandomModel untied = random_model(config(4, 2, 64, 256, 704, false), DType::kBF16, 5);
  const RandomModel tied = random_model(config(4, 2, 64, 256, 704, true), DType::kBF16, 5);
  const OnDevice with_head = on_device(untied.config, untied.weights), without = on_device(tied.config, tied.weights);
  if (!with_head || !without) return;
  CHECK_EQ(with_head.forward->memory().weights - without.forward->memory().weights, int64_t{320} * 256 * 2);
}

TEST(a_model_that_does_not_fit_is_refused_with_the_figures) {
  LlamaOptions options;
  options.n_pages = 16;
  ShimOptions shim;
  shim.pretends = true;
  shim.memory_bytes = int64_t{400} << 20;  // a layer takes 416 MiB
  std::unique_ptr<CudaBackendAccess> backend;
  CHECK_OK(make_cuda_backend_on(std::make_unique<ShimRuntime>(shim), {}, &backend));
  std::unique_ptr<Forward> forward;
  const Status status = make_llama_on(std::move(backend), model_8b().config, model_8b().weights, options, &forward);
  CHECK_REASON(status, Reason::kOutOfMemory);
  CHECK(status.detail.find("GiB") != std::string::npos);
}

TEST(models_without_kernels_are_refused_before_anything_is_loaded) {
  const RandomModel odd = random_model(config(4, 2, 20, 72, 100), DType::kBF16, 9);
  std::unique_ptr<CudaBackendAccess> backend;
  CHECK_OK(make_cuda_backend_on(std::make_unique<ShimRuntime>(ShimOptions{}), {}, &backend));
  std::unique_ptr<Forward> forward;
  CHECK_REASON(make_llama_on(std::move(backend), odd.config, odd.weights, small_cache(), &forward), Reason::kUnsupported);
  const RandomModel fine = random_model(config(4, 2, 64, 128, 192), DType::kBF16, 9);
  LlamaOptions options = small_cache();
  options.kv_type = KvType::kF32;
  CHECK_OK(make_cuda_backend_on(std::make_unique<ShimRuntime>(ShimOptions{}), {}, &backend));
  CHECK_REASON(make_llama_on(std::move(backend), fine.config, fine.weights, options, &forward), Reason::kUnsupported);
}

// ---- a device that fails ----

namespace {

// Fails for good after a number of waits, or once in the making of a recording.
class FailingRuntime final : public ShimRuntime {
 public:
  explicit FailingRuntime(int32_t waits) : ShimRuntime(ShimOptions{}), waits_(waits) {}
  bool short_of_graphs = false;

  Status wait() override { return waits_-- > 0 ? ShimRuntime::wait() : lost(); }
  Status launched() override { return waits_ >= 0 ? ShimRuntime::launched() : lost(); }
  Status end_capture(Graph* made) override {
    if (!short_of_graphs) return ShimRuntime::end_capture(made);
    Graph thrown = nullptr;
    CHECK_OK(ShimRuntime::end_capture(&thrown));
    release(thrown);
    return failure(Reason::kOutOfMemory, "No memory for a graph.", "None.");
  }
  void release(void* memory) override { ShimRuntime::release(memory); }
  void release(Graph graph) override { ShimRuntime::release(graph); }
  void release(Event event) override { ShimRuntime::release(event); }

 private:
  static Status lost() { return failure(Reason::kDeviceLost, "an illegal memory access was encountered", "None."); }
  int32_t waits_;
};

}  // namespace

TEST(a_lost_device_fails_the_engine_and_not_the_process) {
  const RandomModel model = random_model(config(4, 2, 64, 128, 192), DType::kBF16, 11);
  OnDevice on = on_device(model.config, model.weights, small_cache(), {}, std::make_unique<FailingRuntime>(5));
  if (!on) return;
  Stepper stepper(std::move(on.forward), {});
  StepEvents events;
  for (uint64_t id = 1; id <= 2; id++) {
    Request request;
    request.id = id;
    request.tokens = random_tokens(10, model.config.vocab, id);
    request.max_tokens = 50;
    stepper.submit(std::move(request), &events);
  }
  while (stepper.has_requests() && stepper.step(&events)) {
  }
  CHECK_EQ(events.ends.size(), size_t{2});
  CHECK(!events.tokens.empty());
  for (const EndEvent& end : events.ends) {
    CHECK_REASON(end.failure, Reason::kDeviceLost);
    CHECK(end.failure.detail.find("illegal memory access") != std::string::npos);
  }
  Request late;
  late.id = 3;
  late.tokens = {1};
  late.max_tokens = 1;
  stepper.submit(std::move(late), &events);
  CHECK_REASON(events.ends.back().failure, Reason::kDeviceLost);
}

TEST(a_device_without_memory_for_recordings_goes_on_without) {
  const RandomModel model = random_model(config(4, 2, 64, 128, 192), DType::kBF16, 12);
  auto runtime = std::make_unique<FailingRuntime>(1000);
  runtime->short_of_graphs = true;
  OnDevice on = on_device(model.config, model.weights, small_cache(), {}, std::move(runtime));
  const OnDevice fine = on_device(model.config, model.weights);
  if (!on || !fine) return;
  const std::vector<int32_t> tokens = random_tokens(6, model.config.vocab, 13);
  CHECK(same_bits(run_chunks(*on.forward, tokens, 1, pages_from(0, 6)), run_chunks(*fine.forward, tokens, 1, pages_from(0, 6))));
  CHECK_EQ(on.backend->graphs().counts().eager, 6);
}

TEST_MAIN()
