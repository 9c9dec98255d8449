// include/chasqui/engine.h in terms of Engine: converts structs, keeps the token logs, and owns what its pointers point to.
#include "../../include/chasqui/engine.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "../model/config.h"
#include "../model/llama.h"
#include "../model/weights.h"
#include "../sampling/allowed_set.h"
#include "../sampling/literal_choices.h"
#include "adapter_names.h"
#include "engine.h"

using namespace chasqui;

struct chasqui_engine {
  ModelConfig config;
  uint64_t fingerprint = 0;
  int32_t context = 0;
  int32_t n_pages = 0;
  std::string device;
  ForwardMemory memory;
  std::shared_ptr<const TokenTable> token_table;  // null without token bytes

  std::mutex logs_mutex;
  std::unordered_map<uint64_t, std::vector<int32_t>> logs;

  AdapterNames adapters;

  StepEvents events;  // the last taken; the two below point into it
  std::vector<chasqui_token> tokens;
  std::vector<chasqui_end> ends;
  std::vector<int32_t> top_tokens;
  std::vector<float> top_logprobs;

  std::unique_ptr<Engine> engine;  // last: its thread ends first
};

namespace {

constexpr int32_t kMostSamplingThreads = 8;

static_assert(static_cast<int>(Reason::kInternal) == CHASQUI_INTERNAL, "the reasons are numbered alike");
static_assert(static_cast<int>(StopReason::kAborted) == CHASQUI_ABORTED, "the stop reasons are numbered alike");

// Copies as much as fits and never cuts a UTF-8 character.
void copy_text(const std::string& text, char* to, size_t capacity) {
  size_t n = std::min(text.size(), capacity - 1);
  if (n < text.size()) {
    while (n > 0 && (static_cast<unsigned char>(text[n]) & 0xC0) == 0x80) --n;
  }
  std::memcpy(to, text.data(), n);
  to[n] = '\0';
}

chasqui_reason report(const Status& status, chasqui_status* to) {
  to->reason = static_cast<chasqui_reason>(status.reason);
  copy_text(status.detail, to->detail, sizeof to->detail);
  copy_text(status.fix, to->fix, sizeof to->fix);
  return to->reason;
}

template <typename T>
std::vector<T> copied(const T* values, size_t n) {
  return n == 0 ? std::vector<T>() : std::vector<T>(values, values + n);
}

Status weight_format(const char* name, WeightFormat* format) {
  static constexpr struct { const char* name; WeightFormat format; } kFormats[] = {
      {"as-stored", WeightFormat::kAsStored}, {"int8", WeightFormat::kInt8}, {"int4", WeightFormat::kInt4},
      {"nf4", WeightFormat::kNf4},            {"fp8", WeightFormat::kFp8}};
  if (name == nullptr || name[0] == '\0') return {};
  for (const auto& each : kFormats) {
    if (std::strcmp(name, each.name) != 0) continue;
    *format = each.format;
    return {};
  }
  return failure(Reason::kBadRequest, std::string("Weights cannot become \"") + name + "\".",
                 "Use as-stored, int8, int4, nf4 or fp8.");
}

Status load_model(const chasqui_load_options& options, chasqui_engine* engine, std::unique_ptr<Forward>* forward) {
  if (options.folder == nullptr || options.folder[0] == '\0') {
    return failure(Reason::kBadRequest, "No checkpoint folder was named.", "Give the path of a Hugging Face checkpoint folder.");
  }
  if (Status status = read_config(options.folder, &engine->config); !status.ok()) return status;
  if (options.context < 0 || options.context > engine->config.context) {
    return failure(Reason::kBadRequest,
                   "A context of " + std::to_string(options.context) + " tokens was asked for and the model was made for " +
                       std::to_string(engine->config.context) + ".",
                   "Ask for at most what the model was made for.");
  }
  Weights weights;
  if (Status status = load_weights(options.folder, engine->config, &weights, Quantised::kRead); !status.ok()) return status;
  engine->fingerprint = weights.fingerprint;
  if (options.context > 0) engine->config.context = options.context;
  LlamaOptions llama;
  llama.backend.threads = options.threads;
  llama.backend.batch_independent = options.batch_independent != 0;
  if (options.device != nullptr) llama.backend.device = options.device;
  llama.kv_type = options.kv_type == CHASQUI_KV_F32 ? KvType::kF32 : options.kv_type == CHASQUI_KV_FP8 ? KvType::kFp8 : KvType::kBF16;
  llama.cache_bytes = options.cache_bytes;
  if (Status status = weight_format(options.weights, &llama.weight_format); !status.ok()) return status;
  if (options.step_tokens > 0) llama.max_batch_tokens = options.step_tokens;
  return make_llama(engine->config, weights, llama, forward);
}

Status load_token_table(const chasqui_load_options& options, chasqui_engine* engine) {
  if (options.n_token_offsets == 0) return {};
  auto table = std::make_shared<TokenTable>();
  std::vector<int64_t> offsets = copied(options.token_offsets, options.n_token_offsets);
  const int64_t n_bytes = std::max<int64_t>(offsets.back(), 0);
  std::string bytes(options.token_bytes == nullptr ? "" : options.token_bytes, options.token_bytes == nullptr ? 0 : static_cast<size_t>(n_bytes));
  if (Status status = TokenTable::build(std::move(bytes), std::move(offsets), table.get()); !status.ok()) return status;
  if (table->size() > engine->config.vocab) {
    return failure(Reason::kBadRequest,
                   "Bytes were given for " + std::to_string(table->size()) + " tokens and the vocabulary has " + std::to_string(engine->config.vocab) + ".",
                   "Use the tokenizer that belongs to this checkpoint.");
  }
  engine->token_table = std::move(table);
  return {};
}

StepperOptions stepper_options(const chasqui_load_options& options) {
  StepperOptions made;
  if (options.step_tokens > 0) made.limits.step_tokens = options.step_tokens;
  if (options.max_running > 0) made.limits.max_running = options.max_running;
  if (options.max_queued > 0) made.limits.max_queued = options.max_queued;
  if (options.max_queued_tokens > 0) made.limits.max_queued_tokens = options.max_queued_tokens;
  if (options.undelivered > 0) made.undelivered = options.undelivered;
  const auto machine = static_cast<int32_t>(std::thread::hardware_concurrency());
  made.threads = options.threads > 0 ? options.threads : std::clamp(machine, 1, kMostSamplingThreads);
  made.special_tokens = copied(options.special_tokens, options.n_special_tokens);
  return made;
}

Status load(const chasqui_load_options& options, chasqui_notify notify, void* user, chasqui_engine* engine) {
  std::unique_ptr<Forward> forward;
  if (Status status = load_model(options, engine, &forward); !status.ok()) return status;
  if (Status status = load_token_table(options, engine); !status.ok()) return status;
  engine->n_pages = forward->n_pages();
  engine->device = forward->device();
  engine->memory = forward->memory();
  auto stepper = std::make_unique<Stepper>(std::move(forward), stepper_options(options));
  engine->context = stepper->limits().context;
  engine->engine = std::make_unique<Engine>(std::move(stepper), [notify, user] { notify(user); });
  return {};
}

Status convert_constraint(chasqui_engine* engine, const chasqui_request& from, std::unique_ptr<TokenConstraint>* to) {
  switch (from.constraint) {
    case CHASQUI_NO_CONSTRAINT:
      return {};
    case CHASQUI_ALLOWED_TOKENS:
      return make_allowed_set(copied(from.allowed_tokens, from.n_allowed_tokens), engine->config.vocab, to);
    case CHASQUI_CHOICES: {
      std::vector<std::string> choices;
      for (size_t i = 0; i < from.n_choices; ++i) choices.emplace_back(from.choices[i], from.choice_bytes[i]);
      return make_literal_choices(std::move(choices), engine->token_table, to);
    }
  }
  return failure(Reason::kBadRequest, "The constraint is of an unknown kind.", "Use allowed-tokens or choices.");
}

SamplingParams convert_sampling(const chasqui_request& from) {
  SamplingParams to;
  to.temperature = static_cast<float>(from.temperature);
  to.top_k = from.top_k;
  to.top_p = static_cast<float>(from.top_p);
  to.min_p = static_cast<float>(from.min_p);
  to.repetition_penalty = static_cast<float>(from.repetition_penalty);
  to.frequency_penalty = static_cast<float>(from.frequency_penalty);
  to.presence_penalty = static_cast<float>(from.presence_penalty);
  for (size_t i = 0; i < from.n_biases; ++i) to.logit_bias.emplace_back(from.bias_tokens[i], static_cast<float>(from.bias_values[i]));
  to.seed = from.seed;
  return to;
}

Status convert_request(chasqui_engine* engine, const chasqui_request& from, Request* to) {
  to->id = from.id;
  to->kind = from.scores != 0 ? RequestKind::kScore : RequestKind::kGenerate;
  {
    const std::lock_guard lock(engine->logs_mutex);
    const auto log = engine->logs.find(from.log);
    const size_t n_known = log == engine->logs.end() ? 0 : log->second.size();
    if (from.n_tokens > n_known) {
      return failure(Reason::kInternal,
                     "A prefix of " + std::to_string(from.n_tokens) + " tokens was asked for and the log has " + std::to_string(n_known) + ".",
                     "Report this as a bug of the engine's binding.");
    }
    if (from.n_tokens > 0) to->tokens.assign(log->second.begin(), log->second.begin() + static_cast<std::ptrdiff_t>(from.n_tokens));
  }
  to->max_tokens = from.max_tokens;
  to->sampling = convert_sampling(from);
  to->stop_tokens = copied(from.stop_tokens, from.n_stop_tokens);
  to->allowed_special = copied(from.allowed_special_tokens, from.n_allowed_special_tokens);
  to->cache_key.name_space = from.name_space == nullptr ? "" : from.name_space;
  if (from.adapter != nullptr && from.adapter[0] != '\0') {
    if (Status status = engine->adapters.find(from.adapter, &to->cache_key.adapter); !status.ok()) return status;
  }
  to->retain = from.retain != 0;
  to->top_logprobs = from.top_logprobs;
  return convert_constraint(engine, from, &to->constraint);
}

chasqui_token convert_token(const TokenEvent& from) {
  chasqui_token to{};
  to.request = from.request;
  to.token = from.token;
  to.forced = from.forced ? 1 : 0;
  to.logprob = from.has_logprob ? from.logprob : std::numeric_limits<float>::quiet_NaN();
  to.n_top = from.top.size();
  return to;
}

chasqui_end convert_end(const EndEvent& from) {
  chasqui_end to{};
  to.request = from.request;
  report(from.failure, &to.failure);
  to.stop_reason = static_cast<chasqui_stop_reason>(from.reason);
  to.prompt = from.usage.prompt;
  to.cached = from.usage.cached;
  to.generated = from.usage.generated;
  to.forced = from.usage.forced;
  to.discarded = from.usage.discarded;
  to.queue_ms = from.timing.queue_ms;
  to.first_token_ms = from.timing.first_token_ms;
  to.prefill_ms = from.timing.prefill_ms;
  to.decode_ms = from.timing.decode_ms;
  to.scores = from.scores.data();
  to.n_scores = from.scores.size();
  return to;
}

}  // namespace

const char* chasqui_reason_name(chasqui_reason reason) { return reason_name(static_cast<Reason>(reason)); }

chasqui_reason chasqui_load(const chasqui_load_options* options, chasqui_notify notify, void* user, chasqui_engine** engine,
                            chasqui_status* status) {
  auto made = std::make_unique<chasqui_engine>();
  const Status loaded = load(*options, notify, user, made.get());
  *engine = loaded.ok() ? made.release() : nullptr;
  return report(loaded, status);
}

void chasqui_get_info(const chasqui_engine* engine, chasqui_info* info) {
  const ModelConfig& config = engine->config;
  info->vocabulary_size = config.vocab;
  info->context = engine->context;
  info->n_pages = engine->n_pages;
  info->stop_tokens = config.stop_tokens.data();
  info->n_stop_tokens = config.stop_tokens.size();
  info->device = engine->device.c_str();
  info->fingerprint = engine->fingerprint;
  info->weight_bytes = engine->memory.weights;
  info->embedding_bytes = engine->memory.embedding;
  info->cache_bytes = engine->memory.cache;
  info->workspace_bytes = engine->memory.workspace;
  info->do_sample = config.generation.do_sample ? 1 : 0;
  info->temperature = config.generation.temperature;
  info->top_p = config.generation.top_p;
  info->top_k = config.generation.top_k;
}

chasqui_reason chasqui_adapter_load(chasqui_engine* engine, const char* name, const char* folder, chasqui_status* status) {
  return report(engine->adapters.load(*engine->engine, engine->config, name == nullptr ? "" : name, folder == nullptr ? "" : folder), status);
}

chasqui_reason chasqui_adapter_unload(chasqui_engine* engine, const char* name, chasqui_status* status) {
  return report(engine->adapters.unload(*engine->engine, name == nullptr ? "" : name), status);
}

void chasqui_log_append(chasqui_engine* engine, uint64_t log, const int32_t* tokens, size_t n_tokens) {
  const std::lock_guard lock(engine->logs_mutex);
  std::vector<int32_t>& known = engine->logs[log];
  known.insert(known.end(), tokens, tokens + n_tokens);
}

void chasqui_log_drop(chasqui_engine* engine, uint64_t log) {
  const std::lock_guard lock(engine->logs_mutex);
  engine->logs.erase(log);
}

chasqui_reason chasqui_submit(chasqui_engine* engine, const chasqui_request* request, chasqui_status* status) {
  Request converted;
  const Status result = convert_request(engine, *request, &converted);
  if (result.ok()) engine->engine->submit(std::move(converted));
  return report(result, status);
}

void chasqui_cancel(chasqui_engine* engine, uint64_t request) { engine->engine->cancel(request); }

void chasqui_consumed(chasqui_engine* engine, uint64_t request, int32_t n_tokens) { engine->engine->consumed(request, n_tokens); }

void chasqui_release(chasqui_engine* engine, const char* name_space) { engine->engine->release_retained(name_space == nullptr ? "" : name_space); }

void chasqui_take_events(chasqui_engine* engine, chasqui_events* events) {
  bool closed = false;
  engine->engine->take_events(&engine->events, &closed);
  engine->tokens.clear();
  engine->ends.clear();
  engine->top_tokens.clear();
  engine->top_logprobs.clear();
  for (const TokenEvent& event : engine->events.tokens) {
    engine->tokens.push_back(convert_token(event));
    for (const auto& [token, logprob] : event.top) {
      engine->top_tokens.push_back(token);
      engine->top_logprobs.push_back(logprob);
    }
  }
  size_t at = 0;
  for (chasqui_token& token : engine->tokens) {
    token.top_tokens = engine->top_tokens.data() + at;
    token.top_logprobs = engine->top_logprobs.data() + at;
    at += token.n_top;
  }
  for (const EndEvent& event : engine->events.ends) engine->ends.push_back(convert_end(event));
  events->tokens = engine->tokens.data();
  events->n_tokens = engine->tokens.size();
  events->ends = engine->ends.data();
  events->n_ends = engine->ends.size();
  events->closed = closed ? 1 : 0;
}

void chasqui_get_metrics(const chasqui_engine* engine, chasqui_metrics* metrics) {
  const EngineMetrics from = engine->engine->metrics();
  *metrics = chasqui_metrics{};
  metrics->waiting = from.now.n_waiting;
  metrics->running = from.now.n_running;
  metrics->parked = from.now.n_parked;
  metrics->waiting_tokens = from.now.waiting_tokens;
  metrics->pages_used = from.now.pages_used;
  metrics->pages_cached = from.now.pages_cached;
  metrics->pages_free = from.now.pages_free;
  metrics->retained = from.now.n_retained;
  metrics->preempted = from.now.n_preempted;
  metrics->retained_dropped = from.now.n_retained_dropped;
  metrics->evicted = from.now.n_evicted;
  metrics->prompt_tokens = from.now.prompt_tokens;
  metrics->cached_tokens = from.now.cached_tokens;
  metrics->steps = from.steps;
  metrics->batch = from.batch;
  metrics->batch_tokens = from.batch_tokens;
  metrics->prefill_tokens = from.prefill_tokens;
  metrics->decode_tokens = from.decode_tokens;
  metrics->prefill_seconds = from.prefill_seconds;
  metrics->decode_seconds = from.decode_seconds;
  metrics->requests_ended = from.requests_ended;
  metrics->first_tokens = from.first_tokens;
  metrics->first_token_seconds = from.first_token_seconds;
  metrics->last_first_token_ms = from.last_first_token_ms;
}

void chasqui_close(chasqui_engine* engine) { engine->engine->close(); }

void chasqui_free(chasqui_engine* engine) { delete engine; }
