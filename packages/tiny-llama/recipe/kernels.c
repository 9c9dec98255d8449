/* The element-wise parts of a training step on a CPU, fused: what is not a matrix product. Activations are bf16 (uint16_t),
   the residual stream, norms and the optimiser float. Called from kernels.py, which owns all memory; no kernel allocates.
   Names: N rows, d width, B batch rows, T positions, H heads, K key/value heads, hd head dimension, F FFN width, V vocabulary.
   Heads are stored [B*K, (H/K)*T, hd] for queries and [B*K, T, hd] for keys and values, so that one batched product serves a group. */
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef uint16_t bf16;

static inline float to_float(bf16 x) {
  union { uint32_t bits; float value; } u;
  u.bits = (uint32_t)x << 16;
  return u.value;
}

/* Rounds to nearest, ties to even. */
static inline bf16 to_bf16(float x) {
  union { uint32_t bits; float value; } u;
  u.value = x;
  return (bf16)((u.bits + 0x7fff + ((u.bits >> 16) & 1)) >> 16);
}

/* sum = x + delta (delta may be null: sum = x), normed = rms_norm(sum) * weight, scale = 1 / rms. */
void add_norm_forward(int64_t N, int64_t d, const float *x, const bf16 *delta, const float *weight, float eps, float *sum,
                      bf16 *normed, float *scale) {
#pragma omp parallel for schedule(static)
  for (int64_t n = 0; n < N; n++) {
    const float *row = x + n * d;
    float squares = 0;
    if (delta) {
      float *out = sum + n * d;
      for (int64_t j = 0; j < d; j++) out[j] = row[j] + to_float(delta[n * d + j]);
      row = out;
    }
    for (int64_t j = 0; j < d; j++) squares += row[j] * row[j];
    float r = scale[n] = 1.0f / sqrtf(squares / d + eps);
    for (int64_t j = 0; j < d; j++) normed[n * d + j] = to_bf16(row[j] * r * weight[j]);
  }
}

/* d_sum = d_residual (may be null) + what comes through the norm; also as bf16 (may be null). d_weight: parts rows of partial sums. */
void add_norm_backward(int64_t N, int64_t d, const float *sum, const float *weight, const float *scale, const float *d_residual,
                       const bf16 *d_normed, float *d_sum, bf16 *d_sum_bf16, float *d_weight, int64_t parts) {
#pragma omp parallel for schedule(static)
  for (int64_t p = 0; p < parts; p++) {
    float *dw = d_weight + p * d;
    memset(dw, 0, d * sizeof(float));
    for (int64_t n = N * p / parts; n < N * (p + 1) / parts; n++) {
      const float *x = sum + n * d;
      const bf16 *g = d_normed + n * d;
      float *out = d_sum + n * d, r = scale[n], inner = 0;
      for (int64_t j = 0; j < d; j++) {
        float gj = to_float(g[j]);
        inner += gj * weight[j] * x[j];
        dw[j] += gj * x[j] * r;
      }
      float k = inner * r * r * r / d;
      for (int64_t j = 0; j < d; j++) out[j] = to_float(g[j]) * weight[j] * r - x[j] * k;
      if (d_residual) for (int64_t j = 0; j < d; j++) out[j] += d_residual[n * d + j];
      if (d_sum_bf16) for (int64_t j = 0; j < d; j++) d_sum_bf16[n * d + j] = to_bf16(out[j]);
    }
  }
}

/* gate_up (N, 2 F) -> silu(gate) * up (N, F) */
void swiglu_forward(int64_t N, int64_t F, const bf16 *gate_up, bf16 *out) {
#pragma omp parallel for schedule(static)
  for (int64_t n = 0; n < N; n++) {
    const bf16 *gate = gate_up + n * 2 * F, *up = gate + F;
    for (int64_t j = 0; j < F; j++) {
      float g = to_float(gate[j]);
      out[n * F + j] = to_bf16(g / (1.0f + expf(-g)) * to_float(up[j]));
    }
  }
}

void swiglu_backward(int64_t N, int64_t F, const bf16 *gate_up, const bf16 *d_out, bf16 *d_gate_up) {
#pragma omp parallel for schedule(static)
  for (int64_t n = 0; n < N; n++) {
    const bf16 *gate = gate_up + n * 2 * F, *up = gate + F, *dy = d_out + n * F;
    bf16 *d_gate = d_gate_up + n * 2 * F, *d_up = d_gate + F;
    for (int64_t j = 0; j < F; j++) {
      float g = to_float(gate[j]), s = 1.0f / (1.0f + expf(-g)), dj = to_float(dy[j]);
      d_up[j] = to_bf16(dj * g * s);
      d_gate[j] = to_bf16(dj * to_float(up[j]) * s * (1.0f + g * (1.0f - s)));
    }
  }
}

/* One head's rotation by (cos, sin)[hd], times `factor`; direction -1 turns back. */
static inline void rotate(int64_t hd, const bf16 *in, const float *cos, const float *sin, float factor, float direction, bf16 *out) {
  int64_t half = hd / 2;
  for (int64_t j = 0; j < half; j++) {
    float a = to_float(in[j]), b = to_float(in[j + half]), s = sin[j] * direction;
    out[j] = to_bf16((a * cos[j] - b * s) * factor);
    out[j + half] = to_bf16((b * cos[j] + a * s) * factor);
  }
}

/* qkv (B, T, (H + 2 K) hd) -> rotated and scaled queries, rotated keys, values, each by head. */
void rope_forward(int64_t B, int64_t T, int64_t H, int64_t K, int64_t hd, const bf16 *qkv, const float *cos, const float *sin,
                  float factor, bf16 *q, bf16 *k, bf16 *v) {
  int64_t width = (H + 2 * K) * hd, group = H / K;
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t b = 0; b < B; b++)
    for (int64_t t = 0; t < T; t++) {
      const bf16 *row = qkv + (b * T + t) * width;
      const float *c = cos + t * hd, *s = sin + t * hd;
      for (int64_t h = 0; h < H; h++)
        rotate(hd, row + h * hd, c, s, factor, 1, q + (((b * K + h / group) * group + h % group) * T + t) * hd);
      for (int64_t h = 0; h < K; h++) {
        rotate(hd, row + (H + h) * hd, c, s, 1, 1, k + ((b * K + h) * T + t) * hd);
        memcpy(v + ((b * K + h) * T + t) * hd, row + (H + K + h) * hd, hd * sizeof(bf16));
      }
    }
}

void rope_backward(int64_t B, int64_t T, int64_t H, int64_t K, int64_t hd, bf16 *d_qkv, const float *cos, const float *sin,
                   float factor, const bf16 *dq, const bf16 *dk, const bf16 *dv) {
  int64_t width = (H + 2 * K) * hd, group = H / K;
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t b = 0; b < B; b++)
    for (int64_t t = 0; t < T; t++) {
      bf16 *row = d_qkv + (b * T + t) * width;
      const float *c = cos + t * hd, *s = sin + t * hd;
      for (int64_t h = 0; h < H; h++)
        rotate(hd, dq + (((b * K + h / group) * group + h % group) * T + t) * hd, c, s, factor, -1, row + h * hd);
      for (int64_t h = 0; h < K; h++) {
        rotate(hd, dk + ((b * K + h) * T + t) * hd, c, s, 1, -1, row + (H + h) * hd);
        memcpy(row + (H + K + h) * hd, dv + ((b * K + h) * T + t) * hd, hd * sizeof(bf16));
      }
    }
}

/* Softmax over the visible part of each row of scores (rows, T), in place, for a block of queries: row r is position
   first + r % block. T is at most LONGEST. */
enum { LONGEST = 4096 };
void causal_softmax_forward(int64_t rows, int64_t T, int64_t block, int64_t first, bf16 *scores) {
#pragma omp parallel for schedule(static, 64)
  for (int64_t r = 0; r < rows; r++) {
    bf16 *row = scores + r * T;
    int64_t n = first + r % block + 1;
    float largest = -1e30f, total = 0, value[LONGEST];
    for (int64_t j = 0; j < n; j++) {
      value[j] = to_float(row[j]);
      largest = value[j] > largest ? value[j] : largest;
    }
    for (int64_t j = 0; j < n; j++) total += value[j] = expf(value[j] - largest);
    for (int64_t j = 0; j < n; j++) row[j] = to_bf16(value[j] / total);
    memset(row + n, 0, (T - n) * sizeof(bf16));
  }
}

/* d_scores from d_probabilities, in place. */
void causal_softmax_backward(int64_t rows, int64_t T, int64_t block, int64_t first, const bf16 *probabilities, bf16 *gradient) {
#pragma omp parallel for schedule(static, 64)
  for (int64_t r = 0; r < rows; r++) {
    const bf16 *p = probabilities + r * T;
    bf16 *g = gradient + r * T;
    int64_t n = first + r % block + 1;
    float inner = 0;
    for (int64_t j = 0; j < n; j++) inner += to_float(p[j]) * to_float(g[j]);
    for (int64_t j = 0; j < n; j++) g[j] = to_bf16(to_float(p[j]) * (to_float(g[j]) - inner));
    memset(g + n, 0, (T - n) * sizeof(bf16));
  }
}

/* by head [B*H, T, hd] -> by position [B, T, H*hd] */
void join_heads(int64_t B, int64_t T, int64_t H, int64_t hd, const bf16 *by_head, bf16 *by_position) {
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t b = 0; b < B; b++)
    for (int64_t t = 0; t < T; t++)
      for (int64_t h = 0; h < H; h++)
        memcpy(by_position + ((b * T + t) * H + h) * hd, by_head + ((b * H + h) * T + t) * hd, hd * sizeof(bf16));
}

/* the way back */
void split_heads(int64_t B, int64_t T, int64_t H, int64_t hd, const bf16 *by_position, bf16 *by_head) {
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t b = 0; b < B; b++)
    for (int64_t t = 0; t < T; t++)
      for (int64_t h = 0; h < H; h++)
        memcpy(by_head + ((b * H + h) * T + t) * hd, by_position + ((b * T + t) * H + h) * hd, hd * sizeof(bf16));
}

/* Losses of logits (N, V) for the given ids; the logits become their gradient, (softmax - one hot) * weight. */
void cross_entropy(int64_t N, int64_t V, bf16 *logits, const int64_t *ids, float weight, float *loss) {
#pragma omp parallel for schedule(static)
  for (int64_t n = 0; n < N; n++) {
    bf16 *row = logits + n * V;
    float largest = -1e30f, total = 0, own = to_float(row[ids[n]]);
    for (int64_t j = 0; j < V; j++) {
      float value = to_float(row[j]);
      largest = value > largest ? value : largest;
    }
    for (int64_t j = 0; j < V; j++) total += expf(to_float(row[j]) - largest);
    loss[n] = largest + logf(total) - own;
    for (int64_t j = 0; j < V; j++) row[j] = to_bf16(expf(to_float(row[j]) - largest) / total * weight);
    row[ids[n]] = to_bf16((expf(own - largest) / total - 1.0f) * weight);
  }
}

/* One AdamW step over n numbers; correction1 and correction2 are 1 - beta^step. */
void adamw(int64_t n, float *weight, const float *gradient, float *mean, float *square, float gradient_scale, float rate,
           float beta1, float beta2, float eps, float decay, float correction1, float correction2) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n; i++) {
    float g = gradient[i] * gradient_scale;
    float m = mean[i] = beta1 * mean[i] + (1 - beta1) * g;
    float v = square[i] = beta2 * square[i] + (1 - beta2) * g * g;
    weight[i] = weight[i] * (1 - rate * decay) - rate * (m / correction1) / (sqrtf(v / correction2) + eps);
  }
}
