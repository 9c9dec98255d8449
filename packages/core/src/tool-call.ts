/**
 * Answers one call: finds the tool, checks the input, runs it with its timeout, and turns whatever happens into a result
 * that the model can read. It never fails: a failed tool is data. What a tool threw goes into `cause`, never to the model.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Decision } from "./approval.ts"
import {
  addUsage,
  type NestedEvent,
  noUsage,
  type RunStopReason,
  type ToolCallInvalid,
  type ToolFailure,
  type ToolResult,
  type Usage,
} from "./event.ts"
import type { Budget } from "./run-budget.ts"
import type { RunClock } from "./run-clock.ts"
import type { RunStop } from "./run-stop.ts"
import { type Tool, type ToolContext, ToolFailed, type ToolRetry } from "./tool.ts"
import type { InputCheckResult } from "./tool-input.ts"
import type { JsonObject, JsonValue, ToolCall } from "./turn.ts"

export interface CallContext {
  readonly tools: ReadonlyMap<string, Tool>
  readonly sessionId: string
  readonly budget: Budget
  readonly stop: RunStop
  readonly clock: RunClock
  readonly report: (event: NestedEvent) => void
}

/** Runs a call to its result, at once when the run stops; `undefined` where a person has to agree first and was not asked. */
export const answerCall = Effect.fnUntraced(function* (
  call: ToolCall,
  context: CallContext,
  decision?: Decision,
): Effect.fn.Return<ToolResult | undefined> {
  const tool = context.tools.get(call.name)
  if (tool === undefined) return failedCall(call, "unknown-tool", unknownTool(call.name, context.tools))
  if (decision?.kind === "refuse") return failedCall(call, "refused", refusal(call.name, decision.reason))
  const edited = decision?.input
  const checked = checkInput(tool, edited ?? call.input)
  const checking =
    checked instanceof Promise ? yield* context.stop.unlessStopped(Effect.promise(() => checked)) : checked
  if (checking === undefined) return cancelled(call)
  if ("thrown" in checking) return thrownBy(call, checking.thrown)
  if (!checking.ok) return failedCall(call, "invalid-input", invalidInput(call.name, checking.problems))
  const input = checking.input as never
  if (decision === undefined) {
    const waits = waitsForApproval(tool, input)
    if (typeof waits === "object") return thrownBy(call, waits.thrown)
    if (waits) return undefined
  }

  const start = context.clock.now()
  const outcome = yield* execute(tool, input, call, context)
  const durationMs = context.clock.now() - start
  // The model must not take the result of an edited input for the result of its own.
  return edited === undefined || outcome.isError
    ? { ...outcome, durationMs }
    : { ...outcome, output: { edited_input: edited, result: outcome.output }, durationMs }
})

interface Thrown {
  readonly thrown: unknown
}

/** A schema may be code, and code may throw: then nothing is run. */
function checkInput(tool: Tool, input: JsonObject): InputCheckResult | Thrown | Promise<InputCheckResult | Thrown> {
  try {
    const checking = tool.check(input)
    return checking instanceof Promise ? checking.catch((thrown: unknown) => ({ thrown })) : checking
  } catch (thrown) {
    return { thrown }
  }
}

function waitsForApproval({ needsApproval }: Tool, input: never): boolean | Thrown {
  try {
    return typeof needsApproval === "function" ? needsApproval(input) : (needsApproval ?? false)
  } catch (thrown) {
    return { thrown }
  }
}

/** The result of a call that could not be read. */
export function answerInvalidCall(invalid: ToolCallInvalid, tools: ReadonlyMap<string, Tool>): ToolResult {
  const text = `This tool call could not be read: ${invalid.problem} Nothing was run. ${available(tools)}`
  return failedCall({ id: invalid.id, name: invalid.name ?? "unknown" }, "malformed", text)
}

/** A result that says why a call has none of its own. */
export function failedCall(
  call: Pick<ToolCall, "id" | "name">,
  failure: ToolFailure,
  text: string,
  cause?: unknown,
): ToolResult {
  return {
    type: "tool-result",
    callId: call.id,
    name: call.name,
    output: { error: text },
    isError: true,
    failure,
    ...(cause !== undefined && { cause: describe(cause) }),
    durationMs: 0,
  }
}

function execute(tool: Tool, input: never, call: ToolCall, context: CallContext): Effect.Effect<ToolResult> {
  const budget = new CallBudget(context.budget)
  const attempt = runOnce(tool, input, call, context, budget)
  const answer = tool.retry === undefined ? attempt : retried(attempt, tool.retry, tool, call, context)
  return Effect.match(answer, {
    onSuccess: (result) => budget.close(result),
    onFailure: (thrown) => budget.close(thrownBy(call, thrown)),
  })
}

/** Fails with what the tool throws. Ends at once when its time is up, the run stops or the fiber is interrupted. */
function runOnce(
  tool: Tool,
  input: never,
  call: ToolCall,
  { sessionId, stop, clock, report }: CallContext,
  budget: CallBudget,
): Effect.Effect<ToolResult, unknown> {
  return Effect.callback<ToolResult, unknown>((resume) => {
    if (stop.reason !== undefined) return resume(Effect.succeed(cancelled(call)))
    const signal = new LazySignal()
    let verdict: ToolResult | undefined
    const end = (answer: Effect.Effect<ToolResult, unknown>): void => {
      release()
      resume(verdict === undefined ? answer : Effect.succeed(verdict))
    }
    /** Whoever settles by itself is waited for, so that what it spends until then is known. */
    const cut = (result: ToolResult): void => {
      verdict ??= result
      if (!tool.settles) end(Effect.succeed(verdict))
      signal.abort()
    }
    const disarm = clock.after(tool.timeoutMs, () => cut(outOfTime(tool, call)))
    const off = stop.onStop(() => cut(cancelled(call)))
    const release = (): void => {
      disarm()
      off()
    }
    const context: ToolContext = {
      callId: call.id,
      sessionId,
      budget,
      report,
      spend: (usage) => budget.spend(usage),
      get tokensLeft() {
        return budget.tokensLeft
      },
      get signal() {
        return signal.signal
      },
    }
    const running = run(tool, input, context).then(
      (output) => end(Effect.succeed(succeeded(call, output))),
      (thrown) => end(Effect.fail(thrown)),
    )
    return Effect.promise(() => {
      release()
      signal.abort()
      return tool.settles ? running : Promise.resolve()
    })
  })
}

/** The run's budget, with what one call takes from it. Nothing counts once the call has its result. */
class CallBudget implements Budget {
  readonly #run: Budget
  #usage: Usage | undefined
  #open = true

  constructor(run: Budget) {
    this.#run = run
  }

  get tokensLeft(): number {
    return this.#run.tokensLeft
  }

  spend(usage: Usage): void {
    if (!this.#open) return
    this.#usage = addUsage(this.#usage ?? noUsage, usage)
    this.#run.spend(usage)
  }

  takeCall(): boolean {
    return this.#run.takeCall()
  }

  exhausted(): RunStopReason | undefined {
    return this.#run.exhausted()
  }

  close(result: ToolResult): ToolResult {
    this.#open = false
    return this.#usage === undefined ? result : { ...result, usage: this.#usage }
  }
}

async function run(tool: Tool, input: never, context: ToolContext): Promise<unknown> {
  const output: unknown = tool.execute(input, context)
  return Effect.isEffect(output)
    ? Effect.runPromise(output as Effect.Effect<JsonValue, unknown>, { signal: context.signal })
    : output
}

/** All attempts together have the tool's time. */
function retried(
  attempt: Effect.Effect<ToolResult, unknown>,
  { times, backoffMs }: ToolRetry,
  tool: Tool,
  call: ToolCall,
  { stop }: CallContext,
): Effect.Effect<ToolResult, unknown> {
  const trying = Effect.retry(attempt, {
    times,
    schedule: Schedule.exponential(backoffMs),
    while: (thrown) => !(thrown instanceof ToolFailed),
  }).pipe(Effect.timeoutOrElse({ duration: tool.timeoutMs, orElse: () => Effect.succeed(outOfTime(tool, call)) }))
  return Effect.map(stop.unlessStopped(trying), (result) => result ?? cancelled(call))
}

/** An AbortSignal that is made when a tool first asks for it: most never do. */
class LazySignal {
  #controller: AbortController | undefined
  #aborted = false

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#aborted) this.#controller.abort()
    return this.#controller.signal
  }

  abort(): void {
    this.#aborted = true
    this.#controller?.abort()
  }
}

function outOfTime({ name, timeoutMs }: Tool, call: ToolCall): ToolResult {
  return failedCall(call, "timeout", `The tool ${name} did not answer within ${timeoutMs} ms.`)
}

export function cancelled(call: ToolCall): ToolResult {
  return failedCall(call, "cancelled", "The call was cancelled.")
}

function succeeded(call: ToolCall, output: unknown): ToolResult {
  const value = jsonValue(output)
  if (value === undefined) {
    return failedCall(call, "failed", `The tool ${call.name} gave no usable result.`, "its result is not JSON")
  }
  return { type: "tool-result", callId: call.id, name: call.name, output: value, isError: false, durationMs: 0 }
}

function thrownBy(call: ToolCall, thrown: unknown): ToolResult {
  return thrown instanceof ToolFailed
    ? failedCall(call, "failed", thrown.message, thrown)
    : failedCall(call, "failed", `The tool ${call.name} failed.`, thrown)
}

/** A plain copy that JSON can carry; undefined for what it cannot. Primitives pass without a copy. */
function jsonValue(output: unknown): JsonValue | undefined {
  if (output === undefined) return null
  if (typeof output === "string" || typeof output === "boolean" || output === null) return output
  try {
    const text = JSON.stringify(output)
    return text === undefined ? undefined : (JSON.parse(text) as JsonValue)
  } catch {
    return undefined
  }
}

function unknownTool(name: string, tools: ReadonlyMap<string, Tool>): string {
  return `There is no tool named ${JSON.stringify(name.slice(0, 64))}. ${available(tools)}`
}

function invalidInput(name: string, problems: readonly string[]): string {
  return `The input of ${name} is not valid: ${problems.join("; ")}. Nothing was run. Call it again with a valid input.`
}

function refusal(name: string, reason: string | undefined): string {
  return `The user refused the call of ${name}${reason === undefined ? "." : `: ${reason}`} Nothing was run.`
}

function available(tools: ReadonlyMap<string, Tool>): string {
  return tools.size === 0 ? "There are no tools." : `Available tools: ${[...tools.keys()].join(", ")}.`
}

function describe(cause: unknown): string {
  return cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)
}
