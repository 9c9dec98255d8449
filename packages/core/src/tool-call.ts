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
  type ToolCallInvalid,
  type ToolFailure,
  type ToolResult,
  type Usage,
} from "./event.ts"
import type { RunClock } from "./run-clock.ts"
import type { RunStop } from "./run-stop.ts"
import { type Tool, type ToolContext, ToolFailed, type ToolRetry } from "./tool.ts"
import type { JsonValue, ToolCall } from "./turn.ts"

export interface CallContext {
  readonly tools: ReadonlyMap<string, Tool>
  readonly sessionId: string
  readonly tokensLeft: number
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
  const checking = tool.check(edited ?? call.input)
  const checked =
    "ok" in checking
      ? checking
      : yield* unlessStopped(
          Effect.promise(() => checking),
          context.stop,
        )
  if (checked === undefined) return cancelled(call)
  if (!checked.ok) return failedCall(call, "invalid-input", invalidInput(call.name, checked.problems))
  const input = checked.input as never
  if (decision === undefined && waitsForApproval(tool, input)) return undefined

  const start = context.clock.now()
  const outcome = yield* execute(tool, input, call, context)
  const durationMs = context.clock.now() - start
  // The model must not take the result of an edited input for the result of its own.
  return edited === undefined || outcome.isError
    ? { ...outcome, durationMs }
    : { ...outcome, output: { edited_input: edited, result: outcome.output }, durationMs }
})

function waitsForApproval({ needsApproval }: Tool, input: never): boolean {
  return typeof needsApproval === "function" ? needsApproval(input) : (needsApproval ?? false)
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
  let usage: Usage | undefined
  const spend = (more: Usage): void => {
    usage = addUsage(usage ?? noUsage, more)
  }
  const attempt = runOnce(tool, input, call, context, spend)
  const answer = tool.retry === undefined ? attempt : retried(attempt, tool.retry, tool, call, context)
  return Effect.match(answer, {
    onSuccess: (result) => (usage === undefined ? result : { ...result, usage }),
    onFailure: (thrown) => {
      const result = thrownBy(call, thrown)
      return usage === undefined ? result : { ...result, usage }
    },
  })
}

/** Fails with what the tool throws. Ends at once when its time is up, the run stops or the fiber is interrupted. */
function runOnce(
  tool: Tool,
  input: never,
  call: ToolCall,
  { sessionId, tokensLeft, stop, clock, report }: CallContext,
  spend: (usage: Usage) => void,
): Effect.Effect<ToolResult, unknown> {
  return Effect.callback<ToolResult, unknown>((resume) => {
    if (stop.reason !== undefined) return resume(Effect.succeed(cancelled(call)))
    const signal = new LazySignal()
    const disarm = clock.after(tool.timeoutMs, () => {
      end(Effect.succeed(outOfTime(tool, call)))
      signal.abort()
    })
    const off = stop.onStop(() => {
      end(Effect.succeed(cancelled(call)))
      signal.abort()
    })
    const release = (): void => {
      disarm()
      off()
    }
    const end = (answer: Effect.Effect<ToolResult, unknown>): void => {
      release()
      resume(answer)
    }
    const context: ToolContext = {
      callId: call.id,
      sessionId,
      tokensLeft,
      report,
      spend,
      get signal() {
        return signal.signal
      },
    }
    run(tool, input, context).then(
      (output) => end(Effect.succeed(succeeded(call, output))),
      (thrown) => end(Effect.fail(thrown)),
    )
    return Effect.sync(() => {
      release()
      signal.abort()
    })
  })
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
  return Effect.map(unlessStopped(trying, stop), (result) => result ?? cancelled(call))
}

function unlessStopped<A, E>(effect: Effect.Effect<A, E>, { stopped }: RunStop): Effect.Effect<A | undefined, E> {
  return Effect.raceFirst(
    effect,
    Effect.map(stopped, () => undefined),
  )
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
