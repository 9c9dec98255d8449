/** What a run has done so far, and whether that is enough. Its size does not depend on the number of steps. */
import type { RunStopReason, ToolFailure, ToolResult } from "./event.ts"
import type { ModelEnd } from "./model.ts"
import type { RunBudget } from "./run-budget.ts"
import type { RunLimits } from "./run-limits.ts"
import type { Answers, StepOutcome } from "./step.ts"
import { sameJson, type ToolCall } from "./turn.ts"

export class RunProgress {
  readonly #limits: RunLimits
  readonly #budget: RunBudget
  readonly #failures = new Map<ToolFailure, number>()
  #lastCalls: readonly ToolCall[] = []
  #lastResults: readonly ToolResult[] = []
  #repeats = 0
  #continued = false
  #badOutputs = 0
  text = ""
  steps = 0

  constructor(limits: RunLimits, budget: RunBudget) {
    this.#limits = limits
    this.#budget = budget
  }

  /** Takes a step into account; a reason when the run is over. */
  after(
    { end, results, waiting, forbidden }: StepOutcome,
    stopped: RunStopReason | undefined,
  ): RunStopReason | undefined {
    this.steps++
    this.text = end.turn.content
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
    return stopped ?? (waiting.length > 0 ? "needs-approval" : this.#limit(results))
  }

  /** Counts a final answer that failed its check. */
  badOutput(): RunStopReason | undefined {
    this.#badOutputs++
    if (this.#badOutputs > this.#limits.maxRepairs) return "max-repairs"
    return this.#limit([])
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
    const calls = end.turn.toolCalls
    this.#repeats = sameRound(calls, results, this.#lastCalls, this.#lastResults) ? this.#repeats + 1 : 1
    this.#lastCalls = calls
    this.#lastResults = results
    return this.#repeats >= this.#limits.maxRepeats ? "no-progress" : undefined
  }

  #limit(results: readonly ToolResult[]): RunStopReason | undefined {
    if (results.some(({ failure }) => failure === "not-run")) return "max-tool-calls"
    return this.#budget.exhausted() ?? (this.steps >= this.#limits.maxSteps ? "max-steps" : undefined)
  }
}

/** False also for values too deep to compare. */
function sameRound(
  calls: readonly ToolCall[],
  results: readonly ToolResult[],
  lastCalls: readonly ToolCall[],
  lastResults: readonly ToolResult[],
): boolean {
  if (calls.length !== lastCalls.length || results.length !== lastResults.length) return false
  try {
    return (
      calls.every(({ name, input }, at) => name === lastCalls[at]?.name && sameJson(input, lastCalls[at].input)) &&
      results.every(({ output }, at) => sameJson(output, lastResults[at]?.output ?? null))
    )
  } catch (error) {
    if (error instanceof RangeError) return false
    throw error
  }
}
