/**
 * A sub-agent as a tool: the model hands over a task in words and reads the answer. It has a session of its own, spends from the
 * outer run's budget of tokens, calls and cost, and its events appear inside the outer run's.
 */
import { agent } from "./agent.ts"
import type { AgentOptions } from "./agent-options.ts"
import { ToolDefinitionError } from "./error.ts"
import type { Model } from "./model.ts"
import { defineTool, type Tool, ToolFailed } from "./tool.ts"

/** What the sub-agent is made of, and how the outer model meets it. */
export interface AgentToolOptions extends AgentOptions {
  /** What the sub-agent is good for, for the outer model to read. */
  readonly description: string
  /** Default 10 minutes. */
  readonly timeoutMs?: number
  /** Whether a person has to agree to the task first. */
  readonly needsApproval?: boolean | ((input: { readonly task: string }) => boolean)
  /** None of its tools changes anything: it may start while the outer model still writes. Default no. */
  readonly readOnly?: boolean
}

/** Each call makes a fresh session, named after the outer session and the call. */
export function agentTool<const Name extends string>(name: Name, options: AgentToolOptions): Tool<Name> {
  const { description, timeoutMs = 600_000, needsApproval, readOnly = false, model, ...agentOptions } = options
  refuseApproval(name, agentOptions.tools)
  let loading: Promise<Model> | undefined
  const load = (): Promise<Model> => {
    loading ??= typeof model === "function" ? model() : Promise.resolve(model)
    return loading
  }
  const tool = defineTool(name, {
    description,
    timeoutMs,
    readOnly,
    ...(needsApproval !== undefined && { needsApproval }),
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
    execute: async ({ task }, { sessionId, callId, signal, budget, report }) => {
      const session = { model: await load(), sessionId: `${sessionId}.${name}-${callId}` }
      await using worker = await agent({ ...agentOptions, ...session })
      const stream = worker.stream(task, { signal, ...(budget && { budget }) })
      for await (const event of stream) report({ type: "nested-event", callId, agent: name, event })
      const result = await stream.result
      if (result.stopReason !== "end-of-turn") {
        throw new ToolFailed(`${name} stopped before it was done (${result.stopReason}). So far: ${result.text}`)
      }
      return result.text
    },
  })
  return { ...tool, settles: true }
}

/** Nobody could be asked in the middle of a sub-agent's run. */
function refuseApproval(name: string, tools: readonly Tool[] = []): void {
  const asking = tools.find(({ needsApproval }) => needsApproval !== undefined)
  if (asking === undefined) return
  throw new ToolDefinitionError({
    reason: "bad-tool",
    detail: `The tool ${asking.name} of the sub-agent ${name} needs approval, and a sub-agent cannot ask.`,
    fix: `Give needsApproval to ${name} itself, or the tool to the outer agent.`,
  })
}
