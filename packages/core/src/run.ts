/**
 * A run is steps until the turn ends or a limit is reached. This is the only place where the loop closes:
 * results go back to the model here. Limits end a run with a stop reason and all that was done; only an engine that
 * fails makes it fail.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { type ApprovalKey, checkApprovalKey, type Decision, type PendingRun, pendingRun } from "./approval.ts"
import type { Sampling } from "./engine.ts"
import type { RunStopReason, ToolCallInvalid, ToolFailure, ToolResult, Usage } from "./event.ts"
import type { ModelEnd } from "./model.ts"
import { type Answers, answerRound, type CallRound, type RunError, runStep, type StepContext, type StepOutcome } from "./step.ts"
import type { Transcript } from "./transcript.ts"

export interface RunLimits {
  /** Most steps; default 16. */
  readonly maxSteps: number
  /** Most tokens that all steps together may generate; default: what the context holds. */
  readonly maxTokens: number
  /** Most tool calls; default 64. */
  readonly maxToolCalls: number
  /** Most failed calls of one kind (malformed, unknown tool, invalid input) with no success between them; default 3. */
  readonly maxRepairs: number
  /** How often in a row the same calls may give the same results; default 3. */
  readonly maxRepeats: number
  /** Milliseconds for the whole run; default none. */
  readonly deadlineMs: number
}

export const defaultLimits: RunLimits = {
  maxSteps: 16,
  maxTokens: Number.POSITIVE_INFINITY,
  maxToolCalls: 64,
  maxRepairs: 3,
  maxRepeats: 3,
  deadlineMs: Number.POSITIVE_INFINITY,
}

export interface RunContext extends Omit<StepContext, "toolCallsLeft"> {
  readonly limits: RunLimits
  readonly sampling?: Sampling
  /** Needed where a tool waits for approval. */
  readonly approvalKey?: ApprovalKey
}

export interface RunResult {
  /** The prose of the last assistant turn. */
  readonly text: string
  readonly stopReason: RunStopReason
  readonly usage: Usage
  readonly steps: number
  /** What waits for a person, where the stop reason is `needs-approval`. */
  readonly pending?: PendingRun
}

/** Where a paused run goes on: its last turn's calls, and what was decided about them. */
export interface ResumePoint {
  readonly pending: PendingRun
  readonly decisions: ReadonlyMap<string, Decision>
}

export const noUsage: Usage = { prompt: 0, cached: 0, generated: 0, forced: 0, discarded: 0 }

/** Runs from the transcript's last turn on, or from where a paused run stopped. */
export const run = Effect.fnUntraced(function* (
  context: RunContext,
  resume?: ResumePoint,
): Effect.fn.Return<RunResult, RunError> {
  const { limits, emit } = context
  const stop = yield* stopSignal(context.signal, limits.deadlineMs)
  const progress = new Progress(limits)
  const stepContext = (): StepContext => ({
    ...context,
    signal: stop.signal,
    toolCallsLeft: limits.maxToolCalls - progress.toolCalls,
  })
  emit([{ type: "run-start" }])
  let waiting: Answers | undefined
  let stopReason = stop.reason()
  if (resume !== undefined && stopReason === undefined) {
    const answers = yield* answerRound(resumedRound(context.transcript, resume), stepContext())
    if (answers.waiting.length > 0) waiting = answers
    stopReason = progress.resumed(answers, stop.reason())
  }
  while (stopReason === undefined) {
    const outcome = yield* runStep(progress.steps, stepContext(), {
      maxTokens: limits.maxTokens - progress.usage.generated,
      ...(context.sampling && { sampling: context.sampling }),
    })
    if (outcome.waiting.length > 0) waiting = outcome
    stopReason = progress.after(outcome, stop.reason())
  }
  stop.release()
  const { text, usage, steps } = progress
  emit([{ type: "run-end", stopReason, text, usage }])
  const pending = stopReason === "needs-approval" && waiting !== undefined ? pendingOf(context, waiting) : undefined
  return { text, stopReason, usage, steps, ...(pending && { pending }) }
})

function pendingOf({ transcript, approvalKey }: RunContext, { results, waiting }: Answers): PendingRun {
  const turn = transcript.turns.length - 1
  return pendingRun({ sessionId: transcript.id, turn, calls: waiting, results }, checkApprovalKey(approvalKey))
}

/** The last assistant turn with what is already answered; unreadable calls were answered before the pause. */
function resumedRound(transcript: Transcript, { pending, decisions }: ResumePoint): CallRound {
  const turn = transcript.turns[pending.turn]
  if (turn?.role !== "assistant") throw new Error("a pending run is verified before it is resumed")
  const answered: ToolCallInvalid[] = pending.results
    .filter(({ failure }) => failure === "malformed")
    .map(({ callId, name }) => ({ type: "tool-call-invalid", id: callId, name, raw: "", problem: "" }))
  return { turn, invalidCalls: answered, results: pending.results, decisions }
}

/** What a run has done so far, and whether that is enough. Its size does not depend on the number of steps. */
class Progress {
  readonly #limits: RunLimits
  readonly #failures = new Map<ToolFailure, number>()
  #lastCalls = ""
  #repeats = 0
  #continued = false
  usage: Usage = noUsage
  text = ""
  steps = 0
  toolCalls = 0

  constructor(limits: RunLimits) {
    this.#limits = limits
  }

  /** Takes a step into account; a reason when the run is over. */
  after({ end, results, waiting }: StepOutcome, stopped: RunStopReason | undefined): RunStopReason | undefined {
    this.steps++
    this.usage = addUsage(this.usage, end.usage)
    this.text = end.turn.content
    this.toolCalls += results.filter((result) => result.failure !== "not-run").length
    if (stopped !== undefined) return stopped
    if (end.reason === "aborted") return "aborted"
    if (end.reason === "context-full") return "context-full"
    if (!end.complete) return "max-tokens"
    if (waiting.length > 0) return "needs-approval"
    return (
      this.#endOfTurn(end, results) ??
      this.#tooManyFailures(results) ??
      this.#repeated(end, results) ??
      this.#limit(results)
    )
  }

  /** Takes the answers of a resumed round into account. */
  resumed({ results, waiting }: Answers, stopped: RunStopReason | undefined): RunStopReason | undefined {
    this.toolCalls += results.length
    return stopped ?? (waiting.length > 0 ? "needs-approval" : undefined)
  }

  #endOfTurn(end: ModelEnd, results: readonly ToolResult[]): RunStopReason | undefined {
    if (results.length > 0) {
      this.#continued = false
      return undefined
    }
    // An eom without a call asks for a result that nobody owes: let the model go on once, then take the turn as ended.
    if (end.turn.end === "eom" && !this.#continued && this.steps < this.#limits.maxSteps) {
      this.#continued = true
      return undefined
    }
    return "end-of-turn"
  }

  #tooManyFailures(results: readonly ToolResult[]): RunStopReason | undefined {
    if (results.some(({ isError }) => !isError)) this.#failures.clear()
    for (const { failure } of results) {
      if (failure !== "malformed" && failure !== "unknown-tool" && failure !== "invalid-input") continue
      const count = (this.#failures.get(failure) ?? 0) + 1
      this.#failures.set(failure, count)
      if (count > this.#limits.maxRepairs) return "max-repairs"
    }
    return undefined
  }

  #repeated(end: ModelEnd, results: readonly ToolResult[]): RunStopReason | undefined {
    const calls = JSON.stringify([
      end.turn.toolCalls.map(({ name, input }) => [name, input]),
      results.map(({ output }) => output),
    ])
    this.#repeats = calls === this.#lastCalls ? this.#repeats + 1 : 1
    this.#lastCalls = calls
    return this.#repeats >= this.#limits.maxRepeats ? "no-progress" : undefined
  }

  #limit(results: readonly ToolResult[]): RunStopReason | undefined {
    if (results.some(({ failure }) => failure === "not-run")) return "max-tool-calls"
    if (this.steps >= this.#limits.maxSteps) return "max-steps"
    if (this.usage.generated >= this.#limits.maxTokens) return "max-tokens"
    return undefined
  }
}

export function addUsage(a: Usage, b: Usage): Usage {
  return {
    prompt: a.prompt + b.prompt,
    cached: a.cached + b.cached,
    generated: a.generated + b.generated,
    forced: a.forced + b.forced,
    discarded: a.discarded + b.discarded,
  }
}

/** One signal for the caller's abort and for the deadline, which says which of the two it was. */
const stopSignal = Effect.fnUntraced(function* (caller: AbortSignal, deadlineMs: number) {
  const controller = new AbortController()
  const end = Number.isFinite(deadlineMs) ? (yield* Clock.currentTimeMillis) + deadlineMs : undefined
  let reason: RunStopReason | undefined
  const stop = (why: RunStopReason): void => {
    reason ??= why
    controller.abort()
  }
  const abort = () => stop("aborted")
  if (caller.aborted) abort()
  caller.addEventListener("abort", abort, { once: true })
  if (end !== undefined) {
    yield* Effect.forkChild(
      Effect.andThen(
        Effect.sleep(deadlineMs),
        Effect.sync(() => stop("deadline")),
      ),
    )
  }
  return {
    signal: controller.signal,
    reason: () => reason,
    release: () => caller.removeEventListener("abort", abort),
  }
})
