// A device that fails: at every single call that the backend makes of its runtime, one after the other, while loading, in a
// recording, in a copy, at a draw, with adapters, until the end. Whatever call it is, the engine says so, answers every
// request, and lets go of everything. And a device that is short of memory for once: what was asked for is refused, and what
// comes after is as if nothing had happened.
#include <map>
#include <set>

#include "cuda_model.h"
#include "random_adapter.h"
#include "src/backend/cuda/device_runtime_shim.h"
#include "src/engine/stepper.h"
#include "src/sampling/allowed_set.h"

using namespace cuda_model;
using namespace chasqui::cuda;

namespace {

struct Faults {
  int64_t calls = 0;
  int64_t fail_at = -1;       // this call fails
  Reason reason = Reason::kDeviceLost;
  bool has_failed = false;
  const char* failed = "";    // the call's name
  std::set<std::string> seen; // all calls that were made
  int64_t used_bytes = 0;     // of the device, when it is gone
};

// Counts calls. One fails; where the device is lost, all later ones too.
class FailingRuntime final : public ShimRuntime {
 public:
  FailingRuntime(const ShimOptions& options, Faults* faults) : ShimRuntime(options), faults_(faults) {}
  ~FailingRuntime() override {
    const DeviceMemory left = memory();
    faults_->used_bytes = left.total_bytes - left.available_bytes;
  }

  Status claim(int64_t bytes, const char* what, void** made) override {
    return may("claim", true, [&] { return ShimRuntime::claim(bytes, what, made); });
  }
  Status claim_pinned(int64_t bytes, const char* what, void** made) override {
    return may("claim_pinned", true, [&] { return ShimRuntime::claim_pinned(bytes, what, made); });
  }
  Status upload(void* device, const void* pinned, int64_t bytes) override {
    return may("upload", false, [&] { return ShimRuntime::copy(device, pinned, bytes); });
  }
  Status download(void* pinned, const void* device, int64_t bytes) override {
    return may("download", false, [&] { return ShimRuntime::copy(pinned, device, bytes); });
  }
  Status wait() override {
    return may("wait", false, [&] { return ShimRuntime::launched(); });
  }
  Status launched() override {
    return may("launched", false, [&] { return ShimRuntime::launched(); });
  }
  Status begin_capture() override {
    return may("begin_capture", true, [&] { return ShimRuntime::begin_capture(); });
  }
  Status end_capture(Graph* made) override {
    Graph captured = nullptr;  // a capture ends, whatever becomes of it
    Status ended = ShimRuntime::end_capture(&captured);
    Status status = may("end_capture", true, [&] { return ended; });
    if (status.ok()) *made = captured;
    else if (captured != nullptr) ShimRuntime::release(captured);
    return status;
  }
  Status replay(Graph graph) override {
    return may("replay", true, [&] { return ShimRuntime::replay(graph); });
  }
  Status event(Event* made) override {
    return may("event", false, [&] { return ShimRuntime::event(made); });
  }
  Status mark(Event event) override {
    return may("mark", false, [&] { return ShimRuntime::mark(event); });
  }
  Status passed(Event event) override {
    return may("passed", false, [&] { return ShimRuntime::passed(event); });
  }
  void release(void* memory) override { ShimRuntime::release(memory); }
  void release(Graph graph) override { ShimRuntime::release(graph); }
  void release(Event event) override { ShimRuntime::release(event); }

 private:
  template <typename Call>
  Status may(const char* name, bool takes_memory, const Call& call) {
    faults_->seen.insert(name);
    const bool lost = faults_->reason == Reason::kDeviceLost;
    if (!lost && !takes_memory) return call();
    const bool fails = faults_->calls++ == faults_->fail_at;
    if (fails) faults_->has_failed = true, faults_->failed = name;
    if (fails || (lost && faults_->has_failed)) return failure(faults_->reason, "The device failed in " + std::string(name) + ".", "None.");
    return call();
  }

  Faults* faults_;
};

struct World {
  RandomModel model = random_model(config(4, 2, 64, 128, 192), DType::kBF16, 300);
  LoraAdapter adapter = random_adapter(&model, model.weights, 0x7f, 4, 301);
};

World& world() {
  static World one;
  return one;
}

Request request_of(uint64_t id) {
  Request request;
  request.id = id;
  request.tokens = random_tokens(id == 2 ? 40 : 6, 320, id);
  request.max_tokens = 6;
  request.sampling.temperature = id % 2 == 0 ? 0.0f : 0.8f;
  request.sampling.frequency_penalty = 0.2f;
  request.sampling.seed = id;
  if (id == 3) request.top_logprobs = 3;
  if (id == 4) request.kind = RequestKind::kScore;
  if (id == 5) request.cache_key.adapter = 1;
  if (id == 6) CHECK_OK(make_allowed_set({0, 5, 9, 200}, 320, &request.constraint));
  return request;
}

struct Run {
  Status loaded, adapted;
  StepEvents events;
  bool late_is_lost = false;
};

// Loads, takes an adapter in, serves six requests, gives the adapter up, ends.
Run serve(Faults* faults, bool pretends) {
  Run run;
  {
    ShimOptions shim;
    shim.pretends = pretends;
    std::unique_ptr<CudaBackendAccess> backend;
    CHECK_OK(make_cuda_backend_on(std::make_unique<FailingRuntime>(shim, faults), {.threads = 1}, &backend));
    std::unique_ptr<Forward> forward;
    LlamaOptions options = small_cache();
    options.max_batch_tokens = 64;
    run.loaded = make_llama_on(std::move(backend), world().model.config, world().model.weights, options, &forward);
    if (!run.loaded.ok()) return run;
    Stepper stepper(std::move(forward), {});
    run.adapted = stepper.add_adapter(1, world().adapter);
    for (uint64_t id = 1; id <= 6; id++) {
      if (id != 5 || run.adapted.ok()) stepper.submit(request_of(id), &run.events);
    }
    for (int32_t steps = 0; steps < 200 && stepper.has_requests() && stepper.step(&run.events); steps++) {
    }
    CHECK(!stepper.has_requests());
    (void)stepper.remove_adapter(1);
    StepEvents late;
    stepper.submit(request_of(7), &late);
    for (int32_t steps = 0; steps < 50 && stepper.has_requests() && stepper.step(&late); steps++) {
    }
    CHECK_EQ(late.ends.size(), size_t{1});
    run.late_is_lost = !late.ends.empty() && late.ends[0].failure.reason == Reason::kDeviceLost;
  }
  return run;
}

std::map<uint64_t, std::vector<int32_t>> tokens_of(const Run& run) {
  std::map<uint64_t, std::vector<int32_t>> tokens;
  for (const TokenEvent& token : run.events.tokens) tokens[token.request].push_back(token.token);
  return tokens;
}

}  // namespace

TEST(whichever_call_loses_the_device_the_engine_says_so_and_lets_go_of_everything) {
  Faults none;
  const Run whole = serve(&none, true);
  CHECK_OK(whole.loaded);
  CHECK_OK(whole.adapted);
  CHECK_EQ(whole.events.ends.size(), size_t{6});
  for (const EndEvent& end : whole.events.ends) CHECK_OK(end.failure);
  CHECK_EQ(none.used_bytes, 0);
  for (const char* call : {"claim", "claim_pinned", "upload", "download", "wait", "launched", "begin_capture", "end_capture", "replay", "event",
                           "mark", "passed"}) {
    CHECK(none.seen.contains(call));
  }
  std::printf("  %lld calls\n", static_cast<long long>(none.calls));
  for (int64_t at = 0; at < none.calls; at++) {
    Faults faults;
    faults.fail_at = at;
    const Run run = serve(&faults, true);
    bool told = !run.loaded.ok() || !run.adapted.ok() || run.late_is_lost;
    for (const Status* status : {&run.loaded, &run.adapted}) {
      if (!status->ok()) CHECK_REASON(*status, Reason::kDeviceLost);
    }
    for (const EndEvent& end : run.events.ends) {
      told |= !end.failure.ok();
      if (!end.failure.ok()) CHECK_REASON(end.failure, Reason::kDeviceLost);
    }
    if (run.loaded.ok()) {
      CHECK_EQ(run.events.ends.size(), size_t{run.adapted.ok() ? 6u : 5u});
    }
    CHECK(faults.has_failed);
    if (!told) check::fail(__FILE__, __LINE__, "Nobody was told that " + std::string(faults.failed) + " failed, call " + std::to_string(at) + ".");
    CHECK_EQ(faults.used_bytes, 0);
  }
}

TEST(a_device_short_of_memory_once_refuses_that_and_goes_on) {
  Faults none;
  none.reason = Reason::kOutOfMemory;
  const Run whole = serve(&none, false);
  const auto want = tokens_of(whole);
  int32_t refused = 0, went_on = 0;
  for (int64_t at = 0; at < none.calls; at++) {
    Faults faults;
    faults.reason = Reason::kOutOfMemory;
    faults.fail_at = at;
    const Run run = serve(&faults, false);
    CHECK(faults.has_failed);
    CHECK_EQ(faults.used_bytes, 0);
    CHECK(!run.late_is_lost);
    for (const Status* status : {&run.loaded, &run.adapted}) {
      if (!status->ok()) CHECK_REASON(*status, Reason::kOutOfMemory);
    }
    if (!run.loaded.ok() || !run.adapted.ok()) {
      refused++;
      continue;
    }
    went_on++;
    const auto got = tokens_of(run);
    for (const EndEvent& end : run.events.ends) {
      if (end.failure.ok()) CHECK(end.request == 4 || got.at(end.request) == want.at(end.request));
      else CHECK_REASON(end.failure, Reason::kOutOfMemory);
    }
  }
  std::printf("  %d refused, %d went on\n", refused, went_on);
  CHECK(refused > 0 && went_on > 0);
}

TEST_MAIN()
