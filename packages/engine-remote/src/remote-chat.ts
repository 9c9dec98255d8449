/**
 * A Model on a server that speaks the chat-completions interface: vLLM, SGLang, TGI, llama.cpp, Hugging Face. Turns go out as
 * messages, and what comes back has no token ids; loop, sessions and traces work without them.
 */
import {
  EngineError,
  type Model,
  type ModelEnd,
  type ModelGeneration,
  type ModelOptions,
  type ParserEvent,
  type Transcript,
} from "@chasqui/core"
import { createParser } from "eventsource-parser"
import { builtinDefinitions, chatMessages, chatTools } from "./chat-message.ts"
import { ChatStream } from "./chat-stream.ts"
import { post } from "./http.ts"

/** The server, and how long to wait for it. */
export interface RemoteChatOptions {
  /** Such as `http://localhost:8000/v1`; `/chat/completions` is added. */
  readonly baseUrl: string
  readonly model: string
  /** Sent as a bearer token. It never stands in errors or traces. */
  readonly apiKey?: string
  /** How often more a failed request is tried before any of the answer has arrived; default 2. */
  readonly retries?: number
  /** Milliseconds until the answer begins; default 60,000. */
  readonly timeoutMs?: number
  /** Milliseconds between two pieces of the answer; default 60,000. */
  readonly idleTimeoutMs?: number
  /** What the server was started with; default 131,072. */
  readonly contextLength?: number
  /** Waits between tries; default: the clock. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>
}

/** A model on that server; nothing is sent before the first generation. Failures are EngineErrors. */
export function remoteChat(options: RemoteChatOptions): Model {
  const url = `${options.baseUrl.replace(/\/+$/, "")}/chat/completions`
  return {
    info: {
      name: options.model,
      contextLength: options.contextLength ?? 131_072,
      fingerprint: `remote:${new URL(url).host}/${options.model}`,
    },
    generate: (transcript, modelOptions) => new RemoteGeneration(url, options, transcript, modelOptions),
    close: () => Promise.resolve(),
  }
}

class RemoteGeneration implements ModelGeneration {
  readonly end: Promise<ModelEnd>
  readonly #url: string
  readonly #options: RemoteChatOptions
  readonly #transcript: Transcript
  readonly #modelOptions: ModelOptions
  readonly #controller = new AbortController()
  #resolve!: (end: ModelEnd) => void
  #reject!: (error: unknown) => void

  constructor(url: string, options: RemoteChatOptions, transcript: Transcript, modelOptions: ModelOptions) {
    this.#url = url
    this.#options = options
    this.#transcript = transcript
    this.#modelOptions = modelOptions
    this.end = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.end.catch(() => undefined)
  }

  cancel(): void {
    this.#controller.abort()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly ParserEvent[]> {
    const { signal: outer, firstCall } = this.#modelOptions
    const signal = outer ? AbortSignal.any([outer, this.#controller.signal]) : this.#controller.signal
    const { tools, builtinTools } = this.#transcript.options
    const stream = new ChatStream([...tools.map(({ name }) => name), ...(builtinTools ?? [])], firstCall)
    try {
      if (this.#modelOptions.adapter !== undefined) throw noAdapters(this.#modelOptions.adapter)
      for await (const data of this.#data(signal)) {
        const events = stream.push(data)
        if (events.length > 0) yield events
      }
      yield* this.#finish(stream, false)
    } catch (error) {
      if (!signal.aborted) {
        const typed = error instanceof EngineError ? error : lost(error)
        this.#reject(typed)
        throw typed
      }
      yield* this.#finish(stream, true)
    }
  }

  *#finish(stream: ChatStream, aborted: boolean): Generator<readonly ParserEvent[]> {
    const { events, end } = stream.end(aborted)
    if (events.length > 0) yield events
    this.#resolve(end)
  }

  /** The data of the answer's server-sent events, up to `[DONE]`. */
  async *#data(signal: AbortSignal): AsyncGenerator<string> {
    const { apiKey, retries = 2, timeoutMs = 60_000, idleTimeoutMs = 60_000, sleep = wait } = this.#options
    const response = await post(this.#body(), { url: this.#url, apiKey, retries, timeoutMs, signal, sleep })
    const ready: string[] = []
    const events = createParser({ onEvent: ({ data }) => void ready.push(data) })
    const decoder = new TextDecoder()
    const reader = response.body?.getReader()
    if (reader === undefined) return
    try {
      while (true) {
        const { done, value } = await within(reader.read(), idleTimeoutMs, signal)
        if (done) return
        events.feed(decoder.decode(value as Uint8Array, { stream: true }))
        for (const data of ready.splice(0)) {
          if (data === "[DONE]") return
          yield data
        }
      }
    } finally {
      await reader.cancel().catch(() => undefined)
    }
  }

  #body(): unknown {
    const { maxTokens, sampling = {} } = this.#modelOptions
    const { options, turns } = this.#transcript
    const tools = chatTools(options, builtinDefinitions(options.builtinTools))
    return {
      model: this.#options.model,
      messages: chatMessages(turns),
      stream: true,
      stream_options: { include_usage: true },
      ...(tools.length > 0 && { tools }),
      ...(Number.isFinite(maxTokens) && { max_tokens: maxTokens }),
      ...(sampling.temperature !== undefined && { temperature: sampling.temperature }),
      ...(sampling.topP !== undefined && { top_p: sampling.topP }),
      ...(sampling.seed !== undefined && { seed: Number(sampling.seed) }),
      ...(sampling.frequencyPenalty !== undefined && { frequency_penalty: sampling.frequencyPenalty }),
      ...(sampling.presencePenalty !== undefined && { presence_penalty: sampling.presencePenalty }),
    }
  }
}

/** The promise, or a rejection when it takes longer or the signal is aborted. */
async function within<T>(promise: Promise<T>, ms: number, signal: AbortSignal): Promise<T> {
  const either = AbortSignal.any([signal, AbortSignal.timeout(ms)])
  return new Promise<T>((resolve, reject) => {
    const stop = () => reject(either.reason)
    either.addEventListener("abort", stop, { once: true })
    if (either.aborted) stop()
    promise.then(resolve, reject).finally(() => either.removeEventListener("abort", stop))
  })
}

function noAdapters(adapter: string): EngineError {
  return new EngineError({
    reason: "unsupported",
    detail: `A remote chat takes no adapter (${JSON.stringify(adapter)} was asked for).`,
    fix: "Give the name under which the server offers the adapted model as `model`.",
  })
}

function lost(cause: unknown): EngineError {
  return new EngineError({
    reason: "device-lost",
    detail: `The connection to the server broke in the middle of the answer (${cause instanceof Error ? cause.message : String(cause)}).`,
    fix: "Run again: the session holds everything up to the last user turn.",
    cause,
  })
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener("abort", () => {
      clearTimeout(timer)
      reject(signal.reason)
    })
  })
}
