// What the backend makes when a model is loaded: each object with its device memory, filled from mapped files or at random.
#pragma once

#include <memory>
#include <vector>

#include "../cpu/thread_pool.h"
#include "adapters.h"
#include "cuda_backend.h"
#include "objects.h"
#include "random_weights.h"
#include "weights.h"

namespace chasqui::cuda {

ModelShape model_of(const WorkShape& shape);

class Loader {
 public:
  Loader(Runtime& runtime, const CudaOptions& options);

  int64_t embedding_bytes(const MatrixView& table) const;
  int64_t linear_bytes(const std::vector<MatrixView>& parts, WeightFormat format) const;
  bool shares_table(const MatrixView& table, const MatrixView& head, WeightFormat format) const;
  int64_t norm_bytes(const MatrixView& weight) const { return Pool::rounded(weight.rows * weight.cols * int64_t{sizeof(float)}); }
  int64_t rope_bytes(int32_t head_dim, int32_t context) const { return Pool::rounded(int64_t{context} * head_dim * int64_t{sizeof(float)}); }
  const Pool& pool() const { return pool_; }
  int64_t kv_page_bytes(const KvShape& shape) const;
  int64_t workspace_bytes(const WorkShape& shape) const;

  Status embedding(const MatrixView& table, std::unique_ptr<Embedding>* made);
  Status norm(const MatrixView& weight, double eps, std::unique_ptr<Norm>* made);
  Status linear(const std::vector<MatrixView>& parts, WeightFormat format, std::unique_ptr<Linear>* made);
  Status rope(const std::vector<double>& inverse_frequencies, int32_t context, std::unique_ptr<Rope>* made);
  Status kv_cache(const KvShape& shape, std::unique_ptr<KvCache>* made);
  Status adapt(CudaLinear& linear, int32_t adapter, const std::vector<LowRank>& parts);
  const Adapters& adapters() const { return adapters_; }
  // Before a step: what adapt has queued arrives, and its pinned memory is let go.
  Status settle();
  // The last thing that a load makes: what has been queued arrives, and the host's threads and pinned memory are let go.
  Status workspace(const WorkShape& shape, std::unique_ptr<Workspace>* made);

 private:
  struct Claim {
    Buffer* buffer;
    int64_t bytes;
  };
  std::vector<Claim> claims(CudaWorkspace* work) const;
  WeightLoader weights() { return {runtime_, pool_, upload_, *threads_}; }
  WeightKind random_kind(const std::vector<MatrixView>& parts) const;
  uint64_t next_seed() { return ++seed_; }
  Target target() { return {&runtime_.stream(), runtime_.limits(), {}}; }

  Runtime& runtime_;
  const RandomWeights* random_;
  Pool pool_;
  Upload upload_;
  std::unique_ptr<cpu::ThreadPool> threads_;
  Adapters adapters_;
  int32_t max_rows_ = 0;   // of the workspaces
  bool is_settled_ = true;
  MatrixView table_;     // of the embedding: a tied head shares its memory
  Buffer table_memory_;
  uint64_t seed_ = 0;
};

}  // namespace chasqui::cuda
