/**
 * The turns of one session with what is fixed at the head of every prompt. Append-only: a model may remember, by the
 * identity of a transcript, how much of it it has rendered, so that a step costs only what is new in it.
 */
import { PromptError } from "./error.ts"
import type { ToolDefinition } from "./tool.ts"
import type { Turn } from "./turn.ts"

/** What stands at the head of the prompt. To change it, make a new transcript: that is a declared break of the prefix. */
export interface PromptOptions {
  /** Functions described to the model as JSON. */
  readonly tools: readonly ToolDefinition[]
  /** Names announced as the built-in tools that Llama 3.1 was trained on; null leaves that mode off. */
  readonly builtinTools: readonly string[] | null
  /** Where functions are described: in the first user message (the template's default) or in the system message. */
  readonly toolsInUserMessage: boolean
  /** Today's date as the prompt shows it, such as `26 Jul 2024`. */
  readonly date: string
  readonly dialect: "hf" | "hf-3.2" | "meta"
}

export const defaultPromptOptions: PromptOptions = {
  tools: [],
  builtinTools: null,
  toolsInUserMessage: true,
  // The fixed default of the Llama 3.1 chat template.
  date: "26 Jul 2024",
  dialect: "hf",
}

export class Transcript {
  readonly id: string
  readonly options: PromptOptions
  readonly #turns: Turn[] = []
  #calls = 0

  constructor(id: string, options: PromptOptions, turns: readonly Turn[] = []) {
    this.id = id
    this.options = options
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
  }

  /** Reserves the numbers of calls that a turn has made, malformed ones included. */
  countCalls(calls: number): void {
    this.#calls += calls
  }
}
