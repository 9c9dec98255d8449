// Whether the shim sees what goes wrong in kernels: every barrier, every wait for copies and every operation of a warp in
// every kernel is made to fail, one at a time, and some schedule has to notice: by a report, a crash or other bits. And
// without a fault all schedules give the same bits.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "check.h"
#include "cuda_kernels.h"

using namespace chasqui;
using namespace chasqui::cuda;
using shim::Fault;
using shim::Schedule;

namespace {

using Bytes = std::vector<uint8_t>;

struct Scene {
  const char* name;
  std::function<Bytes()> run;
  // Barriers whose absence nothing shows here: those that order blocks, which run one after the other.
  int32_t unseen_barriers = 0;
};

template <typename T>
Bytes bytes_of(const std::vector<T>& values) {
  const auto* data = reinterpret_cast<const uint8_t*>(values.data());
  return Bytes(data, data + values.size() * sizeof(T));
}

// hidden = silu(gate norm(x)) (up norm(x)), then x += down hidden
Bytes feed_forward(int32_t rows, const MatrixOptions& options, int32_t sms) {
  constexpr int32_t kDim = 192, kFfn = 640;
  QuickRandom random(static_cast<uint64_t>(rows));
  TestDevice device;
  TestMatrix gate_up, down;
  make_matrix(device, &random, &gate_up, 2 * kFfn, kDim, options);
  make_matrix(device, &random, &down, kDim, kFfn, options);
  const ModelShape shape{kDim, kFfn, 3, 1, 64, 64};
  const Work work(device, shape, rows, 1, sms);
  const TestStep step(device, rows, rows, 64);
  Activations activations;
  activations.x = device.put(random_floats(&random, static_cast<int64_t>(rows) * kDim, 0.0f, 1.0f));
  activations.hidden = device.room<uint16_t>(static_cast<int64_t>(rows) * kFfn);
  activations.normed = device.room<uint16_t>(static_cast<int64_t>(rows) * kFfn);
  const DeviceNorm norm{device.put(random_floats(&random, kDim, 1.0f, 0.3f)), 1e-5f};
  norm_gateup_silu(work.target, shape, step.step, rows, norm, gate_up.linear, activations);
  down_residual(work.target, shape, step.step, rows, down.linear, activations);
  return bytes_of(device.get(activations.x, static_cast<int64_t>(rows) * kDim));
}

// x += W attended by Hopper's products, two tiles to a block and more steps than stages.
Bytes hopper_product(const MatrixOptions& options) {
  constexpr int32_t kRows = 130, kOut = 136, kIn = 896;
  asks_for_hopper() = true;
  QuickRandom random(6);
  TestDevice device;
  TestMatrix matrix;
  make_matrix(device, &random, &matrix, kOut, kIn, options);
  const ModelShape shape{kOut, kIn, 2, 1, 64, 64};
  const Work work(device, shape, kRows, 1, 1);
  asks_for_hopper() = false;
  const TestStep step(device, kRows, kRows, 64);
  Activations activations;
  activations.x = device.put(random_floats(&random, static_cast<int64_t>(kRows) * kOut, 0.0f, 1.0f));
  activations.attended = device.put(random_bf16(&random, static_cast<int64_t>(kRows) * kIn));
  o_residual(work.target, shape, step.step, kRows, matrix.linear, activations);
  return bytes_of(device.get(activations.x, static_cast<int64_t>(kRows) * kOut));
}

Bytes attention(int32_t position, int32_t n_rows, KvKind kind, bool prefill, bool hopper = false) {
  const ModelShape shape{64, 64, 4, 1, 64, 64};
  QuickRandom random(9);
  TestDevice device;
  asks_for_hopper() = hopper;
  const Work work(device, shape, n_rows, 1, 20);
  asks_for_hopper() = false;
  const int32_t end = position + n_rows, n_pages = (end + kPage - 1) / kPage;
  std::vector<int32_t> positions, starts(static_cast<size_t>(n_rows)), pages, rows;
  for (int32_t i = 0; i < n_rows; i++) positions.push_back(position + i), rows.push_back(i);
  for (int32_t i = 0; i < n_pages; i++) pages.push_back(n_pages - 1 - i);
  Step step;
  step.counts = device.put_one(StepCounts{n_rows, n_rows, 1, 0});
  step.positions = device.put(positions);
  step.page_starts = device.put(starts);
  step.pages = device.put(pages);
  step.decode_rows = device.put(rows);
  step.tiles = device.put_one(PrefillTile{0, n_rows});
  DeviceKv kv;
  kv.kind = kind;
  kv.n_layers = 1;
  kv.n_pages = n_pages;
  const int64_t elements = static_cast<int64_t>(n_pages) * kPage * 64;
  kv.keys = device.put(random_bf16(&random, elements));
  std::vector<uint16_t> values = random_bf16(&random, elements);
  // What lies behind the end must not matter: of the last page, which is page 0, from slot end % 16 on.
  if (kind == KvKind::kBF16 && end % kPage != 0) std::fill(values.begin() + end % kPage * 64, values.begin() + kPage * 64, uint16_t{0x7fc0});
  kv.values = device.put(values);
  Activations activations;
  activations.q = device.put(random_bf16(&random, static_cast<int64_t>(n_rows) * 256, 2.0f));
  activations.attended = device.room<uint16_t>(static_cast<int64_t>(n_rows) * 256);
  if (prefill) {
    attend_prefill(work.target, shape, step, 1, kv, 0, activations);
  } else {
    attend_decode(work.target, shape, step, n_rows, end, kv, 0, activations);
  }
  return bytes_of(device.get(activations.attended, static_cast<int64_t>(n_rows) * 256));
}

// hidden = silu(gate norm(x)) (up norm(x)) with two adapters in some of the rows.
Bytes adapted() {
  constexpr int32_t kDim = 128, kIn = 192, kRows = 6, kRanks = 9;
  QuickRandom random(6);
  TestDevice device;
  TestMatrix gate_up;
  make_matrix(device, &random, &gate_up, 2 * kDim, kIn, {});
  const ModelShape shape{kIn, kDim, 3, 1, 64, 64};
  const Work work(device, shape, kRows, 1, 4);
  TestStep step(device, kRows, kRows, 64);
  step.step.slots = device.put(std::vector<int32_t>{0, -1, 1, 0, -1, 1});
  std::vector<DeviceLowRank> entries(2);
  for (DeviceLowRank& entry : entries) {
    entry.a = device.put(random_bf16(&random, kRanks * kIn));
    entry.b = device.put(random_bf16(&random, 2 * kDim * 5));
    entry.ranks = kRanks;
    entry.b_stride = 5;
    for (int32_t part = 0; part < kMostParts; part++) {
      entry.first_rank[part + 1] = part == 0 ? 5 : kRanks;
      entry.first_output[part] = std::min(part, 2) * kDim;
      entry.scale[part] = 0.5f;
    }
  }
  Activations activations;
  activations.x = device.put(random_floats(&random, kRows * kIn, 0.0f, 1.0f));
  activations.hidden = device.room<uint16_t>(kRows * kDim);
  activations.normed = device.room<uint16_t>(kRows * kIn);
  const DeviceNorm norm{device.put(random_floats(&random, kIn, 1.0f, 0.3f)), 1e-5f};
  const LayerLowRank low_rank{device.put(entries), kRanks, device.room<float>(kRows * kRanks), kRanks, device.room<float>(kRows * 2 * kDim)};
  norm_gateup_silu(work.target, shape, step.step, kRows, norm, gate_up.linear, activations, low_rank);
  return bytes_of(device.get(activations.hidden, kRows * kDim));
}

// Every part of the sampler: changes, bans, ties at the end of top-k and of top-p, the likeliest tokens, a draw.
Bytes sampling() {
  constexpr int32_t kVocab = 9100, kRows = 8, kChanges = 300;
  QuickRandom random(4);
  TestDevice device;
  Target target;
  target.stream = &device.runtime().stream();
  std::vector<float> logits;
  for (int32_t i = 0; i < kRows * kVocab; i++) logits.push_back(std::nearbyint(6.0f * (random.symmetric() + random.symmetric())) / 2);
  // Which token is the likeliest, also after all changes, is decided far from the first thread's own tokens and far from the
  // thread that makes the change.
  std::vector<TokenChange> changes;
  for (int32_t i = 0; i < kChanges; i++) changes.push_back({(i * 1987 + 4000) % kVocab, i == 3 ? 11.0f : 0.0f, static_cast<float>(i % 3)});
  const int32_t raised = changes[3].token, lowered = changes[40].token, banned = 2500;
  std::vector<SampleRow> rows(kRows);
  for (size_t i = 0; i < rows.size(); i++) {
    float* row = logits.data() + i * kVocab;
    row[raised] = 5.0f, row[lowered] = 9.25f, row[banned] = 14.0f;
    rows[i].rate = i == 0 ? 0.0f : i == 7 ? 0.3f : 1.4426950408889634f;  // the last row is too flat to be listed
    rows[i].top_k = i == 2 ? 7 : i == 4 ? 200 : i == 5 ? 33 : i == 6 ? 15 : 0;  // fewer than there are runs, and more
    rows[i].top_p = i > 2 ? 0.8f : 1.0f;
    rows[i].seed = i * 17;
    rows[i].n_changes = kChanges;
    rows[i].frequency_penalty = 2.0f;
    rows[i].repetition_penalty = 1.5f;
    rows[i].n_top = i == 5 ? 30 : i % 4 == 1 ? 40 : i % 4 == 2 ? 5 : i % 4 == 3 ? 0 : -1;
    rows[i].n_banned = 2;
  }
  SampleStep step;
  step.rows = device.put(rows);
  step.changes = device.put(changes);
  step.originals = device.room<float>(kChanges);
  step.banned = device.put(std::vector<int32_t>{17, banned});
  step.live = device.put_one(kRows);
  auto* sampled = device.room<Sampled>(kRows);
  auto* top = device.room<TokenAmount>(kRows * kMostTop);
  float* device_logits = device.put(logits);
  sample(target, kVocab, step, kRows, device_logits, sampled, top);
  Bytes bytes = bytes_of(device.get(sampled, kRows));
  // In any order: what the host sorts.
  std::vector<TokenAmount> likeliest = device.get(top, kRows * kMostTop);
  for (int32_t row = 0; row < kRows; row++) {
    const auto first = likeliest.begin() + row * kMostTop;
    std::sort(first, first + kMostTop, [](const TokenAmount& a, const TokenAmount& b) { return a.token < b.token; });
  }
  for (const Bytes& more : {bytes_of(likeliest), bytes_of(device.get(device_logits, kRows * kVocab))}) bytes.insert(bytes.end(), more.begin(), more.end());
  return bytes;
}

std::vector<Scene> scenes() {
  const MatrixOptions bf16{}, int4{WeightKind::kInt4, 64, ScaleKind::kF16, true, false};
  const MatrixOptions table{WeightKind::kTable4, 64, ScaleKind::kF32, false, false};
  return {
      {"skinny, bf16", [=] { return feed_forward(3, bf16, 4); }},
      {"skinny, int4, in slices", [=] { return feed_forward(2, int4, 60); }},
      {"norm and skinny, table", [=] { return feed_forward(6, table, 4); }},
      {"gemm, bf16, in slices", [=] { return feed_forward(20, bf16, 40); }, 1},
      {"gemm, int4", [=] { return feed_forward(20, int4, 1); }},
      {"gemm, table", [=] { return feed_forward(20, table, 1); }},
      {"decode, bf16, in parts", [] { return attention(420, 1, KvKind::kBF16, false); }, 1},
      {"decode, fp8", [] { return attention(230, 2, KvKind::kFp8, false); }},
      {"prefill, bf16", [] { return attention(230, 30, KvKind::kBF16, true); }},
      {"prefill, fp8", [] { return attention(170, 17, KvKind::kFp8, true); }},
      {"adapted, norm and skinny", [] { return adapted(); }},
      {"middle batch, int4", [=] { return feed_forward(40, int4, 1); }},
      {"hopper, bf16", [=] { return hopper_product(bf16); }},
      {"hopper, fp8", [=] { return hopper_product({WeightKind::kFp8, 128, ScaleKind::kF32, false, false}); }},
      {"prefill on hopper", [] { return attention(230, 30, KvKind::kBF16, true, true); }},
      {"sampler", [] { return sampling(); }},
  };
}

std::vector<Schedule> all_schedules() {
  std::vector<Schedule> all;
  for (const shim::Copies copies : {shim::Copies::kDeferred, shim::Copies::kEager}) {
    for (const shim::Order order : {shim::Order::kWarpGreedy, shim::Order::kShuffled, shim::Order::kRoundRobin}) all.push_back({order, copies, 3});
  }
  return all;
}

// In a process of its own: a faulty kernel may go anywhere.
bool is_noticed(const Scene& scene, const Schedule& schedule, const Bytes& expected) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(1);
    shim::process_schedule() = schedule;
    const Bytes got = scene.run();
    _exit(got == expected ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

int32_t count_places(const Scene& scene, Fault fault) {
  Schedule schedule;
  schedule.fault = fault;
  schedule.fault_place = -1;
  shim::forget_places();
  shim::process_schedule() = schedule;
  scene.run();
  return shim::places_of(fault);  // processes that begin now know them by these numbers
}

void check_faults(Fault fault, const char* what) {
  int32_t planted = 0;
  for (const Scene& scene : scenes()) {
    shim::process_schedule() = {};
    const Bytes expected = scene.run();
    const int32_t places = count_places(scene, fault);
    int32_t unseen = 0;
    for (int32_t place = 0; place < places; place++) {
      bool noticed = false;
      for (Schedule schedule : all_schedules()) {
        schedule.fault = fault;
        schedule.fault_place = place;
        if (!noticed) noticed = is_noticed(scene, schedule, expected);
      }
      planted++;
      if (noticed) continue;
      unseen++;
      std::printf("  %s: nothing notices %s %d of %d\n", scene.name, what, place, places);
    }
    CHECK(unseen <= (fault == Fault::kNoBarrier ? scene.unseen_barriers : 0));
  }
  shim::process_schedule() = {};
  std::printf("  %d planted\n", planted);
  CHECK(planted > 0);
}

}  // namespace

TEST(all_schedules_give_the_same_bits) {
  for (const Scene& scene : scenes()) {
    shim::process_schedule() = {};
    const Bytes expected = scene.run();
    for (const Schedule& schedule : all_schedules()) {
      shim::process_schedule() = schedule;
      const bool same = scene.run() == expected;
      if (!same) check::fail(__FILE__, __LINE__, std::string(scene.name) + ": other bits");
    }
  }
  shim::process_schedule() = {};
}

TEST(a_missing_barrier_is_noticed) { check_faults(Fault::kNoBarrier, "missing barrier"); }
TEST(a_short_wait_is_noticed) { check_faults(Fault::kShortWait, "short wait"); }
TEST(a_missing_wait_for_a_phase_is_noticed) { check_faults(Fault::kNoPhase, "missing wait for a phase"); }
TEST(a_lane_that_stays_away_is_noticed) { check_faults(Fault::kDivergentLane, "absent lane at operation"); }

TEST_MAIN()
