// Embedding, norm of many rows, reordering, page copies, and weights for benches: kernels that move bytes.
#include "small.h"

#include "norm.cuh"
#include "portable.h"

namespace chasqui::cuda {

namespace {

constexpr uint32_t kThreads = 256;

Launch rows_launch(const char* kernel, int32_t rows) {
  Launch launch;
  launch.kernel = kernel;
  launch.grid.x = static_cast<uint32_t>(rows);
  launch.block.x = kThreads;
  launch.overlaps = true;
  return launch;
}

DEVICE bool is_live(int32_t row, const int32_t* live, int32_t first) { return row < *live - first; }

__global__ void __launch_bounds__(kThreads) embed_kernel(float* x, const uint16_t* table, const int32_t* tokens, const int32_t* live,
                                                         int32_t dim) {
  let_next_start();
  wait_for_earlier();
  const auto row = static_cast<int32_t>(blockIdx.x);
  if (!is_live(row, live, 0)) return;
  const auto* from = reinterpret_cast<const uint2*>(table + static_cast<int64_t>(tokens[row]) * dim);
  auto* to = reinterpret_cast<float4*>(x + static_cast<int64_t>(row) * dim);
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < dim / 4; i += kThreads) {
    const uint2 quad = from[i];
    to[i] = float4{low_of(quad.x), high_of(quad.x), low_of(quad.y), high_of(quad.y)};
  }
}

__global__ void __launch_bounds__(kThreads)
    norm_kernel(uint16_t* out, const float* x, const int32_t* which, const float* weight, float eps, const int32_t* order,
                const int32_t* live, int32_t first, int32_t dim) {
  let_next_start();
  wait_for_earlier();
  auto* sums = reinterpret_cast<float*>(shared_memory());
  const auto row = static_cast<int32_t>(blockIdx.x);
  if (!is_live(row, live, first)) return;
  const float* from = x + static_cast<int64_t>(which != nullptr ? which[row] : row) * dim;
  const float sum = warp_sum(norm_share(from, dim));
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
  __syncthreads();
  const float scale = norm_scale(sums, dim, eps);
  uint16_t* to = out + static_cast<int64_t>(row) * dim;
  if (order != nullptr) {
    for (int32_t i = static_cast<int32_t>(threadIdx.x); i < dim; i += kThreads) to[i] = bf16_of(from[order[i]] * scale * weight[order[i]]);
    return;
  }
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < dim / 4; i += kThreads) {
    const float4 v = reinterpret_cast<const float4*>(from)[i];
    const float4 w = reinterpret_cast<const float4*>(weight)[i];
    reinterpret_cast<uint2*>(to)[i] = uint2{bf16_pair(v.x * scale * w.x, v.y * scale * w.y), bf16_pair(v.z * scale * w.z, v.w * scale * w.w)};
  }
}

__global__ void __launch_bounds__(kThreads)
    reorder_kernel(uint16_t* out, const uint16_t* in, const int32_t* order, const int32_t* live, int32_t width) {
  let_next_start();
  wait_for_earlier();
  const auto row = static_cast<int32_t>(blockIdx.x);
  if (!is_live(row, live, 0)) return;
  const int64_t at = static_cast<int64_t>(row) * width;
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < width; i += kThreads) out[at + i] = in[at + order[i]];
}

// Block (layer, keys or values): a page's heads lie together.
__global__ void __launch_bounds__(kThreads) copy_page_kernel(uint8_t* keys, uint8_t* values, int64_t layer_bytes, int64_t page_bytes,
                                                             int32_t from, int32_t to) {
  wait_for_earlier();
  uint8_t* pool = (blockIdx.y == 0 ? keys : values) + static_cast<int64_t>(blockIdx.x) * layer_bytes;
  const auto* source = reinterpret_cast<const uint4*>(pool + from * page_bytes);
  auto* target = reinterpret_cast<uint4*>(pool + to * page_bytes);
  for (int64_t i = threadIdx.x; i < page_bytes / 16; i += kThreads) target[i] = source[i];
}

DEVICE uint64_t mixed(uint64_t value) {
  value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
  value = (value ^ value >> 27) * 0x94D049BB133111EBu;
  return value ^ value >> 31;
}
DEVICE float symmetric(uint64_t seed, int64_t index) {
  const uint64_t bits = mixed(seed * 0x9E3779B97F4A7C15u + static_cast<uint64_t>(index));
  return static_cast<float>(static_cast<int32_t>(bits >> 40) - (1 << 23)) * 0x1p-23f;
}

__global__ void fill_bf16_kernel(uint16_t* values, int64_t n, float scale, uint64_t seed) {
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < n; i += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    values[i] = bf16_of(scale * symmetric(seed, i));
  }
}
__global__ void fill_f32_kernel(float* values, int64_t n, float mean, float scale, uint64_t seed) {
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < n; i += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    values[i] = mean + scale * symmetric(seed, i);
  }
}
// Fp8 codes stay below 2: `mask` takes the highest exponents away.
__global__ void fill_codes_kernel(uint64_t* codes, int64_t n, uint64_t mask, uint64_t seed) {
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < n; i += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    codes[i] = mixed(seed * 0x9E3779B97F4A7C15u + static_cast<uint64_t>(i)) & mask;
  }
}

Launch fill_launch(const char* kernel, int64_t n) {
  Launch launch;
  launch.kernel = kernel;
  const int64_t blocks = (n + kThreads - 1) / kThreads;
  launch.grid.x = static_cast<uint32_t>(blocks < 4096 ? (blocks > 0 ? blocks : 1) : 4096);
  launch.block.x = kThreads;
  return launch;
}

}  // namespace

void embed(const Target& target, const ModelShape& shape, const Step& step, int32_t rows, const DeviceTable& table,
           const Activations& work) {
  start(*target.stream, rows_launch("embed", rows), embed_kernel, work.x, table.rows, step.tokens, &step.counts->rows, shape.dim);
}

void norm_rows(const Target& target, int32_t rows, int32_t dim, const float* x, const int32_t* which, const DeviceNorm& norm,
               const int32_t* order, const int32_t* live, int32_t first, uint16_t* out) {
  Launch launch = rows_launch("norm", rows);
  launch.shared_bytes = kNormWarps * sizeof(float);
  start(*target.stream, launch, norm_kernel, out, x, which, norm.weight, norm.eps, order, live, first, dim);
}

void reorder_rows(const Target& target, int32_t rows, int32_t width, const uint16_t* in, const int32_t* order,
                  const int32_t* live, uint16_t* out) {
  start(*target.stream, rows_launch("reorder", rows), reorder_kernel, out, in, order, live, width);
}

void copy_page(const Target& target, const ModelShape& shape, const DeviceKv& kv, int32_t from, int32_t to) {
  Launch launch = rows_launch("copy_page", kv.n_layers);
  launch.grid.y = 2;
  const int64_t page_bytes = static_cast<int64_t>(shape.n_kv_heads) * kPage * shape.head_dim * (kv.kind == KvKind::kBF16 ? 2 : 1);
  start(*target.stream, launch, copy_page_kernel, static_cast<uint8_t*>(kv.keys), static_cast<uint8_t*>(kv.values),
        page_bytes * kv.n_pages, page_bytes, from, to);
}

void fill_bf16(const Target& target, uint16_t* values, int64_t n, float scale, uint64_t seed) {
  start(*target.stream, fill_launch("fill_bf16", n), fill_bf16_kernel, values, n, scale, seed);
}

void fill_f32(const Target& target, float* values, int64_t n, float mean, float scale, uint64_t seed) {
  start(*target.stream, fill_launch("fill_f32", n), fill_f32_kernel, values, n, mean, scale, seed);
}

void fill_codes(const Target& target, WeightKind kind, void* codes, int64_t bytes, uint64_t seed) {
  const uint64_t mask = kind == WeightKind::kFp8 ? 0xbfbfbfbfbfbfbfbfu : ~uint64_t{0};
  start(*target.stream, fill_launch("fill_codes", bytes / 8), fill_codes_kernel, static_cast<uint64_t*>(codes), bytes / 8, mask, seed);
}

}  // namespace chasqui::cuda
