/**
 * An engine that gives scripted tokens, for tests of everything above the engine. It accounts as a real one does: what is
 * cached is the longest common prefix with what it was last fed, and the last token of a generation was never fed.
 */
import type { Engine, EngineInfo, GenerateOptions, Generation, GenerationEnd, TokenLog } from "./engine.ts"
import { EngineError } from "./error.ts"

/** The script, and what the engine tells of itself. */
export interface ScriptedEngineOptions {
  readonly info: Pick<EngineInfo, "vocabularySize" | "stopTokens"> & Partial<EngineInfo>
  /** Token ids of each generation, in order; the stop token among them where the model is to stop. */
  readonly outputs: Iterable<readonly number[]>
  /** Tokens per batch; default 1. */
  readonly batchSize?: number
}

/** An Engine that also tells what it was fed. */
export interface ScriptedEngine extends Engine {
  /** The whole prefix of each generation. */
  readonly prefixes: readonly Int32Array[]
  /** Throws when outputs are left over. */
  assertComplete(): void
}

/** Gives the outputs one by one. Fails with EngineError `bad-request` when the script is over; `score` is `unsupported`. */
export function scriptedEngine(options: ScriptedEngineOptions): ScriptedEngine {
  const script = options.outputs[Symbol.iterator]()
  const prefixes: Int32Array[] = []
  const info: EngineInfo = {
    contextLength: 131_072,
    device: "script",
    fingerprint: "scripted",
    sampling: {},
    ...options.info,
  }
  let fed: readonly number[] = []
  return {
    info,
    prefixes,
    generate(prefix, generateOptions) {
      prefixes.push(prefix.view().slice())
      const next = script.next()
      if (next.done === true) throw scriptOver(prefixes.length)
      const cached = Math.min(commonPrefix(fed, prefix), prefix.length - 1)
      const output = next.value.slice(0, generateOptions.maxTokens)
      fed = [...prefix.view(), ...output.slice(0, -1)]
      return new ScriptedGeneration(
        output,
        options.batchSize ?? 1,
        { prompt: prefix.length, cached },
        info,
        generateOptions,
      )
    },
    score: () => Promise.reject(noScores()),
    assertComplete() {
      if (script.next().done !== true) throw new Error(`The scripted engine has outputs left after ${prefixes.length}.`)
    },
    close: () => Promise.resolve(),
  }
}

class ScriptedGeneration implements Generation {
  readonly end: Promise<GenerationEnd>
  readonly #output: readonly number[]
  readonly #batchSize: number
  readonly #prefix: { prompt: number; cached: number }
  readonly #stopTokens: readonly number[]
  readonly #signal: AbortSignal | undefined
  #settle!: (end: GenerationEnd) => void
  #cancelled = false

  constructor(
    output: readonly number[],
    batchSize: number,
    prefix: { prompt: number; cached: number },
    info: EngineInfo,
    options: GenerateOptions,
  ) {
    this.#output = output
    this.#batchSize = batchSize
    this.#prefix = prefix
    this.#stopTokens = options.stopTokens ?? info.stopTokens
    this.#signal = options.signal
    this.end = new Promise((resolve) => {
      this.#settle = resolve
    })
  }

  cancel(): void {
    this.#cancelled = true
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly number[]> {
    let generated = 0
    while (generated < this.#output.length) {
      if (this.#cancelled || this.#signal?.aborted === true) return this.#finish("aborted", generated)
      const batch = this.#output.slice(generated, generated + this.#batchSize)
      const stop = batch.findIndex((token) => this.#stopTokens.includes(token))
      const given = stop === -1 ? batch : batch.slice(0, stop + 1)
      generated += given.length
      yield given
      if (stop !== -1) return this.#finish("stop-token", generated)
    }
    return this.#finish("max-tokens", generated)
  }

  #finish(reason: GenerationEnd["reason"], generated: number): void {
    this.#settle({ reason, usage: { ...this.#prefix, generated, forced: 0, discarded: 0 } })
  }
}

function commonPrefix(fed: readonly number[], prefix: TokenLog): number {
  const tokens = prefix.view()
  let length = 0
  while (length < fed.length && length < tokens.length && fed[length] === tokens[length]) length++
  return length
}

function scriptOver(generations: number): EngineError {
  return new EngineError({
    reason: "bad-request",
    detail: `The script of the engine has no output for generation ${generations}.`,
    fix: "Give the scripted engine one output for each step that the run makes.",
  })
}

function noScores(): EngineError {
  return new EngineError({
    reason: "unsupported",
    detail: "A scripted engine has no probabilities.",
    fix: "Score with a real engine.",
  })
}
