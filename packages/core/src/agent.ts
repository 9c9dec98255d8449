/**
 * The plain facade: an agent is a model with tools and a session, and `run` or `stream` take it one turn further.
 * It holds no logic of the loop; it only turns Effects into Promises and events into an AsyncIterable.
 */
import {
  type AgentOptions,
  allTools,
  checkNumbers,
  type Decisions,
  handoffTargets,
  newSession,
  type OutputOptions,
  type OutputResult,
  pickLimits,
  type RunOptions,
  toolMap,
  transferName,
  transferTool,
} from "./agent-options.ts"
import { checkApprovalKey, type PendingRun, pendingIn, verifyPendingRun } from "./approval.ts"
import { SessionError } from "./error.ts"
import { closeSession, type KeptSession, openSession } from "./kept-session.ts"
import type { Model } from "./model.ts"
import { type OutputSchema, outputFormat } from "./output.ts"
import type { ResumePoint, RunResult } from "./run.ts"
import type { RunContext } from "./run-context.ts"
import { defaultLimits } from "./run-limits.ts"
import type { runPromise } from "./run-promise.ts"
import { RunStream } from "./run-stream.ts"
import type { Emit } from "./step.ts"
import type { Tool } from "./tool.ts"
import { closeOpenCalls } from "./tool-turn.ts"
import { traceLine } from "./trace.ts"
import type { Transcript } from "./transcript.ts"

/** A model with tools and one session. Only one run at a time; a second one rejects with SessionError `busy`. */
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

function unusable(reason: "busy" | "closed", detail: string, fix: string): SessionError {
  return new SessionError({ reason, detail, fix })
}
