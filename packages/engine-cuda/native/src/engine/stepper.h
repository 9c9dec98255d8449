// One step of the engine: plan a pass, run the model, sample, say what happened. Single-threaded and free of clocks in its
// decisions, so that the same requests in the same order give the same tokens; engine.h puts a thread around it.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "../backend/cpu/thread_pool.h"
#include "../model/forward.h"
#include "../sampling/sampler.h"
#include "helper.h"
#include "request.h"
#include "scheduler.h"

namespace chasqui {

struct StepperOptions {
  SchedulerLimits limits;               // n_pages, context and step_tokens are cut to what the model offers
  std::vector<int32_t> special_tokens;  // ids that a request must name to have them sampled
  int32_t undelivered = 1024;           // tokens a consumer may lag behind before its sequence is parked
  int32_t threads = 1;                  // that sample, when a pass has many logits
};

struct EngineMetrics {
  SchedulerCounts now;
  int64_t steps = 0;
  int32_t batch = 0;            // sequences of the last pass
  int32_t batch_tokens = 0;     // and its tokens
  int64_t prefill_tokens = 0;   // computed, of prefixes
  int64_t decode_tokens = 0;    // generated
  double prefill_seconds = 0.0; // passes shared by both are divided by their tokens
  double decode_seconds = 0.0;
  int64_t requests_ended = 0;   // for any reason
  int64_t first_tokens = 0;
  double first_token_seconds = 0.0;  // from submission, summed over first_tokens
  double last_first_token_ms = 0.0;
};

class Stepper {
 public:
  Stepper(std::unique_ptr<Forward> forward, StepperOptions options);
  ~Stepper();

  // Queues a request. Whatever is wrong with it is an EndEvent with a failure.
  void submit(Request request, StepEvents* events);
  // Ends it as aborted. Unknown ids are requests that have ended already, and are ignored.
  void cancel(uint64_t request, StepEvents* events);
  // The consumer has taken this many tokens of the request in all.
  void consumed(uint64_t request, int32_t n_tokens);
  void release_retained(const std::string& name_space) { scheduler_.release_retained(name_space); }

  // Between two passes. An adapter that requests under way use is not given up (kBusy).
  Status add_adapter(int32_t id, const LoraAdapter& adapter);
  Status remove_adapter(int32_t id);

  // Runs one pass; false if there was nothing to run.
  bool step(StepEvents* events);
  // The three parts of a step: choosing the pass, the model, and sampling. While compute() runs on one thread, another
  // may submit, take note of what is consumed, release and admit: that is all that touches no sequence of the pass.
  bool plan();
  void compute();
  void finish(StepEvents* events);
  void admit() { scheduler_.admit(); }
  // How the sequences of the last plan, and those submitted since, would end if they were cancelled now. Those that have
  // ended are left out.
  void snapshot(std::vector<EndEvent>* ends) const;
  // Ends everything under way with this failure.
  void fail_all(const Status& status, StepEvents* events);

  bool has_requests() const { return !live_.empty(); }
  EngineMetrics metrics() const;
  std::string verify() const { return scheduler_.verify(); }
  const SchedulerLimits& limits() const { return options_.limits; }
  int32_t vocab() const { return vocab_; }

 private:
  Status check(const Request& request) const;
  // A row of logits from which a token is to be drawn, and what was drawn.
  struct Draw {
    Sequence* sequence = nullptr;
    float* row = nullptr;  // (vocab); null where the model draws
    const TokenMask* mask = nullptr;
    int32_t n_permitted = 0;
    SampledToken sampled;
  };
  struct PageCopy {
    int32_t from, to, n_tokens;
  };

  Status forward();
  Status draw();
  void fill_masks();
  void count(double seconds);
  void collect_draws();
  void collect_scores(StepEvents* events);
  void sample_rows();
  SamplingContext context_of(const Draw& draw) const;
  void take_token(Draw* draw, StepEvents* events);
  void score(const PlannedSpan& span, int32_t first_position, const float* rows, StepEvents* events);
  void append_forced(Sequence* sequence, StepEvents* events);
  bool append(Sequence* sequence, TokenEvent event, StepEvents* events);
  void end(Sequence* sequence, StopReason reason, StepEvents* events);
  void fail(Sequence* sequence, const Status& status, StepEvents* events);
  EndEvent end_event(const Sequence& sequence) const;

  std::unique_ptr<Forward> forward_;
  StepperOptions options_;
  int32_t vocab_;
  Scheduler scheduler_;
  std::vector<PageCopy> copies_;  // to be made before the next pass
  std::unordered_map<uint64_t, Sequence*> live_;
  std::unordered_set<int64_t> adapters_;
  std::vector<PlannedSpan> plan_;
  std::vector<uint64_t> touched_;  // requests of the plan, and those submitted since
  std::vector<BatchSpan> batch_;
  std::vector<float> logits_;     // (rows of the pass, vocab)
  Status outcome_;                // of the last compute()
  double compute_seconds_ = 0.0;  // that it took
  std::vector<Draw> draws_;       // of the pass
  std::vector<SamplingContext> contexts_;  // of the draws, where the model makes them
  std::vector<SampledToken> drawn_;        // and what it drew
  cpu::ThreadPool pool_;          // rows of logits are sampled by several threads
  std::vector<std::unique_ptr<Sampler>> samplers_;  // one per thread
  Status lost_;                   // not ok: the device is gone for good
  std::vector<TokenMask> masks_;  // one per sampling span of the pass; those without a constraint stay unused
  EngineMetrics totals_;
  std::unique_ptr<Helper> helper_;  // made with the first constraint
};

}  // namespace chasqui
