// Models on the CUDA backend for tests: random ones of any shape and the trained one, fed in any cut, beside the reference
// and the CPU backend.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "random_model.h"
#include "relative_rms.h"
#include "src/backend/cuda/cuda_backend.h"
#include "src/backend/cuda/device_runtime.h"
#include "src/backend/cuda/graphs.h"
#include "src/model/llama.h"
#include "src/reference/reference_llama.h"

namespace cuda_model {

using namespace chasqui;

inline ModelConfig config(int32_t n_heads, int32_t n_kv_heads, int32_t head_dim, int32_t dim, int32_t ffn, bool tied = false) {
  ModelConfig made;
  made.n_layers = 2;
  made.dim = dim;
  made.ffn = ffn;
  made.n_heads = n_heads;
  made.n_kv_heads = n_kv_heads;
  made.head_dim = head_dim;
  made.vocab = 320;
  made.context = 1024;
  made.tied_head = tied;
  made.rope = {8.0, 1.0, 4.0, 64};
  return made;
}

inline RandomModel random_model(const ModelConfig& config, DType type, uint64_t seed) {
  RandomModel model;
  model.config = config;
  fill_random(&model, type, seed);
  return model;
}

inline std::vector<int32_t> random_tokens(int32_t n, int32_t vocab, uint64_t seed) {
  QuickRandom random(seed);
  std::vector<int32_t> tokens(static_cast<size_t>(n));
  for (int32_t& token : tokens) token = random.below(vocab);
  return tokens;
}

inline std::vector<int32_t> pages_from(int32_t first, int32_t n_tokens) {
  std::vector<int32_t> pages;
  for (int32_t i = 0; i < (n_tokens + kPageTokens - 1) / kPageTokens; i++) pages.push_back(first + i);
  return pages;
}

// A model on the device of this build.
struct OnDevice {
  std::unique_ptr<Forward> forward;
  cuda::CudaBackendAccess* backend = nullptr;  // the forward's

  explicit operator bool() const { return forward != nullptr; }
};

inline LlamaOptions small_cache() {
  LlamaOptions options;
  options.n_pages = 128;
  options.max_batch_tokens = 256;
  return options;
}

inline OnDevice on_device(const ModelConfig& config, const Weights& weights, const LlamaOptions& options = small_cache(),
                          const cuda::CudaOptions& cuda_options = {}, std::unique_ptr<cuda::Runtime> runtime = nullptr) {
  OnDevice made;
  if (runtime == nullptr) CHECK_OK(cuda::make_runtime(&runtime));
  if (runtime == nullptr) return made;
  std::unique_ptr<cuda::CudaBackendAccess> backend;
  CHECK_OK(cuda::make_cuda_backend_on(std::move(runtime), cuda_options, &backend));
  made.backend = backend.get();
  CHECK_OK(make_llama_on(std::move(backend), config, weights, options, &made.forward));
  return made;
}

// Logits of all tokens, fed in chunks of `chunk`.
inline std::vector<float> run_chunks(Forward& forward, const std::vector<int32_t>& tokens, int32_t chunk,
                                     const std::vector<int32_t>& pages) {
  const auto n = static_cast<int32_t>(tokens.size());
  std::vector<float> logits(static_cast<size_t>(n) * static_cast<size_t>(forward.vocab()));
  for (int32_t first = 0; first < n; first += chunk) {
    BatchSpan span{tokens.data() + first, std::min(chunk, n - first), first, pages.data(), true, false};
    CHECK_OK(forward.run({span}, logits.data() + static_cast<int64_t>(first) * forward.vocab()));
  }
  return logits;
}

// Mean over rows of KL(want || got), from logits.
template <typename A, typename B>
double mean_divergence(const std::vector<A>& got, const std::vector<B>& want, int32_t vocab) {
  double sum = 0;
  const size_t width = static_cast<size_t>(vocab), rows = want.size() / width;
  for (size_t row = 0; row < rows; row++) {
    const auto log_total = [&](const auto& logits) {
      double most = -1e300, total = 0;
      for (size_t i = 0; i < width; i++) most = std::max(most, static_cast<double>(logits[row * width + i]));
      for (size_t i = 0; i < width; i++) total += std::exp(static_cast<double>(logits[row * width + i]) - most);
      return most + std::log(total);
    };
    const double of_got = log_total(got), of_want = log_total(want);
    for (size_t i = 0; i < width; i++) {
      const double p = static_cast<double>(want[row * width + i]) - of_want;
      sum += std::exp(p) * (p - (static_cast<double>(got[row * width + i]) - of_got));
    }
  }
  return sum / static_cast<double>(rows);
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

// What the kernels round to bf16: everything that enters a matrix, and the cache. The residual stream is float.
inline RoundingPoints device_points() {
  RoundingPoints points;
  points.norm = points.query = points.cache = points.attention = points.gated = Rounding::kBF16;
  return points;
}

inline std::vector<double> reference(const ModelConfig& config, const Weights& weights, const std::vector<int32_t>& tokens,
                                     const RoundingPoints& points) {
  ReferenceRun run;
  CHECK_OK(reference_forward(config, weights, tokens, points, &run));
  return run.logits;
}

inline std::string tiny_folder() { return std::string(CHASQUI_PACKAGES) + "/tiny-llama/checkpoint"; }

}  // namespace cuda_model
