/**
 * The native engine behind the seam: requests in, events of all requests out of one callback, told apart here. Of a
 * TokenLog only what native code has not seen crosses over. Holds no policy: scheduling and sampling are native.
 */
import { type Engine, EngineError, type EngineInfo, type Sampling, TokenLog } from "@chasqui/core"
import { loadAddon, type NativeEnd, type NativeEngine, type NativeInfo, type NativeLogprobs } from "./addon.ts"
import { type EngineMetrics, engineMetrics } from "./metrics.ts"
import {
  type LoadOptions,
  loadArguments,
  type NativeGenerateOptions,
  requestArguments,
  scoreArguments,
  tokenIds,
} from "./options.ts"
import { type NativeGeneration, type NativeGenerationEnd, type TokenBatch, TokenStream } from "./stream.ts"

/** Bytes, as the device holds them. */
export interface EngineMemory {
  /** The linear layers, the output head among them. */
  readonly weights: number
  /** The embedding, which the CPU reads from its file. */
  readonly embedding: number
  readonly cache: number
  readonly workspace: number
}

/** Options of `score`: the adapter by the name under which it was loaded. */
export interface ScoreOptions {
  readonly adapter?: string
  readonly signal?: AbortSignal
}

/** The seam's Engine, and what only this one has. */
export interface LlamaEngine extends Engine {
  generate(prefix: TokenLog, options: NativeGenerateOptions): NativeGeneration
  score(tokens: ArrayLike<number>, options?: ScoreOptions): Promise<Float32Array>
  /** Loads a LoRA adapter under a name that requests can use. Waits for the running pass. */
  loadAdapter(name: string, folder: string): Promise<void>
  /** Gives an adapter up; rejects with `busy` while requests use it. */
  unloadAdapter(name: string): Promise<void>
  /** What the model has claimed. */
  readonly memory: EngineMemory
  /** A snapshot; null once the engine is closed. */
  metrics(): EngineMetrics | null
  /** Gives up the pages that `cache.retain` holds in a namespace; they stay in the prefix cache until evicted. */
  release(namespace: string): void
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Loads a Hugging Face checkpoint folder, off the JavaScript thread, and starts the engine. Rejects with an EngineError
 * that says what is wrong and what to do. The engine lives until close(); idle, it does not keep the process running.
 */
export const loadEngine = async (folder: string, options: LoadOptions = {}): Promise<LlamaEngine> => {
  const given = loadArguments(folder, options)
  const addon = loadAddon()
  let engine: NativeLlamaEngine | undefined
  const native = await addon.load(given, (tokens, logprobs, ends, closed) => {
    engine?.deliver(tokens, logprobs, ends, closed)
  })
  if ("reason" in native) throw new EngineError(native)
  engine = new NativeLlamaEngine(native, Math.ceil((given.undelivered || 1024) / 4))
  try {
    for (const [name, path] of Object.entries(options.adapters ?? {})) await engine.loadAdapter(name, path)
  } catch (error) {
    await engine.close()
    throw error
  }
  return engine
}

const closedError = (): EngineError =>
  new EngineError({ reason: "closed", detail: "The engine is closed.", fix: "Load it again with loadEngine." })

/** The end of a request whose signal was aborted before it began. */
const nothingDone = (prompt: number): NativeGenerationEnd => ({
  reason: "aborted",
  usage: { prompt, cached: 0, generated: 0, forced: 0, discarded: 0 },
  timing: { prefillMs: 0, decodeMs: 0, queueMs: 0, firstTokenMs: 0 },
})

const samplingDefaults = (info: NativeInfo): Sampling =>
  info.doSample ? { temperature: info.temperature, topK: info.topK, topP: info.topP } : { temperature: 0 }

interface Scoring {
  resolve(scores: Float32Array): void
  reject(error: unknown): void
}

class NativeLlamaEngine implements LlamaEngine {
  readonly info: EngineInfo
  readonly memory: EngineMemory
  readonly #native: NativeEngine
  readonly #acknowledgeEvery: number
  readonly #streams = new Map<number, TokenStream>()
  readonly #scorings = new Map<number, Scoring>()
  /** The native id of each log, and how much of it has crossed over. */
  readonly #logs = new WeakMap<TokenLog, { readonly id: number; sent: number }>()
  readonly #dropped: FinalizationRegistry<number>
  #lastId = 0
  #closing: PromiseWithResolvers<void> | undefined

  constructor(native: NativeEngine, acknowledgeEvery: number) {
    this.#native = native
    this.#acknowledgeEvery = acknowledgeEvery
    this.#dropped = new FinalizationRegistry((id) => native.logDrop(id))
    const info = native.info()
    this.info = {
      vocabularySize: info.vocabularySize,
      contextLength: info.contextLength,
      stopTokens: info.stopTokens,
      device: info.device,
      fingerprint: info.fingerprint,
      sampling: samplingDefaults(info),
    }
    this.memory = {
      weights: info.weightBytes,
      embedding: info.embeddingBytes,
      cache: info.cacheBytes,
      workspace: info.workspaceBytes,
    }
  }

  generate(prefix: TokenLog, options: NativeGenerateOptions): NativeGeneration {
    const id = this.#newId()
    const { signal } = options
    const onAbort = (): void => this.#native.cancel(id)
    const stream = new TokenStream({
      acknowledgeEvery: this.#acknowledgeEvery,
      consumed: (tokens) => this.#native.consumed(id, tokens),
      cancel: onAbort,
    })
    try {
      if (this.#closing !== undefined) throw closedError()
      if (signal?.aborted) {
        stream.finish(nothingDone(prefix.length))
        return stream.generation
      }
      const place = { id, ...this.#send(prefix), stopTokens: this.info.stopTokens }
      const refused = this.#native.submit(requestArguments(place, this.info.sampling, options))
      if (refused !== null) throw new EngineError(refused)
    } catch (error) {
      stream.fail(error)
      return stream.generation
    }
    this.#begin(() => this.#streams.set(id, stream))
    if (signal !== undefined) {
      signal.addEventListener("abort", onAbort, { once: true })
      const forget = (): void => signal.removeEventListener("abort", onAbort)
      stream.settled.then(forget, forget)
    }
    return stream.generation
  }

  score(tokens: ArrayLike<number>, options: ScoreOptions = {}): Promise<Float32Array> {
    const { signal } = options
    if (signal?.aborted) return Promise.reject(signal.reason)
    const result = Promise.withResolvers<Float32Array>()
    const id = this.#newId()
    try {
      if (this.#closing !== undefined) throw closedError()
      const log = this.#newId()
      this.#native.logAppend(log, tokenIds("tokens", tokens))
      const refused = this.#native.submit(scoreArguments({ id, log, length: tokens.length }, options.adapter))
      this.#native.logDrop(log)
      if (refused !== null) throw new EngineError(refused)
    } catch (error) {
      result.reject(error)
      return result.promise
    }
    const onAbort = (): void => {
      this.#native.cancel(id)
      result.reject(signal?.reason)
    }
    signal?.addEventListener("abort", onAbort, { once: true })
    const forget = (): void => signal?.removeEventListener("abort", onAbort)
    result.promise.then(forget, forget)
    this.#begin(() => this.#scorings.set(id, result))
    return result.promise
  }

  async loadAdapter(name: string, folder: string): Promise<void> {
    await this.#adapter(name, folder)
  }

  async unloadAdapter(name: string): Promise<void> {
    await this.#adapter(name)
  }

  async #adapter(name: string, folder?: string): Promise<void> {
    if (this.#closing !== undefined) throw closedError()
    const refused = await this.#native.adapter(name, folder)
    if (refused !== null) throw new EngineError(refused)
  }

  metrics(): EngineMetrics | null {
    const native = this.#closing === undefined ? this.#native.metrics() : null
    return native === null ? null : engineMetrics(native)
  }

  release(namespace: string): void {
    this.#native.release(namespace)
  }

  /** Requests under way end with EngineError `closed`, within one step. */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = Promise.withResolvers()
      this.#native.ref()
      this.#native.close()
    }
    return this.#closing.promise
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** What happened since the last call, for all requests. Called by the binding; must not throw. */
  deliver(tokens: Int32Array, logprobs: NativeLogprobs | null, ends: readonly NativeEnd[], closed: boolean): void {
    for (const [id, batch] of batchesOf(tokens, logprobs)) this.#streams.get(id)?.push(batch)
    for (const end of ends) this.#finish(end)
    if (closed) void this.#native.free()?.then(() => this.#closing?.resolve())
  }

  #finish(end: NativeEnd): void {
    const stream = this.#streams.get(end.request)
    const scoring = this.#scorings.get(end.request)
    this.#streams.delete(end.request)
    this.#scorings.delete(end.request)
    if (this.#streams.size + this.#scorings.size === 0 && this.#closing === undefined) this.#native.unref()
    if (end.failure !== undefined) {
      const error = new EngineError(end.failure)
      stream?.fail(error)
      scoring?.reject(error)
      return
    }
    const { prompt, cached, generated, forced, discarded, prefillMs, decodeMs, queueMs, firstTokenMs } = end
    stream?.finish({
      reason: end.reason,
      usage: { prompt, cached, generated, forced, discarded },
      timing: { prefillMs, decodeMs, queueMs, firstTokenMs },
    })
    scoring?.resolve(end.scores ?? new Float32Array())
  }

  #newId(): number {
    this.#lastId = (this.#lastId + 1) % 2 ** 31
    return this.#lastId
  }

  /** Registers a request; the first one keeps the process running until the last has ended. */
  #begin(register: () => void): void {
    if (this.#streams.size + this.#scorings.size === 0) this.#native.ref()
    register()
  }

  /** Sends the part of a log that native code has not seen. */
  #send(prefix: TokenLog): { readonly log: number; readonly length: number } {
    if (!(prefix instanceof TokenLog))
      throw new EngineError({
        reason: "bad-request",
        detail: "The prefix is no TokenLog.",
        fix: "Wrap the ids: new TokenLog(ids).",
      })
    let known = this.#logs.get(prefix)
    if (known === undefined) {
      known = { id: this.#newId(), sent: 0 }
      this.#logs.set(prefix, known)
      this.#dropped.register(prefix, known.id)
    }
    const { length } = prefix
    if (length > known.sent) this.#native.logAppend(known.id, prefix.view(known.sent))
    known.sent = length
    return { log: known.id, length }
  }
}

/** The tokens of one delivery by request, each request's in order. */
const batchesOf = (tokens: Int32Array, logprobs: NativeLogprobs | null): Map<number, TokenBatch> => {
  const ids = new Map<number, number[]>()
  const details = new Map<number, { token: number; logprob: number; top: { token: number; logprob: number }[] }[]>()
  let top = 0
  for (let i = 0; i * 3 < tokens.length; i++) {
    const request = tokens[i * 3]!
    const token = tokens[i * 3 + 1]!
    const batch = ids.get(request)
    if (batch === undefined) ids.set(request, [token])
    else batch.push(token)
    if (logprobs === null) continue
    const logprob = logprobs.own[i]!
    const alternatives = Array.from({ length: logprobs.counts[i]! }, (_, j) => ({
      token: logprobs.tokens[top + j]!,
      logprob: logprobs.values[top + j]!,
    }))
    top += alternatives.length
    if (Number.isNaN(logprob)) continue
    const detail = details.get(request) ?? []
    detail.push({ token, logprob, top: alternatives })
    details.set(request, detail)
  }
  const batches = new Map<number, TokenBatch>()
  for (const [request, list] of ids) {
    const logprobsOfBatch = details.get(request)
    const batch: TokenBatch = Int32Array.from(list)
    batches.set(request, logprobsOfBatch === undefined ? batch : Object.assign(batch, { logprobs: logprobsOfBatch }))
  }
  return batches
}
