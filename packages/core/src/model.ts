/**
 * The seam between the loop and whatever writes turns: a transcript in, parser events out. `LlamaModel` puts prompt,
 * tokenizer, engine and parser behind it; a remote chat server fits too, and then turns have no token ids.
 */
import type { Constraint, GenerationStopReason, Sampling } from "./engine.ts"
import type { ParserEvent, ToolCallInvalid, Usage } from "./event.ts"
import type { Transcript } from "./transcript.ts"
import type { AssistantTurn } from "./turn.ts"

/** Options of one turn. */
export interface ModelOptions {
  readonly maxTokens: number
  readonly sampling?: Sampling
  readonly constraint?: Constraint
  /** The LoRA adapter to apply, by the name under which the engine loaded it; default: none. */
  readonly adapter?: string
  readonly cache?: { readonly namespace?: string; readonly retain?: boolean }
  /** The number that the first call of this turn gets in its id. */
  readonly firstCall: number
  readonly signal?: AbortSignal
}

/** The turn that was written, and how it ended. */
export interface ModelEnd {
  readonly turn: AssistantTurn
  readonly usage: Usage
  readonly reason: GenerationStopReason
  /** What was meant as a call and could not be read as one, in the order written. */
  readonly invalidCalls: readonly ToolCallInvalid[]
  /** False when the turn was cut off: none of its calls may run. */
  readonly complete: boolean
  readonly timing?: { readonly prefillMs: number; readonly decodeMs: number }
}

/** One turn being written: batches of events, then the whole turn. */
export interface ModelGeneration extends AsyncIterable<readonly ParserEvent[]> {
  readonly end: Promise<ModelEnd>
  cancel(): void
}

/** What a model tells of itself. */
export interface ModelInfo {
  readonly name: string
  readonly contextLength: number
  readonly fingerprint: string
}

/** Whatever writes turns. A generation that fails rejects with an EngineError. */
export interface Model {
  readonly info: ModelInfo
  generate(transcript: Transcript, options: ModelOptions): ModelGeneration
  /** How many tokens the next prompt of this transcript has, where the model knows: then a context policy acts in time. */
  promptLength?(transcript: Transcript): number
  /** The tokens of that prompt. */
  promptTokens?(transcript: Transcript): ArrayLike<number>
  close(): Promise<void>
}
