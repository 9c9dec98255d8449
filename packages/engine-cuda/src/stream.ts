/**
 * One generation as its consumer sees it: batches of token ids in order, then the end. It tells the engine how many tokens
 * were taken, so that a consumer who lags pauses its own request and nobody else's.
 */
import type { Generation, GenerationEnd } from "@chasqui/core"

/** One log-probability, natural, under the model's own logits. */
export interface TokenLogprob {
  readonly token: number
  readonly logprob: number
}

/** New tokens, in order. With `logprobs` asked for, `logprobs[i]` belongs to token i; `top` is likeliest first. */
export interface TokenBatch extends ArrayLike<number> {
  readonly logprobs?: readonly (TokenLogprob & { readonly top: readonly TokenLogprob[] })[]
}

/** The seam's timing, and what only this engine knows. */
export interface NativeGenerationEnd extends GenerationEnd {
  readonly timing: {
    readonly prefillMs: number
    readonly decodeMs: number
    /** From the call to the first pass. */
    readonly queueMs: number
    /** From the call to the first token; 0 if there was none. */
    readonly firstTokenMs: number
  }
}

/** A generation of this engine: batches may carry log-probabilities, the end has more times. */
export interface NativeGeneration extends Generation, AsyncIterable<TokenBatch> {
  readonly end: Promise<NativeGenerationEnd>
  [Symbol.asyncIterator](): AsyncIterator<TokenBatch, undefined>
}

interface Source {
  /** How many tokens are taken before the engine is told: a fraction of the lag that it allows. */
  readonly acknowledgeEvery: number
  /** The consumer has taken this many tokens in all. */
  consumed(tokens: number): void
  cancel(): void
}

/** The two ends of a generation: `generation` for the consumer, the rest for the engine. */
export class TokenStream {
  readonly generation: NativeGeneration
  readonly #source: Source
  readonly #batches: TokenBatch[] = []
  readonly #end = Promise.withResolvers<NativeGenerationEnd>()
  #wake: (() => void) | undefined
  #ended = false
  #failure: unknown
  #iterated = false
  #collects = false
  #taken = 0
  #acknowledged = 0

  constructor(source: Source) {
    this.#source = source
    // Whoever only iterates learns of a failure there; the promise must not bring the process down besides.
    this.#end.promise.catch(() => {})
    const stream = this
    this.generation = {
      get end() {
        stream.#collect()
        return stream.#end.promise
      },
      cancel: () => source.cancel(),
      [Symbol.asyncIterator]: () => this.#iterate(),
    }
  }

  /** The end, without taking it as a wish to collect. */
  get settled(): Promise<NativeGenerationEnd> {
    return this.#end.promise
  }

  push(batch: TokenBatch): void {
    this.#batches.push(batch)
    if (this.#collects) this.#take(batch.length)
    this.#resume()
  }

  finish(end: NativeGenerationEnd): void {
    this.#ended = true
    this.#end.resolve(end)
    this.#resume()
  }

  fail(error: unknown): void {
    this.#ended = true
    this.#failure = error
    this.#end.reject(error)
    this.#resume()
  }

  /** Who waits for the end without iterating takes all tokens as they come: otherwise nobody ever would. */
  #collect(): void {
    if (this.#iterated || this.#collects) return
    this.#collects = true
    for (const batch of this.#batches) this.#take(batch.length)
  }

  #take(tokens: number): void {
    this.#taken += tokens
    if (this.#taken - this.#acknowledged < this.#source.acknowledgeEvery || this.#ended) return
    this.#acknowledged = this.#taken
    this.#source.consumed(this.#taken)
  }

  #resume(): void {
    this.#wake?.()
    this.#wake = undefined
  }

  /** One iteration per generation; a second one gives what the first left. Leaving the loop early cancels. */
  #iterate(): AsyncIterator<TokenBatch, undefined> {
    this.#iterated = true
    return {
      next: async () => {
        for (;;) {
          const batch = this.#batches.shift()
          if (batch !== undefined) {
            if (!this.#collects) this.#take(batch.length)
            return { done: false, value: batch }
          }
          if (this.#failure !== undefined) throw this.#failure
          if (this.#ended) return { done: true, value: undefined }
          await new Promise<void>((resolve) => {
            const before = this.#wake
            this.#wake = () => {
              before?.()
              resolve()
            }
          })
        }
      },
      return: async () => {
        if (!this.#ended) this.#source.cancel()
        return { done: true, value: undefined }
      },
    }
  }
}
