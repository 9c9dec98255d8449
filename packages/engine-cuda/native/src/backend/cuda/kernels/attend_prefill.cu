// Causal attention of a run of rows over the pages of their sequence: prefill, in chunks that begin anywhere.
//
// A block takes a tile of rows and one key-value head: 128 pairs (row, query head) are the rows of A, sixteen to a warp, so
// that all query heads that share keys and values share their way through shared memory too. Blocks of 64 positions come
// page by page through three stages; each warp keeps its scores and its running softmax in registers.
#include "attend_prefill.cuh"

namespace chasqui::cuda {

namespace {

constexpr int kWarps = 8;
constexpr int kPairs = kWarps * 16;  // (row, query head) of a block
constexpr int kSpan = 64;            // positions of a stage
constexpr int kStages = 3;

template <KvKind kKind, int kDim>
struct Prefill : PrefillBlock {
  using Tile = KvTile<kKind, kDim>;
  static constexpr int kHalfBytes = kSpan * Tile::kRowBytes;
  static constexpr int kSharedBytes = kStages * 2 * kHalfBytes;
  static constexpr int kColumns = kSpan / 8;

  uint8_t* const shared = shared_memory();

  // Where keys lie: two rows below each other meet different banks when eight lanes read four pieces of both.
  DEVICE static int32_t key_place(int32_t row, int32_t piece) {
    return (row * Tile::kPieces + (Tile::kPieces >= 8 ? piece ^ (row & 1) << 2 : piece)) * 16;
  }

  DEVICE void issue(int32_t span, int slot) const {
    const int32_t first = span * kSpan;
    if (first < end) {
      uint8_t* keys = shared + slot * 2 * kHalfBytes;
      uint8_t* values = keys + kHalfBytes;
      for (int32_t i = static_cast<int32_t>(threadIdx.x); i < kSpan * Tile::kPieces; i += kWarps * 32) {
        const int32_t token = i / Tile::kPieces, piece = i % Tile::kPieces;
        const int32_t position = first + token;
        const bool there = position < end;  // values behind the end are zeros: their weight of 0 does not help against NaN
        const int64_t page = table[(there ? position : first) / kPage];
        const int64_t at = ((page * a.n_kv_heads + kv_head) * kPage + position % kPage) * Tile::kRowBytes + piece * 16;
        copy_16_or_zeros(keys + key_place(token, piece), a.keys + at, there);
        copy_16_or_zeros(values + Tile::place(token, piece), a.values + at, there);
      }
    }
    copies_commit();
  }

  DEVICE void load_queries(uint32_t (&q)[2][Tile::kTurns][2]) const {
    UNROLL
    for (int side = 0; side < 2; side++) {
      const int32_t pair = pair_of(side);
      UNROLL
      for (int turn = 0; turn < Tile::kTurns; turn++) {
        q[side][turn][0] = q[side][turn][1] = 0;
        if (pair < n_pairs) Tile::query_pairs(a.q + head_at(pair, kDim), t, turn, q[side][turn]);
      }
    }
  }

  DEVICE void score(const uint8_t* keys, const uint32_t (&q)[2][Tile::kTurns][2], float (&scores)[kColumns][4]) const {
    UNROLL
    for (int column = 0; column < kColumns; column++) {
      UNROLL
      for (int e = 0; e < 4; e++) scores[column][e] = 0.0f;
      UNROLL
      for (int run = 0; run < Tile::kRuns; run++) {
        const uint4 piece = *reinterpret_cast<const uint4*>(keys + key_place(column * 8 + static_cast<int32_t>(g), run * 4 + static_cast<int32_t>(t)));
        const uint32_t words[4] = {piece.x, piece.y, piece.z, piece.w};
        UNROLL
        for (int i = 0; i < Tile::kTurnsOfRun; i++) {
          uint32_t k[2];
          Tile::key_pairs(words, i, k);
          const int turn = run * Tile::kTurnsOfRun + i;
          mma(scores[column], q[0][turn][0], q[1][turn][0], q[0][turn][1], q[1][turn][1], k[0], k[1]);
        }
      }
    }
  }

  // Scales, hides what a row must not see, and turns scores into weights; `fade` is what earlier sums are worth now.
  DEVICE void weigh(int32_t first, float (&scores)[kColumns][4], float (&max)[2], float (&sum)[2], float (&fade)[2]) const {
    UNROLL
    for (int side = 0; side < 2; side++) {
      const int32_t last = last_seen(side) - first;
      float highest = kNoScore;
      UNROLL
      for (int column = 0; column < kColumns; column++) {
        UNROLL
        for (int e = 0; e < 2; e++) {
          float& value = scores[column][side * 2 + e];
          value = column * 8 + static_cast<int32_t>(t) * 2 + e <= last ? value * a.scale : kNoScore;
          highest = fmaxf(highest, value);
        }
      }
      const float now = fmaxf(max[side], quad_max(highest));
      fade[side] = exp_2(max[side] - now);
      max[side] = now;
      sum[side] *= fade[side];
      UNROLL
      for (int column = 0; column < kColumns; column++) {
        UNROLL
        for (int e = 0; e < 2; e++) {
          float& value = scores[column][side * 2 + e];
          value = exp_2(value - now);
          sum[side] += value;
        }
      }
    }
  }

  DEVICE void add_values(const uint8_t* tile, const float (&scores)[kColumns][4], const float (&fade)[2], float (&values)[Tile::kTiles][4]) const {
    UNROLL
    for (int i = 0; i < Tile::kTiles; i++) {
      UNROLL
      for (int e = 0; e < 4; e++) values[i][e] *= fade[e / 2];
    }
    UNROLL
    for (int step = 0; step < kSpan / 16; step++) {
      uint32_t p[4];
      operand_of(scores[step * 2], scores[step * 2 + 1], p);
      UNROLL
      for (int load = 0; load < Tile::kLoads; load++) {
        uint32_t v[Tile::kTilesOfLoad][2];
        Tile::value_pairs(tile, step * 16, load, lane, v);
        UNROLL
        for (int i = 0; i < Tile::kTilesOfLoad; i++) mma(values[load * Tile::kTilesOfLoad + i], p[0], p[1], p[2], p[3], v[i][0], v[i][1]);
      }
    }
  }

  DEVICE void run() {
    let_next_start();
    wait_for_earlier();
    if (!take_tile()) return;
    for (int i = 0; i < kStages - 1; i++) issue(i, i);
    uint32_t q[2][Tile::kTurns][2];
    load_queries(q);
    float values[Tile::kTiles][4] = {};
    float max[2] = {kNoScore, kNoScore}, sum[2] = {};
    int slot = 0;
    for (int32_t span = 0; span * kSpan < end; span++) {
      copies_wait<kStages - 2>();
      __syncthreads();  // this span is there for all, and all are through with the one before it
      issue(span + kStages - 1, slot == 0 ? kStages - 1 : slot - 1);
      const uint8_t* keys = shared + slot * 2 * kHalfBytes;
      float scores[kColumns][4], fade[2];
      score(keys, q, scores);
      weigh(span * kSpan, scores, max, sum, fade);
      add_values(keys + kHalfBytes, scores, fade, values);
      slot = slot == kStages - 1 ? 0 : slot + 1;
    }
    write<Tile>(values, sum);
  }
};

template <KvKind kKind, int kDim>
__global__ void __launch_bounds__(kWarps * 32, kDim == 64 ? 2 : 1) prefill_kernel(AttendArguments arguments) {
  Prefill<kKind, kDim>{{arguments}}.run();
}

}  // namespace

int32_t prefill_tile_rows(const ModelShape& shape) { return kPairs / (shape.n_heads / shape.n_kv_heads); }

void attend_prefill(const Target& target, const ModelShape& shape, const Step& step, int32_t tiles, const DeviceKv& kv,
                    int32_t layer, const Activations& work) {
  Launch launch;
  launch.grid = {static_cast<uint32_t>(shape.n_kv_heads), static_cast<uint32_t>(tiles), 1};
  launch.block.x = kWarps * 32;
  launch.overlaps = true;
  const AttendArguments arguments = attend_arguments(target, shape, step, kv, layer, work);
  if (target.untried && attend_prefill_wgmma(target, shape, tiles, kv, arguments)) return;
  constexpr const char* kNames[2][2] = {{"attend_prefill64_bf16", "attend_prefill128_bf16"}, {"attend_prefill64_fp8", "attend_prefill128_fp8"}};
  with_kv_tile(kv, shape.head_dim, kNames, [&]<typename Tile>(Tile, const char* name) {
    launch.kernel = name;
    launch.shared_bytes = Prefill<Tile::kForm, Tile::kWidth>::kSharedBytes;
    start(*target.stream, launch, prefill_kernel<Tile::kForm, Tile::kWidth>, arguments);
  });
}

}  // namespace chasqui::cuda
