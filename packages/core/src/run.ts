/**
 * A run is steps until the turn ends or a limit is reached. This is the only place where the loop closes:
 * results go back to the model here. Limits end a run with a stop reason and all that was done; only an engine that
 * fails makes it fail.
 */
import { isDeepStrictEqual } from "node:util"
import * as Effect from "effect/Effect"
import { type ApprovalKey, checkApprovalKey, type Decision, type PendingRun, pendingRun } from "./approval.ts"
import type { ContextPolicy } from "./context-policy.ts"
import type { Sampling } from "./engine.ts"
import {
  addUsage,
  noUsage,
  type RunStopReason,
  type ToolCallInvalid,
  type ToolFailure,
  type ToolResult,
  type TranscriptReplaced,
  type Usage,
} from "./event.ts"
import type { Verdict } from "./guard.ts"
import { checkGuards, type Guards } from "./guard-check.ts"
import { type HandoffTarget, handedOver } from "./handoff.ts"
import type { ModelEnd } from "./model.ts"
import { runClock } from "./run-clock.ts"
import type { RunLimits } from "./run-limits.ts"
import { RunStop } from "./run-stop.ts"
import {
  type Answers,
  answerRound,
  type CallRound,
  type RunError,
  runStep,
  type StepContext,
  type StepOutcome,
} from "./step.ts"
import { askAgain } from "./tool-turn.ts"
import { Transcript } from "./transcript.ts"
import type { JsonObject } from "./turn.ts"

export interface RunContext
  extends Omit<StepContext, "toolCallsLeft" | "tokensLeft" | "inputVerdict" | "outputGuards" | "stop" | "clock"> {
  readonly limits: RunLimits
  /** The caller's abort. */
  readonly signal: AbortSignal
  readonly sampling?: Sampling
  /** The LoRA adapter, by the name under which the engine loaded it. */
  readonly adapter?: string
  /** Needed where a tool waits for approval. */
  readonly approvalKey?: ApprovalKey
  /** The price of a usage, in whatever unit `maxCost` has. */
  readonly cost?: (usage: Usage) => number
  /** Shortens the conversation before it fills the context. */
  readonly contextPolicy?: ContextPolicy
  readonly guards?: Guards
  /** Who takes over after a call of the tool of that name. */
  readonly handoffs?: ReadonlyMap<string, HandoffTarget>
  /** Checks the final answer; what it finds wrong is told to the model, which answers again. */
  readonly output?: OutputCheck
}

export type OutputCheck = (
  text: string,
) => Promise<{ readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly problem: string }>

export interface RunResult {
  /** The prose of the last assistant turn. */
  readonly text: string
  readonly stopReason: RunStopReason
  readonly usage: Usage
  readonly steps: number
  /** What waits for a person, where the stop reason is `needs-approval`. */
  readonly pending?: PendingRun
  /** The checked value, where an output schema was given and the run ended with `end-of-turn`. */
  readonly output?: unknown
}

/** A run's result, and who the conversation is with after it: another transcript, model or tools after a handoff. */
export interface RunOutcome extends Pick<RunContext, "transcript" | "model" | "tools"> {
  readonly result: RunResult
}

/** Where a paused run goes on: its last turn's calls, and what was decided about them. */
export interface ResumePoint {
  readonly pending: PendingRun
  readonly decisions: ReadonlyMap<string, Decision>
}

/** Runs from the transcript's last turn on, or from where a paused run stopped. */
export const run = Effect.fnUntraced(function* (
  context: RunContext,
  resume?: ResumePoint,
): Effect.fn.Return<RunOutcome, RunError> {
  const clock = yield* runClock
  const stop = new RunStop(context.signal, clock, context.limits.deadlineMs)
  const release = Effect.sync(() => {
    stop.release()
    clock.close()
  })
  return yield* runUntil({ stop, clock }, context, resume).pipe(Effect.ensuring(release))
})

const runUntil = Effect.fnUntraced(function* (
  { stop, clock }: Pick<StepContext, "stop" | "clock">,
  start: RunContext,
  resume: ResumePoint | undefined,
): Effect.fn.Return<RunOutcome, RunError> {
  const { limits, emit } = start
  let context = start
  const progress = new Progress(limits, context.cost)
  const inputVerdict = resume === undefined ? judgeInput(start, stop) : undefined
  const stepContext = (): StepContext => ({
    ...context,
    ...(progress.steps === 0 && inputVerdict && { inputVerdict }),
    ...(start.guards?.output && { outputGuards: start.guards.output }),
    stop,
    clock,
    toolCallsLeft: limits.maxToolCalls - progress.toolCalls,
    tokensLeft: limits.maxTokens - progress.usage.generated,
  })
  const last = context.transcript.turns.at(-1)
  emit([{ type: "run-start", ...(resume === undefined && last?.role === "user" && { input: last.content }) }])
  let waiting: Answers | undefined
  let output: unknown
  let stopReason = stop.reason
  if (resume !== undefined && stopReason === undefined) {
    const answers = yield* answerRound(resumedRound(context.transcript, resume), stepContext())
    if (answers.waiting.length > 0) waiting = answers
    stopReason = progress.resumed(answers, stop.reason)
  }
  while (stopReason === undefined) {
    const step = stepContext()
    const outcome = yield* runStep(progress.steps, step, {
      maxTokens: step.tokensLeft,
      ...(context.sampling && { sampling: context.sampling }),
      ...(context.adapter !== undefined && { adapter: context.adapter }),
    })
    if (outcome.waiting.length > 0) waiting = outcome
    stopReason = progress.after(outcome, stop.reason)
    if (stopReason === "end-of-turn" && context.output !== undefined) {
      const checked = yield* checkOutput(progress.text, context.output)
      if (checked.ok) output = checked.value
      else stopReason = repairOutput(checked.problem, progress, context)
    }
    if (stopReason === undefined && (context.handoffs ?? context.contextPolicy) !== undefined) {
      context = yield* nextContext(context, outcome, stop.signal)
    }
  }
  const { text, usage, steps } = progress
  emit([{ type: "run-end", stopReason, text, usage }])
  const pending = stopReason === "needs-approval" && waiting !== undefined ? pendingOf(context, waiting) : undefined
  const { transcript, model, tools } = context
  const result: RunResult = {
    text,
    stopReason,
    usage,
    steps,
    ...(pending && { pending }),
    ...(output !== undefined && { output }),
  }
  return { result, transcript, model, tools }
})

/** Judges what the user said while the model writes; a verdict against it stops the run. */
function judgeInput({ guards, transcript, emit }: RunContext, stop: RunStop): Promise<Verdict> | undefined {
  if (guards?.input === undefined) return undefined
  return checkGuards(guards.input, [...transcript.turns], stop.signal).then((verdict) => {
    if (!verdict.allowed) {
      emit([{ type: "guard-stop", stage: "input", categories: verdict.categories, reason: verdict.reason }])
      stop.stop("guard")
    }
    return verdict
  })
}

function checkOutput(text: string, check: OutputCheck): Effect.Effect<Awaited<ReturnType<OutputCheck>>> {
  return Effect.promise(() => check(text))
}

function repairOutput(
  problem: string,
  progress: Progress,
  { emit, transcript }: RunContext,
): RunStopReason | undefined {
  const stopReason = progress.badOutput()
  if (stopReason !== undefined) return stopReason
  emit([{ type: "output-invalid", problem }])
  transcript.append(askAgain(problem))
  return undefined
}

/** The context of the next step: another one after a handoff, or when the conversation had to be shortened. */
const nextContext = Effect.fnUntraced(function* (
  context: RunContext,
  { end, results }: StepOutcome,
  signal: AbortSignal,
) {
  const { transcript, contextPolicy: policy } = context
  const lostTokens = end.usage.prompt + end.usage.generated
  const handedTo = results.map(({ name, isError }) => (isError ? undefined : context.handoffs?.get(name))).find(Boolean)
  if (handedTo !== undefined) {
    const next = handedOver(transcript, handedTo)
    announce(context, next, { reason: "handoff", by: handedTo.name, lostTokens })
    // An adapter belongs to the model that it was loaded for.
    const { adapter, ...others } = context
    const kept = handedTo.model === undefined && adapter !== undefined ? { adapter } : {}
    const model = handedTo.model ?? context.model
    return { ...others, ...kept, transcript: next, tools: handedTo.tools, model }
  }
  if (policy === undefined || lostTokens < policy.atFraction * context.model.info.contextLength) return context
  const turns = yield* Effect.promise(() => policy.shorten(transcript, context.model, signal))
  if (turns === undefined) return context
  const next = new Transcript(transcript.id, transcript.options, turns)
  next.countCalls(transcript.calls)
  announce(context, next, { reason: "context-policy", by: policy.name, lostTokens })
  return { ...context, transcript: next }
})

function announce(
  { emit }: RunContext,
  { options, turns }: Transcript,
  why: Pick<TranscriptReplaced, "reason" | "by" | "lostTokens">,
): void {
  emit([{ type: "transcript-replaced", ...why, options: options as unknown as JsonObject, turns }])
}

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
  return { turn, invalidCalls: answered, results: pending.results, decisions, early: new Map() }
}

/** What a run has done so far, and whether that is enough. Its size does not depend on the number of steps. */
class Progress {
  readonly #limits: RunLimits
  readonly #cost: ((usage: Usage) => number) | undefined
  readonly #failures = new Map<ToolFailure, number>()
  #lastRound: readonly unknown[] = []
  #repeats = 0
  #continued = false
  #badOutputs = 0
  usage: Usage = noUsage
  text = ""
  steps = 0
  toolCalls = 0

  constructor(limits: RunLimits, cost: ((usage: Usage) => number) | undefined) {
    this.#limits = limits
    this.#cost = cost
  }

  /** Takes a step into account; a reason when the run is over. */
  after(
    { end, results, waiting, forbidden }: StepOutcome,
    stopped: RunStopReason | undefined,
  ): RunStopReason | undefined {
    this.steps++
    this.usage = spent(addUsage(this.usage, end.usage), results)
    this.text = end.turn.content
    this.toolCalls += results.filter((result) => result.failure !== "not-run").length
    if (stopped !== undefined) return stopped
    if (end.reason === "aborted") return "aborted"
    if (end.reason === "context-full") return "context-full"
    if (!end.complete) return "max-tokens"
    if (forbidden) return "guard"
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
    this.usage = spent(this.usage, results)
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
    const round = [end.turn.toolCalls.map(({ name, input }) => [name, input]), results.map(({ output }) => output)]
    this.#repeats = isDeepStrictEqual(round, this.#lastRound) ? this.#repeats + 1 : 1
    this.#lastRound = round
    return this.#repeats >= this.#limits.maxRepeats ? "no-progress" : undefined
  }

  #limit(results: readonly ToolResult[]): RunStopReason | undefined {
    if (results.some(({ failure }) => failure === "not-run")) return "max-tool-calls"
    if (this.steps >= this.#limits.maxSteps) return "max-steps"
    if (this.usage.generated >= this.#limits.maxTokens) return "max-tokens"
    if (this.#cost !== undefined && this.#cost(this.usage) >= this.#limits.maxCost) return "max-cost"
    return undefined
  }

  /** Counts a final answer that failed its check. */
  badOutput(): RunStopReason | undefined {
    this.#badOutputs++
    if (this.#badOutputs > this.#limits.maxRepairs) return "max-repairs"
    return this.#limit([])
  }
}

/** With what the tools themselves spent on models. */
function spent(usage: Usage, results: readonly ToolResult[]): Usage {
  return results.reduce((sum, result) => (result.usage === undefined ? sum : addUsage(sum, result.usage)), usage)
}
