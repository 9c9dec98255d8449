// Weights on their way into device memory: read from mapped files, put into the order that the kernels want, sent through
// pinned memory while the next piece is made.
#pragma once

#include <vector>

#include "../backend.h"
#include "../cpu/thread_pool.h"
#include "memory.h"
#include "objects.h"

namespace chasqui::cuda {

struct WeightLoader {
  Runtime& runtime;
  Pool& pool;
  Upload& upload;
  cpu::ThreadPool& threads;
};

// What device memory such a layer takes.
int64_t device_linear_bytes(const std::vector<MatrixView>& parts, WeightFormat format);

// The parts stacked. Plain weights become bf16, or are quantised. Quantised ones keep their codes where a kernel reads that
// form, and become bf16 where none does.
Status load_linear(const WeightLoader& loader, const std::vector<MatrixView>& parts, WeightFormat format, CudaLinear* made);

// A plain matrix as (rows, cols) bf16, rounded to nearest.
Status load_bf16(const WeightLoader& loader, const std::vector<MatrixView>& parts, const char* what, Buffer* made);

// `values` to device memory.
Status load_floats(const WeightLoader& loader, const std::vector<float>& values, const char* what, Buffer* made);

}  // namespace chasqui::cuda
