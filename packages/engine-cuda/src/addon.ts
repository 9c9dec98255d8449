/**
 * The native module: where it is looked for, and the shape of what it exports. Nothing else in this package touches it.
 */
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import { EngineError } from "@chasqui/core"

export interface NativeFailure {
  readonly reason: EngineError["reason"]
  readonly detail: string
  readonly fix: string
}

export interface NativeInfo {
  readonly vocabularySize: number
  readonly contextLength: number
  readonly pages: number
  readonly stopTokens: readonly number[]
  readonly device: string
  readonly fingerprint: string
  readonly weightBytes: number
  readonly embeddingBytes: number
  readonly cacheBytes: number
  readonly workspaceBytes: number
  readonly doSample: boolean
  readonly temperature: number
  readonly topP: number
  readonly topK: number
}

/** Log-probabilities beside the tokens of one delivery: `counts[i]` alternatives of token i, flat in `tokens` and `values`. */
export interface NativeLogprobs {
  readonly own: Float32Array
  readonly counts: Int32Array
  readonly tokens: Int32Array
  readonly values: Float32Array
}

export interface NativeEnd {
  readonly request: number
  readonly failure?: NativeFailure
  readonly reason: "stop-token" | "max-tokens" | "context-full" | "aborted"
  readonly prompt: number
  readonly cached: number
  readonly generated: number
  readonly forced: number
  readonly discarded: number
  readonly queueMs: number
  readonly firstTokenMs: number
  readonly prefillMs: number
  readonly decodeMs: number
  readonly scores?: Float32Array
}

/** `tokens` holds (request, token, forced) triples in the order in which they were made. */
export type OnEvents = (
  tokens: Int32Array,
  logprobs: NativeLogprobs | null,
  ends: readonly NativeEnd[],
  closed: boolean,
) => void

export interface NativeRequest {
  readonly id: number
  readonly scores: boolean
  readonly log: number
  readonly length: number
  readonly maxTokens: number
  readonly temperature: number
  readonly topK: number
  readonly topP: number
  readonly minP: number
  readonly repetitionPenalty: number
  readonly frequencyPenalty: number
  readonly presencePenalty: number
  readonly biasTokens: Int32Array
  readonly biasValues: Float64Array
  readonly seed: bigint
  readonly stopTokens: Int32Array
  readonly allowedSpecialTokens: Int32Array
  readonly allowedTokens: Int32Array | null
  readonly choices: readonly string[] | null
  readonly adapter: string
  readonly namespace: string
  readonly retain: boolean
  readonly logprobs: number
}

export interface NativeEngine {
  info(): NativeInfo
  logAppend(log: number, tokens: Int32Array): void
  logDrop(log: number): void
  submit(request: NativeRequest): NativeFailure | null
  cancel(request: number): void
  consumed(request: number, tokens: number): void
  release(namespace: string): void
  /** Loads an adapter, or unloads it where no folder is given. */
  adapter(name: string, folder?: string): Promise<NativeFailure | null>
  metrics(): Record<string, number>
  ref(): void
  unref(): void
  close(): void
  free(): Promise<void> | undefined
}

export interface NativeLoadOptions {
  readonly folder: string
  readonly device: string
  readonly threads: number
  readonly contextLength: number
  readonly cacheBytes: number
  readonly weights: string
  readonly kvType: string
  readonly batchIndependent: boolean
  readonly stepTokens: number
  readonly maxRunning: number
  readonly maxQueued: number
  readonly maxQueuedTokens: number
  readonly undelivered: number
  readonly specialTokens: Int32Array
  readonly tokenBytes: Uint8Array
  readonly tokenOffsets: Float64Array
}

export interface Addon {
  load(options: NativeLoadOptions, onEvents: OnEvents): Promise<NativeEngine | NativeFailure>
}

const require = createRequire(import.meta.url)

const platform = `${process.platform}-${process.arch}`

/**
 * The build's output next to `src` and `dist`, then what a published package brings for this platform. The module with CUDA
 * can do all that the other can, also on a machine without a GPU, so it comes first where there is one.
 */
const candidates = [
  "../build/cuda/chasqui.node",
  "../build/native/chasqui.node",
  `../prebuilt/${platform}/chasqui-cuda.node`,
  `../prebuilt/${platform}/chasqui.node`,
].map((path) => fileURLToPath(new URL(path, import.meta.url)))

/** Loads the native module; fails with `unsupported`, naming every place that was tried and why it did not do. */
export const loadAddon = (): Addon => {
  const tried: string[] = []
  for (const path of candidates) {
    try {
      return require(path) as Addon
    } catch (cause) {
      const message = cause instanceof Error ? (cause.message.split("\n")[0] ?? "") : String(cause)
      tried.push(message.includes("Cannot find module") ? `${path} (does not exist)` : `${path} (${message})`)
    }
  }
  throw new EngineError({
    reason: "unsupported",
    detail: `The native engine could not be loaded. Tried: ${tried.join("; ")}.`,
    fix: `Install the package for a platform that it is built for, or build it for ${platform}: \`pnpm build\` at the root of the repository; that needs CMake and a C++20 compiler.`,
  })
}
