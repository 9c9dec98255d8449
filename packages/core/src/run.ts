/**
 * A run is steps until the turn ends or a limit is reached. This is the only place where the loop closes:
 * results go back to the model here. Limits end a run with a stop reason and all that was done; only an engine that
 * fails makes it fail.
 */
import * as Effect from "effect/Effect"
import { type Decision, type PendingRun, pendingIn } from "./approval.ts"
import { EngineError } from "./error.ts"
import type { RunStopReason, ToolCallInvalid, Usage } from "./event.ts"
import type { Verdict } from "./guard.ts"
import { checkGuards } from "./guard-check.ts"
import { RunBudget } from "./run-budget.ts"
import { type RunClock, runClock } from "./run-clock.ts"
import { afterHandoff, type OutputCheck, type RunContext, rememberLength, shorten, withRoom } from "./run-context.ts"
import { RunProgress } from "./run-progress.ts"
import { RunStop } from "./run-stop.ts"
import { answerRound, type CallRound, type RunError, runStep, type StepContext } from "./step.ts"
import { askAgain } from "./tool-turn.ts"
import type { Transcript } from "./transcript.ts"

/** How a run ended, and with what. */
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
  const budget = new RunBudget(context.limits, context.cost, context.budget)
  const release = Effect.sync(() => {
    stop.release()
    clock.close()
  })
  return yield* runUntil({ stop, clock, budget }, context, resume).pipe(
    Effect.tapError((error) =>
      Effect.sync(() => {
        const { reason, message } = error
        context.emit([{ type: "run-failed", reason, message, usage: budget.usage }])
      }),
    ),
    Effect.ensuring(release),
  )
})

const runUntil = Effect.fnUntraced(function* (
  running: { readonly stop: RunStop; readonly clock: RunClock; readonly budget: RunBudget },
  start: RunContext,
  resume: ResumePoint | undefined,
): Effect.fn.Return<RunOutcome, RunError> {
  const { limits, emit } = start
  const { stop, budget } = running
  let context = start
  const progress = new RunProgress(limits, budget)
  const inputVerdict = resume === undefined ? judgeInput(start, stop) : undefined
  const stepContext = (): StepContext => ({
    ...context,
    ...running,
    ...(progress.steps === 0 && inputVerdict && { inputVerdict }),
    ...(start.guards?.output && { outputGuards: start.guards.output }),
  })
  const last = context.transcript.turns.at(-1)
  emit([{ type: "run-start", ...(resume === undefined && last?.role === "user" && { input: last.content }) }])
  let output: unknown
  let stopReason = stop.reason
  if (resume !== undefined && stopReason === undefined) {
    const answers = yield* answerRound(resumedRound(context.transcript, resume), stepContext())
    stopReason = progress.resumed(answers, stop.reason)
    if (stopReason === undefined) context = afterHandoff(context, answers.results)
  }
  while (stopReason === undefined) {
    context = yield* withRoom(context, running)
    stopReason = stop.reason
    if (stopReason !== undefined) break
    const step = stepContext()
    const outcome = yield* runStep(progress.steps, step, {
      maxTokens: budget.tokensLeft,
      ...(context.sampling && { sampling: context.sampling }),
      ...(context.adapter !== undefined && { adapter: context.adapter }),
    }).pipe(Effect.catchIf(isContextFull, () => Effect.void))
    if (outcome === undefined) {
      const shorter: RunContext = yield* shorten(context, running)
      if (shorter === context) stopReason = stop.reason ?? "context-full"
      context = shorter
      continue
    }
    rememberLength(context.transcript, outcome.end.usage)
    stopReason = progress.after(outcome, stop.reason)
    if (stopReason === "end-of-turn" && context.output !== undefined) {
      const checked = yield* checkOutput(progress.text, context.output, stop)
      if (checked === undefined) stopReason = stop.reason
      else if (checked.ok) output = checked.value
      else stopReason = repairOutput(checked.problem, progress, context)
    }
    if (stopReason === undefined) context = afterHandoff(context, outcome.results)
  }
  const { text, steps } = progress
  const { usage } = budget
  emit([{ type: "run-end", stopReason, text, usage }])
  const { transcript, model, tools, approvalKey } = context
  const pending = stopReason === "needs-approval" ? pendingIn(transcript, approvalKey) : undefined
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

/** A prompt that does not fit is no failure of the engine: the run ends, or goes on with a shorter conversation. */
function isContextFull(error: RunError): boolean {
  return error instanceof EngineError && error.reason === "context-full"
}

/** Judges what the user said while the model writes; a verdict against it stops the run. */
function judgeInput({ guards, transcript, emit }: RunContext, stop: RunStop): Promise<Verdict> | undefined {
  if (guards?.input === undefined) return undefined
  return checkGuards(guards.input, [...transcript.turns], stop.signal).then((verdict) => {
    if (!verdict.allowed && stop.isOpen) {
      emit([{ type: "guard-stop", stage: "input", categories: verdict.categories, reason: verdict.reason }])
      stop.stop("guard")
    }
    return verdict
  })
}

function checkOutput(
  text: string,
  check: OutputCheck,
  stop: RunStop,
): Effect.Effect<Awaited<ReturnType<OutputCheck>> | undefined> {
  return stop.unlessStopped(Effect.promise(() => check(text)))
}

function repairOutput(
  problem: string,
  progress: RunProgress,
  { emit, transcript }: RunContext,
): RunStopReason | undefined {
  const stopReason = progress.badOutput()
  if (stopReason !== undefined) return stopReason
  emit([{ type: "output-invalid", problem }])
  transcript.append(askAgain(problem))
  return undefined
}

/** The last assistant turn with what is already answered; unreadable calls were answered before the pause. */
function resumedRound(transcript: Transcript, { pending, decisions }: ResumePoint): CallRound {
  const turn = transcript.turns[pending.turn]
  if (turn?.role !== "assistant") throw new Error("a pending run is verified before it is resumed")
  // What was answered since, by a process that did not live to tell, is not run again.
  const results = [...pending.results, ...transcript.openResults]
  const answered: ToolCallInvalid[] = (turn.unreadCalls ?? []).map((unread) => ({
    type: "tool-call-invalid",
    problem: "",
    ...unread,
  }))
  return { turn, invalidCalls: answered, results, decisions, early: new Map() }
}
