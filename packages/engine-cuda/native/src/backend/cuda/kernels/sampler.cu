// From rows of logits to tokens, the same ones as sampling/sampler.cc draws: bias, penalties, special tokens, mask,
// temperature, top-k, top-p, min-p, and a Philox draw of (seed, position). One block for each row, nothing is sorted.
//
// A set of candidates is never written down: it is what a few comparisons let through (Kept). Where top-k and top-p end is
// found as on the CPU, by a descent over the bits of the ordered logits, 11 + 11 + 10, with a histogram of amounts for each.
// Amounts are integers (top-p: weights in units of 2^-42), so that the order in which threads come does not matter.
// What stands in order of ids (ties, the draw itself) is cut into runs, one for each thread.
#include "selection.cuh"

namespace chasqui::cuda {

namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / 32;
constexpr int kBins = 2048;
constexpr double kNegligible = -60.0;  // as sampler.cc
constexpr int kPieceBits = 14;         // 2^14 times a vocabulary of almost 2^18 fits into 32 bits

struct Shared {
  uint32_t pieces[3][kBins];  // sums of amounts, 14 bits at a time
  uint32_t present[kBins];
  double sums[kThreads];
  double before[kWarps + 1];
  float highs[kWarps];
  int32_t ids[kWarps];
  uint64_t total;
  uint64_t above;
  uint32_t bin;
  int32_t found;
  float highest;
};

struct Row {
  const SampleRow& how;
  const SampleStep& step;
  float* const logits;  // (vocab)
  const int32_t vocab;
  Shared& shared;
  const int32_t thread = static_cast<int32_t>(threadIdx.x);
  const uint32_t* const mask = how.mask < 0 ? nullptr : step.masks + static_cast<int64_t>(how.mask) * step.mask_words;
  // This thread's run of ids.
  const int32_t run = (vocab + kThreads - 1) / kThreads;
  const int32_t first = thread * run < vocab ? thread * run : vocab;
  const int32_t last = first + run < vocab ? first + run : vocab;

  DEVICE bool permits(int32_t id) const { return mask == nullptr || (mask[id / 32] >> (id % 32) & 1) != 0; }
  DEVICE double exponent(float logit) const {
    return (static_cast<double>(logit) - static_cast<double>(shared.highest)) / static_cast<double>(how.temperature);
  }
  // A permitted token that counts at all; NaN and minus infinity never do.
  DEVICE bool is_candidate(int32_t id, float logit) const {
    return logit > -INFINITY && permits(id) && exponent(logit) >= kNegligible;
  }

  // ---- over the whole block; each ends with a barrier behind the write of its result ----

  // The highest permitted logit and, of equals, the lowest id (-1: none).
  DEVICE void find_highest(bool masked) const {
    float high = -INFINITY;
    int32_t id = -1;
    for (int32_t i = thread; i < vocab; i += kThreads) {
      if (logits[i] > high && (!masked || permits(i))) high = logits[i], id = i;
    }
    for (uint32_t with = 16; with > 0; with /= 2) {
      const float other = shuffle_xor(high, with);
      const int32_t other_id = shuffle_xor(id, with);
      if (other > high || (other == high && other_id >= 0 && (id < 0 || other_id < id))) high = other, id = other_id;
    }
    if (thread % 32 == 0) shared.highs[thread / 32] = high, shared.ids[thread / 32] = id;
    __syncthreads();
    if (thread == 0) {
      for (int w = 1; w < kWarps; w++) {
        const bool better = shared.highs[w] > high || (shared.highs[w] == high && shared.ids[w] >= 0 && (id < 0 || shared.ids[w] < id));
        if (better) high = shared.highs[w], id = shared.ids[w];
      }
      shared.highest = high;
      shared.found = id;
    }
    __syncthreads();
  }

  // Of all threads' values, in their order: what comes before this thread, and the total in before[kWarps].
  DEVICE double scan(double value) const {
    shared.sums[thread] = value;
    __syncthreads();
    if (thread < kWarps) {
      double sum = 0.0;
      for (int i = 0; i < 32; i++) {
        const double mine = shared.sums[thread * 32 + i];
        shared.sums[thread * 32 + i] = sum;
        sum += mine;
      }
      shared.before[thread] = sum;
    }
    __syncthreads();
    if (thread == 0) {
      double sum = 0.0;
      for (int w = 0; w < kWarps; w++) {
        const double mine = shared.before[w];
        shared.before[w] = sum;
        sum += mine;
      }
      shared.before[kWarps] = sum;
    }
    __syncthreads();
    return shared.before[thread / 32] + shared.sums[thread];
  }

  DEVICE double log_total() const {
    find_highest(false);
    const float highest = shared.highest;
    if (fabsf(highest) == INFINITY) return static_cast<double>(highest);
    double sum = 0.0;
    for (int32_t i = thread; i < vocab; i += kThreads) {
      const double below = static_cast<double>(logits[i]) - static_cast<double>(highest);
      if (below >= kNegligible) sum += exp(below);
    }
    scan(sum);
    return static_cast<double>(highest) + log(shared.before[kWarps]);
  }

  DEVICE void penalise() const {
    if (thread == 0) {  // a token may have more than one bias
      for (int32_t i = 0; i < how.n_biases; i++) {
        const TokenAmount bias = step.lists[how.first_bias + i];
        if (!in_vocab(bias.token)) continue;
        if (how.with_logprob != 0) step.originals[how.first_bias + i] = logits[bias.token];
        logits[bias.token] = plus(logits[bias.token], bias.amount);
      }
    }
    __syncthreads();
    for (int32_t i = thread; i < how.n_occurrences; i += kThreads) {
      const TokenAmount seen = step.lists[how.first_occurrence + i];
      if (!in_vocab(seen.token)) continue;
      float logit = logits[seen.token];
      if (how.with_logprob != 0) step.originals[how.first_occurrence + i] = logit;
      if (how.repetition_penalty != 1.0f) {
        logit = logit > 0.0f ? logit / how.repetition_penalty : product(logit, how.repetition_penalty);
      }
      if (seen.amount > 0.0f && (how.frequency_penalty != 0.0f || how.presence_penalty != 0.0f)) {
        logit = plus(logit, -plus(product(how.frequency_penalty, seen.amount), how.presence_penalty));
      }
      logits[seen.token] = logit;
    }
    __syncthreads();
    for (int32_t i = thread; i < how.n_banned; i += kThreads) {
      const int32_t token = step.banned[how.first_banned + i];
      if (in_vocab(token)) logits[token] = -INFINITY;
    }
    __syncthreads();
  }
  // The logit of a token as it came in; for all threads.
  DEVICE float own_logit(int32_t token) const {
    __syncthreads();
    if (thread == 0) shared.highest = logits[token];
    __syncthreads();
    for (int32_t i = thread; i < how.n_occurrences; i += kThreads) {
      if (step.lists[how.first_occurrence + i].token == token) shared.highest = step.originals[how.first_occurrence + i];
    }
    __syncthreads();
    if (thread == 0) {
      for (int32_t i = how.n_biases - 1; i >= 0; i--) {
        if (step.lists[how.first_bias + i].token == token) shared.highest = step.originals[how.first_bias + i];
      }
    }
    __syncthreads();
    return shared.highest;
  }

  DEVICE bool in_vocab(int32_t token) const { return token >= 0 && token < vocab; }

  // ---- top-k and top-p ----

  // amount(logit) of a candidate: one, or its weight.
  template <typename Amount>
  DEVICE void count_bins(uint32_t prefix, uint32_t prefix_mask, int shift, uint32_t bins, const Kept& kept, const Amount& amount) const {
    for (int i = thread; i < kBins; i += kThreads) {
      shared.pieces[0][i] = shared.pieces[1][i] = shared.pieces[2][i] = shared.present[i] = 0;
    }
    __syncthreads();
    for (int32_t i = thread; i < vocab; i += kThreads) {
      const float logit = logits[i];
      const uint32_t key = ordered(logit);
      if ((key & prefix_mask) != prefix || !kept.has(key, i) || !is_candidate(i, logit)) continue;
      const uint64_t units = amount(logit);
      const uint32_t bin = key >> shift & (bins - 1);
      constexpr uint32_t kPiece = (1u << kPieceBits) - 1;
      atomic_add(&shared.present[bin], 1);
      for (int piece = 0; piece < 3; piece++) {
        const uint32_t part = static_cast<uint32_t>(units >> piece * kPieceBits) & (piece == 2 ? 2 * kPiece + 1 : kPiece);
        if (part != 0) atomic_add(&shared.pieces[piece][bin], part);
      }
    }
    __syncthreads();
  }
  DEVICE uint64_t bin_sum(int bin) const {
    return shared.pieces[0][bin] + (static_cast<uint64_t>(shared.pieces[1][bin]) << kPieceBits) +
           (static_cast<uint64_t>(shared.pieces[2][bin]) << 2 * kPieceBits);
  }

  // The first warp goes down the bins from the highest until `target` is reached: shared.bin, and what lies above it.
  DEVICE void find_bin(double target) const {
    if (thread < 32) {
      constexpr int kOfLane = kBins / 32;
      uint64_t mine = 0;
      for (int i = 0; i < kOfLane; i++) mine += bin_sum(kBins - 1 - thread * kOfLane - i);
      uint64_t above = shared.above;
      for (int i = 0; i < 32; i++) {
        const uint64_t other = shuffle(mine, static_cast<uint32_t>(i));
        if (i < thread) above += other;
      }
      const bool crosses = static_cast<double>(above + mine) >= target;
      const uint32_t crossing = ballot(crosses);
      // The lowest lane that crosses; sums of all reach any target, so there is one.
      if (crossing != 0 && (crossing & ((1u << thread) - 1)) == 0 && crosses) {
        for (int i = 0; i < kOfLane; i++) {
          const int bin = kBins - 1 - thread * kOfLane - i;
          if (shared.present[bin] == 0) continue;
          const uint64_t sum = bin_sum(bin);
          if (static_cast<double>(above + sum) >= target) {
            shared.bin = static_cast<uint32_t>(bin);
            shared.above = above;
            break;
          }
          above += sum;
        }
      }
    }
    __syncthreads();
  }

  // The fewest candidates of `kept`, most likely first, whose amounts reach `target`.
  template <typename Amount>
  DEVICE Kept until(double target, const Kept& kept, const Amount& amount) const {
    uint32_t prefix = 0, prefix_mask = 0;
    if (thread == 0) shared.above = 0;
    for (int digit = 0; digit < 3; digit++) {
      const int shift = digit == 0 ? 21 : digit == 1 ? 10 : 0;
      const uint32_t bins = digit == 2 ? 1024 : 2048;
      count_bins(prefix, prefix_mask, shift, bins, kept, amount);
      find_bin(target);
      prefix |= shared.bin << shift;
      prefix_mask |= (bins - 1) << shift;
    }
    // Of the tokens with this key, all alike, the lowest ids as far as they are needed.
    const uint64_t each = bin_sum(static_cast<int>(shared.bin)) / shared.present[shared.bin];
    int32_t needed = 0;
    for (uint64_t sum = shared.above; static_cast<double>(sum) < target && needed < vocab; needed++) {
      if (each == 0) needed = vocab - 1;
      sum += each;
    }
    __syncthreads();
    int32_t mine = 0;
    for (int32_t i = first; i < last; i++) mine += is_tied(i, prefix, kept) ? 1 : 0;
    const double earlier = scan(mine);
    if (thread == 0) shared.found = 0x7fffffff;
    __syncthreads();
    auto left = needed - static_cast<int32_t>(earlier);
    if (left > 0 && left <= mine) {
      for (int32_t i = first; i < last; i++) {
        if (is_tied(i, prefix, kept) && --left == 0) {
          shared.found = i;
          break;
        }
      }
    }
    __syncthreads();
    return {prefix, shared.found};
  }
  DEVICE bool is_tied(int32_t id, uint32_t key, const Kept& kept) const {
    return ordered(logits[id]) == key && kept.has(key, id) && is_candidate(id, logits[id]);
  }

  DEVICE uint64_t units_of(float logit) const { return static_cast<uint64_t>(exp(exponent(logit)) * 0x1p42); }

  // ---- the draw ----

  DEVICE int32_t draw() const {
    Kept kept;
    if (how.top_k > 0) {
      int32_t mine = 0;
      for (int32_t i = thread; i < vocab; i += kThreads) mine += is_candidate(i, logits[i]) ? 1 : 0;
      scan(mine);
      if (static_cast<double>(how.top_k) < shared.before[kWarps]) {
        kept = until(how.top_k, kept, [](float) { return uint64_t{1}; });
      }
    }
    if (how.top_p < 1.0) kept = until(top_p_target(kept), kept, [this](float logit) { return units_of(logit); });
    const double least = how.min_p > 0.0f ? log(static_cast<double>(how.min_p)) : kNegligible;
    const auto weight = [&](int32_t id) {
      const float logit = logits[id];
      if (!kept.has(ordered(logit), id) || !is_candidate(id, logit) || exponent(logit) < least) return 0.0;
      return exp(exponent(logit));
    };
    double mine = 0.0;
    int32_t last_candidate = -1;
    for (int32_t i = first; i < last; i++) {
      const double one = weight(i);
      if (one > 0.0) last_candidate = i;
      mine += one;
    }
    const double earlier = scan(mine);
    const double at = uniform_of(how.seed, how.position) * shared.before[kWarps];
    if (thread == 0) shared.found = -1;
    shared.sums[thread] = last_candidate;
    __syncthreads();
    if (earlier <= at && at < earlier + mine) {
      double left = at - earlier;
      int32_t chosen = last_candidate;  // by rounding
      for (int32_t i = first; i < last; i++) {
        const double one = weight(i);
        left -= one;
        if (one > 0.0 && left < 0.0) {
          chosen = i;
          break;
        }
      }
      shared.found = chosen;
    }
    __syncthreads();
    if (thread == 0 && shared.found < 0) {
      for (int i = 0; i < kThreads; i++) {
        if (shared.sums[i] >= 0.0) shared.found = static_cast<int32_t>(shared.sums[i]);
      }
    }
    __syncthreads();
    return shared.found;
  }

  DEVICE double top_p_target(const Kept& kept) const {
    if (thread == 0) shared.total = 0;
    uint64_t mine = 0;
    for (int32_t i = thread; i < vocab; i += kThreads) {
      if (kept.has(ordered(logits[i]), i) && is_candidate(i, logits[i])) mine += units_of(logits[i]);
    }
    // Sums below 2^62 of integers: halves of 32 bits are exact in doubles.
    scan(static_cast<double>(mine >> 32));
    const double high = shared.before[kWarps];
    __syncthreads();
    scan(static_cast<double>(mine & 0xffffffffu));
    const double low = shared.before[kWarps];
    __syncthreads();
    return how.top_p * static_cast<double>((static_cast<uint64_t>(high) << 32) + static_cast<uint64_t>(low));
  }

  DEVICE int32_t token() const {
    find_highest(true);
    const bool greedy = how.temperature == 0.0f || shared.found < 0 || fabsf(shared.highest) == INFINITY;
    return greedy ? shared.found : draw();
  }
};

__global__ void __launch_bounds__(kThreads) sample_kernel(float* logits, Sampled* sampled, SampleStep step, int32_t vocab) {
  let_next_start();
  wait_for_earlier();
  if (static_cast<int32_t>(blockIdx.x) >= *step.live) return;
  const SampleRow how = step.rows[blockIdx.x];
  const Row row{how, step, logits + static_cast<int64_t>(blockIdx.x) * vocab, vocab, *reinterpret_cast<Shared*>(shared_memory())};
  const double total = how.with_logprob != 0 ? row.log_total() : 0.0;
  row.penalise();
  const int32_t token = row.token();
  float logprob = 0.0f;
  if (how.with_logprob != 0 && token >= 0) logprob = static_cast<float>(static_cast<double>(row.own_logit(token)) - total);
  if (threadIdx.x == 0) sampled[blockIdx.x] = {token, logprob, total};
}

}  // namespace

void sample(const Target& target, int32_t vocab, const SampleStep& step, int32_t count, float* logits, Sampled* sampled) {
  Launch launch;
  launch.kernel = "sample";
  launch.grid.x = static_cast<uint32_t>(count);
  launch.block.x = kThreads;
  launch.shared_bytes = sizeof(Shared);
  launch.overlaps = true;
  start(*target.stream, launch, sample_kernel, logits, sampled, step, vocab);
}

}  // namespace chasqui::cuda
