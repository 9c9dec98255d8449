/**
 * A run that waits for a person is plain data: it can be stored, sent, and resumed in another process. It is signed with the
 * host's key and bound to session, place, calls and inputs, so what comes back is what was asked; it can be used once, since
 * afterwards the calls have their results.
 */
import { createHmac, timingSafeEqual } from "node:crypto"
import { SessionError } from "./error.ts"
import type { ToolResult } from "./event.ts"
import type { Transcript } from "./transcript.ts"
import type { JsonObject, ToolCall } from "./turn.ts"

/** What a paused run waits for, signed. Plain JSON. */
export interface PendingRun {
  readonly format: "chasqui-pending-run"
  readonly version: 1
  readonly sessionId: string
  /** Index of the assistant turn whose calls wait. */
  readonly turn: number
  /** The calls that wait for a decision. */
  readonly calls: readonly ToolCall[]
  /** Results of the other calls of that turn, which needed nobody. */
  readonly results: readonly ToolResult[]
  /** Hex HMAC-SHA256 over all other fields. */
  readonly signature: string
}

/** What was decided about one call. An edited input is checked like any other. */
export type Decision =
  | { readonly kind: "approve"; readonly input?: JsonObject }
  | { readonly kind: "refuse"; readonly reason?: string }

/** Signs and verifies: the caller's secret, the same in every process that resumes. At least 16 bytes. */
export type ApprovalKey = string | Uint8Array

/** What waits for a person at the end of a transcript, signed; undefined where nothing does. Throws without a usable key. */
export function pendingIn(transcript: Transcript, key: ApprovalKey | undefined): PendingRun | undefined {
  const { id: sessionId, turns, openResults: results } = transcript
  const calls = openCalls(transcript)
  if (calls.length === 0) return undefined
  return pendingRun({ sessionId, turn: turns.length - 1, calls, results }, checkApprovalKey(key))
}

/** The calls of the last turn that have no result. */
function openCalls({ turns, openResults }: Transcript): readonly ToolCall[] {
  const last = turns.at(-1)
  if (last?.role !== "assistant") return []
  return last.toolCalls.filter(({ id }) => !openResults.some(({ callId }) => callId === id))
}

function pendingRun(fields: Omit<PendingRun, "format" | "version" | "signature">, key: ApprovalKey): PendingRun {
  const unsigned = { format: "chasqui-pending-run", version: 1, ...fields } as const
  return { ...unsigned, signature: sign(unsigned, key).toString("hex") }
}

/** Throws SessionError `bad-approval` for a pending run of another session or place, one that was changed, or was used. */
export function verifyPendingRun(pending: PendingRun, transcript: Transcript, key: ApprovalKey): void {
  if (pending?.format !== "chasqui-pending-run" || pending.version !== 1) throw refused("it is not a pending run")
  const { signature, ...unsigned } = pending
  if (pending.sessionId !== transcript.id) throw refused("it belongs to another session")
  const open = openCalls(transcript)
  const here = pending.turn === transcript.turns.length - 1
  if (
    !here ||
    !Array.isArray(pending.calls) ||
    !pending.calls.every((call) => open.some(({ id }) => id === call?.id))
  ) {
    throw refused("its calls were answered before, or the session went on without them")
  }
  const expected = sign(unsigned, key)
  const given = Buffer.from(String(signature), "hex")
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw refused("its signature does not fit its contents")
  }
}

/** Throws for a key that is too short to sign with. */
export function checkApprovalKey(key: ApprovalKey | undefined): ApprovalKey {
  if (key !== undefined && Buffer.byteLength(key) >= 16) return key
  throw new SessionError({
    reason: "bad-approval",
    detail: "A tool needs approval, and there is no key of at least 16 bytes to sign what waits for it.",
    fix: "Pass `approvalKey`, a secret that every process which resumes the run knows.",
  })
}

function sign(unsigned: Omit<PendingRun, "signature">, key: ApprovalKey): Buffer {
  return createHmac("sha256", key).update(canonical(unsigned)).digest()
}

/** The same text for the same value, whatever the order of its keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}

function refused(why: string): SessionError {
  return new SessionError({
    reason: "bad-approval",
    detail: `The pending run cannot be resumed: ${why}.`,
    fix: "Resume with what the run gave, in the session it came from, once, and with the same key.",
  })
}
