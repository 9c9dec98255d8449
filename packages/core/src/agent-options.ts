/** What an agent is made of, and what its loop needs of that: checked before anything is loaded. */
import type { ApprovalKey, Decision } from "./approval.ts"
import type { ContextPolicy } from "./context-policy.ts"
import type { Sampling } from "./engine.ts"
import { AgentError, ToolDefinitionError } from "./error.ts"
import type { AgentEvent, Usage } from "./event.ts"
import type { Guards } from "./guard-check.ts"
import type { HandoffTarget } from "./handoff.ts"
import type { Model } from "./model.ts"
import type { InferOutput, OutputSchema } from "./output.ts"
import { defaultPromptOptions, type PromptOptions } from "./prompt-options.ts"
import type { RunResult } from "./run.ts"
import type { Budget } from "./run-budget.ts"
import { defaultLimits, type RunLimits } from "./run-limits.ts"
import type { Store } from "./store.ts"
import { defineTool, type Tool } from "./tool.ts"
import { Transcript } from "./transcript.ts"

/** What an agent is made of. Counts and times that no run could keep to are refused with AgentError `bad-option`. */
export interface AgentOptions extends Partial<RunLimits> {
  /** A model, or a function that loads one when the agent is made. */
  readonly model: Model | (() => Promise<Model>)
  readonly tools?: readonly Tool[]
  /** The system text; the format's own lines stand before it. */
  readonly system?: string
  readonly sampling?: Sampling
  /** The LoRA adapter of runs that name none themselves. */
  readonly adapter?: string
  /** Most tools that run side by side; default 4. */
  readonly toolConcurrency?: number
  readonly prompt?: Partial<Pick<PromptOptions, "date" | "dialect" | "toolsInUserMessage">>
  /** Default `session-0`. Tools with state keep it under this name. */
  readonly sessionId?: string
  /** Goes on with a loaded session instead of a new one; its own prompt options hold. */
  readonly session?: Transcript
  /** A secret of at least 16 bytes that signs what waits for approval; needed where a tool has `needsApproval`. */
  readonly approvalKey?: ApprovalKey
  /** The price of a usage, in the unit of `maxCost`. */
  readonly cost?: (usage: Usage) => number
  /** Shortens the conversation before it fills the context, such as `dropToolResults()` or `summarise()`. */
  readonly contextPolicy?: ContextPolicy
  /** Judge what the user and the model say, beside the run, and stop it with `guard`. */
  readonly guards?: Guards
  /** Agents that the model may hand the conversation to; each is offered as a tool `transfer_to_<name>`. */
  readonly handoffs?: Readonly<Record<string, HandoffOptions>>
  /**
   * Keeps the session under its id: its trace is written as it happens, and an agent made later with the same id goes on with it.
   * The session is locked until the agent closes.
   */
  readonly store?: Store
  /** Told of every event of every run, such as `telemetry(…)`. It must not throw. */
  readonly onEvent?: (event: AgentEvent) => void
  /** Milliseconds for the trace; without it the trace has no times. */
  readonly now?: () => number
}

/** An agent that the conversation can be handed to; it goes on in the same session, with its own system text and tools. */
export interface HandoffOptions {
  /** When to hand over to it, for the model to read. */
  readonly description: string
  readonly system?: string
  readonly tools?: readonly Tool[]
  /** Default: the same model. */
  readonly model?: Model
}

/** Options of one run. */
export interface RunOptions {
  /** The LoRA adapter for this run, by the name under which the engine loaded it; default: the agent's. */
  readonly adapter?: string
  /** Aborting it ends the run with `aborted`, within one decode step. */
  readonly signal?: AbortSignal
  /** Of a run that this one is a part of: it is spent from too. A tool gets it in its context. */
  readonly budget?: Budget
}

/** Options of a run that ends with a checked value. */
export interface OutputOptions<Schema extends OutputSchema> extends RunOptions {
  /** The final answer is a JSON object that fits this schema; where it does not, the model is told and answers again. */
  readonly output: Schema
}

/** A result whose `output` is there when the run ended with `end-of-turn`. */
export type OutputResult<Schema> = Omit<RunResult, "output"> & { readonly output?: InferOutput<Schema> }

/** What was decided, by the id of the call. */
export type Decisions = Readonly<Record<string, Decision>>

/** Limits that are no numbers would never end anything. */
export function checkNumbers(options: AgentOptions): void {
  const least: Partial<Record<keyof AgentOptions, number>> = {
    maxSteps: 1,
    maxTokens: 1,
    maxRepeats: 1,
    toolConcurrency: 1,
  }
  for (const name of [...(Object.keys(defaultLimits) as (keyof RunLimits)[]), "toolConcurrency"] as const) {
    const value: unknown = options[name]
    if (value === undefined || (typeof value === "number" && value >= (least[name] ?? 0))) continue
    throw new AgentError({
      reason: "bad-option",
      detail: `The option ${name} is ${String(value)}.`,
      fix: `Give a number of at least ${least[name] ?? 0}, or leave it out.`,
    })
  }
}

export function toolMap(tools: readonly Tool[]): ReadonlyMap<string, Tool> {
  const map = new Map<string, Tool>()
  for (const tool of tools) {
    if (map.has(tool.name)) {
      throw new ToolDefinitionError({
        reason: "duplicate-name",
        detail: `Two tools are named ${tool.name}.`,
        fix: "Rename one of them: a model tells tools apart by name alone.",
      })
    }
    map.set(tool.name, tool)
  }
  return map
}

export function newSession({ tools = [], prompt, system, sessionId = "session-0" }: AgentOptions): Transcript {
  const turns = system === undefined ? [] : [{ role: "system", content: system } as const]
  return new Transcript(sessionId, promptOptions(tools, prompt), turns)
}

function promptOptions(tools: readonly Tool[], prompt: AgentOptions["prompt"]): PromptOptions {
  const builtin = tools.filter((tool) => tool.builtin).map((tool) => tool.name)
  const custom = tools.filter((tool) => !tool.builtin)
  return {
    ...defaultPromptOptions,
    ...prompt,
    tools: custom.map(({ name, description, parameters }) => ({ name, description, parameters })),
    builtinTools: builtin.length > 0 ? builtin : null,
  }
}

/** Every tool once, those of the handoffs too. */
export function allTools({ tools = [], handoffs = {} }: AgentOptions): readonly Tool[] {
  return [...new Set([...tools, ...Object.values(handoffs).flatMap((target) => target.tools ?? [])])]
}

/** A handoff as the model sees it: a tool without arguments. */
export function transferTool([name, { description }]: [string, HandoffOptions]): Tool {
  return defineTool(transferName(name), {
    description,
    input: { type: "object", properties: {} },
    sequential: true,
    execute: () => `You are ${name} now. Go on with the conversation.`,
  })
}

export function transferName(name: string): string {
  return `transfer_to_${name}`
}

export function handoffTargets(options: AgentOptions): ReadonlyMap<string, HandoffTarget> {
  return new Map(
    Object.entries(options.handoffs ?? {}).map(([name, { system, tools = [], model }]) => {
      const target = { name, tools: toolMap(tools), options: promptOptions(tools, options.prompt), system }
      return [transferName(name), model === undefined ? target : { ...target, model }]
    }),
  )
}

export function pickLimits(options: AgentOptions): Partial<RunLimits> {
  const limits: Partial<Record<keyof RunLimits, number>> = {}
  for (const name of Object.keys(defaultLimits) as (keyof RunLimits)[]) {
    const value = options[name]
    if (value !== undefined) limits[name] = value
  }
  return limits
}
