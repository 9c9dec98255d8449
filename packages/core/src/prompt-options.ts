/**
 * What stands at the head of every prompt of a session, and the transcript that follows it.
 * Plain data; how it is written is the renderer's business.
 */
import type { Dialect } from "./prompt-part.ts"
import type { ToolDefinition } from "./tool.ts"
import type { Turn } from "./turn.ts"

/** What is fixed for a session, since it stands at the head of every prompt. A change of it is a break of the prefix. */
export interface PromptOptions {
  /** Functions that are described as JSON; one that `builtinTools` names is announced there only. */
  readonly tools: readonly ToolDefinition[]
  /** Names among `builtinToolNames` that are announced as the built-ins Llama 3.1 was trained on. */
  readonly builtinTools: readonly string[]
  /** Where custom functions are described; Llama 3.1 was trained on both, the user message is the default. */
  readonly toolsInUserMessage: boolean
  /** Shown as today's date, such as `26 Jul 2024`. */
  readonly date: string
  readonly dialect: Dialect
}

/**
 * The turns of one session, append-only. A model may remember by identity how much of it it has rendered,
 * so that a step costs what is new in it and nothing for what was said before.
 */
export interface Transcript {
  readonly options: PromptOptions
  readonly turns: readonly Turn[]
}
