// What the CPU backend makes and takes back: embedding, norm, rope table and the workspace of a step. Linear layers and the
// cache have files of their own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "../backend.h"
#include "adaptation.h"
#include "attention.h"
#include "memory.h"

namespace chasqui::cpu {

struct CpuEmbedding final : Embedding {
  MatrixView table;  // read where it is: one row for each token
};

struct CpuNorm final : Norm {
  std::vector<float> weight;  // (dim)
  double eps = 0;
};

// Cosine and sine of position * frequency, computed in double when a position is first used.
struct CpuRope final : Rope {
  std::vector<double> frequencies;  // (head_dim / 2)
  Memory table;                     // (context, head_dim / 2, 2): cosine, sine
  int32_t positions = 0;            // rows that are filled

  const float* row(int32_t position) const { return table.as<float>() + static_cast<int64_t>(position) * width(); }
  int64_t width() const { return static_cast<int64_t>(frequencies.size()) * 2; }
};

struct CpuWorkspace final : Workspace {
  WorkShape shape;
  // The step.
  std::vector<BatchSpan> spans;
  std::vector<int32_t> tokens;     // (rows)
  std::vector<int32_t> positions;  // (rows)
  std::vector<int32_t> pages;      // (rows): page of the row's position
  std::vector<int32_t> row_adapters;  // (rows): 0 for none
  std::vector<int32_t> wanted;     // rows whose logits are asked for
  const CpuRope* rope = nullptr;
  // Activations.
  Memory x;        // (max_rows, dim): the residual stream
  Memory qkv;      // (max_rows, q_dim + 2 kv_dim)
  Memory attended; // (max_rows, q_dim)
  Memory hidden;   // (max_rows, ffn)
  Memory packed;   // rows as a product takes them, see most_input_bytes
  Memory rows_of_threads;  // (threads, the widest row)
  Memory logits;   // (max_logits, vocab)
  Memory sums;     // (threads, kMultiplyScratch)
  Attention attention;
  LowRankStep low_rank;

  void forget_rows() {
    for (std::vector<int32_t>* each : {&tokens, &positions, &pages, &row_adapters}) each->clear();
  }
  int32_t rows() const { return static_cast<int32_t>(tokens.size()); }
  int32_t q_dim() const { return shape.n_heads * shape.head_dim; }
  int32_t kv_dim() const { return shape.n_kv_heads * shape.head_dim; }
  int64_t qkv_dim() const { return q_dim() + 2 * kv_dim(); }
  int64_t widest() const { return std::max({shape.dim, shape.ffn, q_dim()}); }
};

}  // namespace chasqui::cpu
