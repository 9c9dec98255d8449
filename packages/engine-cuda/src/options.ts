/**
 * What a caller may ask of the engine, checked here and turned into the flat values that cross the binding. Wrong types and
 * ranges end here as typed errors; what only the model can know (vocabulary, context) is checked natively.
 */
import { EngineError, type GenerateOptions, type Sampling } from "@chasqui/core"
import type { NativeLoadOptions, NativeRequest } from "./addon.ts"

/** What becomes of plain weights; `as-stored` leaves them. */
export type WeightFormat = "as-stored" | "int8" | "int4" | "nf4" | "fp8"

/** How keys and values are kept. */
export type KvFormat = "bf16" | "f32" | "fp8"
/** Every KvFormat. */
export const kvFormats: readonly KvFormat[] = ["bf16", "f32", "fp8"]

/** Every WeightFormat. */
export const weightFormats: readonly WeightFormat[] = ["as-stored", "int8", "int4", "nf4", "fp8"]

/** How a checkpoint is loaded. What cannot be is refused with EngineError `bad-request`. */
export interface LoadOptions {
  /** `auto` takes a GPU where build and machine have a usable one, and the CPU otherwise; `cuda` fails and says why not. */
  readonly device?: "auto" | "cpu" | "cuda"
  /** Threads of the CPU backend; default: as many as the machine has, at most 8. */
  readonly threads?: number
  /** Most tokens of prefix and answer together; default and most: what the model was made for. */
  readonly contextLength?: number
  /** Memory of the KV cache; default: four contexts, or a quarter of the free memory if that is less. */
  readonly cacheBytes?: number
  /**
   * What the weights of a plain checkpoint become: `int8` and `fp8` halve bf16, `int4` and `nf4` take about a quarter and
   * leave the output head in int8. Matrices that are quantised in their file stay what they are. docs/checkpoints.md has
   * what each costs in quality.
   */
  readonly weights?: WeightFormat
  /** LoRA adapters in PEFT's layout: names for requests, and the folders they are in. */
  readonly adapters?: Readonly<Record<string, string>>
  /**
   * How keys and values are kept: `bf16` (the default); `fp8` (e4m3, without scales) in half of that memory, at a small cost
   * in quality; `f32` in twice as much, on the CPU only.
   */
  readonly kvType?: KvFormat
  /** A request's tokens do not depend on the requests computed beside it, at the cost of some speed. */
  readonly batchIndependent?: boolean
  /** Special tokens by id: a request samples only those that it lists. */
  readonly specialTokens?: { readonly ids: readonly number[] }
  /** The bytes of each token, by id, empty for special ones. Needed for `choices` constraints. */
  readonly tokenBytes?: readonly Uint8Array[]
  readonly limits?: {
    /** Most tokens of one pass through the model; default 512. Smaller: steadier decoding beside long prompts. */
    readonly stepTokens?: number
    /** Most requests computed at the same time; default 64. */
    readonly runningRequests?: number
    /** Most requests that wait; one more is refused with `busy`. Default 1024. */
    readonly queuedRequests?: number
    /** Most prompt tokens that wait; default 4,194,304. */
    readonly queuedTokens?: number
    /** Tokens that a consumer may lag behind before its request pauses; default 1024. */
    readonly undeliveredTokens?: number
  }
}

/** Options that this engine has beyond those of the seam. */
export interface NativeGenerateOptions extends GenerateOptions {
  /** Log-probabilities of each token, and of this many likeliest alternatives (0 to 64). Batches then are `TokenBatch`. */
  readonly logprobs?: number
}

const noBytes = new Uint8Array()

const bad = (detail: string, fix: string): EngineError => new EngineError({ reason: "bad-request", detail, fix })

const integer = (name: string, value: number | undefined, absent: number, least: number): number => {
  if (value === undefined) return absent
  if (Number.isSafeInteger(value) && value >= least) return value
  throw bad(`${name} is ${String(value)}.`, `Use an integer of at least ${least}.`)
}

const int32 = (name: string, value: number | undefined, absent: number, least: number): number =>
  Math.min(integer(name, value, absent, least), 2 ** 31 - 1)

const number = (name: string, value: number | undefined, absent: number): number => {
  if (value === undefined) return absent
  if (typeof value === "number" && !Number.isNaN(value)) return value
  throw bad(`${name} is ${String(value)}.`, "Use a number.")
}

/** Token ids as the binding takes them. An id that is no 32-bit integer is an error here, one outside the vocabulary natively. */
export const tokenIds = (name: string, ids: ArrayLike<number>): Int32Array => {
  const array = Int32Array.from(ids)
  for (let i = 0; i < array.length; i++) {
    if (array[i] !== ids[i])
      throw bad(`${name}[${i}] is ${String(ids[i])}, which is no token id.`, "Use integers from 0 on.")
  }
  return array
}

const seed = (value: bigint | number | undefined): bigint => {
  if (value === undefined) return 0n
  if (typeof value === "bigint" ? value >= 0n && value < 2n ** 64n : Number.isSafeInteger(value) && value >= 0)
    return BigInt(value)
  throw bad(`sampling.seed is ${String(value)}.`, "Use an integer from 0 to 2^64 - 1.")
}

/** The flat form of `LoadOptions`. Throws EngineError `bad-request`. */
export const loadArguments = (folder: string, options: LoadOptions): NativeLoadOptions => {
  if (typeof folder !== "string") throw bad("The checkpoint folder is no string.", "Give its path.")
  if (options.device !== undefined && !["auto", "cpu", "cuda"].includes(options.device))
    throw bad(`device is ${String(options.device)}.`, "Use cuda, cpu or auto.")
  if (options.kvType !== undefined && !kvFormats.includes(options.kvType))
    throw bad(`kvType is ${String(options.kvType)}.`, `Use one of ${kvFormats.join(", ")}.`)
  if (options.weights !== undefined && !weightFormats.includes(options.weights))
    throw bad(`weights is ${String(options.weights)}.`, `Use one of ${weightFormats.join(", ")}.`)
  const limits = options.limits ?? {}
  const specialTokens = tokenIds("specialTokens.ids", options.specialTokens?.ids ?? [])
  const special = new Set(specialTokens)
  // A special token has a name and no text: no choice may be spelled with one.
  const bytes = (options.tokenBytes ?? []).map((text, token) => (special.has(token) ? noBytes : text))
  const tokenOffsets = new Float64Array(bytes.length === 0 ? 0 : bytes.length + 1)
  for (let i = 0; i < bytes.length; i++) tokenOffsets[i + 1] = tokenOffsets[i]! + bytes[i]!.length
  const tokenBytes = new Uint8Array(tokenOffsets.at(-1) ?? 0)
  for (let i = 0; i < bytes.length; i++) tokenBytes.set(bytes[i]!, tokenOffsets[i]!)
  return {
    folder,
    device: options.device ?? "auto",
    threads: int32("threads", options.threads, 0, 1),
    contextLength: int32("contextLength", options.contextLength, 0, 2),
    cacheBytes: integer("cacheBytes", options.cacheBytes, 0, 1),
    weights: options.weights ?? "as-stored",
    kvType: options.kvType ?? "bf16",
    batchIndependent: options.batchIndependent === true,
    stepTokens: int32("limits.stepTokens", limits.stepTokens, 0, 1),
    maxRunning: int32("limits.runningRequests", limits.runningRequests, 0, 1),
    maxQueued: int32("limits.queuedRequests", limits.queuedRequests, 0, 1),
    maxQueuedTokens: integer("limits.queuedTokens", limits.queuedTokens, 0, 1),
    undelivered: int32("limits.undeliveredTokens", limits.undeliveredTokens, 0, 1),
    specialTokens,
    tokenBytes,
    tokenOffsets,
  }
}

/** The flat form of a request. Throws EngineError `bad-request`. */
export const requestArguments = (
  place: { readonly id: number; readonly log: number; readonly length: number; readonly stopTokens: readonly number[] },
  defaults: Sampling,
  options: NativeGenerateOptions,
): NativeRequest => {
  const sampling = { ...defaults, ...options.sampling }
  const stopTokens = tokenIds("stopTokens", options.stopTokens ?? place.stopTokens)
  const bias = [...(sampling.logitBias ?? [])]
  const { constraint } = options
  if (options.adapter !== undefined && (typeof options.adapter !== "string" || options.adapter === ""))
    throw bad(`adapter is ${JSON.stringify(options.adapter)}.`, "Use the name of a loaded adapter, or leave it out.")
  if (constraint !== undefined && constraint.kind !== "allowed-tokens" && constraint.kind !== "choices")
    throw bad("The constraint is of an unknown kind.", "Use allowed-tokens or choices.")
  return {
    id: place.id,
    scores: false,
    log: place.log,
    length: place.length,
    maxTokens: int32("maxTokens", options.maxTokens, 0, 1),
    temperature: number("sampling.temperature", sampling.temperature, 0),
    topK: int32("sampling.topK", sampling.topK, 0, 0),
    topP: number("sampling.topP", sampling.topP, 1),
    minP: number("sampling.minP", sampling.minP, 0),
    repetitionPenalty: number("sampling.repetitionPenalty", sampling.repetitionPenalty, 1),
    frequencyPenalty: number("sampling.frequencyPenalty", sampling.frequencyPenalty, 0),
    presencePenalty: number("sampling.presencePenalty", sampling.presencePenalty, 0),
    biasTokens: tokenIds(
      "sampling.logitBias",
      bias.map(([token]) => token),
    ),
    biasValues: Float64Array.from(bias, ([, value]) => value),
    seed: seed(sampling.seed),
    stopTokens,
    allowedSpecialTokens:
      options.allowedSpecialTokens === undefined
        ? stopTokens
        : tokenIds("allowedSpecialTokens", options.allowedSpecialTokens),
    allowedTokens: constraint?.kind === "allowed-tokens" ? tokenIds("constraint.tokens", constraint.tokens) : null,
    choices: constraint?.kind === "choices" ? constraint.choices : null,
    adapter: options.adapter ?? "",
    namespace: options.cache?.namespace ?? "",
    retain: options.cache?.retain === true,
    logprobs: int32("logprobs", options.logprobs, -1, 0),
  }
}

/** A request for log-probabilities of given tokens. */
export const scoreArguments = (
  place: { readonly id: number; readonly log: number; readonly length: number },
  adapter: string | undefined,
): NativeRequest => ({
  ...requestArguments({ ...place, stopTokens: [] }, {}, { maxTokens: 1, ...(adapter !== undefined && { adapter }) }),
  scores: true,
})
