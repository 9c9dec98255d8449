/**
 * A run that waits for a person is plain data: it can be stored, sent, and resumed in another process. It is signed with the
 * host's key and bound to session, place, calls and inputs, so what comes back is what was asked; it can be used once, since
 * afterwards the calls have their results.
 */
import { createHmac, timingSafeEqual } from "node:crypto"
import { SessionError } from "./error.ts"
import type { ToolResult } from "./event.ts"
import type { JsonObject, ToolCall } from "./turn.ts"

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

export function pendingRun(fields: Omit<PendingRun, "format" | "version" | "signature">, key: ApprovalKey): PendingRun {
  const unsigned = { format: "chasqui-pending-run", version: 1, ...fields } as const
  return { ...unsigned, signature: sign(unsigned, key).toString("hex") }
}

/** Throws SessionError `bad-approval` for a pending run of another session or place, or one that was changed on its way. */
export function verifyPendingRun(
  pending: PendingRun,
  place: { readonly sessionId: string; readonly turn: number },
  key: ApprovalKey,
): void {
  const { signature, ...unsigned } = pending
  if (pending.format !== "chasqui-pending-run" || pending.version !== 1) throw refused("it is not a pending run")
  if (pending.sessionId !== place.sessionId) throw refused("it belongs to another session")
  if (pending.turn !== place.turn) throw refused("its calls were answered before, or the session went on without them")
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
