/* The engine's only public face: opaque handles, plain structs and status codes; no C++ type and no exception crosses it.
 * Tokens in, tokens out. Every function may be called from any thread unless it says otherwise, and none blocks for longer
 * than a lock is held, but chasqui_load (reads a checkpoint) and chasqui_free (waits for the running pass).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct chasqui_engine chasqui_engine;

/* Equal to the reasons of EngineError; chasqui_reason_name gives the text. */
typedef enum {
  CHASQUI_OK = 0,
  CHASQUI_NOT_FOUND,
  CHASQUI_BAD_CHECKPOINT,
  CHASQUI_UNSUPPORTED,
  CHASQUI_BAD_REQUEST,
  CHASQUI_CONTEXT_FULL,
  CHASQUI_OUT_OF_MEMORY,
  CHASQUI_BUSY,
  CHASQUI_CLOSED,
  CHASQUI_DEVICE_LOST,
  CHASQUI_INTERNAL
} chasqui_reason;

/* What went wrong and what to do about it: zero-terminated UTF-8, cut where it is longer. */
typedef struct {
  chasqui_reason reason;
  char detail[1024];
  char fix[512];
} chasqui_status;

const char* chasqui_reason_name(chasqui_reason reason);

typedef enum { CHASQUI_KV_BF16 = 0, CHASQUI_KV_F32, CHASQUI_KV_FP8 } chasqui_kv_type;

/* Zero in a number means the default. */
typedef struct {
  const char* folder;           /* a Hugging Face checkpoint folder */
  const char* device;           /* "auto", "cpu", "cuda" */
  int32_t threads;              /* of the CPU backend, and of the sampler; default: as many as the machine has, at most 8 */
  int32_t context;              /* tokens; default and most: what the model was made for */
  int64_t cache_bytes;          /* of the KV cache; default: see the memory section of docs/engine.md */
  const char* weights;          /* what plain weights become: "as-stored" (default), "int8", "int4", "nf4", "fp8" */
  chasqui_kv_type kv_type;      /* how keys and values are kept */
  int32_t batch_independent;    /* 1: a request's tokens do not depend on the requests beside it */
  int32_t step_tokens;          /* most tokens of one pass; default 512 */
  int32_t max_running;          /* most requests computed at once; default 64 */
  int32_t max_queued;           /* most requests waiting; default 1024 */
  int64_t max_queued_tokens;    /* and their tokens; default 4 Mi */
  int32_t undelivered;          /* tokens a consumer may lag behind before its request is parked; default 1024 */
  const int32_t* special_tokens; /* (n_special_tokens) ids that a request must name to have them sampled */
  size_t n_special_tokens;
  const char* token_bytes;      /* all tokens' bytes, one after the other; null: no literal choices */
  const int64_t* token_offsets; /* (n_token_offsets): token i is token_bytes[offsets[i], offsets[i + 1]) */
  size_t n_token_offsets;
} chasqui_load_options;

/* Called when events wait and none had been waiting, on a thread of the engine or in chasqui_cancel; must not block or call back. */
typedef void (*chasqui_notify)(void* user);

/* Loads the model and starts the engine's thread. On failure *engine is null. */
chasqui_reason chasqui_load(const chasqui_load_options* options, chasqui_notify notify, void* user,
                            chasqui_engine** engine, chasqui_status* status);

typedef struct {
  int32_t vocabulary_size;
  int32_t context;               /* tokens of prefix and answer together */
  int32_t n_pages;               /* of 16 tokens, in the KV cache */
  const int32_t* stop_tokens;    /* (n_stop_tokens), valid as long as the engine */
  size_t n_stop_tokens;
  const char* device;
  uint64_t fingerprint;          /* of the weights */
  int64_t weight_bytes;          /* of the linear layers, as the device holds them */
  int64_t embedding_bytes;       /* of the embedding, which may stay in its file */
  int64_t cache_bytes;
  int64_t workspace_bytes;
  int32_t do_sample;             /* the checkpoint's generation defaults */
  double temperature;
  double top_p;
  int32_t top_k;
} chasqui_info;

void chasqui_get_info(const chasqui_engine* engine, chasqui_info* info);

/* LoRA adapters in PEFT's layout, several at once, by name; requests name the one that they want. Both wait for the running
 * pass. An adapter in use is not unloaded (CHASQUI_BUSY). */
chasqui_reason chasqui_adapter_load(chasqui_engine* engine, const char* name, const char* folder, chasqui_status* status);
chasqui_reason chasqui_adapter_unload(chasqui_engine* engine, const char* name, chasqui_status* status);

/* Token logs: a prefix that is sent once and then only grows. Ids are the caller's. Requests copy what they need. */
void chasqui_log_append(chasqui_engine* engine, uint64_t log, const int32_t* tokens, size_t n_tokens);
void chasqui_log_drop(chasqui_engine* engine, uint64_t log);

typedef enum { CHASQUI_NO_CONSTRAINT = 0, CHASQUI_ALLOWED_TOKENS, CHASQUI_CHOICES } chasqui_constraint_kind;

typedef struct {
  uint64_t id;                    /* unique among requests under way */
  int32_t scores;                 /* 1: log-probabilities of the prefix instead of a generation */
  uint64_t log;                   /* the log whose first n_tokens tokens are the prefix */
  size_t n_tokens;
  int32_t max_tokens;
  double temperature;             /* 0: greedy */
  int32_t top_k;                  /* 0: all */
  double top_p;                   /* 1: all */
  double min_p;
  double repetition_penalty;      /* 1: none */
  double frequency_penalty;
  double presence_penalty;
  const int32_t* bias_tokens;     /* (n_biases) */
  const double* bias_values;      /* (n_biases) */
  size_t n_biases;
  uint64_t seed;
  const int32_t* stop_tokens;
  size_t n_stop_tokens;
  const int32_t* allowed_special_tokens;
  size_t n_allowed_special_tokens;
  chasqui_constraint_kind constraint;
  const int32_t* allowed_tokens;  /* of CHASQUI_ALLOWED_TOKENS */
  size_t n_allowed_tokens;
  const char* const* choices;     /* of CHASQUI_CHOICES, UTF-8 */
  const size_t* choice_bytes;     /* (n_choices) their lengths */
  size_t n_choices;
  const char* adapter;            /* null or empty: the model alone */
  const char* name_space;         /* null: the shared one */
  int32_t retain;                 /* 1: hold the pages after the end, until a request continues them */
  int32_t top_logprobs;           /* -1: none */
} chasqui_request;

/* Queues a request; a failure of the request itself comes as its end event. */
chasqui_reason chasqui_submit(chasqui_engine* engine, const chasqui_request* request, chasqui_status* status);
/* Its end event comes at once, also in the middle of a pass. Unknown ids are requests that have ended, and are ignored. */
void chasqui_cancel(chasqui_engine* engine, uint64_t request);
/* The consumer has taken this many tokens of the request in all. */
void chasqui_consumed(chasqui_engine* engine, uint64_t request, int32_t n_tokens);
/* Gives up pages held by `retain` in a namespace. */
void chasqui_release(chasqui_engine* engine, const char* name_space);

typedef enum { CHASQUI_STOP_TOKEN = 0, CHASQUI_MAX_TOKENS, CHASQUI_STOP_CONTEXT_FULL, CHASQUI_ABORTED } chasqui_stop_reason;

typedef struct {
  uint64_t request;
  int32_t token;
  int32_t forced;
  float logprob;          /* NaN where none was asked for */
  const int32_t* top_tokens;  /* (n_top), likeliest first */
  const float* top_logprobs;  /* (n_top) */
  size_t n_top;
} chasqui_token;

typedef struct {
  uint64_t request;
  chasqui_status failure;  /* CHASQUI_OK: stop_reason holds */
  chasqui_stop_reason stop_reason;
  int32_t prompt, cached, generated, forced, discarded; /* tokens */
  double queue_ms, first_token_ms, prefill_ms, decode_ms;
  const float* scores; /* (n_scores), of a scoring request */
  size_t n_scores;
} chasqui_end;

typedef struct {
  const chasqui_token* tokens; /* in the order in which they were made */
  size_t n_tokens;
  const chasqui_end* ends;     /* each after all tokens of its request */
  size_t n_ends;
  int32_t closed;              /* 1: nothing will follow */
} chasqui_events;

/* All events since the last call, valid until the next. From one thread at a time. */
void chasqui_take_events(chasqui_engine* engine, chasqui_events* events);

typedef struct {
  int32_t waiting, running, parked;
  int64_t waiting_tokens;
  int32_t pages_used, pages_cached, pages_free, retained;
  int64_t preempted, retained_dropped, evicted;
  int64_t prompt_tokens, cached_tokens;
  int64_t steps;
  int32_t batch, batch_tokens; /* of the last pass */
  int64_t prefill_tokens, decode_tokens;
  double prefill_seconds, decode_seconds;
  int64_t requests_ended, first_tokens;
  double first_token_seconds, last_first_token_ms;
} chasqui_metrics;

void chasqui_get_metrics(const chasqui_engine* engine, chasqui_metrics* metrics);

/* Ends all requests as closed after the running pass; returns at once. The last events say `closed`. */
void chasqui_close(chasqui_engine* engine);
/* Closes if need be, waits for the thread and gives everything back. */
void chasqui_free(chasqui_engine* engine);

#ifdef __cplusplus
}
#endif
