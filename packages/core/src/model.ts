/**
 * The seam between the loop and whatever writes turns: a transcript in, parser events out. `LlamaModel` puts prompt,
 * tokenizer, engine and parser behind it; a remote chat server fits too, and then turns have no token ids.
 */
import type { Constraint, GenerationStopReason, Sampling } from "./engine.ts"
import type { ParserEvent, Usage } from "./event.ts"
import type { ToolDefinition } from "./tool.ts"
import type { AssistantTurn, Turn } from "./turn.ts"

/** What is fixed for a session, since it stands at the head of every prompt. A change of it is a break of the prefix. */
export interface PromptOptions {
  readonly tools: readonly ToolDefinition[]
  /** Names among `builtinToolNames` that are announced as the built-ins Llama 3.1 was trained on. */
  readonly builtinTools: readonly string[]
  /** Where custom functions are described; Llama 3.1 was trained on both, the user message is the default. */
  readonly toolsInUserMessage: boolean
  /** Shown as today's date, such as `26 Jul 2024`. */
  readonly date: string
  readonly dialect: "hf" | "hf-3.2" | "meta"
}

/**
 * The turns of one session, append-only. A model may remember by identity how much of it it has rendered,
 * so that a step costs what is new in it and nothing for what was said before.
 */
export interface Transcript {
  readonly options: PromptOptions
  readonly turns: readonly Turn[]
}

export interface ModelOptions {
  readonly maxTokens: number
  readonly sampling?: Sampling
  readonly constraint?: Constraint
  readonly cache?: { readonly namespace?: string; readonly retain?: boolean }
  /** The number that the first call of this turn gets in its id. */
  readonly firstCall: number
  readonly signal?: AbortSignal
}

export interface ModelEnd {
  readonly turn: AssistantTurn
  readonly usage: Usage
  readonly reason: GenerationStopReason
  /** False when the turn was cut off: none of its calls may run. */
  readonly complete: boolean
  readonly timing?: { readonly prefillMs: number; readonly decodeMs: number }
}

/** One turn being written: batches of events, then the whole turn. */
export interface ModelGeneration extends AsyncIterable<readonly ParserEvent[]> {
  readonly end: Promise<ModelEnd>
  cancel(): void
}

export interface ModelInfo {
  readonly name: string
  readonly contextLength: number
  readonly fingerprint: string
}

export interface Model {
  readonly info: ModelInfo
  generate(transcript: Transcript, options: ModelOptions): ModelGeneration
  close(): Promise<void>
}
