/** `agent` with defaults: without a model it runs the tiny one that comes with this package, and what it stores has times. */
import { type Agent, type AgentOptions as CoreOptions, agent as coreAgent } from "@chasqui/core"
import { llama } from "./llama.ts"

/** As those of `@chasqui/core`, but a model need not be given. */
export interface AgentOptions extends Omit<CoreOptions, "model"> {
  /** A model, or a function that loads one; default: the embedded tiny model. */
  readonly model?: CoreOptions["model"]
}

export type { Agent }

/** Makes an agent. Throws ToolDefinitionError for tools that clash, and what loading the model throws. */
export function agent({ model = llama(), ...options }: AgentOptions = {}): Promise<Agent> {
  return coreAgent({ ...(options.store && { now: Date.now }), ...options, model })
}
