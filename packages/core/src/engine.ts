/**
 * The seam to whatever runs the model: tokens in, tokens out. An engine knows nothing of text, turns or tools.
 * Callers give the whole prefix and never a position in the KV cache; the engine reuses what it still holds.
 */
import type { Usage } from "./event.ts"

/**
 * An append-only list of token ids. An engine may remember, by the identity of the log, how much of it it has already
 * seen, so that only the tail crosses into native code. To change what was said before, make a new log.
 */
export class TokenLog {
  #tokens: Int32Array
  #length = 0

  constructor(tokens: ArrayLike<number> = []) {
    this.#tokens = new Int32Array(Math.max(1024, tokens.length * 2))
    this.append(tokens)
  }

  get length(): number {
    return this.#length
  }

  append(tokens: ArrayLike<number>): void {
    const length = this.#length + tokens.length
    if (length > this.#tokens.length) {
      const grown = new Int32Array(Math.max(length, this.#tokens.length * 2))
      grown.set(this.#tokens.subarray(0, this.#length))
      this.#tokens = grown
    }
    this.#tokens.set(tokens, this.#length)
    this.#length = length
  }

  /** A view of the ids from `from` on. Valid until the next append; not to be written. */
  view(from = 0, to: number = this.#length): Int32Array {
    return this.#tokens.subarray(from, Math.min(to, this.#length))
  }
}

/** How the next token is drawn. Absent fields take the checkpoint's generation defaults, then greedy. */
export interface Sampling {
  /** 0 is greedy. */
  readonly temperature?: number
  /** Keep the k most likely tokens; 0 keeps all. */
  readonly topK?: number
  /** Keep the smallest set of tokens whose probabilities sum to at least this, in (0, 1]. */
  readonly topP?: number
  /** Keep tokens at least this fraction as likely as the most likely one, in [0, 1). */
  readonly minP?: number
  /** > 1 makes tokens that occurred less likely (logits divided or multiplied by it). */
  readonly repetitionPenalty?: number
  /** Subtracted from a token's logit once for each time it was generated. */
  readonly frequencyPenalty?: number
  /** Subtracted once from the logit of each token that was generated. */
  readonly presencePenalty?: number
  /** Added to the logits of the named tokens. */
  readonly logitBias?: ReadonlyMap<number, number>
  /** Unsigned 64-bit; the same seed and the same batch give the same tokens on one device. */
  readonly seed?: bigint | number
}

/**
 * A rule over the tokens of one sequence, evaluated natively between sampling and the next forward pass.
 * `choices`: the output is exactly one of these strings, given as token bytes. Grammars join this union later.
 */
export type Constraint =
  | { readonly kind: "allowed-tokens"; readonly tokens: readonly number[] }
  | { readonly kind: "choices"; readonly choices: readonly string[] }

/** Options of one generation. An engine refuses what it cannot do with EngineError `bad-request` or `unsupported`. */
export interface GenerateOptions {
  /** Most tokens to generate, the stop token included. */
  readonly maxTokens: number
  readonly sampling?: Sampling
  /** Ids that end the generation; default: the engine's `info.stopTokens`. */
  readonly stopTokens?: readonly number[]
  /** Special-token ids that may be sampled at all; every other special token has probability 0. */
  readonly allowedSpecialTokens?: readonly number[]
  readonly constraint?: Constraint
  /** The LoRA adapter to apply, by the name under which the engine loaded it; default: none. Part of the cache's key. */
  readonly adapter?: string
  /** Pages are shared only within a namespace; `retain` holds the sequence's pages after the end. */
  readonly cache?: { readonly namespace?: string; readonly retain?: boolean }
  readonly signal?: AbortSignal
}

/** Why a generation ended. `context-full`: the context length was reached. */
export type GenerationStopReason = "stop-token" | "max-tokens" | "context-full" | "aborted"

/** How a generation ended, and what it took. */
export interface GenerationEnd {
  readonly reason: GenerationStopReason
  readonly usage: Usage
  /** Milliseconds of compute for the uncached part of the prefix, and for the generated tokens. */
  readonly timing?: { readonly prefillMs: number; readonly decodeMs: number }
}

/**
 * One running generation. Iterating gives batches of new token ids, the stop token among them, in order;
 * `end` settles when the last batch is out. An EngineError rejects both.
 */
export interface Generation extends AsyncIterable<ArrayLike<number>> {
  readonly end: Promise<GenerationEnd>
  /** Stops within one decode step. Tokens already made are still delivered; `end` says `aborted`. */
  cancel(): void
}

/** What an engine tells of its model. */
export interface EngineInfo {
  readonly vocabularySize: number
  /** Most tokens of prefix and answer together. */
  readonly contextLength: number
  readonly stopTokens: readonly number[]
  readonly device: string
  /** Identifies the weights: two engines with the same fingerprint compute the same function. */
  readonly fingerprint: string
  /** The checkpoint's generation defaults. */
  readonly sampling: Sampling
}

/** Whatever runs the model. Everything that fails, fails with an EngineError. */
export interface Engine {
  readonly info: EngineInfo
  generate(prefix: TokenLog, options: GenerateOptions): Generation
  /** Natural log-probability of each token given those before it; entry 0 is 0. */
  score(tokens: ArrayLike<number>, options?: { readonly signal?: AbortSignal }): Promise<Float32Array>
  close(): Promise<void>
}
