/**
 * A run is steps until the turn ends or a limit is reached. This is the only place where the loop closes:
 * results go back to the model here. Limits end a run with a stop reason and all that was done; only an engine that
 * fails makes it fail.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Sampling } from "./engine.ts"
import type { EngineError } from "./error.ts"
import type { RunStopReason, ToolFailure, ToolResult, Usage } from "./event.ts"
import type { ModelEnd } from "./model.ts"
import { runStep, type StepContext, type StepOutcome } from "./step.ts"

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
}

export interface RunResult {
  /** The prose of the last assistant turn. */
  readonly text: string
  readonly stopReason: RunStopReason
  readonly usage: Usage
  readonly steps: number
}

export const noUsage: Usage = { prompt: 0, cached: 0, generated: 0, forced: 0, discarded: 0 }

export const run = Effect.fnUntraced(function* (context: RunContext): Effect.fn.Return<RunResult, EngineError> {
  const { limits, emit } = context
  const stop = yield* stopSignal(context.signal, limits.deadlineMs)
  const progress = new Progress(limits)
  emit([{ type: "run-start" }])
  let stopReason: RunStopReason | undefined = stop.reason()
  while (stopReason === undefined) {
    const outcome = yield* runStep(
      progress.steps,
      { ...context, signal: stop.signal, toolCallsLeft: limits.maxToolCalls - progress.toolCalls },
      {
        maxTokens: limits.maxTokens - progress.usage.generated,
        ...(context.sampling && { sampling: context.sampling }),
      },
    )
    stopReason = progress.after(outcome, stop.reason())
  }
  stop.release()
  const result: RunResult = { text: progress.text, stopReason, usage: progress.usage, steps: progress.steps }
  emit([{ type: "run-end", stopReason, text: result.text, usage: result.usage }])
  return result
})

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
  after({ end, results }: StepOutcome, stopped: RunStopReason | undefined): RunStopReason | undefined {
    this.steps++
    this.usage = addUsage(this.usage, end.usage)
    this.text = end.turn.content
    this.toolCalls += results.filter((result) => result.failure !== "not-run").length
    if (stopped !== undefined) return stopped
    if (end.reason === "aborted") return "aborted"
    if (end.reason === "context-full") return "context-full"
    if (!end.complete) return "max-tokens"
    return (
      this.#endOfTurn(end, results) ??
      this.#tooManyFailures(results) ??
      this.#repeated(end, results) ??
      this.#limit(results)
    )
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
