/**
 * With whom a run goes on, and over which turns: another agent after a handoff, fewer turns where the conversation no longer fits.
 * Both are declared breaks of the prefix, told by an event that says what they cost.
 */
import * as Effect from "effect/Effect"
import type { ApprovalKey } from "./approval.ts"
import type { ContextPolicy } from "./context-policy.ts"
import type { Sampling } from "./engine.ts"
import { addUsage, noUsage, type ToolResult, type TranscriptReplaced, type Usage } from "./event.ts"
import type { Guards } from "./guard-check.ts"
import { type HandoffTarget, handedOver } from "./handoff.ts"
import type { Model } from "./model.ts"
import type { Budget } from "./run-budget.ts"
import type { RunLimits } from "./run-limits.ts"
import { isRunError, type RunError, type StepContext } from "./step.ts"
import { Transcript } from "./transcript.ts"
import type { JsonObject } from "./turn.ts"

export interface RunContext extends Omit<StepContext, "budget" | "inputVerdict" | "outputGuards" | "stop" | "clock"> {
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
  /** Of the run that this one is a part of. */
  readonly budget?: Budget
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

/** What of a running run the changes here need. */
export type Running = Pick<StepContext, "stop" | "budget">

/** Prompt and answer of the last step, where a model cannot tell the length of its next prompt. */
const lastLengths = new WeakMap<Transcript, number>()
/** What was left after a policy shortened a transcript: it acts again when much has come to that. */
const shortened = new WeakMap<Transcript, number>()

export function rememberLength(transcript: Transcript, { prompt, generated }: Usage): void {
  lastLengths.set(transcript, prompt + generated)
}

/** The context under the agent that the model handed over to, if it did. */
export function afterHandoff(context: RunContext, results: readonly ToolResult[]): RunContext {
  const target = results.map(({ name, isError }) => (isError ? undefined : context.handoffs?.get(name))).find(Boolean)
  if (target === undefined) return context
  const { transcript } = context
  const next = handedOver(transcript, target)
  const lostTokens = lengthOf(transcript, context.model) ?? 0
  context.emit([replaced(next, { reason: "handoff", by: target.name, lostTokens })])
  // An adapter belongs to the model that it was loaded for.
  const { adapter, ...others } = context
  const kept = target.model === undefined && adapter !== undefined ? { adapter } : {}
  return { ...others, ...kept, transcript: next, tools: target.tools, model: target.model ?? context.model }
}

/** The context with a shorter conversation, where its policy says that it is time. */
export function withRoom(context: RunContext, running: Running): Effect.Effect<RunContext, RunError> {
  const { contextPolicy: policy, transcript, model } = context
  if (policy === undefined) return Effect.succeed(context)
  const { contextLength } = model.info
  const length = lengthOf(transcript, model) ?? 0
  const least = (shortened.get(transcript) ?? 0) + contextLength / 10
  if (length < Math.max(policy.atFraction * contextLength, least)) return Effect.succeed(context)
  return shorten(context, running)
}

/** The context with a shorter conversation; the same one where there is no policy or nothing to drop. */
export const shorten = Effect.fnUntraced(function* (
  context: RunContext,
  { stop, budget }: Running,
): Effect.fn.Return<RunContext, RunError> {
  const { contextPolicy: policy, transcript, model } = context
  if (policy === undefined) return context
  let usage: Usage | undefined
  const spend = (more: Usage): void => {
    usage = addUsage(usage ?? noUsage, more)
    budget.spend(more)
  }
  const shortening = Effect.tryPromise({
    try: () => policy.shorten(transcript, { model, signal: stop.signal, spend }),
    catch: (thrown) => thrown,
  }).pipe(Effect.catch((thrown) => (isRunError(thrown) ? Effect.fail(thrown) : Effect.die(thrown))))
  const turns = yield* stop.unlessStopped(shortening)
  if (turns === undefined || stop.reason !== undefined) return context
  const next = new Transcript(transcript.id, transcript.options, turns, transcript)
  const lostTokens = lostBetween(transcript, next, model)
  shortened.set(next, model.promptLength?.(next) ?? 0)
  context.emit([replaced(next, { reason: "context-policy", by: policy.name, lostTokens, ...(usage && { usage }) })])
  return { ...context, transcript: next }
})

function lengthOf(transcript: Transcript, model: Model): number | undefined {
  return model.promptLength?.(transcript) ?? lastLengths.get(transcript)
}

/** How much of the old prompt the new one does not begin with. */
function lostBetween(before: Transcript, after: Transcript, model: Model): number {
  const old = model.promptTokens?.(before)
  const next = model.promptTokens?.(after)
  if (old === undefined || next === undefined) return lengthOf(before, model) ?? 0
  let same = 0
  while (same < old.length && old[same] === next[same]) same++
  return old.length - same
}

function replaced(
  { options, turns }: Transcript,
  why: Pick<TranscriptReplaced, "reason" | "by" | "lostTokens" | "usage">,
): TranscriptReplaced {
  return { type: "transcript-replaced", ...why, options: options as unknown as JsonObject, turns: [...turns] }
}
