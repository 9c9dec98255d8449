/**
 * What a run tells its listener, in order. Noun-verb names; lifecycle verbs are start, delta and end.
 * An event is never taken back, and the concatenated deltas equal the final turn for any batching of the tokens.
 */
import type { AssistantTurn, CallSyntax, JsonObject, JsonValue, ToolCall, Turn, UnreadCall } from "./turn.ts"

/** Token counts of one generation, exact also after an abort. */
export interface Usage {
  /** Tokens of the whole prefix. */
  readonly prompt: number
  /** Tokens of the prefix whose keys and values were found in the cache. */
  readonly cached: number
  /** Tokens that the model produced, its stop token included. */
  readonly generated: number
  /** Of the generated tokens, those that a constraint left no choice about. */
  readonly forced: number
  /** Tokens computed and thrown away (speculation, pre-emption). */
  readonly discarded: number
}

export const noUsage: Usage = { prompt: 0, cached: 0, generated: 0, forced: 0, discarded: 0 }

export function addUsage(a: Usage, b: Usage): Usage {
  return {
    prompt: a.prompt + b.prompt,
    cached: a.cached + b.cached,
    generated: a.generated + b.generated,
    forced: a.forced + b.forced,
    discarded: a.discarded + b.discarded,
  }
}

/** Prose begins; its deltas follow. */
export interface TextStart {
  readonly type: "text-start"
}
/** A piece of prose. */
export interface TextDelta {
  readonly type: "text-delta"
  readonly delta: string
}
/** The prose has ended; after a call it may begin anew. */
export interface TextEnd {
  readonly type: "text-end"
}

/** A call is announced as soon as it cannot become text again. */
export interface ToolCallStart {
  readonly type: "tool-call-start"
  readonly id: string
  readonly name: string
  readonly syntax: CallSyntax
}
/** A piece of the call's input as JSON text; the pieces of one call join to valid JSON. */
export interface ToolCallDelta {
  readonly type: "tool-call-delta"
  readonly id: string
  readonly delta: string
}
/** The whole call. It has not been checked against the tool's schema. */
export interface ToolCallEnd {
  readonly type: "tool-call-end"
  readonly call: ToolCall
}
/** Something that was meant as a call and cannot be read as one. The loop tells the model what was wrong. */
export interface ToolCallInvalid {
  readonly type: "tool-call-invalid"
  readonly id: string
  /** The name that was written, where one could be read. */
  readonly name: string | null
  /** The text as the model wrote it. */
  readonly raw: string
  /** What is wrong with it and where, for the model to read. */
  readonly problem: string
}

/** What of it stays in the turn. */
export function unreadCall({ id, name, raw }: ToolCallInvalid): UnreadCall {
  return { id, name, raw }
}

/** What the parser of one generation emits. */
export type ParserEvent =
  | TextStart
  | TextDelta
  | TextEnd
  | ToolCallStart
  | ToolCallDelta
  | ToolCallEnd
  | ToolCallInvalid

/**
 * Why a run ended. `end-of-turn` is the ordinary end; the others are limits or decisions, and all that was done before
 * them is kept. `context-full`: prefix and answer fill the context. `max-repairs`: too many failed calls of one kind.
 * `no-progress`: the same call with the same result again and again.
 */
export type RunStopReason =
  | "end-of-turn"
  | "max-steps"
  | "max-tokens"
  | "max-tool-calls"
  | "max-repairs"
  | "max-cost"
  | "no-progress"
  | "context-full"
  | "deadline"
  | "aborted"
  | "guard"
  | "needs-approval"

/** Why a call has no result of its own tool. */
export type ToolFailure =
  | "malformed"
  | "unknown-tool"
  | "invalid-input"
  | "failed"
  | "timeout"
  | "cancelled"
  | "refused"
  | "not-run"

/** A run begins. */
export interface RunStart {
  readonly type: "run-start"
  /** The user's text; absent where a paused run goes on. */
  readonly input?: string
}
/** The model is about to write a turn. */
export interface StepStart {
  readonly type: "step-start"
  /** Counts from 0 within the run. */
  readonly step: number
}
/** The result of one call, as the model will read it. */
export interface ToolResult {
  readonly type: "tool-result"
  readonly callId: string
  readonly name: string
  readonly output: JsonValue
  readonly isError: boolean
  /** Set where `isError` is. */
  readonly failure?: ToolFailure
  /** What the tool threw, for logs and traces: the model never sees it. */
  readonly cause?: string
  /** Milliseconds by the injected clock. */
  readonly durationMs: number
  /** Tokens that the tool itself spent on a model; they count in the run's sum. */
  readonly usage?: Usage
}
/** The final answer failed its check; the model is asked again. */
export interface OutputInvalid {
  readonly type: "output-invalid"
  readonly problem: string
}
/** The turn of this step, and what it took. Its calls have their results by then, or wait for a person. */
export interface StepEnd {
  readonly type: "step-end"
  readonly step: number
  readonly turn: AssistantTurn
  readonly usage: Usage
  /** Milliseconds of compute, where the engine measures it: the uncached prefix, and the generated tokens. */
  readonly timing?: { readonly prefillMs: number; readonly decodeMs: number }
}
/** The last event of a run that did not fail. */
export interface RunEnd {
  readonly type: "run-end"
  readonly stopReason: RunStopReason
  /** The prose of the last assistant turn. */
  readonly text: string
  /** Sums over the steps. */
  readonly usage: Usage
}

/** The run failed: the model or its engine did. The error itself rejects the run. */
export interface RunFailed {
  readonly type: "run-failed"
  /** The error's own reason, such as `device-lost`. */
  readonly reason: string
  readonly message: string
  /** What was spent until then. */
  readonly usage: Usage
}

/** A guard forbade what the user or the model said; the run ends. */
export interface GuardStop {
  readonly type: "guard-stop"
  readonly stage: "input" | "output"
  readonly categories: readonly string[]
  /** For people: the model never sees it. */
  readonly reason: string
}

/**
 * The conversation goes on with other turns or another head: a policy shortened it, or it was handed to another agent. The next
 * prompt is computed anew.
 */
export interface TranscriptReplaced {
  readonly type: "transcript-replaced"
  readonly reason: "context-policy" | "handoff"
  /** The policy, or the agent that takes over. */
  readonly by: string
  /** Tokens that stood in the cache and have to be computed again: exact where the model tells its prompts, else at most. */
  readonly lostTokens: number
  /** What the policy itself spent on a model. */
  readonly usage?: Usage
  /** The new head as PromptOptions, and the new turns. */
  readonly options: JsonObject
  readonly turns: readonly Turn[]
}

/** An event of a sub-agent that a tool call runs. */
export interface NestedEvent {
  readonly type: "nested-event"
  readonly callId: string
  readonly agent: string
  readonly event: AgentEvent
}

/** Whatever a run tells, in order. A switch over `type` can be exhaustive. */
export type AgentEvent =
  | RunStart
  | StepStart
  | ParserEvent
  | ToolResult
  | StepEnd
  | OutputInvalid
  | GuardStop
  | TranscriptReplaced
  | RunEnd
  | RunFailed
  | NestedEvent
