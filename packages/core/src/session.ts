/**
 * A session as a document: the turns of a transcript with what stands at the head of its prompts, to store and to load.
 * Token ids that a document carries are not trusted: a model uses them only where they decode to the turn's own fields.
 */
import { SessionError } from "./error.ts"
import type { ToolResult } from "./event.ts"
import type { PromptOptions } from "./prompt-options.ts"
import { Transcript } from "./transcript.ts"
import { type JsonValue, roles, type Turn } from "./turn.ts"

const sessionVersion = 1

/** A session as plain JSON. */
export interface SessionDocument {
  readonly format: "chasqui-session"
  readonly version: typeof sessionVersion
  readonly id: string
  /** Of the model that wrote the token ids. */
  readonly fingerprint: string
  readonly options: PromptOptions
  readonly calls: number
  readonly turns: readonly Turn[]
  /** Results of the last turn's calls whose neighbours wait for approval; absent where none wait. */
  readonly openResults?: readonly ToolResult[]
  /** The agent that the conversation was handed to. */
  readonly agent?: string
}

/** The session as it stands. `fingerprint`: that of the model that wrote it. */
export function saveSession(transcript: Transcript, fingerprint: string): SessionDocument {
  return {
    format: "chasqui-session",
    version: sessionVersion,
    id: transcript.id,
    fingerprint,
    options: transcript.options,
    calls: transcript.calls,
    turns: [...transcript.turns],
    ...(transcript.openResults.length > 0 && { openResults: transcript.openResults }),
    ...(transcript.agent !== undefined && { agent: transcript.agent }),
  }
}

/**
 * Reads a document back. `fingerprint` is that of the model that will go on: where it differs, all token ids are dropped.
 * Throws SessionError for anything that is not a session of this version.
 */
export function loadSession(document: unknown, fingerprint: string): Transcript {
  if (!isRecord(document) || document.format !== "chasqui-session") throw malformed("it is not a session document")
  if (document.version !== sessionVersion) {
    throw new SessionError({
      reason: "wrong-version",
      detail: `The session has format version ${String(document.version)}; this release reads version ${sessionVersion}.`,
      fix: "Load it with the release that wrote it.",
    })
  }
  const { id, options, calls, turns, openResults = [], agent } = document
  if (typeof id !== "string") throw malformed("`id` is not a string")
  if (!isRecord(options)) throw malformed("`options` is not an object")
  if (typeof calls !== "number" || !Number.isSafeInteger(calls) || calls < 0) throw malformed("`calls` is not a count")
  if (!Array.isArray(turns)) throw malformed("`turns` is not a list")
  if (!Array.isArray(openResults) || !openResults.every(isResult)) throw malformed("`openResults` holds no results")
  if (agent !== undefined && typeof agent !== "string") throw malformed("`agent` is not a name")
  const trusted = document.fingerprint === fingerprint
  const transcript = new Transcript(
    id,
    options as unknown as PromptOptions,
    turns.map((turn, index) => readTurn(turn, index, trusted)),
    { calls, agent },
  )
  transcript.holdResults(openResults as readonly ToolResult[])
  return transcript
}

function isResult(value: unknown): boolean {
  return isRecord(value) && typeof value.callId === "string" && typeof value.name === "string" && "output" in value
}

/** Checks a turn from outside; its token ids go where they are not trusted. */
export function readTurn(value: unknown, index: number, trusted: boolean): Turn {
  const at = `turn ${index}`
  if (!isRecord(value) || !roles.includes(value.role as never)) throw malformed(`${at} has no known role`)
  if (value.role === "ipython") {
    if (value.content === undefined) throw malformed(`${at} has no content`)
    return value as unknown as Turn
  }
  if (typeof value.content !== "string") throw malformed(`${at} has no text`)
  if (value.role !== "assistant") return value as unknown as Turn
  if (!Array.isArray(value.toolCalls)) throw malformed(`${at} has no list of tool calls`)
  for (const call of value.toolCalls as readonly JsonValue[]) {
    if (!isRecord(call) || typeof call.name !== "string" || typeof call.id !== "string" || !isRecord(call.input)) {
      throw malformed(`${at} holds something that is not a tool call`)
    }
  }
  const { unreadCalls = [] } = value
  if (!Array.isArray(unreadCalls) || !unreadCalls.every((call) => isRecord(call) && typeof call.raw === "string")) {
    throw malformed(`${at} holds something that is not an unread call`)
  }
  const { tokens, ...fields } = value
  if (!trusted || tokens === undefined) return fields as unknown as Turn
  if (!Array.isArray(tokens) || !tokens.every((token) => Number.isInteger(token) && token >= 0)) {
    throw malformed(`${at} has token ids that are no ids`)
  }
  return value as unknown as Turn
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

function malformed(what: string): SessionError {
  return new SessionError({
    reason: "malformed",
    detail: `The session cannot be read: ${what}.`,
    fix: "Pass a document that saveSession made.",
  })
}
