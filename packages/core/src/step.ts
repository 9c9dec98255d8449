/**
 * A step is one generation and the tool calls that it asked for. It appends the assistant turn and one `ipython` turn per
 * call, in call order, so the transcript is valid after it whatever happened inside: an aborted tool leaves a result too.
 */
import * as Effect from "effect/Effect"
import { EngineError } from "./error.ts"
import type { AgentEvent, ToolFailure, ToolResult } from "./event.ts"
import type { Model, ModelEnd, ModelOptions } from "./model.ts"
import type { Tool } from "./tool.ts"
import { answerCall, answerInvalidCall, failedCall } from "./tool-call.ts"
import type { Transcript } from "./transcript.ts"
import type { ToolCall } from "./turn.ts"

export type Emit = (events: readonly AgentEvent[]) => void

export interface StepContext {
  readonly model: Model
  readonly transcript: Transcript
  readonly tools: ReadonlyMap<string, Tool>
  /** Most calls that run at the same time. */
  readonly toolConcurrency: number
  /** Most calls that this step may still run; the others are answered as not run. */
  readonly toolCallsLeft: number
  /** Aborted when the run has to stop now. */
  readonly signal: AbortSignal
  readonly emit: Emit
}

export interface StepOutcome {
  readonly end: ModelEnd
  /** One per call, in call order. */
  readonly results: readonly ToolResult[]
}

export const runStep = Effect.fnUntraced(function* (
  step: number,
  context: StepContext,
  options: Omit<ModelOptions, "firstCall" | "signal">,
) {
  const { transcript, emit } = context
  emit([{ type: "step-start", step }])
  const end = yield* generate(context, options)
  transcript.append(end.turn)
  transcript.countCalls(end.turn.toolCalls.length + end.invalidCalls.length)

  const results = yield* answer(end, context)
  for (const result of results) {
    transcript.append({
      role: "ipython",
      content: result.output,
      callId: result.callId,
      toolName: result.name,
      ...(result.isError && { isError: true }),
    })
  }
  emit([{ type: "step-end", step, turn: end.turn, usage: end.usage, ...(end.timing && { timing: end.timing }) }])
  return { end, results } satisfies StepOutcome
})

/** Passes the model's events on, a batch at a time, until its turn is whole. */
function generate(
  { model, transcript, signal, emit }: StepContext,
  options: Omit<ModelOptions, "firstCall" | "signal">,
): Effect.Effect<ModelEnd, EngineError> {
  return Effect.tryPromise({
    try: async () => {
      const generation = model.generate(transcript, { ...options, firstCall: transcript.calls, signal })
      for await (const events of generation) emit(events)
      return generation.end
    },
    catch: (thrown) => (thrown instanceof EngineError ? thrown : brokenModel(thrown)),
  })
}

/** Every call of the turn gets a result. A turn that was cut off runs none of its calls. */
function answer(end: ModelEnd, context: StepContext): Effect.Effect<readonly ToolResult[]> {
  const slots = callSlots(end)
  if (slots.length === 0) return Effect.succeed([])
  if (!end.complete) return Effect.succeed(notRun(slots, "The answer was cut off, so nothing was run.", context.emit))

  const results: (ToolResult | undefined)[] = slots.map(() => undefined)
  const settle = (index: number, result: ToolResult): void => {
    if (results[index] !== undefined) return
    results[index] = result
    context.emit([result])
  }
  let running = 0
  const answerSlot = ({ call, invalid }: CallSlot, index: number): Effect.Effect<void> => {
    if (invalid !== undefined) return Effect.sync(() => settle(index, answerInvalidCall(invalid, context.tools)))
    if (running++ >= context.toolCallsLeft) {
      return Effect.sync(() => settle(index, failedCall(call, "not-run", "The limit of tool calls is reached.")))
    }
    return Effect.map(answerCall(call, { tools: context.tools, sessionId: context.transcript.id }), (result) =>
      settle(index, result),
    )
  }
  return inBarriers(slots, context, answerSlot).pipe(
    Effect.raceFirst(aborted(context.signal)),
    Effect.map(() =>
      slots.map(({ call }, index) => {
        if (results[index] === undefined) settle(index, failedCall(call, "cancelled", "The call was cancelled."))
        return results[index] as ToolResult
      }),
    ),
  )
}

interface CallSlot {
  readonly call: Pick<ToolCall, "id" | "name"> & ToolCall
  readonly invalid?: ModelEnd["invalidCalls"][number]
}

/** Valid and unreadable calls together, in the order in which the model wrote them: their ids are counted. */
function callSlots(end: ModelEnd): CallSlot[] {
  const slots: CallSlot[] = end.turn.toolCalls.map((call) => ({ call }))
  for (const invalid of end.invalidCalls) {
    const call: ToolCall = { id: invalid.id, name: invalid.name ?? "unknown", input: {}, syntax: "json-call" }
    slots.push({ call, invalid })
  }
  return end.invalidCalls.length === 0 ? slots : slots.sort((a, b) => callNumber(a.call.id) - callNumber(b.call.id))
}

function callNumber(id: string): number {
  return Number(id.slice(id.lastIndexOf("-") + 1))
}

/** Runs the slots side by side, but a sequential tool alone: what stands before it ends first, what follows waits. */
const inBarriers = Effect.fnUntraced(function* (
  slots: readonly CallSlot[],
  context: StepContext,
  answerSlot: (slot: CallSlot, index: number) => Effect.Effect<void>,
) {
  let from = 0
  while (from < slots.length) {
    let to = from + 1
    if (!isSequential(slots[from] as CallSlot, context)) {
      while (to < slots.length && !isSequential(slots[to] as CallSlot, context)) to++
    }
    const group = slots.slice(from, to)
    const first = from
    yield* Effect.forEach(group, (slot, index) => answerSlot(slot, first + index), {
      concurrency: context.toolConcurrency,
      discard: true,
    })
    from = to
  }
})

function isSequential(slot: CallSlot, context: StepContext): boolean {
  return context.tools.get(slot.call.name)?.sequential ?? false
}

function notRun(slots: readonly CallSlot[], text: string, emit: Emit): readonly ToolResult[] {
  const failure: ToolFailure = "not-run"
  const results = slots.map(({ call }) => failedCall(call, failure, text))
  emit(results)
  return results
}

/** Succeeds when the signal is aborted; waits for ever otherwise. */
function aborted(signal: AbortSignal): Effect.Effect<void> {
  return Effect.callback<void>((resume) => {
    const stop = () => resume(Effect.void)
    if (signal.aborted) return stop()
    signal.addEventListener("abort", stop, { once: true })
    return Effect.sync(() => signal.removeEventListener("abort", stop))
  })
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
