// From rows of logits to tokens, the same ones to the bit as sampling/sampler.cc draws: bias, penalties, special tokens, mask,
// temperature, top-k, top-p, min-p, and a Philox draw of (seed, position). One block for each row, nothing is sorted.
//
// Weights are integers, so that sums have no order. Every token has a code that grows with its likelihood (selection.cuh); what
// top-k and top-p leave is what lies at or above one code, which is found two bits at a time: how much do the tokens above each
// of three codes amount to? Nearly always the answer lies among the few likeliest tokens, which are put together in shared
// memory first; a row too flat for that is searched where it lies.
//
// A row is read in runs of 256 ids, a run by one warp. The draw goes through the sums of runs, then through one run.
#include "selection.cuh"

namespace chasqui::cuda {

namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / 32;
constexpr int kRun = 256;                       // ids
constexpr int kMostRuns = (1 << kIdBits) / kRun;
constexpr uint32_t kListed = 2048;
constexpr float kListedExponent = -10.0f;       // tokens at least 2^-10 as likely as the likeliest are put together

struct Shared {
  uint64_t highest[kMostRuns];   // code of each run's likeliest token
  uint64_t sums[kMostRuns];      // weight of each run
  uint64_t listed[kListed];      // codes of the likeliest tokens, in any order
  uint64_t parts[kWarps][3];     // of a search
  uint64_t threshold;
  uint32_t n_listed;             // may be more than there is room for
};
static_assert(sizeof(Shared) <= 48 * 1024);

DEVICE uint64_t warp_total(uint64_t value) {
  for (uint32_t with = 16; with > 0; with /= 2) value += shuffle_xor(value, with);
  return value;
}

struct One {
  DEVICE uint64_t operator()(float) const { return 1; }
};
struct Weight {
  float highest, rate;
  DEVICE uint64_t operator()(float logit) const { return weight_of(logit, highest, rate); }
};

struct Row {
  const SampleRow& how;
  const SampleStep& step;
  float* const logits;  // (vocab)
  const int32_t vocab;
  Shared& shared;
  const int32_t thread = static_cast<int32_t>(threadIdx.x);
  const int32_t lane = thread % 32, warp = thread / 32;
  const int32_t runs = (vocab + kRun - 1) / kRun;

  // ---- over the whole row: each warp in its runs. A barrier must stand between these and what reads their results. ----

  template <typename Each>
  DEVICE void for_run(int32_t run, const Each& each) const {
    for (int32_t id = run * kRun + lane; id < (run + 1) * kRun && id < vocab; id += 32) each(id, logits[id]);
  }

  template <typename Permits>
  DEVICE void find_highest(const Permits& permits) const {
    for (int32_t run = warp; run < runs; run += kWarps) {
      uint64_t highest = 0;
      for_run(run, [&](int32_t id, float logit) {
        const uint64_t code = permits(id) ? code_of(logit, id) : 0;
        highest = code > highest ? code : highest;
      });
      for (uint32_t with = 16; with > 0; with /= 2) {
        const uint64_t other = shuffle_xor(highest, with);
        highest = other > highest ? other : highest;
      }
      if (lane == 0) shared.highest[run] = highest;
    }
  }

  // weight(id, logit)
  template <typename Weigh>
  DEVICE void sum_runs(const Weigh& weight) const {
    for (int32_t run = warp; run < runs; run += kWarps) {
      uint64_t sum = 0;
      for_run(run, [&](int32_t id, float logit) { sum += weight(id, logit); });
      sum = warp_total(sum);
      if (lane == 0) shared.sums[run] = sum;
    }
  }

  DEVICE void list(uint64_t code) const {
    const uint32_t at = atomic_add(&shared.n_listed, 1);
    if (at < kListed) shared.listed[at] = code;
  }

  // ---- what every warp works out for itself from those results ----

  DEVICE uint64_t highest_code() const {
    uint64_t highest = 0;
    for (int32_t run = lane; run < runs; run += 32) highest = shared.highest[run] > highest ? shared.highest[run] : highest;
    for (uint32_t with = 16; with > 0; with /= 2) {
      const uint64_t other = shuffle_xor(highest, with);
      highest = other > highest ? other : highest;
    }
    return highest;
  }
  DEVICE uint64_t total() const {
    uint64_t sum = 0;
    for (int32_t run = lane; run < runs; run += 32) sum += shared.sums[run];
    return warp_total(sum);
  }

  // ---- searches ----

  // The greatest code such that what lies at or above it amounts to `target`; 0 where all together do not. each(use) calls
  // use(code) for this thread's share; `warps`: those that have one.
  template <typename Each, typename Amount>
  DEVICE uint64_t search(uint64_t target, int32_t warps, const Each& each, const Amount& amount) const {
    uint64_t threshold = 0;
    for (int shift = kCodeBits - 2; shift >= 0; shift -= 2) {
      if (warp < warps) {
        uint64_t sums[3] = {};
        each([&](uint64_t code) {
          if (code == 0 || code < threshold) return;
          const uint64_t digit = (code - threshold) >> shift;
          if (digit == 0) return;
          const uint64_t units = amount(logit_of(code));
          sums[0] += units;
          if (digit >= 2) sums[1] += units;
          if (digit >= 3) sums[2] += units;
        });
UNROLL
        for (int i = 0; i < 3; i++) {
          sums[i] = warp_total(sums[i]);
          if (lane == 0) shared.parts[warp][i] = sums[i];
        }
      }
      __syncthreads();
      if (warp == 0) {
        uint64_t digit = 0;
UNROLL
        for (int i = 0; i < 3; i++) {
          if (warp_total(lane < warps ? shared.parts[lane][i] : 0) >= target) digit = i + 1;
        }
        if (lane == 0) shared.threshold = threshold + (digit << shift);
      }
      __syncthreads();
      threshold = shared.threshold;
    }
    return threshold;
  }

  // Among the tokens that are listed and at or above `least`; where they do not amount to it or there was no room for all,
  // among all that permits(id) and have at least the logit `bound`.
  template <typename Permits, typename Amount>
  DEVICE uint64_t search_tokens(uint64_t target, uint64_t least, float bound, const Permits& permits, const Amount& amount) const {
    const uint32_t listed = shared.n_listed;
    uint64_t found = 0;
    if (listed > 0 && listed <= kListed) {
      const auto warps = static_cast<int32_t>((listed + 31) / 32);
      found = search(target, warps < kWarps ? warps : kWarps, [&](const auto& use) {
        for (uint32_t i = static_cast<uint32_t>(thread); i < listed; i += kThreads) {
          if (shared.listed[i] >= least) use(shared.listed[i]);
        }
      }, amount);
    }
    if (found != 0) return found;
    return search(target, kWarps, [&](const auto& use) {
      for (int32_t run = warp; run < runs; run += kWarps) {
        for_run(run, [&](int32_t id, float logit) {
          const uint64_t code = code_of(logit, id);
          if (logit >= bound && code >= least && permits(id)) use(code);
        });
      }
    }, amount);
  }

  // The n likeliest tokens, from what find_highest left: their least code, or 0 if there are not so many.
  template <typename Permits>
  DEVICE uint64_t find_likeliest(int32_t n, float bound, const Permits& permits) const {
    // At least n tokens are as likely as the n-th likeliest of the runs' likeliest ones: only those need be looked at.
    const uint64_t first = n > runs ? 0 : search(static_cast<uint64_t>(n), kWarps, [&](const auto& use) {
      if (thread < runs) use(shared.highest[thread]);
    }, One{});
    if (first != 0) {
      for (int32_t run = warp; run < runs; run += kWarps) {
        for_run(run, [&](int32_t id, float logit) {
          const uint64_t code = code_of(logit, id);
          if (code >= first && logit >= bound && permits(id)) list(code);
        });
      }
    }
    __syncthreads();
    return search_tokens(static_cast<uint64_t>(n), 0, bound, permits, One{});
  }

  // ---- under the model's own logits ----

  // What log-probabilities are made of, and the likeliest tokens.
  DEVICE void look(Sampled* sampled, TokenAmount* top) const {
    const auto all = [](int32_t) { return true; };
    find_highest(all);
    __syncthreads();
    const uint64_t likeliest = highest_code();
    const float highest = likeliest == 0 ? -INFINITY : logit_of(likeliest);
    const bool finite = fabsf(highest) < INFINITY;
    sum_runs([&](int32_t, float logit) { return finite ? weight_of(logit, highest, 1.4426950408889634f) : 0; });
    __syncthreads();
    const uint64_t all_weight = total();
    if (thread == 0) sampled->highest = highest, sampled->total = all_weight;
    if (how.n_top == 0) return;
    const uint64_t least = finite ? find_likeliest(how.n_top, -INFINITY, all) : 0;
    if (thread == 0) sampled->listed = static_cast<int32_t>(shared.n_listed), shared.n_listed = 0;  // now counts what is written
    __syncthreads();
    for (int32_t run = warp; run < runs && finite; run += kWarps) {
      if (shared.highest[run] < least) continue;
      for_run(run, [&](int32_t id, float logit) {
        const uint64_t code = code_of(logit, id);
        if (code != 0 && code >= least) top[atomic_add(&shared.n_listed, 1)] = {id, logit};
      });
    }
    __syncthreads();
    if (thread == 0) sampled->n_top = static_cast<int32_t>(shared.n_listed), shared.n_listed = 0;
  }

  // ---- from logits to a token ----

  DEVICE bool in_vocab(int32_t token) const { return token >= 0 && token < vocab; }

  // No token is in both lists, or in one of them twice.
  DEVICE void penalise() const {
    for (int32_t i = thread; i < how.n_changes; i += kThreads) {
      const TokenChange change = step.changes[how.first_change + i];
      if (!in_vocab(change.token)) continue;
      const float own = logits[change.token];
      step.originals[how.first_change + i] = own;
      float logit = plus(own, change.bias);
      if (change.count >= 0.0f && how.repetition_penalty != 1.0f) {
        logit = logit > 0.0f ? logit / how.repetition_penalty : product(logit, how.repetition_penalty);
      }
      if (change.count > 0.0f && (how.frequency_penalty != 0.0f || how.presence_penalty != 0.0f)) {
        logit = plus(logit, -plus(product(how.frequency_penalty, change.count), how.presence_penalty));
      }
      logits[change.token] = logit;
    }
    for (int32_t i = thread; i < how.n_banned; i += kThreads) {
      const int32_t token = step.banned[how.first_banned + i];
      if (in_vocab(token)) logits[token] = -INFINITY;
    }
  }

  // Of the first warp: the token in whose weight `left` falls.
  template <typename Weigh>
  DEVICE int32_t token_at(uint64_t left, const Weigh& weight) const {
    int32_t at = 0;
    if (!falls_into(&left, &at, runs, [&](int32_t run) { return shared.sums[run]; })) return -1;
    const int32_t first = at * kRun;
    const int32_t n = vocab - first < kRun ? vocab - first : kRun;
    return falls_into(&left, &at, n, [&](int32_t i) { return weight(first + i, logits[first + i]); }) ? first + at : -1;
  }
  template <typename Amount>
  DEVICE bool falls_into(uint64_t* left, int32_t* at, int32_t n, const Amount& amount) const {
    for (int32_t first = 0; first < n; first += 32) {
      uint64_t before = 0;
      const uint64_t own = first + lane < n ? amount(first + lane) : 0;
      uint64_t with_own = own;
      for (int32_t offset = 1; offset < 32; offset *= 2) {
        const uint64_t other = shuffle(with_own, static_cast<uint32_t>(lane - offset) % 32);
        if (lane >= offset) with_own += other;
      }
      const uint32_t beyond = ballot(*left < with_own);
      if (beyond != 0) {
        uint32_t lowest = 0;
        while ((beyond >> lowest & 1) == 0) lowest++;
        before = shuffle(with_own - own, lowest);
        *left -= before;
        *at = first + static_cast<int32_t>(lowest);
        return true;
      }
      *left -= shuffle(with_own, 31);
    }
    return false;
  }

  // What find_highest left is known to all. The token, in the first warp.
  template <typename Permits>
  DEVICE int32_t draw(float highest, const Permits& permits, Sampled* sampled) const {
    const float rate = how.rate;
    const Weight weigh{highest, rate};
    const bool nucleus = how.top_p < 1.0f;
    const bool cut = how.top_k > 0 || nucleus;
    float bound = -INFINITY;
    if (cut || how.min_p_weight > 0.0) bound = bound_at(cut ? kLeastExponent : how.min_p_exponent, highest, rate);
    uint64_t least = how.top_k > 0 ? find_likeliest(how.top_k, bound, permits) : 0;
    if (nucleus) {
      const float listed = bound_at(kListedExponent, highest, rate);
      sum_runs([&](int32_t id, float logit) -> uint64_t {
        const uint64_t code = code_of(logit, id);
        if (code == 0 || code < least || !permits(id)) return 0;
        if (how.top_k > 0) return logit >= bound ? weigh(logit) : 0;
        if (logit >= listed) list(code);
        return weigh(logit);
      });
      __syncthreads();
      const uint64_t all = total();
      const double part = ceil(static_cast<double>(how.top_p) * static_cast<double>(all));
      uint64_t target = static_cast<uint64_t>(part);
      target = target < 1 ? 1 : target > all ? all : target;
      const uint64_t nuclear = search_tokens(target, least, bound, permits, weigh);
      least = nuclear > least ? nuclear : least;
    }
    const auto weight = [&](int32_t id, float logit) -> uint64_t {
      const uint64_t code = code_of(logit, id);
      if (code == 0 || code < least || !(logit >= bound) || !permits(id)) return 0;
      const uint64_t units = weigh(logit);
      return static_cast<double>(units) < how.min_p_weight ? 0 : units;
    };
    if (thread == 0) sampled->least = least, sampled->listed += static_cast<int32_t>(shared.n_listed);
    sum_runs(weight);
    __syncthreads();
    return warp == 0 ? token_at(share(bits_of(how.seed, how.position), total()), weight) : -1;
  }

  template <typename Permits>
  DEVICE int32_t token(const Permits& permits, Sampled* sampled) const {
    find_highest(permits);
    __syncthreads();
    const uint64_t code = highest_code();
    if (code == 0) return -1;
    const float highest = logit_of(code);
    return how.rate == 0.0f || highest == INFINITY ? id_of(code) : draw(highest, permits, sampled);
  }

  // Of the first warp: the logit of the token as the model gave it.
  DEVICE float own_logit(int32_t token) const {
    float own = logits[token];
    for (int32_t first = 0; first < how.n_changes; first += 32) {
      const int32_t i = first + lane;
      const bool is_it = i < how.n_changes && step.changes[how.first_change + i].token == token;
      const uint32_t found = ballot(is_it);
      if (found == 0) continue;
      uint32_t which = 0;
      while ((found >> which & 1) == 0) which++;
      own = step.originals[how.first_change + first + static_cast<int32_t>(which)];
      break;
    }
    return own;
  }
};

__global__ void __launch_bounds__(kThreads, 1)
    sample_kernel(float* logits, Sampled* sampled, TokenAmount* top, SampleStep step, int32_t vocab) {
  let_next_start();
  wait_for_earlier();
  if (static_cast<int32_t>(blockIdx.x) >= *step.live) return;
  const SampleRow how = step.rows[blockIdx.x];
  Shared& shared = *reinterpret_cast<Shared*>(shared_memory());
  const Row row{how, step, logits + static_cast<int64_t>(blockIdx.x) * vocab, vocab, shared};
  Sampled* to = sampled + blockIdx.x;
  if (threadIdx.x == 0) shared.n_listed = 0, to->n_top = to->listed = 0, to->least = 0;
  if (how.n_top >= 0) row.look(to, top + static_cast<int64_t>(blockIdx.x) * kMostTop);
  row.penalise();  // behind the last barrier of `look` nobody reads logits as they were
  __syncthreads();
  const uint32_t* mask = how.mask < 0 ? nullptr : step.masks + static_cast<int64_t>(how.mask) * step.mask_words;
  const int32_t token = row.token([mask](int32_t id) { return mask == nullptr || (mask[id / 32] >> (id % 32) & 1) != 0; }, to);
  if (threadIdx.x >= 32) return;
  const float own = how.n_top >= 0 && token >= 0 ? row.own_logit(token) : 0.0f;
  if (threadIdx.x == 0) to->token = token, to->logit = own;
}

}  // namespace

void sample(const Target& target, int32_t vocab, const SampleStep& step, int32_t count, float* logits, Sampled* sampled,
            TokenAmount* top) {
  Launch launch;
  launch.kernel = "sample";
  launch.grid.x = static_cast<uint32_t>(count);
  launch.block.x = kThreads;
  launch.shared_bytes = sizeof(Shared);
  launch.overlaps = true;
  start(*target.stream, launch, sample_kernel, logits, sampled, top, step, vocab);
}

}  // namespace chasqui::cuda
