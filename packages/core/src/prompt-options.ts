/**
 * What stands at the head of every prompt of a session.
 * Plain data; how it is written is the renderer's business.
 */
import type { Dialect } from "./prompt-part.ts"
import type { ToolDefinition } from "./tool.ts"

/** What is fixed for a session, since it stands at the head of every prompt. A change of it is a break of the prefix. */
export interface PromptOptions {
  /** Functions that are described as JSON; one that `builtinTools` names is announced there only. */
  readonly tools: readonly ToolDefinition[]
  /** Names among `builtinToolNames` that are announced as the built-ins Llama 3.1 was trained on; null leaves that mode off. */
  readonly builtinTools: readonly string[] | null
  /** Where custom functions are described; Llama 3.1 was trained on both, the user message is the default. */
  readonly toolsInUserMessage: boolean
  /** Shown as today's date, such as `26 Jul 2024`. */
  readonly date: string
  readonly dialect: Dialect
}

export const defaultPromptOptions: PromptOptions = {
  tools: [],
  builtinTools: null,
  toolsInUserMessage: true,
  // The fixed default of the Llama 3.1 chat template.
  date: "26 Jul 2024",
  dialect: "hf",
}
