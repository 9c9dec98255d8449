// What a device must be able to do to run a Llama: about eighteen fused operations on opaque objects. The model
// (model/llama.cc) is a plain list of these calls; nothing above this file knows which device runs them.
//
// Rules of the contract, so that a GPU can keep it:
// - Weights enter once, through `linear`, `norm` and `embedding`; a backend may repack, convert or upload them. Views that
//   it was given stay valid for as long as the model lives (the files are mapped), and it may go on reading them.
// - Everything else lives in objects that the backend made. No host pointer into them exists; `read_logits` and `sample`
//   are the only ways out.
// - `begin` hands over all that differs from step to step (tokens, positions, page tables). The operations after it take
//   no lengths, so a backend may record them once per batch size and replay them.
// - Operations run in the order of the calls and may return before they are done; `read_logits` and `sample` wait. A
//   device that fails says so in the Status of the next of these or of the next `begin`.
// - The result of a row does not depend on the number of threads or blocks that worked on it. Whether it depends on the
//   other rows of the step is said by `batch_independent()`.
// - A backend is used from one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../model/forward.h"
#include "../model/weights.h"
#include "../status.h"

namespace chasqui {

struct SamplingContext;
struct SampledToken;

// The objects a backend makes. Each backend derives its own and takes back only those.
class Embedding { public: virtual ~Embedding() = default; };
class Norm { public: virtual ~Norm() = default; };
class Linear { public: virtual ~Linear() = default; };
class Rope { public: virtual ~Rope() = default; };
class KvCache { public: virtual ~KvCache() = default; };
class Workspace { public: virtual ~Workspace() = default; };

enum class KvType : uint8_t { kBF16, kF32, kFp8 };

struct KvShape {
  int32_t n_layers = 0;
  int32_t n_kv_heads = 0;
  int32_t head_dim = 0;
  int32_t n_pages = 0;  // of kPageTokens positions, each for all layers
  KvType type = KvType::kBF16;
};

// Sizes of the activations of one step.
struct WorkShape {
  int32_t max_rows = 0;    // tokens in a step
  int32_t max_logits = 0;  // rows of logits in one call of `head`
  int32_t dim = 0;
  int32_t ffn = 0;
  int32_t n_heads = 0;
  int32_t n_kv_heads = 0;
  int32_t head_dim = 0;
  int32_t vocab = 0;
};

// How the parts of a linear layer are put together.
enum class LinearLayout : uint8_t {
  kStacked,  // rows of the parts one after the other: q, k, v
  kPaired,   // two parts of the same shape whose rows are used together: gate, up
};

// What plain weights become on the way in. Matrices that are quantised in their file stay what they are.
enum class WeightFormat : uint8_t { kAsStored, kInt8, kInt4, kNf4, kFp8 };

// What an adapter adds to one part of a linear layer: y += scale * B (A x).
struct LowRank {
  int32_t part = 0;  // of the parts that the layer was made of
  MatrixView a;      // (rank, inputs)
  MatrixView b;      // (outputs of the part, rank)
  float scale = 1.0f;
};

struct DeviceMemory {
  int64_t total_bytes = 0;
  int64_t available_bytes = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;

  // "cpu (AVX2, 2 threads)"
  virtual const char* device() const = 0;
  virtual DeviceMemory memory() const = 0;
  virtual bool batch_independent() const = 0;

  // Refuses as `unsupported` what it has no kernels for; asked before anything is made.
  virtual Status supports(const WorkShape& shape, KvType kv_type) const;

  // Bytes that the objects below will take, for plans and for typed refusals before anything is claimed.
  virtual int64_t embedding_bytes(const MatrixView& table) const = 0;
  virtual int64_t linear_bytes(const std::vector<MatrixView>& parts, WeightFormat format) const = 0;
  // Whether a head made of these weights is in the embedding's own memory and takes none.
  virtual bool shares_table(const MatrixView&, const MatrixView&, WeightFormat) const { return false; }
  virtual int64_t norm_bytes(const MatrixView&) const { return 0; }  // 0: not worth counting
  virtual int64_t rope_bytes(int32_t, int32_t) const { return 0; }   // of a head_dim and a context
  virtual int64_t kv_page_bytes(const KvShape& shape) const = 0;  // one page, all layers, keys and values
  virtual int64_t workspace_bytes(const WorkShape& shape) const = 0;

  // Made once, at load. Each may fail with out-of-memory.
  virtual Status embedding(const MatrixView& table, std::unique_ptr<Embedding>* made) = 0;
  virtual Status norm(const MatrixView& weight, double eps, std::unique_ptr<Norm>* made) = 0;
  virtual Status linear(const std::vector<MatrixView>& parts, LinearLayout layout, WeightFormat format,
                        std::unique_ptr<Linear>* made) = 0;
  virtual Status rope(const std::vector<double>& inverse_frequencies, int32_t context, std::unique_ptr<Rope>* made) = 0;
  virtual Status kv_cache(const KvShape& shape, std::unique_ptr<KvCache>* made) = 0;
  virtual Status workspace(const WorkShape& shape, std::unique_ptr<Workspace>* made) = 0;

  // What an adapter (a number from 1 on) adds to a layer; an empty list takes it away. From the next `begin` on every
  // product with the layer adds it to the rows of spans that name the adapter, before anything else is done with the
  // sums, and leaves the bits of all other rows as they are. Views are good for the call only. A device does it in two
  // kernels over the rows sorted by adapter: h = scale * A x, then y += B h in the epilogue of the product.
  virtual Status adapt(Linear& linear, int32_t adapter, const std::vector<LowRank>& parts);

  // One step. `begin` takes spans that are already checked; `wanted` are the rows (tokens of the step, counted over all
  // spans) whose logits will be asked for.
  virtual Status begin(Workspace& work, const std::vector<BatchSpan>& spans, const std::vector<int32_t>& wanted,
                       Rope& rope) = 0;
  // x = table[tokens]
  virtual void embed(Workspace& work, const Embedding& table) = 0;
  // q, k, v = rope(qkv * norm(x)); k and v go into the cache at the positions of the rows
  virtual void norm_qkv_rope_store(Workspace& work, const Norm& norm, const Linear& qkv, KvCache& cache, int32_t layer) = 0;
  // a = softmax(q k^T / sqrt(head_dim)) v, causal, over the pages of each span
  virtual void attend(Workspace& work, const KvCache& cache, int32_t layer) = 0;
  // x += o * a
  virtual void o_residual(Workspace& work, const Linear& o) = 0;
  // h = silu(gate * norm(x)) * (up * norm(x))
  virtual void norm_gateup_silu(Workspace& work, const Norm& norm, const Linear& gate_up) = 0;
  // x += down * h
  virtual void down_residual(Workspace& work, const Linear& down) = 0;
  // logits of the wanted rows [first, first + count), count <= max_logits
  virtual void head(Workspace& work, const Norm& norm, const Linear& head, int32_t first, int32_t count) = 0;
  // Waits for the step and copies the logits of the last `head`: (count, vocab).
  virtual Status read_logits(Workspace& work, int32_t count, float* logits) = 0;

  // Sets going what has been queued since `begin`, without waiting for it.
  virtual void set_going(Workspace&) {}
  // Whether `sample` is there for rows of this shape. Where it is not, logits are read and the host samples.
  virtual bool samples(const WorkShape&) const { return false; }
  // Draws a token from each of the `count` rows of the last `head`, which are worthless afterwards: the same tokens to the bit
  // as Sampler::sample from the same logits. Waits for the step. `rows`, `drawn`: (count)
  virtual Status sample(Workspace& work, int32_t count, const SamplingContext* rows, SampledToken* drawn);

  // Copies the first n_tokens positions of page `from` to page `to`, all layers, keys and values.
  virtual void copy_page(KvCache& cache, int32_t from, int32_t to, int32_t n_tokens) = 0;
};

struct BackendOptions {
  std::string device = "auto";  // "auto", "cpu", "cuda"
  int32_t threads = 0;          // of the CPU, counting the caller; 0: as many as the machine has, at most 8
  // Of the CPU: "portable", "avx2", "avx512" (or "float", the best of these: float arithmetic), "avx512bf16", "amx" (bf16
  // and int8 arithmetic, see docs/engine.md); empty: the best that runs here.
  std::string kernels;
  // A row's result must not depend on the other rows of its step, at whatever cost a backend has for that.
  bool batch_independent = false;
};

inline Status Backend::supports(const WorkShape&, KvType kv_type) const {
  if (kv_type != KvType::kFp8) return {};
  return failure(Reason::kUnsupported, std::string(device()) + " keeps no cache in fp8.", "Use bf16 or f32.");
}

inline Status Backend::sample(Workspace&, int32_t, const SamplingContext*, SampledToken*) {
  return failure(Reason::kInternal, std::string(device()) + " does not sample.", "Report this as a bug of the engine.");
}

inline Status Backend::adapt(Linear&, int32_t, const std::vector<LowRank>&) {
  return failure(Reason::kUnsupported, std::string(device()) + " applies no adapters yet.",
                 "Use the device \"cpu\", or merge the adapter into the weights.");
}

Status make_backend(const BackendOptions& options, std::unique_ptr<Backend>* made);

}  // namespace chasqui
