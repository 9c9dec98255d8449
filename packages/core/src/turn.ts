/**
 * A turn is one entry of the transcript. Plain data: it can be stored, sent and compared.
 * It knows nothing of tokens' meaning, of prompts or of tools that could answer a call.
 */

/** Any value that JSON can carry. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject
/** An object that JSON can carry. */
export interface JsonObject {
  readonly [key: string]: JsonValue
}

/** Whether two values are written alike, whatever the order of their keys. */
export function sameJson(a: JsonValue, b: JsonValue): boolean {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b
  if (isList(a) || isList(b)) {
    return isList(a) && isList(b) && a.length === b.length && a.every((item, at) => sameJson(item, b[at] as JsonValue))
  }
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  return keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key] as JsonValue, b[key] as JsonValue))
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value)
}

export const roles = ["system", "user", "assistant", "ipython"] as const
/** The prompt's names of who speaks. */
export type Role = (typeof roles)[number]

/** How an assistant turn ended: a stop token, the token limit, or an abort. */
export type TurnEnd = "eot" | "eom" | "eos" | "length" | "aborted"

/** The textual form in which the model wrote a call, so that history can show the same form again. */
export type CallSyntax = "builtin-call" | "json-call" | "function-tag" | "pythonic-call" | "python-code"

/** One call of a tool, as it was read. */
export interface ToolCall {
  /** Unique within a session: `call-0`, `call-1`, … */
  readonly id: string
  readonly name: string
  readonly input: JsonObject
  readonly syntax: CallSyntax
}

/** What was meant as a call and could not be read as one, as the model wrote it. It was answered like a call. */
export interface UnreadCall {
  readonly id: string
  readonly name: string | null
  readonly raw: string
}

/** What the model is told beforehand. */
export interface SystemTurn {
  readonly role: "system"
  readonly content: string
}

/** What the user said. */
export interface UserTurn {
  readonly role: "user"
  readonly content: string
}

/** What the model wrote in one generation. */
export interface AssistantTurn {
  readonly role: "assistant"
  /** Prose beside the calls; empty when the turn is nothing but calls. */
  readonly content: string
  readonly toolCalls: readonly ToolCall[]
  /** Absent where every call could be read. */
  readonly unreadCalls?: readonly UnreadCall[]
  readonly end: TurnEnd
  /**
   * Token ids exactly as the model wrote them, its stop token included where it wrote one.
   * Absent for imported history and for models that give no ids: such a turn is rendered from its fields.
   */
  readonly tokens?: readonly number[]
}

/** A tool result, in the role that Llama 3.x gives it. */
export interface IpythonTurn {
  readonly role: "ipython"
  readonly content: JsonValue
  /** The call that this answers; absent in imported history. */
  readonly callId?: string
  readonly toolName?: string
  readonly isError?: boolean
}

/** One entry of a transcript. */
export type Turn = SystemTurn | UserTurn | AssistantTurn | IpythonTurn
