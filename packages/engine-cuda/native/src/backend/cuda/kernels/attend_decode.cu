// Attention of single rows over their pages: one new token against a long context, bound by the bytes of keys and values.
//
// A block takes a part of the pages of one row and key-value head, for all query heads that share it (the rows of A, up to
// 8). Each of its four warps takes every fourth page through a ring of its own, with a running softmax of its own; warps
// meet at the end in shared memory, parts of a row in scratch memory, where the last block to come puts them together.
#include "attend.cuh"

namespace chasqui::cuda {

namespace {

constexpr int kWarps = 4;
constexpr int kStages = 3;
constexpr int kHeads = 8;        // query heads that share a key-value head, padded
constexpr int kLeastPages = 8;   // of a part
constexpr int kStateFloats = 4;  // behind the values of a row of partial results: maximum, sum, padding

// A row of query heads while it is summed up: values by tiles of 8 dimensions, and per head the maximum and this lane's
// share of the sum.
template <int kTiles>
struct State {
  float values[kTiles][4] = {};
  float max = kNoScore;
  float sum = 0.0f;
};

template <KvKind kKind, int kDim>
struct Decode {
  using Tile = KvTile<kKind, kDim>;
  static constexpr int kStageBytes = 2 * Tile::kPageBytes;
  static constexpr int kRingBytes = kWarps * kStages * kStageBytes;
  static constexpr int kRowFloats = kDim + kStateFloats;
  static constexpr int kMeetBytes = kWarps * kHeads * kRowFloats * 4 + 16;
  static constexpr int kSharedBytes = kRingBytes > kMeetBytes ? kRingBytes : kMeetBytes;

  const AttendArguments& a;
  uint8_t* const shared = shared_memory();
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
  const int32_t group = a.n_heads / a.n_kv_heads;
  const int32_t kv_head = static_cast<int32_t>(blockIdx.y);
  int32_t row = 0, length = 0, first_page = 0, last_page = 0;
  const int32_t* table = nullptr;

  DEVICE explicit Decode(const AttendArguments& arguments) : a(arguments) {}

  DEVICE void issue(int32_t page, int slot) const {
    if (page < last_page) {
      uint8_t* stage = shared + (warp * kStages + slot) * kStageBytes;
      const int64_t at = (static_cast<int64_t>(table[page]) * a.n_kv_heads + kv_head) * Tile::kPageBytes;
      copy_keys(stage, a.keys + at);
      copy_values(stage + Tile::kPageBytes, a.values + at, length - page * kPage);
    }
    copies_commit();
  }

  // Pieces that this lane alone will read.
  DEVICE void copy_keys(uint8_t* to, const uint8_t* page) const {
    UNROLL
    for (int i = 0; i < 2 * Tile::kRuns; i++) {
      const int32_t token = static_cast<int32_t>(g) + i / Tile::kRuns * 8;
      copy_16(to + (i * 32 + static_cast<int32_t>(lane)) * 16, page + token * Tile::kRowBytes + (i % Tile::kRuns * 4 + static_cast<int32_t>(t)) * 16);
    }
  }

  // Rows behind the end of the sequence are zeros: what lies there may be NaN, and its weight of 0 would not help.
  DEVICE void copy_values(uint8_t* to, const uint8_t* page, int32_t tokens) const {
    UNROLL
    for (int i = 0; i < kPage * Tile::kPieces / 32; i++) {
      const int32_t index = i * 32 + static_cast<int32_t>(lane);
      const int32_t token = index / Tile::kPieces, piece = index % Tile::kPieces;
      copy_16_or_zeros(to + Tile::place(token, piece), page + index * 16, token < tokens);
    }
  }

  DEVICE void load_queries(uint32_t (&q)[Tile::kTurns][2]) const {
    const uint16_t* from = a.q + head_place(a, row, kv_head, static_cast<int32_t>(g), kDim);
    UNROLL
    for (int turn = 0; turn < Tile::kTurns; turn++) {
      q[turn][0] = q[turn][1] = 0;
      if (static_cast<int32_t>(g) < group) Tile::query_pairs(from, t, turn, q[turn]);
    }
  }

  // Scores of two times eight positions: of row g, positions 2 t and 2 t + 1.
  DEVICE void score_page(const uint8_t* stage, const uint32_t (&q)[Tile::kTurns][2], int32_t tokens, float (&scores)[4]) const {
    UNROLL
    for (int half = 0; half < 2; half++) {
      float sums[4] = {};
      UNROLL
      for (int run = 0; run < Tile::kRuns; run++) {
        const uint4 piece = *reinterpret_cast<const uint4*>(stage + ((half * Tile::kRuns + run) * 32 + static_cast<int>(lane)) * 16);
        const uint32_t words[4] = {piece.x, piece.y, piece.z, piece.w};
        UNROLL
        for (int i = 0; i < Tile::kTurnsOfRun; i++) {
          uint32_t k[2];
          Tile::key_pairs(words, i, k);
          const int turn = run * Tile::kTurnsOfRun + i;
          mma(sums, q[turn][0], 0, q[turn][1], 0, k[0], k[1]);
        }
      }
      UNROLL
      for (int e = 0; e < 2; e++) {
        const int32_t token = half * 8 + static_cast<int32_t>(t) * 2 + e;
        scores[half * 2 + e] = token < tokens ? sums[e] * a.scale : kNoScore;
      }
    }
  }

  DEVICE void add_page(const uint8_t* stage, const uint32_t (&q)[Tile::kTurns][2], int32_t tokens, State<Tile::kTiles>& state) const {
    float scores[4];
    score_page(stage, q, tokens, scores);
    const float highest = fmaxf(fmaxf(scores[0], scores[1]), fmaxf(scores[2], scores[3]));
    const float max = fmaxf(state.max, quad_max(highest));
    const float fade = exp_2(state.max - max);
    state.max = max;
    UNROLL
    for (int i = 0; i < 4; i++) scores[i] = exp_2(scores[i] - max);
    // What is summed is what the values are weighted with.
    const uint32_t early = bf16_pair(scores[0], scores[1]), late = bf16_pair(scores[2], scores[3]);
    state.sum = state.sum * fade + (low_of(early) + high_of(early)) + (low_of(late) + high_of(late));
    UNROLL
    for (int load = 0; load < Tile::kLoads; load++) {
      uint32_t v[Tile::kTilesOfLoad][2];
      Tile::value_pairs(stage + Tile::kPageBytes, 0, load, lane, v);
      UNROLL
      for (int i = 0; i < Tile::kTilesOfLoad; i++) {
        float(&values)[4] = state.values[load * Tile::kTilesOfLoad + i];
        values[0] *= fade;
        values[1] *= fade;
        mma(values, early, 0, late, 0, v[i][0], v[i][1]);
      }
    }
  }

  // Leaves a warp's rows in shared memory: (warps, kHeads, kRowFloats).
  DEVICE void publish(const State<Tile::kTiles>& state) const {
    float* mine = reinterpret_cast<float*>(shared) + (warp * kHeads + g) * kRowFloats;
    UNROLL
    for (int tile = 0; tile < Tile::kTiles; tile++) {
      UNROLL
      for (int e = 0; e < 2; e++) mine[Tile::dim_of(tile, t, e)] = state.values[tile][e];
    }
    const float sum = quad_sum(state.sum);
    if (t == 0) mine[kDim] = state.max, mine[kDim + 1] = sum;
  }

  // Rows of several partial results as one: values of dimension `dim`, with maximum and sum.
  template <typename At>
  DEVICE static float joined(int32_t parts, int32_t dim, const At& at, float* max, float* sum) {
    *max = kNoScore;
    for (int32_t i = 0; i < parts; i++) *max = fmaxf(*max, at(i, kDim));
    *sum = 0.0f;
    float value = 0.0f;
    for (int32_t i = 0; i < parts; i++) {
      const float fade = exp_2(at(i, kDim) - *max);
      *sum += at(i, kDim + 1) * fade;
      value += at(i, dim) * fade;
    }
    return value;
  }

  DEVICE void write(int32_t head, int32_t dim, float value) const {
    a.out[head_place(a, row, kv_head, head, kDim) + dim] = bf16_of(value * a.value_scale);
  }

  DEVICE void finish(int32_t parts) const {
    const auto* all = reinterpret_cast<const float*>(shared);
    const int64_t place = static_cast<int64_t>(blockIdx.z) * a.n_kv_heads + kv_head;
    float* partials = a.partials + place * gridDim.x * group * kRowFloats;
    float* mine = partials + static_cast<int64_t>(blockIdx.x) * group * kRowFloats;
    for (int32_t i = static_cast<int32_t>(threadIdx.x); i < group * kDim; i += kWarps * 32) {
      const int32_t head = i / kDim, dim = i % kDim;
      float max, sum;
      const float value = joined(kWarps, dim, [&](int32_t part, int32_t at) { return all[(part * kHeads + head) * kRowFloats + at]; }, &max, &sum);
      if (parts == 1) {
        write(head, dim, value / sum);
        continue;
      }
      mine[head * kRowFloats + dim] = value;
      if (dim == 0) mine[head * kRowFloats + kDim] = max, mine[head * kRowFloats + kDim + 1] = sum;
    }
    if (parts > 1) meet(place, partials, parts);
  }

  DEVICE void meet(int64_t place, const float* partials, int32_t parts) const {
    fence_device();
    __syncthreads();  // all have left their part, and nobody reads the warps' rows any more
    auto* before = reinterpret_cast<uint32_t*>(shared);
    if (threadIdx.x == 0) *before = atomic_add(a.counters + place, 1);
    __syncthreads();
    if (*before != static_cast<uint32_t>(parts) - 1) return;
    fence_device();
    for (int32_t i = static_cast<int32_t>(threadIdx.x); i < group * kDim; i += kWarps * 32) {
      const int32_t head = i / kDim, dim = i % kDim;
      float max, sum;
      const float value = joined(
          parts, dim,
          [&](int32_t part, int32_t at) { return load_shared_by_blocks(partials + (static_cast<int64_t>(part) * group + head) * kRowFloats + at); },
          &max, &sum);
      write(head, dim, value / sum);
    }
    if (threadIdx.x == 0) a.counters[place] = 0;
  }

  DEVICE void run() {
    let_next_start();
    wait_for_earlier();
    if (static_cast<int32_t>(blockIdx.z) >= a.step.counts->decode_rows) return;
    row = a.step.decode_rows[blockIdx.z];
    length = a.step.positions[row] + 1;
    table = a.step.pages + a.step.page_starts[row];
    const int32_t pages = (length + kPage - 1) / kPage;
    const int32_t even = (pages + static_cast<int32_t>(gridDim.x) - 1) / static_cast<int32_t>(gridDim.x);
    const int32_t of_part = even > kLeastPages ? even : kLeastPages;
    const int32_t parts = (pages + of_part - 1) / of_part;
    if (static_cast<int32_t>(blockIdx.x) >= parts) return;
    first_page = static_cast<int32_t>(blockIdx.x) * of_part;
    last_page = first_page + of_part < pages ? first_page + of_part : pages;

    int32_t ahead = first_page + static_cast<int32_t>(warp);
    for (int i = 0; i < kStages - 1; i++, ahead += kWarps) issue(ahead, i);
    uint32_t q[Tile::kTurns][2];
    load_queries(q);
    State<Tile::kTiles> state;
    int slot = 0;
    for (int32_t page = first_page + static_cast<int32_t>(warp); page < last_page; page += kWarps, ahead += kWarps) {
      copies_wait<kStages - 2>();
      sync_warp();  // values are copied by all lanes for all, and all are through with the page before
      issue(ahead, slot == 0 ? kStages - 1 : slot - 1);
      add_page(shared + (warp * kStages + slot) * kStageBytes, q, length - page * kPage, state);
      slot = slot == kStages - 1 ? 0 : slot + 1;
    }
    __syncthreads();  // the rings of all warps make room
    publish(state);
    __syncthreads();
    finish(parts);
  }
};

template <KvKind kKind, int kDim>
__global__ void __launch_bounds__(kWarps * 32) decode_kernel(AttendArguments arguments) {
  Decode<kKind, kDim>(arguments).run();
}

}  // namespace

void attend_decode(const Target& target, const ModelShape& shape, const Step& step, int32_t decode_rows, int32_t max_length,
                   const DeviceKv& kv, int32_t layer, const Activations& work) {
  Launch launch;
  launch.grid = {static_cast<uint32_t>(decode_splits(shape, decode_rows, max_length, target.limits)),
                 static_cast<uint32_t>(shape.n_kv_heads), static_cast<uint32_t>(decode_rows)};
  launch.block.x = kWarps * 32;
  launch.overlaps = true;
  const AttendArguments arguments = attend_arguments(target, shape, step, kv, layer, work);
  constexpr const char* kNames[2][2] = {{"attend_decode64_bf16", "attend_decode128_bf16"}, {"attend_decode64_fp8", "attend_decode128_fp8"}};
  with_kv_tile(kv, shape.head_dim, kNames, [&]<typename Tile>(Tile, const char* name) {
    launch.kernel = name;
    launch.shared_bytes = Decode<Tile::kForm, Tile::kWidth>::kSharedBytes;
    start(*target.stream, launch, decode_kernel<Tile::kForm, Tile::kWidth>, arguments);
  });
}

}  // namespace chasqui::cuda
