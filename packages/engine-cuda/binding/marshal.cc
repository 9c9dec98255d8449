// See marshal.h.
#include "marshal.h"

#include <cmath>
#include <cstring>

namespace chasqui_binding {

Napi::Object failure_of(Napi::Env env, const chasqui_status& status) {
  Napi::Object failure = Napi::Object::New(env);
  failure.Set("reason", chasqui_reason_name(status.reason));
  failure.Set("detail", status.detail);
  failure.Set("fix", status.fix);
  return failure;
}

void closed_status(chasqui_status* status) {
  status->reason = CHASQUI_CLOSED;
  std::snprintf(status->detail, sizeof status->detail, "The engine is closed.");
  std::snprintf(status->fix, sizeof status->fix, "Load it again.");
}

LoadArguments::LoadArguments(const Napi::Object& from)
    : folder(string_of(from, "folder")), device(string_of(from, "device")), weights(string_of(from, "weights")) {
  const View<int32_t> special = int32s_of(from.Get("specialTokens"));
  special_tokens.assign(special.data, special.data + special.size);
  const View<uint8_t> bytes = bytes_of(from.Get("tokenBytes"));
  token_bytes.assign(reinterpret_cast<const char*>(bytes.data), bytes.size);
  const View<double> offsets = doubles_of(from.Get("tokenOffsets"));
  for (size_t i = 0; i < offsets.size; ++i) token_offsets.push_back(static_cast<int64_t>(offsets.data[i]));

  options.folder = folder.c_str();
  options.device = device.empty() ? nullptr : device.c_str();
  options.threads = int_of(from, "threads", 0);
  options.context = int_of(from, "contextLength", 0);
  options.cache_bytes = static_cast<int64_t>(number_of(from, "cacheBytes", 0));
  options.weights = weights.c_str();
  const std::string kv_type = string_of(from, "kvType");
  options.kv_type = kv_type == "f32" ? CHASQUI_KV_F32 : kv_type == "fp8" ? CHASQUI_KV_FP8 : CHASQUI_KV_BF16;
  options.batch_independent = flag_of(from, "batchIndependent");
  options.step_tokens = int_of(from, "stepTokens", 0);
  options.max_running = int_of(from, "maxRunning", 0);
  options.max_queued = int_of(from, "maxQueued", 0);
  options.max_queued_tokens = static_cast<int64_t>(number_of(from, "maxQueuedTokens", 0));
  options.undelivered = int_of(from, "undelivered", 0);
  options.special_tokens = special_tokens.data();
  options.n_special_tokens = special_tokens.size();
  options.token_bytes = token_bytes.data();
  options.token_offsets = token_offsets.data();
  options.n_token_offsets = token_offsets.size();
}

RequestArguments::RequestArguments(const Napi::Object& from)
    : name_space(string_of(from, "namespace")), adapter(string_of(from, "adapter")) {
  request.id = static_cast<uint64_t>(number_of(from, "id", 0));
  request.scores = flag_of(from, "scores");
  request.log = static_cast<uint64_t>(number_of(from, "log", 0));
  request.n_tokens = static_cast<size_t>(number_of(from, "length", 0));
  request.max_tokens = int_of(from, "maxTokens", 0);
  request.temperature = number_of(from, "temperature", 0.0);
  request.top_k = int_of(from, "topK", 0);
  request.top_p = number_of(from, "topP", 1.0);
  request.min_p = number_of(from, "minP", 0.0);
  request.repetition_penalty = number_of(from, "repetitionPenalty", 1.0);
  request.frequency_penalty = number_of(from, "frequencyPenalty", 0.0);
  request.presence_penalty = number_of(from, "presencePenalty", 0.0);
  const View<int32_t> bias_tokens = int32s_of(from.Get("biasTokens"));
  const View<double> bias_values = doubles_of(from.Get("biasValues"));
  request.bias_tokens = bias_tokens.data;
  request.bias_values = bias_values.data;
  request.n_biases = bias_tokens.size < bias_values.size ? bias_tokens.size : bias_values.size;
  const Napi::Value seed = from.Get("seed");
  bool lossless = true;
  if (seed.IsBigInt()) request.seed = seed.As<Napi::BigInt>().Uint64Value(&lossless);
  const View<int32_t> stops = int32s_of(from.Get("stopTokens"));
  request.stop_tokens = stops.data;
  request.n_stop_tokens = stops.size;
  const View<int32_t> special = int32s_of(from.Get("allowedSpecialTokens"));
  request.allowed_special_tokens = special.data;
  request.n_allowed_special_tokens = special.size;
  const Napi::Value allowed = from.Get("allowedTokens");
  const Napi::Value literal = from.Get("choices");
  if (allowed.IsTypedArray()) {
    const View<int32_t> tokens = int32s_of(allowed);
    request.constraint = CHASQUI_ALLOWED_TOKENS;
    request.allowed_tokens = tokens.data;
    request.n_allowed_tokens = tokens.size;
  } else if (literal.IsArray()) {
    const Napi::Array array = literal.As<Napi::Array>();
    for (uint32_t i = 0; i < array.Length(); ++i) choices.push_back(array.Get(i).ToString().Utf8Value());
    for (const std::string& choice : choices) {
      choice_pointers.push_back(choice.data());
      choice_bytes.push_back(choice.size());
    }
    request.constraint = CHASQUI_CHOICES;
    request.choices = choice_pointers.data();
    request.choice_bytes = choice_bytes.data();
    request.n_choices = choices.size();
  }
  request.name_space = name_space.c_str();
  request.adapter = adapter.c_str();
  request.retain = flag_of(from, "retain");
  request.top_logprobs = int_of(from, "logprobs", -1);
}

Napi::Object info_of(Napi::Env env, const chasqui_engine* engine) {
  chasqui_info info{};
  chasqui_get_info(engine, &info);
  Napi::Object to = Napi::Object::New(env);
  to.Set("vocabularySize", info.vocabulary_size);
  to.Set("contextLength", info.context);
  to.Set("pages", info.n_pages);
  Napi::Array stops = Napi::Array::New(env, info.n_stop_tokens);
  for (size_t i = 0; i < info.n_stop_tokens; ++i) stops.Set(static_cast<uint32_t>(i), info.stop_tokens[i]);
  to.Set("stopTokens", stops);
  to.Set("device", info.device);
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(info.fingerprint));
  to.Set("fingerprint", hex);
  to.Set("weightBytes", static_cast<double>(info.weight_bytes));
  to.Set("embeddingBytes", static_cast<double>(info.embedding_bytes));
  to.Set("cacheBytes", static_cast<double>(info.cache_bytes));
  to.Set("workspaceBytes", static_cast<double>(info.workspace_bytes));
  to.Set("doSample", Napi::Boolean::New(env, info.do_sample != 0));
  to.Set("temperature", info.temperature);
  to.Set("topP", info.top_p);
  to.Set("topK", info.top_k);
  return to;
}

Napi::Object metrics_of(Napi::Env env, const chasqui_engine* engine) {
  chasqui_metrics metrics{};
  chasqui_get_metrics(engine, &metrics);
  Napi::Object to = Napi::Object::New(env);
  const auto set = [&](const char* name, auto value) { to.Set(name, static_cast<double>(value)); };
  set("waiting", metrics.waiting);
  set("running", metrics.running);
  set("parked", metrics.parked);
  set("waitingTokens", metrics.waiting_tokens);
  set("pagesUsed", metrics.pages_used);
  set("pagesCached", metrics.pages_cached);
  set("pagesFree", metrics.pages_free);
  set("retained", metrics.retained);
  set("preempted", metrics.preempted);
  set("retainedDropped", metrics.retained_dropped);
  set("evicted", metrics.evicted);
  set("promptTokens", metrics.prompt_tokens);
  set("cachedTokens", metrics.cached_tokens);
  set("steps", metrics.steps);
  set("batch", metrics.batch);
  set("batchTokens", metrics.batch_tokens);
  set("prefillTokens", metrics.prefill_tokens);
  set("decodeTokens", metrics.decode_tokens);
  set("prefillSeconds", metrics.prefill_seconds);
  set("decodeSeconds", metrics.decode_seconds);
  set("requestsEnded", metrics.requests_ended);
  set("firstTokens", metrics.first_tokens);
  set("firstTokenSeconds", metrics.first_token_seconds);
  set("lastFirstTokenMs", metrics.last_first_token_ms);
  return to;
}

namespace {

template <typename Array, typename T>
Array copied(Napi::Env env, const std::vector<T>& values) {
  Array array = Array::New(env, values.size());
  if (!array.IsEmpty() && !values.empty()) std::memcpy(array.Data(), values.data(), values.size() * sizeof(T));
  return array;
}

napi_value logprobs_of(Napi::Env env, const chasqui_events& events) {
  bool any = false;
  std::vector<float> own;
  std::vector<int32_t> counts;
  std::vector<int32_t> tokens;
  std::vector<float> values;
  for (size_t i = 0; i < events.n_tokens; ++i) {
    const chasqui_token& token = events.tokens[i];
    any = any || !std::isnan(token.logprob);
    own.push_back(token.logprob);
    counts.push_back(static_cast<int32_t>(token.n_top));
    tokens.insert(tokens.end(), token.top_tokens, token.top_tokens + token.n_top);
    values.insert(values.end(), token.top_logprobs, token.top_logprobs + token.n_top);
  }
  if (!any) return env.Null();
  Napi::Object to = Napi::Object::New(env);
  to.Set("own", copied<Napi::Float32Array>(env, own));
  to.Set("counts", copied<Napi::Int32Array>(env, counts));
  to.Set("tokens", copied<Napi::Int32Array>(env, tokens));
  to.Set("values", copied<Napi::Float32Array>(env, values));
  return to;
}

Napi::Object end_of(Napi::Env env, const chasqui_end& end) {
  static constexpr const char* kStopReasons[] = {"stop-token", "max-tokens", "context-full", "aborted"};
  Napi::Object to = Napi::Object::New(env);
  to.Set("request", static_cast<double>(end.request));
  if (end.failure.reason != CHASQUI_OK) to.Set("failure", failure_of(env, end.failure));
  to.Set("reason", kStopReasons[end.stop_reason]);
  const auto set = [&](const char* name, auto value) { to.Set(name, static_cast<double>(value)); };
  set("prompt", end.prompt);
  set("cached", end.cached);
  set("generated", end.generated);
  set("forced", end.forced);
  set("discarded", end.discarded);
  set("queueMs", end.queue_ms);
  set("firstTokenMs", end.first_token_ms);
  set("prefillMs", end.prefill_ms);
  set("decodeMs", end.decode_ms);
  if (end.n_scores > 0) to.Set("scores", copied<Napi::Float32Array>(env, std::vector<float>(end.scores, end.scores + end.n_scores)));
  return to;
}

}  // namespace

std::vector<napi_value> event_arguments(Napi::Env env, const chasqui_events& events) {
  std::vector<int32_t> triples;
  triples.reserve(events.n_tokens * 3);
  for (size_t i = 0; i < events.n_tokens; ++i) {
    const chasqui_token& token = events.tokens[i];
    triples.insert(triples.end(), {static_cast<int32_t>(token.request), token.token, token.forced});
  }
  const auto tokens = copied<Napi::Int32Array>(env, triples);
  if (tokens.IsEmpty()) return {};
  Napi::Array ends = Napi::Array::New(env, events.n_ends);
  for (size_t i = 0; i < events.n_ends; ++i) ends.Set(static_cast<uint32_t>(i), end_of(env, events.ends[i]));
  return {tokens, logprobs_of(env, events), ends, Napi::Boolean::New(env, events.closed != 0)};
}

}  // namespace chasqui_binding
