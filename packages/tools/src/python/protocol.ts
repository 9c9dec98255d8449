/**
 * What host and jailed process say to each other. The host's words are trusted; the jailed process may have been taken over, so
 * every reply is decoded field by field and anything unknown ends the connection. It knows nothing of pipes or processes.
 */
import type { SandboxLimits } from "./limits.ts"
import type { ResidentLimit } from "./resident-memory.ts"

export type Request =
  | {
      readonly type: "start"
      readonly pyodideFolder: string
      readonly limits: SandboxLimits
      readonly resident: ResidentLimit
      /** The snapshot's file and the key that it must carry; made anew where that fails. */
      readonly snapshot: { readonly path: string; readonly key: string }
      /** For each interpreter; the wheels' bytes are in the attachment, one after the other. */
      readonly wheels: readonly { readonly name: string; readonly bytes: number }[]
      readonly imports: readonly string[]
    }
  | { readonly type: "create"; readonly id: number; readonly box: number }
  | {
      readonly type: "run"
      readonly id: number
      readonly box: number
      readonly code: string
      readonly timeoutMs: number
    }
  | { readonly type: "put"; readonly id: number; readonly box: number; readonly path: string }
  | { readonly type: "take"; readonly id: number; readonly box: number; readonly path: string }
  | { readonly type: "interrupt"; readonly box: number }
  | { readonly type: "dispose"; readonly box: number }

export type Stream = "stdout" | "stderr"

export type Reply =
  /** The process is ready to create sandboxes; with the snapshot attached when it had to make one. */
  | { readonly type: "ready"; readonly snapshot: "loaded" | "made" }
  | { readonly type: "created"; readonly id: number }
  /** Printed since the last such message of this call. */
  | { readonly type: "output"; readonly id: number; readonly stream: Stream; readonly text: string }
  | { readonly type: "ran"; readonly id: number; readonly outcome: WireOutcome }
  | { readonly type: "put"; readonly id: number; readonly stored: boolean }
  | { readonly type: "taken"; readonly id: number; readonly found: boolean }
  | { readonly type: "failed"; readonly id: number; readonly detail: string }

/** Why a sandbox died: what its code did to it, as far as can be told from outside. */
export type DeathCause = "time" | "memory" | "stack" | "exit" | "internal"

export interface WireOutcome {
  readonly status: "completed" | "error" | "timeout" | "died"
  readonly stdoutCut: boolean
  readonly stderrCut: boolean
  readonly result: string | null
  readonly error: string | null
  readonly traceback: string | null
  readonly cause: DeathCause | null
  /** Their bytes are in the attachment, one after the other. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[]
  readonly omitted: number
}

/** The reply that a frame's JSON holds, or undefined for anything else. Extra fields are dropped. */
export function decodeReply(json: unknown, attachmentBytes: number): Reply | undefined {
  if (!isRecord(json)) return undefined
  const { type, id } = json
  if (type === "ready" && (json["snapshot"] === "loaded" || json["snapshot"] === "made"))
    return { type, snapshot: json["snapshot"] }
  if (!isCount(id)) return undefined
  switch (type) {
    case "created":
      return { type, id }
    case "output": {
      const { stream, text } = json
      if ((stream !== "stdout" && stream !== "stderr") || typeof text !== "string") return undefined
      return { type, id, stream, text }
    }
    case "ran": {
      const outcome = decodeOutcome(json["outcome"], attachmentBytes)
      return outcome && { type, id, outcome }
    }
    case "put":
      return typeof json["stored"] === "boolean" ? { type, id, stored: json["stored"] } : undefined
    case "taken":
      return typeof json["found"] === "boolean" ? { type, id, found: json["found"] } : undefined
    case "failed":
      return typeof json["detail"] === "string" ? { type, id, detail: json["detail"].slice(0, 1000) } : undefined
    default:
      return undefined
  }
}

const statuses = ["completed", "error", "timeout", "died"] as const
const causes = ["time", "memory", "stack", "exit", "internal"] as const

function decodeOutcome(json: unknown, attachmentBytes: number): WireOutcome | undefined {
  if (!isRecord(json)) return undefined
  const status = statuses.find((each) => each === json["status"])
  const cause = json["cause"] === null ? null : causes.find((each) => each === json["cause"])
  const { stdoutCut, stderrCut, omitted } = json
  const [result, error, traceback] = [json["result"], json["error"], json["traceback"]]
  const files = decodeFiles(json["files"], attachmentBytes)
  if (!status || cause === undefined || (status === "died") !== (cause !== null) || !files || !isCount(omitted))
    return undefined
  if (typeof stdoutCut !== "boolean" || typeof stderrCut !== "boolean") return undefined
  if (!isText(result) || !isText(error) || !isText(traceback)) return undefined
  return { status, cause, stdoutCut, stderrCut, result, error, traceback, files, omitted }
}

function decodeFiles(json: unknown, attachmentBytes: number): WireOutcome["files"] | undefined {
  if (!Array.isArray(json)) return undefined
  const files: { path: string; bytes: number }[] = []
  let sum = 0
  for (const file of json as unknown[]) {
    if (!isRecord(file) || typeof file["path"] !== "string" || !isCount(file["bytes"])) return undefined
    if (!isSafePath(file["path"])) return undefined
    sum += file["bytes"]
    files.push({ path: file["path"], bytes: file["bytes"] })
  }
  return sum === attachmentBytes ? files : undefined
}

/**
 * A relative path that stays below its folder on any system, and shows as what it is: no empty, `.` or `..` part, none that Windows would
 * read as another (a dot or space at its end, a device such as NUL), no backslash, no colon, no control character, no half character,
 * none that turns the direction of writing.
 */
export function isSafePath(path: string): boolean {
  if (path.length === 0 || path.length > 1024 || !path.isWellFormed() || misleading.test(path)) return false
  return path.split("/").every((part) => part !== "" && !/[. ]$/.test(part) && !device.test(part))
}
const misleading = /[\\:\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u
const device = /^(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\.|$)/i

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isText = (value: unknown): value is string | null => value === null || typeof value === "string"

/** The contents of an attachment that holds several files one after the other. */
export function cutBytes(
  attachment: Uint8Array<ArrayBuffer>,
  files: readonly { readonly bytes: number }[],
): Uint8Array<ArrayBuffer>[] {
  let offset = 0
  return files.map(({ bytes }) => {
    offset += bytes
    return attachment.slice(offset - bytes, offset)
  })
}
