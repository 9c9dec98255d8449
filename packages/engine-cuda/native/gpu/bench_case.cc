// See bench_case.h.
#include "bench_case.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include "src/backend/cuda/cuda_backend.h"
#include "src/model/llama.h"
#include "src/sampling/sampler.h"

namespace chasqui::gpu {

namespace {

constexpr int32_t kChunk = 8192;        // tokens of a prefill step
constexpr double kLongest = 6.0;        // seconds of a case
constexpr int32_t kMostSteps = 200;

struct Kinds {
  cuda::RandomWeights weights;
  KvType kv = KvType::kBF16;
};

Status kinds_of(const BenchCase& of, Kinds* kinds) {
  if (Status status = weight_kind_named(of.weights, &kinds->weights.layers); !status.ok()) return status;
  if (Status status = weight_kind_named(of.head, &kinds->weights.head); !status.ok()) return status;
  if (of.kv != "bf16" && of.kv != "fp8") {
    return failure(Reason::kBadRequest, "There is no cache in \"" + of.kv + "\".", "Use bf16 or fp8.");
  }
  kinds->kv = of.kv == "fp8" ? KvType::kFp8 : KvType::kBF16;
  return {};
}

// The least that has to be read and computed.
void count_work(const ModelConfig& config, const Kinds& kinds, const BenchCase& of, BenchResult* result) {
  const double q_dim = config.q_dim(), kv_dim = config.kv_dim(), dim = config.dim, ffn = config.ffn;
  const double layers = config.n_layers, vocab = config.vocab;
  const double params = layers * (dim * (q_dim + 2 * kv_dim) + q_dim * dim + 3 * dim * ffn);
  const double layer_bytes = static_cast<double>(
      cuda::random_linear_bytes(kinds.weights.layers, config.q_dim() + 2 * config.kv_dim(), config.dim) +
      cuda::random_linear_bytes(kinds.weights.layers, config.dim, config.q_dim()) +
      cuda::random_linear_bytes(kinds.weights.layers, 2 * config.ffn, config.dim) +
      cuda::random_linear_bytes(kinds.weights.layers, config.dim, config.ffn));
  const double weight_bytes = layers * layer_bytes + static_cast<double>(cuda::random_linear_bytes(kinds.weights.head, config.vocab, config.dim));
  const double kv_token = 2 * layers * kv_dim * (kinds.kv == KvType::kFp8 ? 1 : 2);
  const double n = of.context;
  if (of.prefill) {
    result->bytes = weight_bytes + n * kv_token;
    result->flops = 2 * params * n + 2 * dim * vocab + 2 * layers * q_dim * n * n;
  } else {
    result->bytes = weight_bytes + of.batch * n * kv_token;
    result->flops = of.batch * (2 * (params + dim * vocab) + 4 * layers * q_dim * n);
  }
}

struct Sequences {
  std::vector<int32_t> tokens;
  std::vector<std::vector<int32_t>> pages;
};

Sequences sequences(const ModelConfig& config, const BenchCase& of, int32_t pages_each) {
  Sequences made;
  uint32_t state = 12345;
  for (int32_t i = 0; i < std::max(of.context, of.batch); i++) {
    state = state * 1664525u + 1013904223u;
    made.tokens.push_back(static_cast<int32_t>(state % static_cast<uint32_t>(config.vocab)));
  }
  for (int32_t i = 0; i < of.batch; i++) {
    made.pages.emplace_back();
    for (int32_t page = 0; page < pages_each; page++) made.pages.back().push_back(i * pages_each + page);
  }
  return made;
}

Status prefill(Forward& forward, const Sequences& with, int32_t n, float* logits) {
  for (int32_t first = 0; first < n; first += kChunk) {
    const int32_t count = std::min({kChunk, n - first, forward.max_batch_tokens()});
    const bool last = first + count == n;
    if (Status status = forward.run({{with.tokens.data() + first, count, first, with.pages[0].data(), false, last}}, logits);
        !status.ok()) {
      return status;
    }
  }
  return {};
}

// With the likeliest token of each sequence, drawn where the engine has it drawn.
Status decode(Forward& forward, const Sequences& with, const BenchCase& of, float* logits) {
  std::vector<BatchSpan> spans;
  const bool draws = forward.can_draw();
  for (int32_t i = 0; i < of.batch; i++) {
    spans.push_back({&with.tokens[static_cast<size_t>(i)], 1, of.context - 1, with.pages[static_cast<size_t>(i)].data(), false, !draws, 0, draws});
  }
  Status status = forward.run(spans, logits);
  if (!draws || !status.ok()) return status;
  const SamplingParams params;
  SamplingContext context;
  context.params = &params;
  std::vector<SampledToken> drawn;
  return forward.draw(std::vector<SamplingContext>(static_cast<size_t>(of.batch), context), &drawn);
}

Status measure(const BenchCase& of, const ModelConfig& config, const Kinds& kinds, BenchResult* result) {
  std::unique_ptr<cuda::Runtime> runtime;
  if (Status status = cuda::make_runtime(&runtime); !status.ok()) return status;
  std::unique_ptr<cuda::CudaBackendAccess> backend;
  cuda::CudaOptions cuda_options;
  cuda_options.random = &kinds.weights;
  cuda_options.untried = of.untried;
  if (Status status = make_cuda_backend_on(std::move(runtime), cuda_options, &backend); !status.ok()) return status;
  LlamaOptions options;
  options.kv_type = kinds.kv;
  options.max_batch_tokens = of.prefill ? std::min(kChunk, of.context) : std::max(of.batch, 64);
  const int32_t pages_each = (of.context + kPageTokens - 1) / kPageTokens;
  options.n_pages = of.batch * pages_each;
  std::unique_ptr<Forward> forward;
  if (Status status = make_llama_on(std::move(backend), config, hollow_weights(config), options, &forward); !status.ok()) return status;
  const Sequences with = sequences(config, of, pages_each);
  std::vector<float> logits(static_cast<size_t>(of.batch) * static_cast<size_t>(config.vocab));
  std::vector<double> times;
  const double begin = seconds();
  const int32_t warm = of.prefill ? 1 : 4;  // the first loads kernels, the second records
  for (int32_t i = 0; i < kMostSteps && (i <= warm + 2 || seconds() - begin < kLongest); i++) {
    const double from = seconds();
    Status status = of.prefill ? prefill(*forward, with, of.context, logits.data()) : decode(*forward, with, of, logits.data());
    if (!status.ok()) return status;
    if (i >= warm) times.push_back(seconds() - from);
  }
  result->ms = 1000 * median(times);
  result->tokens_per_second = (of.prefill ? of.context : of.batch) / median(times);
  return {};
}

}  // namespace

BenchResult run_case(const BenchCase& of, const Limits& limits) {
  BenchResult result;
  result.of = of;
  ModelConfig config;
  Kinds kinds;
  result.status = shape_named(of.model, &config);
  if (result.status.ok()) result.status = kinds_of(of, &kinds);
  if (result.status.ok() && (of.context < 1 || of.context > config.context || of.batch < 1)) {
    result.status = failure(Reason::kBadRequest, "A context of " + std::to_string(of.context) + " and a batch of " + std::to_string(of.batch) +
                            " are not possible with " + of.model + ".", "Use 1 to " + std::to_string(config.context) + " tokens.");
  }
  if (!result.status.ok()) return result;
  count_work(config, kinds, of, &result);
  const double least = std::max(result.bytes / limits.copy, result.flops / limits.bf16);
  result.limit_tokens_per_second = (of.prefill ? of.context : of.batch) / least;
  result.status = measure(of, config, kinds, &result);
  return result;
}

Status weight_kind_named(const std::string& name, cuda::WeightKind* kind) {
  const struct {
    const char* name;
    cuda::WeightKind kind;
  } all[] = {{"bf16", cuda::WeightKind::kBF16}, {"fp8", cuda::WeightKind::kFp8}, {"int8", cuda::WeightKind::kInt8},
             {"int4", cuda::WeightKind::kInt4}, {"nf4", cuda::WeightKind::kTable4}};
  for (const auto& each : all) {
    if (name == each.name) {
      *kind = each.kind;
      return {};
    }
  }
  return failure(Reason::kBadRequest, "There are no weights in \"" + name + "\".", "Use bf16, fp8, int8, int4 or nf4.");
}

void append_csv(const std::string& path, const std::string& header, const std::string& line) {
  if (path.empty()) return;
  std::FILE* there = std::fopen(path.c_str(), "r");
  if (there != nullptr) std::fclose(there);
  std::FILE* file = std::fopen(path.c_str(), "a");
  if (file == nullptr) {
    std::fprintf(stderr, "%s cannot be written.\n", path.c_str());
    return;
  }
  if (there == nullptr) std::fprintf(file, "%s\n", header.c_str());
  std::fprintf(file, "%s\n", line.c_str());
  std::fclose(file);
}

}  // namespace chasqui::gpu
