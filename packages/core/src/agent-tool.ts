/**
 * A sub-agent as a tool: the model hands over a task in words and reads the answer. It has a session of its own, keeps to what
 * the outer run has left of its tokens, and its events appear inside the outer run's.
 */
import { type AgentOptions, agent } from "./agent.ts"
import type { Model } from "./model.ts"
import { defineTool, type Tool, ToolFailed } from "./tool.ts"

export interface AgentToolOptions extends AgentOptions {
  /** What the sub-agent is good for, for the outer model to read. */
  readonly description: string
  /** Default 10 minutes. */
  readonly timeoutMs?: number
}

/** Each call makes a fresh session, named after the outer session and the call. */
export function agentTool<const Name extends string>(name: Name, options: AgentToolOptions): Tool<Name> {
  const { description, timeoutMs = 600_000, model, ...agentOptions } = options
  let loading: Promise<Model> | undefined
  const load = (): Promise<Model> => {
    loading ??= typeof model === "function" ? model() : Promise.resolve(model)
    return loading
  }
  return defineTool(name, {
    description,
    timeoutMs,
    // A model that was given is its owner's to close.
    close: async () => {
      if (typeof model === "function") await (await loading)?.close()
    },
    input: {
      type: "object",
      properties: { task: { type: "string", description: "What to do, with everything that is needed to do it" } },
      required: ["task"],
      additionalProperties: false,
    },
    execute: async ({ task }, context) => {
      const maxTokens = Math.min(agentOptions.maxTokens ?? Number.POSITIVE_INFINITY, context.tokensLeft)
      const sessionId = `${context.sessionId}.${name}-${context.callId}`
      await using worker = await agent({ ...agentOptions, model: await load(), sessionId, maxTokens })
      const stream = worker.stream(task, { signal: context.signal })
      for await (const event of stream) {
        context.report({ type: "nested-event", callId: context.callId, agent: name, event })
      }
      const result = await stream.result
      context.spend(result.usage)
      if (result.stopReason !== "end-of-turn") {
        throw new ToolFailed(`${name} stopped before it was done (${result.stopReason}). So far: ${result.text}`)
      }
      return result.text
    },
  })
}
