/**
 * Answers one call: finds the tool, checks the input, runs it with its timeout, and turns whatever happens into a result
 * that the model can read. It never fails: a failed tool is data. What a tool threw goes into `cause`, never to the model.
 */
import * as Clock from "effect/Clock"
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
import type { Tool } from "./tool.ts"
import { ToolFailed } from "./tool.ts"
import type { JsonValue, ToolCall } from "./turn.ts"

export interface CallContext {
  readonly tools: ReadonlyMap<string, Tool>
  readonly sessionId: string
  readonly tokensLeft: number
  readonly report: (event: NestedEvent) => void
}

/** Runs a call to its result; `undefined` where a person has to agree first and has not been asked. */
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
  const checked = "ok" in checking ? checking : yield* Effect.promise(() => checking)
  if (!checked.ok) return failedCall(call, "invalid-input", invalidInput(call.name, checked.problems))
  const input = checked.input as never
  if (decision === undefined && waitsForApproval(tool, input)) return undefined

  const start = yield* Clock.currentTimeMillis
  const outcome = yield* execute(tool, input, call, context)
  const durationMs = (yield* Clock.currentTimeMillis) - start
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
  const { sessionId, tokensLeft, report } = context
  let usage: Usage | undefined
  const spend = (more: Usage): void => {
    usage = addUsage(usage ?? noUsage, more)
  }
  const running = Effect.tryPromise({
    try: async (signal) => {
      const output = tool.execute(input, { callId: call.id, signal, sessionId, tokensLeft, report, spend })
      return Effect.isEffect(output)
        ? Effect.runPromise(output as unknown as Effect.Effect<JsonValue, unknown>, { signal })
        : output
    },
    catch: (thrown) => thrown,
  })
  const { retry } = tool
  const trying =
    retry === undefined
      ? running
      : Effect.retry(running, {
          times: retry.times,
          schedule: Schedule.exponential(retry.backoffMs),
          while: (thrown) => !(thrown instanceof ToolFailed),
        })
  return trying.pipe(
    Effect.map((output) => succeeded(call, output)),
    Effect.catch((thrown) => Effect.succeed(thrownBy(call, thrown))),
    Effect.timeoutOrElse({
      duration: tool.timeoutMs,
      orElse: () =>
        Effect.succeed(
          failedCall(call, "timeout", `The tool ${call.name} did not answer within ${tool.timeoutMs} ms.`),
        ),
    }),
    Effect.map((result) => (usage === undefined ? result : { ...result, usage })),
  )
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
