/**
 * A step is one generation and the tool calls that it asked for. It appends the assistant turn and one `ipython` turn per
 * call, in call order, so the transcript is valid after it whatever happened inside: an aborted tool leaves a result too.
 * Where a person has to agree first, the results wait together with the calls, outside the transcript.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Decision } from "./approval.ts"
import { EngineError, PromptError, TokenizerError } from "./error.ts"
import type { AgentEvent, ToolCallInvalid, ToolResult } from "./event.ts"
import type { Guard, Verdict } from "./guard.ts"
import { checkGuards } from "./guard-check.ts"
import type { Model, ModelEnd, ModelOptions } from "./model.ts"
import type { Budget } from "./run-budget.ts"
import type { RunClock } from "./run-clock.ts"
import type { RunStop } from "./run-stop.ts"
import type { Tool } from "./tool.ts"
import { answerCall, answerInvalidCall, type CallContext, cancelled, failedCall } from "./tool-call.ts"
import { callNumber, resultTurn } from "./tool-turn.ts"
import type { Transcript } from "./transcript.ts"
import type { AssistantTurn, ToolCall } from "./turn.ts"

/** What can fail a run: the engine, or a transcript that no prompt can hold. */
export type RunError = EngineError | PromptError | TokenizerError

export type Emit = (events: readonly AgentEvent[]) => void

export interface StepContext {
  readonly model: Model
  readonly transcript: Transcript
  readonly tools: ReadonlyMap<string, Tool>
  /** Most calls that run at the same time. */
  readonly toolConcurrency: number
  /** Calls beyond it are answered as not run. */
  readonly budget: Budget
  readonly stop: RunStop
  readonly clock: RunClock
  readonly emit: Emit
  /** The verdict on what the user said, where it is still out. No call runs before it. */
  readonly inputVerdict?: Promise<Verdict>
  readonly outputGuards?: readonly Guard[]
}

/** The calls of one assistant turn and what is known about them before they are answered. */
export interface CallRound {
  readonly turn: AssistantTurn
  readonly invalidCalls: readonly ToolCallInvalid[]
  /** Results from before the run was paused. */
  readonly results: readonly ToolResult[]
  readonly decisions: ReadonlyMap<string, Decision>
  /** Calls of read-only tools that were started while the model still wrote. */
  readonly early: ReadonlyMap<string, EarlyCall>
}

type EarlyCall = Fiber.Fiber<ToolResult | undefined>

export interface Answers {
  /** One per answered call, in call order. */
  readonly results: readonly ToolResult[]
  /** Calls that wait for a person. Where there are any, nothing was appended to the transcript. */
  readonly waiting: readonly ToolCall[]
}

export interface StepOutcome extends Answers {
  readonly end: ModelEnd
  /** A guard forbade the turn; none of its calls was run. */
  readonly forbidden: boolean
}

export const runStep = Effect.fnUntraced(function* (
  step: number,
  context: StepContext,
  options: Omit<ModelOptions, "firstCall" | "signal">,
) {
  const { transcript, emit } = context
  emit([{ type: "step-start", step }])
  const early = new Map<string, EarlyCall>()
  const end = yield* generate(context, options, early).pipe(Effect.onError(() => interruptAll(early)))
  context.budget.spend(end.usage)
  transcript.append(end.turn)
  transcript.countCalls(end.turn.toolCalls.length + end.invalidCalls.length)
  const round: CallRound = { turn: end.turn, invalidCalls: end.invalidCalls, results: [], decisions: new Map(), early }
  const forbidden = end.complete && !(yield* judge(context))
  if (forbidden || !end.complete) yield* interruptAll(early)
  const answers = forbidden
    ? notRun(round, context, "A guard stopped the run, so nothing was run.")
    : end.complete
      ? yield* answerRound(round, context)
      : notRun(round, context, "The answer was cut off, so nothing was run.")
  const timing = end.timing && { timing: end.timing }
  emit([{ type: "step-end", step, turn: end.turn, usage: end.usage, ...timing }])
  return { end, ...answers, forbidden } satisfies StepOutcome
})

/** Runs the calls of a round and appends their results, unless some of them wait for a person. */
export const answerRound = Effect.fnUntraced(function* (round: CallRound, context: StepContext) {
  const slots = callSlots(round)
  if (slots.length === 0) return { results: [], waiting: [] } satisfies Answers
  const results = new Map(round.results.map((result) => [result.callId, result]))
  const settle = (result: ToolResult): void => {
    if (results.has(result.callId)) return
    results.set(result.callId, result)
    context.emit([result])
  }
  const waiting: ToolCall[] = []
  const answerSlot = ({ call, invalid }: CallSlot): Effect.Effect<void> => {
    if (results.has(call.id) || context.stop.reason !== undefined) return Effect.void
    if (invalid !== undefined) return Effect.sync(() => settle(answerInvalidCall(invalid, context.tools)))
    const started = round.early.get(call.id)
    if (started === undefined && !context.budget.takeCall()) {
      return Effect.sync(() => settle(failedCall(call, "not-run", "The limit of tool calls is reached.")))
    }
    const answer = started ? Fiber.join(started) : answerCall(call, callContext(context), round.decisions.get(call.id))
    return Effect.map(answer, (result) => (result === undefined ? void waiting.push(call) : settle(result)))
  }
  const [only] = slots
  yield* slots.length === 1 && only ? answerSlot(only) : inBarriers(slots, context, answerSlot)
  if (context.stop.reason !== undefined) {
    yield* settleAll(round.early, settle)
    for (const { call } of slots) settle(cancelled(call))
    waiting.length = 0
  }
  const inOrder = slots.flatMap(({ call }) => results.get(call.id) ?? [])
  if (waiting.length === 0) appendResults(inOrder, context.transcript)
  else context.transcript.holdResults(inOrder)
  return { results: inOrder, waiting } satisfies Answers
})

/** Passes the model's events on, a batch at a time, until its turn is whole. Read-only tools start as soon as a call ends. */
const generate = Effect.fnUntraced(function* (
  context: StepContext,
  options: Omit<ModelOptions, "firstCall" | "signal">,
  early: Map<string, EarlyCall>,
): Effect.fn.Return<ModelEnd, RunError> {
  const { model, transcript, stop, clock, emit } = context
  return yield* Effect.tryPromise({
    try: async () => {
      const generation = model.generate(transcript, { ...options, firstCall: transcript.calls, signal: stop.signal })
      let barred = context.inputVerdict !== undefined || context.outputGuards !== undefined
      for await (const events of generation) {
        emit(events)
        for (const event of events) {
          if (event.type !== "tool-call-end") continue
          const tool = context.tools.get(event.call.name)
          barred ||= tool?.sequential === true
          if (barred || !startsEarly(tool, early.size, context)) continue
          early.set(event.call.id, clock.fork(answerCall(event.call, callContext(context))))
        }
      }
      return generation.end
    },
    catch: (thrown) => (isRunError(thrown) ? thrown : brokenModel(thrown)),
  })
})

/**
 * A call that has ended cannot change any more; what nobody has to agree to and changes nothing may run at once. Not behind a
 * sequential tool, which has to end first, and not where a guard still has to release the turn.
 */
function startsEarly(tool: Tool | undefined, running: number, { toolConcurrency, budget }: StepContext): boolean {
  if (tool === undefined || !tool.readOnly || tool.needsApproval !== undefined) return false
  return running < toolConcurrency && budget.takeCall()
}

function callContext({ tools, transcript, budget, stop, clock, emit }: StepContext): CallContext {
  return { tools, sessionId: transcript.id, budget, stop, clock, report: (event) => emit([event]) }
}

function interruptAll(early: ReadonlyMap<string, EarlyCall>): Effect.Effect<void> {
  return early.size === 0 ? Effect.void : Fiber.interruptAll(early.values())
}

/** The run stops, so each of them ends by itself: at once, or as a sub-agent does. Its result tells what it spent. */
function settleAll(early: ReadonlyMap<string, EarlyCall>, settle: (result: ToolResult) => void): Effect.Effect<void> {
  if (early.size === 0) return Effect.void
  return Effect.forEach(early.values(), (call) => Effect.map(Fiber.join(call), (result) => result && settle(result)), {
    discard: true,
  })
}

/** Whether the turn that stands at the end of the transcript may stand, and the user's before it. */
function judge({ inputVerdict, outputGuards, transcript, stop, emit }: StepContext): Effect.Effect<boolean> {
  if (inputVerdict === undefined && outputGuards === undefined) return Effect.succeed(true)
  const judging = Effect.promise(async (): Promise<Verdict> => {
    // The run itself tells of a forbidden input.
    const input = await inputVerdict
    if (input !== undefined && !input.allowed) return { allowed: true }
    return checkGuards(outputGuards, [...transcript.turns], stop.signal)
  })
  return Effect.map(stop.unlessStopped(judging), (verdict) => {
    if (verdict === undefined || stop.reason !== undefined) return stop.reason !== "guard"
    if (verdict.allowed) return true
    emit([{ type: "guard-stop", stage: "output", categories: verdict.categories, reason: verdict.reason }])
    return false
  })
}

/** A turn that may not act runs none of its calls, and each of them says so. */
function notRun(round: CallRound, { emit, transcript }: StepContext, text: string): Answers {
  const results = callSlots(round).map(({ call }) => failedCall(call, "not-run", text))
  emit(results)
  appendResults(results, transcript)
  return { results, waiting: [] }
}

function appendResults(results: readonly ToolResult[], transcript: Transcript): void {
  for (const result of results) transcript.append(resultTurn(result))
}

interface CallSlot {
  readonly call: ToolCall
  readonly invalid?: ToolCallInvalid
}

/** Valid and unreadable calls together, in the order in which the model wrote them: their ids are counted. */
function callSlots({ turn, invalidCalls }: CallRound): readonly CallSlot[] {
  const slots: CallSlot[] = turn.toolCalls.map((call) => ({ call }))
  if (invalidCalls.length === 0) return slots
  for (const invalid of invalidCalls) {
    const call: ToolCall = { id: invalid.id, name: invalid.name ?? "unknown", input: {}, syntax: "json-call" }
    slots.push({ call, invalid })
  }
  return slots.sort((a, b) => callNumber(a.call.id) - callNumber(b.call.id))
}

/** Runs the slots side by side, but a sequential tool alone: what stands before it ends first, what follows waits. */
const inBarriers = Effect.fnUntraced(function* (
  slots: readonly CallSlot[],
  context: StepContext,
  answerSlot: (slot: CallSlot) => Effect.Effect<void>,
) {
  const isSequential = (slot: CallSlot | undefined) =>
    slot !== undefined && (context.tools.get(slot.call.name)?.sequential ?? false)
  let from = 0
  while (from < slots.length) {
    let to = from + 1
    if (!isSequential(slots[from])) while (to < slots.length && !isSequential(slots[to])) to++
    yield* Effect.forEach(slots.slice(from, to), answerSlot, { concurrency: context.toolConcurrency, discard: true })
    from = to
  }
})

export function isRunError(thrown: unknown): thrown is RunError {
  return thrown instanceof EngineError || thrown instanceof PromptError || thrown instanceof TokenizerError
}

function brokenModel(thrown: unknown): EngineError {
  const text = thrown instanceof Error ? thrown.message : String(thrown)
  return new EngineError({
    reason: "internal",
    detail: `The model failed: ${text}`,
    fix: "See the cause; a model is expected to fail with an EngineError.",
    cause: thrown,
  })
}
