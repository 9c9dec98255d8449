// The operations of backend.h as kernel launches: what the host part of the CUDA backend calls. Plain structs of device
// pointers, one function for each fused operation; each picks the variant and computes its launch parameters (plan.h) from
// the shapes and from `rows` alone.
//
// The same launchers are compiled three times over: by nvcc, where Stream goes to the driver; by a plain C++ compiler,
// where an entry is called for every thread of every block on the CPU (shim/); and either of them can be given a Stream
// that only writes down what it is asked.
//
// Whatever differs from step to step (tokens, positions, page tables, how many rows are live) is read by the kernels from
// the memory behind `Step`. So the launches of a bucket of `rows` can be recorded once and replayed for any step with as
// many rows or fewer: rows from `counts->rows` on are computed from whatever lies there or not at all, and never stored.
//
// Knows no CUDA header. All pointers are device memory, 16-byte aligned at least, unless a comment says otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

namespace chasqui::cuda {

constexpr int32_t kPage = 16;  // positions of a page, as kPageTokens

// ---- What a launch goes to ----

struct Dim {
  uint32_t x = 1, y = 1, z = 1;
};

struct Launch {
  const char* kernel = "";    // name with its variant, for errors, profiles and tests
  Dim grid;
  Dim block;
  uint32_t shared_bytes = 0;  // dynamic; above 48 KiB the driver wants to be told once per kernel
  Dim cluster;                // 1 1 1: none
  // The kernel waits itself (griddepcontrol.wait) before it touches what earlier kernels wrote, so it may start while the
  // one before it in the stream drains: launch with the programmatic stream serialization attribute where the chip has it.
  bool overlaps = false;
};

class Stream {
 public:
  virtual ~Stream() = default;
  // `entry`: under nvcc the host address of a __global__ function, as cudaLaunchKernelExC takes it; under the shim a
  // shim::Entry, which lives for ever. `arguments`: addresses of the arguments, copied by the call.
  virtual void launch(const Launch& launch, const void* entry, void** arguments) = 0;
};

struct DeviceLimits {
  int32_t sms = 132;
  int32_t capability = 90;                  // 80, 89, 90
  int32_t shared_per_block = 227 * 1024;    // with opt-in
  int32_t shared_per_sm = 228 * 1024;
};

// Memory that launches share: its contents mean nothing between two of them, but `counters` must be zero before the first
// and every kernel leaves them zero.
struct Scratch {
  float* partials = nullptr;     // scratch_sizes().partial_bytes
  uint32_t* counters = nullptr;  // scratch_sizes().counter_bytes
};

struct Target {
  Stream* stream = nullptr;
  DeviceLimits limits;
  Scratch scratch;
  // Use kernels that no device has run yet, where there are any for it: for checks against their siblings.
  bool untried = false;
};

// ---- The step ----

// Written by the host before a step; kernels read it on the device.
struct StepCounts {
  int32_t rows = 0;         // live rows: tokens of the step
  int32_t decode_rows = 0;  // live entries of decode_rows
  int32_t tiles = 0;        // live entries of tiles
  int32_t wanted = 0;       // live entries of wanted
};

// Consecutive rows of one span that attend together; at most prefill_tile_rows() of them.
struct PrefillTile {
  int32_t first_row = 0;
  int32_t n_rows = 0;
};

// Fixed addresses with contents that change. Every row of a step is in `decode_rows` or in exactly one tile.
struct Step {
  const StepCounts* counts = nullptr;
  const int32_t* tokens = nullptr;       // (rows)
  const int32_t* positions = nullptr;    // (rows)
  const int32_t* page_starts = nullptr;  // (rows): where in `pages` the table of the row's sequence begins
  const int32_t* pages = nullptr;        // page ids; of a row's position p: pages[page_starts[row] + p / 16]
  const int32_t* decode_rows = nullptr;  // rows that attend one by one
  const PrefillTile* tiles = nullptr;
  const int32_t* wanted = nullptr;       // rows whose logits are asked for
  const int32_t* slots = nullptr;        // (rows): of the row's adapter; -1: none
};

// ---- What stays ----

struct ModelShape {
  int32_t dim = 0;
  int32_t ffn = 0;
  int32_t n_heads = 0;
  int32_t n_kv_heads = 0;
  int32_t head_dim = 0;
  int32_t vocab = 0;
};

enum class WeightKind : uint8_t { kBF16, kFp8, kInt8, kInt4, kTable4 };
enum class ScaleKind : uint8_t { kF32, kF16, kBF16 };

// A linear layer, parts stacked: q k v, or gate up (2 ffn rows). weight[row][k] = value(code) * scale[row][k / group].
struct DeviceLinear {
  WeightKind kind = WeightKind::kBF16;
  int32_t out = 0;                 // rows of all parts together
  int32_t in = 0;
  const void* codes = nullptr;     // kBF16: (out, in) row by row; otherwise as pack.h lays them out
  int32_t group = 0;               // inputs to a scale: 16 x a power of two; 0: one scale for a whole row
  ScaleKind scale_kind = ScaleKind::kF32;
  const void* scales = nullptr;    // (ceil(out / 16) * 2, groups, 8): 8 rows together. Null for kBF16
  const int8_t* zeros = nullptr;   // like scales; null: 8 for kInt4 and 0 otherwise
  const uint16_t* table = nullptr; // kTable4: 16 values in bf16, in device memory
  const int32_t* order = nullptr;  // (in): code j belongs to input order[j]; null: j
};

constexpr int32_t kMostParts = 3;  // of a linear layer: q, k, v

// What one adapter adds to one layer; the ranks of its parts one after the other.
struct DeviceLowRank {
  const uint16_t* a = nullptr;  // (ranks, in) bf16
  const uint16_t* b = nullptr;  // (out, b_stride) bf16: an output's row has the ranks of its part
  int32_t b_stride = 0;
  int32_t ranks = 0;            // of all parts; 0: adds nothing
  int32_t first_rank[kMostParts + 1] = {};
  int32_t first_output[kMostParts] = {};  // of parts that are not there: out
  float scale[kMostParts] = {};
};

// Of a layer that some row's adapter changes, in steps that have such rows.
struct LayerLowRank {
  const DeviceLowRank* entries = nullptr;  // by slot, in device memory; null: the layer is as it is
  int32_t ranks = 0;                       // most of any entry
  float* hidden = nullptr;                 // (max_rows, stride)
  int32_t stride = 0;
  float* sums = nullptr;                   // (max_rows, out)
};

struct DeviceNorm {
  const float* weight = nullptr;  // (dim)
  float eps = 0.0f;
};

struct DeviceTable {
  const uint16_t* rows = nullptr;  // (vocab, dim) bf16
};

struct DeviceRope {
  const float* turns = nullptr;  // (context, head_dim / 2, 2): cosine and sine, from double precision
};

enum class KvKind : uint8_t { kBF16, kFp8 };

// Keys and values of all layers: (n_layers, n_pages, n_kv_heads, 16, head_dim) each. kFp8: value = code * scale.
struct DeviceKv {
  void* keys = nullptr;
  void* values = nullptr;
  KvKind kind = KvKind::kBF16;
  int32_t n_layers = 0;
  int32_t n_pages = 0;
  float key_scale = 1.0f;
  float value_scale = 1.0f;
};

// Activations of a step. The residual stream and the logits are floats; what enters a matrix is bf16.
struct Activations {
  float* x = nullptr;            // (max_rows, dim)
  uint16_t* normed = nullptr;    // (max(max_rows, max_logits), the widest of dim, n_heads * head_dim, ffn)
  uint16_t* q = nullptr;         // (max_rows, n_heads * head_dim), after rope
  uint16_t* attended = nullptr;  // (max_rows, n_heads * head_dim)
  uint16_t* hidden = nullptr;    // (max_rows, ffn)
  float* logits = nullptr;       // (max_logits, vocab)
};

// ---- Sizes and refusals, before anything is claimed ----

struct ScratchSizes {
  int64_t partial_bytes = 0;
  int64_t counter_bytes = 0;
};

// Null if the kernels can run this model, else what stands against it: "head_dim 96 is neither 64 nor 128".
const char* refuses(const ModelShape& shape);
// The same for one layer's weights.
const char* refuses(const DeviceLinear& linear);
// For steps of up to max_rows rows and max_logits logits on this device.
ScratchSizes scratch_sizes(const ModelShape& shape, int32_t max_rows, int32_t max_logits, const DeviceLimits& limits);
// Most rows of a PrefillTile.
int32_t prefill_tile_rows(const ModelShape& shape);

// ---- The operations, in the order of a step. `rows`: of the bucket, at least counts->rows. ----

// x = table[tokens]
void embed(const Target& target, const ModelShape& shape, const Step& step, int32_t rows, const DeviceTable& table,
           const Activations& work);

// q, k, v = rope(qkv * norm(x)); keys and values go into the cache
void norm_qkv_rope_store(const Target& target, const ModelShape& shape, const Step& step, int32_t rows,
                         const DeviceNorm& norm, const DeviceLinear& qkv, const DeviceRope& rope, const DeviceKv& kv,
                         int32_t layer, const Activations& work, const LayerLowRank& low_rank = {});

// The two halves of attention; a step runs either or both. `decode_rows`, `tiles`: of the bucket, at least the counts.
// `max_length`: most positions of a sequence that a replay may meet; it decides in how many parts a row is split.
void attend_decode(const Target& target, const ModelShape& shape, const Step& step, int32_t decode_rows,
                   int32_t max_length, const DeviceKv& kv, int32_t layer, const Activations& work);
void attend_prefill(const Target& target, const ModelShape& shape, const Step& step, int32_t tiles, const DeviceKv& kv,
                    int32_t layer, const Activations& work);

// x += o * attended
void o_residual(const Target& target, const ModelShape& shape, const Step& step, int32_t rows, const DeviceLinear& o,
                const Activations& work, const LayerLowRank& low_rank = {});

// hidden = silu(gate * norm(x)) * (up * norm(x))
void norm_gateup_silu(const Target& target, const ModelShape& shape, const Step& step, int32_t rows,
                      const DeviceNorm& norm, const DeviceLinear& gate_up, const Activations& work, const LayerLowRank& low_rank = {});

// x += down * hidden
void down_residual(const Target& target, const ModelShape& shape, const Step& step, int32_t rows,
                   const DeviceLinear& down, const Activations& work, const LayerLowRank& low_rank = {});

// logits[i] = head * norm(x[wanted[first + i]]) for i < min(count, counts->wanted - first)
void head(const Target& target, const ModelShape& shape, const Step& step, int32_t first, int32_t count,
          const DeviceNorm& norm, const DeviceLinear& head, const Activations& work);

// Copies page `from` to page `to`, all layers, keys and values (whole pages: what lies behind n_tokens is never read).
void copy_page(const Target& target, const ModelShape& shape, const DeviceKv& kv, int32_t from, int32_t to);

// ---- Sampling: the same tokens as sampling/sampler.cc, for all rows at once ----

constexpr int32_t kMostTop = 64;  // likeliest tokens that a row may ask for

struct TokenAmount {
  int32_t token = 0;
  float amount = 0.0f;  // its logit
};

// What becomes of one token's logit before anything is drawn. No token has two of these.
struct TokenChange {
  int32_t token = 0;
  float bias = 0.0f;
  float count = -1.0f;  // occurrences in the output; 0: only in the prompt; -1: in neither
};

// How one row of logits is sampled. Lists lie in SampleStep::changes / banned; `mask` is an index into SampleStep::masks.
struct SampleRow {
  float rate = 0.0f;  // log2(e) / temperature; 0: the highest logit, the lowest id among equals
  int32_t top_k = 0;
  float top_p = 1.0f;
  float min_p_exponent = 0.0f;  // log2(min_p), a little less
  double min_p_weight = 0.0;    // min_p in units of a weight; 0: none
  float repetition_penalty = 1.0f;
  float frequency_penalty = 0.0f;
  float presence_penalty = 0.0f;
  int32_t n_top = -1;           // -1: no log-probabilities; n: also the n likeliest tokens, at most kMostTop
  uint64_t seed = 0;
  uint64_t position = 0;
  int32_t first_change = 0, n_changes = 0;
  int32_t first_banned = 0, n_banned = 0;  // none of them has a change
  int32_t mask = -1;            // -1: all tokens are permitted
};

// Log-probabilities are logit - highest - log(total / 2^41).
struct Sampled {
  int32_t token = -1;      // -1: none is permitted
  float logit = 0.0f;      // of the token, as it came in
  float highest = 0.0f;    // of the logits as they came in
  int32_t n_top = 0;       // entries of `top`, in any order
  uint64_t total = 0;      // of their weights
  // How it was found, for whoever profiles: the code (selection.cuh) of the least likely token that could have been drawn, 0
  // without top-k and top-p, and how many likely tokens were put together for searches.
  uint64_t least = 0;
  int32_t listed = 0;
};

struct SampleStep {
  const SampleRow* rows = nullptr;       // (count)
  const TokenChange* changes = nullptr;
  const int32_t* banned = nullptr;
  float* originals = nullptr;            // like changes: memory for the logits before them
  const uint32_t* masks = nullptr;       // (n_masks, mask_words)
  int32_t mask_words = 0;                // ceil(vocab / 32)
  const int32_t* live = nullptr;         // (1): rows to sample; the rest of `count` is left alone
};

// Overwrites the logits with those after penalties. sampled: (count); top: (count, kMostTop), of rows that ask for it.
// vocab < 2^18.
void sample(const Target& target, int32_t vocab, const SampleStep& step, int32_t count, float* logits, Sampled* sampled,
            TokenAmount* top);

// ---- For benches: weights made on the device ----

// bf16 values, uniform in [-scale, scale).
void fill_bf16(const Target& target, uint16_t* values, int64_t n, float scale, uint64_t seed);
void fill_f32(const Target& target, float* values, int64_t n, float mean, float scale, uint64_t seed);
// Random codes of a packed matrix; none is an e4m3 NaN.
void fill_codes(const Target& target, WeightKind kind, void* codes, int64_t bytes, uint64_t seed);

}  // namespace chasqui::cuda
