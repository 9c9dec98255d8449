/**
 * The turns of one session with what is fixed at the head of every prompt. Append-only: a model may remember, by the
 * identity of a transcript, how much of it it has rendered, so that a step costs only what is new in it.
 */
import { PromptError } from "./error.ts"
import type { ToolResult } from "./event.ts"
import type { PromptOptions } from "./prompt-options.ts"
import type { Turn } from "./turn.ts"

/** What a transcript carries beside its turns. */
export interface TranscriptState {
  /** How many calls were made so far; default 0. */
  readonly calls?: number
  /** The agent that the conversation was handed to; absent while it is with the first. */
  readonly agent?: string | undefined
}

/** To change its options, make a new transcript: that is a declared break of the prefix. */
export class Transcript {
  readonly id: string
  readonly options: PromptOptions
  readonly agent: string | undefined
  readonly #turns: Turn[] = []
  #calls: number
  #openResults: readonly ToolResult[] = []

  constructor(
    id: string,
    options: PromptOptions,
    turns: readonly Turn[] = [],
    { calls = 0, agent }: TranscriptState = {},
  ) {
    this.id = id
    this.options = options
    this.agent = agent
    this.#calls = calls
    for (const turn of turns) this.append(turn)
  }

  get turns(): readonly Turn[] {
    return this.#turns
  }

  /** How many calls were made so far: the number in the next call's id. */
  get calls(): number {
    return this.#calls
  }

  append(turn: Turn): void {
    if (turn.role === "system" && this.#turns.length > 0) {
      throw new PromptError({
        reason: "bad-turn",
        detail: `Turn ${this.#turns.length} is a system turn, and only the first turn can be one.`,
        fix: "Start a new session with the new system text.",
      })
    }
    this.#turns.push(turn)
    if (this.#openResults.length > 0) this.#openResults = []
  }

  /** Results of calls of the last turn whose neighbours wait for a person. They become turns together, in call order. */
  get openResults(): readonly ToolResult[] {
    return this.#openResults
  }

  holdResults(results: readonly ToolResult[]): void {
    this.#openResults = results
  }

  /** Reserves the numbers of calls that a turn has made, malformed ones included. */
  countCalls(calls: number): void {
    this.#calls += calls
  }
}
