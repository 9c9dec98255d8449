/**
 * The plain facade: an agent is a model with tools and a session, and `run` or `stream` take it one turn further.
 * It holds no logic of the loop; it only turns Effects into Promises and events into an AsyncIterable.
 */
import {
  type ApprovalKey,
  checkApprovalKey,
  type Decision,
  type PendingRun,
  pendingIn,
  verifyPendingRun,
} from "./approval.ts"
import type { ContextPolicy } from "./context-policy.ts"
import type { Sampling } from "./engine.ts"
import { AgentError, SessionError, ToolDefinitionError } from "./error.ts"
import type { AgentEvent, Usage } from "./event.ts"
import type { Guards } from "./guard-check.ts"
import type { HandoffTarget } from "./handoff.ts"
import { closeSession, type KeptSession, openSession } from "./kept-session.ts"
import type { Model } from "./model.ts"
import { type InferOutput, type OutputSchema, outputFormat } from "./output.ts"
import { defaultPromptOptions, type PromptOptions } from "./prompt-options.ts"
import type { ResumePoint, RunResult } from "./run.ts"
import type { Budget } from "./run-budget.ts"
import type { RunContext } from "./run-context.ts"
import { defaultLimits, type RunLimits } from "./run-limits.ts"
import type { runPromise } from "./run-promise.ts"
import { RunStream } from "./run-stream.ts"
import type { Emit } from "./step.ts"
import type { Store } from "./store.ts"
import { defineTool, type Tool } from "./tool.ts"
import { closeOpenCalls } from "./tool-turn.ts"
import { traceLine } from "./trace.ts"
import { Transcript } from "./transcript.ts"

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

export interface HandoffOptions {
  /** When to hand over to it, for the model to read. */
  readonly description: string
  readonly system?: string
  readonly tools?: readonly Tool[]
  /** Default: the same model. */
  readonly model?: Model
}

export interface RunOptions {
  /** The LoRA adapter for this run, by the name under which the engine loaded it; default: the agent's. */
  readonly adapter?: string
  /** Aborting it ends the run with `aborted`, within one decode step. */
  readonly signal?: AbortSignal
  /** Of a run that this one is a part of: it is spent from too. A tool gets it in its context. */
  readonly budget?: Budget
}

export interface OutputOptions<Schema extends OutputSchema> extends RunOptions {
  /** The final answer is a JSON object that fits this schema; where it does not, the model is told and answers again. */
  readonly output: Schema
}

/** A result whose `output` is there when the run ended with `end-of-turn`. */
export type OutputResult<Schema> = Omit<RunResult, "output"> & { readonly output?: InferOutput<Schema> }

/** What was decided, by the id of the call. */
export type Decisions = Readonly<Record<string, Decision>>

export interface Agent extends AsyncDisposable {
  readonly model: Model
  readonly session: Transcript
  /** What waits for a person, also where the session was opened from a store or a document. */
  readonly pending: PendingRun | undefined
  /** Adds a user turn and runs until the turn ends or a limit is reached. */
  run<const Schema extends OutputSchema>(input: string, options: OutputOptions<Schema>): Promise<OutputResult<Schema>>
  run(input: string, options?: RunOptions): Promise<RunResult>
  /** The same, with every event as it happens. The run starts at once. */
  stream<const Schema extends OutputSchema>(
    input: string,
    options: OutputOptions<Schema>,
  ): RunStream<OutputResult<Schema>>
  stream(input: string, options?: RunOptions): RunStream
  /**
   * Goes on with a run that ended with `needs-approval`: a decision for each waiting call, by its id. A call without one waits
   * on. A run that was asked for an `output` is resumed with the same. Throws SessionError `bad-approval` for a pending run that
   * is not this session's latest, was changed, or was used.
   */
  resume<const Schema extends OutputSchema>(
    pending: PendingRun,
    decisions: Decisions,
    options: OutputOptions<Schema>,
  ): RunStream<OutputResult<Schema>>
  resume(pending: PendingRun, decisions: Decisions, options?: RunOptions): RunStream
  /** Closes tools, and the model if this agent loaded it. Waits for a run that is under way. */
  close(): Promise<void>
}

/**
 * Makes an agent. Throws ToolDefinitionError for two tools of one name, AgentError for an option that makes no sense, and what
 * loading the model throws.
 */
export async function agent(given: AgentOptions): Promise<Agent> {
  loop ??= (await import("./run-promise.ts")).runPromise
  return agentWith(given, loop)
}

let loop: typeof runPromise | undefined

/** The same, on a loop that is run in some other way. */
export async function agentWith(given: AgentOptions, run: typeof runPromise): Promise<Agent> {
  checkNumbers(given)
  const options = {
    ...given,
    tools: [...(given.tools ?? []), ...Object.entries(given.handoffs ?? {}).map(transferTool)],
  }
  const tools = toolMap(options.tools)
  // Whatever is wrong with the options is told before anything is loaded or locked.
  handoffTargets(options)
  if (allTools(options).some(({ needsApproval }) => needsApproval !== undefined)) checkApprovalKey(options.approvalKey)
  const model = typeof options.model === "function" ? await options.model() : options.model
  const fresh = { session: () => options.session ?? newSession(options), sampling: options.sampling }
  const name = options.session?.id ?? options.sessionId ?? "session-0"
  try {
    const kept = options.store && (await openSession(options.store, name, model, fresh))
    return new SessionAgent(options, model, tools, kept ?? { session: fresh.session() }, run)
  } catch (error) {
    if (typeof options.model === "function") await model.close()
    throw error
  }
}

type Start = Partial<OutputOptions<OutputSchema>> & ({ readonly input: string } | { readonly resume: ResumePoint })

class SessionAgent implements Agent {
  model: Model
  session: Transcript
  readonly #options: AgentOptions
  #tools: ReadonlyMap<string, Tool>
  #busy: Promise<unknown> | undefined
  readonly #kept: KeptSession | undefined
  /** The model that was loaded for this agent, and is closed with it. */
  readonly #ownModel: Model | undefined
  readonly #run: typeof runPromise
  #closed = false

  constructor(
    options: AgentOptions,
    model: Model,
    tools: ReadonlyMap<string, Tool>,
    session: KeptSession | Pick<KeptSession, "session">,
    run: typeof runPromise,
  ) {
    this.#run = run
    this.#options = options
    this.#tools = tools
    this.#kept = "log" in session ? session : undefined
    this.#ownModel = typeof options.model === "function" ? model : undefined
    this.model = model
    this.session = session.session
    const handedTo = handoffTargets(options).get(transferName(this.session.agent ?? ""))
    if (handedTo === undefined) return
    this.#tools = handedTo.tools
    this.model = handedTo.model ?? model
  }

  get pending(): PendingRun | undefined {
    const { approvalKey } = this.#options
    return approvalKey === undefined || this.#busy ? undefined : pendingIn(this.session, approvalKey)
  }

  run<const Schema extends OutputSchema>(input: string, options: OutputOptions<Schema>): Promise<OutputResult<Schema>>
  run(input: string, options?: RunOptions): Promise<RunResult>
  run(input: string, options: Partial<OutputOptions<OutputSchema>> = {}): Promise<RunResult> {
    return this.#start({ input, ...options }, () => undefined, options.signal ?? neverAborted)
  }

  stream<const Schema extends OutputSchema>(
    input: string,
    options: OutputOptions<Schema>,
  ): RunStream<OutputResult<Schema>>
  stream(input: string, options?: RunOptions): RunStream
  stream(input: string, options: Partial<OutputOptions<OutputSchema>> = {}): RunStream {
    return this.#stream({ input, ...options })
  }

  resume<const Schema extends OutputSchema>(
    pending: PendingRun,
    decisions: Decisions,
    options: OutputOptions<Schema>,
  ): RunStream<OutputResult<Schema>>
  resume(pending: PendingRun, decisions: Decisions, options?: RunOptions): RunStream
  resume(pending: PendingRun, decisions: Decisions, options: Partial<OutputOptions<OutputSchema>> = {}): RunStream {
    verifyPendingRun(pending, this.session, checkApprovalKey(this.#options.approvalKey))
    return this.#stream({ ...options, resume: { pending, decisions: new Map(Object.entries(decisions)) } })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#busy?.catch(() => undefined)
    await Promise.all(allTools(this.#options).map((tool) => tool.close?.()))
    if (this.#kept) await closeSession(this.#kept)
    await this.#ownModel?.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #stream(start: Start): RunStream {
    const controller = new AbortController()
    const either = start.signal ? AbortSignal.any([start.signal, controller.signal]) : controller.signal
    return new RunStream(
      (emit) => this.#start(start, emit, either),
      () => controller.abort(),
    )
  }

  async #start(start: Start, emit: Emit, signal: AbortSignal): Promise<RunResult> {
    if (this.#closed) throw unusable("closed", "The agent is closed.", "Make a new agent.")
    if (this.#busy) throw unusable("busy", "This session has a run under way.", "Wait for it, or use a second agent.")
    const context = this.#context(start, this.#recording(emit), signal)
    const running = this.#run(context, "resume" in start ? start.resume : undefined)
    this.#busy = running
    try {
      const { result, transcript, model, tools } = await running
      this.session = transcript
      this.model = model
      this.#tools = tools
      return result
    } finally {
      this.#busy = undefined
    }
  }

  /** Also tells the listener, and writes the events to the session's log. */
  #recording(emit: Emit): Emit {
    const log = this.#kept?.log
    const { now, onEvent } = this.#options
    if (log === undefined && onEvent === undefined) return emit
    return (events) => {
      const time = now && { atMs: now() }
      log?.append(events.map((event) => traceLine({ ...event, ...time })).join(""))
      if (onEvent) for (const event of events) onEvent(event)
      emit(events)
    }
  }

  #context(start: Start, emit: Emit, signal: AbortSignal): RunContext {
    const { sampling, approvalKey, cost, contextPolicy, guards, handoffs, toolConcurrency = 4 } = this.#options
    const adapter = start.adapter ?? this.#options.adapter
    const { budget } = start
    const format = start.output === undefined ? undefined : outputFormat(start.output)
    if ("input" in start) {
      closeOpenCalls(this.session)
      this.session.append({ role: "user", content: start.input + (format?.instruction ?? "") })
    }
    return {
      model: this.model,
      transcript: this.session,
      tools: this.#tools,
      limits: { ...defaultLimits, ...pickLimits(this.#options) },
      signal,
      emit,
      toolConcurrency,
      ...(sampling && { sampling }),
      ...(adapter !== undefined && { adapter }),
      ...(approvalKey && { approvalKey }),
      ...(cost && { cost }),
      ...(contextPolicy && { contextPolicy }),
      ...(guards && { guards }),
      ...(budget && { budget }),
      ...(handoffs && { handoffs: handoffTargets(this.#options) }),
      ...(format && { output: format.check }),
    }
  }
}

/** For runs that nobody can abort. */
const neverAborted = new AbortController().signal

/** Limits that are no numbers would never end anything. */
function checkNumbers(options: AgentOptions): void {
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

function toolMap(tools: readonly Tool[]): ReadonlyMap<string, Tool> {
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

function newSession({ tools = [], prompt, system, sessionId = "session-0" }: AgentOptions): Transcript {
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
function allTools({ tools = [], handoffs = {} }: AgentOptions): readonly Tool[] {
  return [...new Set([...tools, ...Object.values(handoffs).flatMap((target) => target.tools ?? [])])]
}

/** A handoff as the model sees it: a tool without arguments. */
function transferTool([name, { description }]: [string, HandoffOptions]): Tool {
  return defineTool(transferName(name), {
    description,
    input: { type: "object", properties: {} },
    sequential: true,
    execute: () => `You are ${name} now. Go on with the conversation.`,
  })
}

function transferName(name: string): string {
  return `transfer_to_${name}`
}

function handoffTargets(options: AgentOptions): ReadonlyMap<string, HandoffTarget> {
  return new Map(
    Object.entries(options.handoffs ?? {}).map(([name, { system, tools = [], model }]) => {
      const target = { name, tools: toolMap(tools), options: promptOptions(tools, options.prompt), system }
      return [transferName(name), model === undefined ? target : { ...target, model }]
    }),
  )
}

function pickLimits(options: AgentOptions): Partial<RunLimits> {
  const limits: Partial<Record<keyof RunLimits, number>> = {}
  for (const name of Object.keys(defaultLimits) as (keyof RunLimits)[]) {
    const value = options[name]
    if (value !== undefined) limits[name] = value
  }
  return limits
}

function unusable(reason: "busy" | "closed", detail: string, fix: string): SessionError {
  return new SessionError({ reason, detail, fix })
}
