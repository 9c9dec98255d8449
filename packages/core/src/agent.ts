/**
 * The plain facade: an agent is a model with tools and a session, and `run` or `stream` take it one turn further.
 * It holds no logic of the loop; it only turns Effects into Promises and events into an AsyncIterable.
 */
import * as Effect from "effect/Effect"
import { type ApprovalKey, checkApprovalKey, type Decision, type PendingRun, verifyPendingRun } from "./approval.ts"
import type { Sampling } from "./engine.ts"
import { SessionError, ToolDefinitionError } from "./error.ts"
import type { Model } from "./model.ts"
import { defaultPromptOptions, type PromptOptions } from "./prompt-options.ts"
import { defaultLimits, type ResumePoint, type RunContext, type RunLimits, type RunResult, run } from "./run.ts"
import { RunStream } from "./run-stream.ts"
import type { Emit } from "./step.ts"
import type { Tool } from "./tool.ts"
import { Transcript } from "./transcript.ts"

export interface AgentOptions extends Partial<RunLimits> {
  /** A model, or a function that loads one when the agent is made. */
  readonly model: Model | (() => Promise<Model>)
  readonly tools?: readonly Tool[]
  /** The system text; the format's own lines stand before it. */
  readonly system?: string
  readonly sampling?: Sampling
  /** Most tools that run side by side; default 4. */
  readonly toolConcurrency?: number
  readonly prompt?: Partial<Pick<PromptOptions, "date" | "dialect" | "toolsInUserMessage">>
  /** Default `session-0`. Tools with state keep it under this name. */
  readonly sessionId?: string
  /** Goes on with a loaded session instead of a new one; its own prompt options hold. */
  readonly session?: Transcript
  /** A secret of at least 16 bytes that signs what waits for approval; needed where a tool has `needsApproval`. */
  readonly approvalKey?: ApprovalKey
}

export interface RunOptions {
  readonly signal?: AbortSignal
}

export interface Agent extends AsyncDisposable {
  readonly model: Model
  readonly session: Transcript
  /** Adds a user turn and runs until the turn ends or a limit is reached. */
  run(input: string, options?: RunOptions): Promise<RunResult>
  /** The same, with every event as it happens. The run starts at once. */
  stream(input: string, options?: RunOptions): RunStream
  /**
   * Goes on with a run that ended with `needs-approval`: a decision for each waiting call, by its id. A call without one waits
   * on. Throws SessionError `bad-approval` for a pending run that is not this session's latest, or was changed.
   */
  resume(pending: PendingRun, decisions: Readonly<Record<string, Decision>>, options?: RunOptions): RunStream
  /** Closes tools, and the model if this agent loaded it. Waits for a run that is under way. */
  close(): Promise<void>
}

/** Makes an agent. Throws ToolDefinitionError for two tools of one name, and what loading the model throws. */
export async function agent(options: AgentOptions): Promise<Agent> {
  const tools = toolMap(options.tools ?? [])
  const model = typeof options.model === "function" ? await options.model() : options.model
  const session = options.session ?? newSession(options, [...tools.values()])
  const limits: RunLimits = { ...defaultLimits, ...pickLimits(options) }
  let busy: Promise<unknown> | undefined
  let closed = false

  if ([...tools.values()].some(({ needsApproval }) => needsApproval !== undefined))
    checkApprovalKey(options.approvalKey)

  const start = (input: string | ResumePoint, emit: Emit, signal: AbortSignal): Promise<RunResult> => {
    if (closed) return Promise.reject(unusable("closed", "The agent is closed.", "Make a new agent."))
    if (busy) {
      return Promise.reject(
        unusable("busy", "This session has a run under way.", "Wait for it, or use a second agent."),
      )
    }
    if (typeof input === "string") {
      dropOpenCalls(session)
      session.append({ role: "user", content: input })
    }
    const context: RunContext = {
      model,
      transcript: session,
      tools,
      limits,
      signal,
      emit,
      toolConcurrency: options.toolConcurrency ?? 4,
      ...(options.sampling && { sampling: options.sampling }),
      ...(options.approvalKey && { approvalKey: options.approvalKey }),
    }
    const result = Effect.runPromise(run(context, typeof input === "string" ? undefined : input)).finally(() => {
      busy = undefined
    })
    busy = result
    return result
  }
  const close = async (): Promise<void> => {
    if (closed) return
    closed = true
    await busy?.catch(() => undefined)
    await Promise.all([...tools.values()].map((tool) => tool.close?.()))
    if (typeof options.model === "function") await model.close()
  }
  const stream = (input: string | ResumePoint, { signal }: RunOptions = {}): RunStream => {
    const controller = new AbortController()
    const either = signal ? AbortSignal.any([signal, controller.signal]) : controller.signal
    return new RunStream(
      (emit) => start(input, emit, either),
      () => controller.abort(),
    )
  }
  return {
    model,
    session,
    run: (input, { signal } = {}) => start(input, () => undefined, signal ?? new AbortController().signal),
    stream,
    resume: (pending, decisions, runOptions) => {
      const place = { sessionId: session.id, turn: session.turns.length - 1 }
      verifyPendingRun(pending, place, checkApprovalKey(options.approvalKey))
      return stream({ pending, decisions: new Map(Object.entries(decisions)) }, runOptions)
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Calls that wait for approval when the user says something else are answered as not run: every call has a result. */
function dropOpenCalls(session: Transcript): void {
  const last = session.turns.at(-1)
  if (last?.role !== "assistant") return
  for (const { id, name } of last.toolCalls) {
    const content = { error: "The call was not approved. Nothing was run." }
    session.append({ role: "ipython", content, callId: id, toolName: name, isError: true })
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

function newSession(options: AgentOptions, tools: readonly Tool[]): Transcript {
  const builtin = tools.filter((tool) => tool.builtin).map((tool) => tool.name)
  const custom = tools.filter((tool) => !tool.builtin)
  const prompt: PromptOptions = {
    ...defaultPromptOptions,
    ...options.prompt,
    tools: custom.map(({ name, description, parameters }) => ({ name, description, parameters })),
    builtinTools: builtin.length > 0 ? builtin : null,
  }
  const system = options.system === undefined ? [] : [{ role: "system", content: options.system } as const]
  return new Transcript(options.sessionId ?? "session-0", prompt, system)
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
