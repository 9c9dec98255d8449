/**
 * A trace is the events of a run as JSON lines, one event each, written as they happen. Reading a trace gives the same
 * events, byte for byte: replay needs no model and no tools. A last line that was cut off by a crash is left out.
 */
import { SessionError } from "./error.ts"
import type { AgentEvent } from "./event.ts"

export const traceVersion = 1

/** The first line of a trace. */
export interface TraceHeader {
  readonly type: "trace"
  readonly version: typeof traceVersion
  readonly sessionId: string
  readonly model: string
  readonly fingerprint: string
}

export type TraceLine = TraceHeader | (AgentEvent & { readonly atMs?: number })

export function traceLine(line: TraceLine): string {
  return `${JSON.stringify(line)}\n`
}

/** The lines of a trace in order. Throws SessionError naming the line that cannot be read. */
export function readTrace(text: string): readonly TraceLine[] {
  const lines = text.split("\n")
  // What stands behind the last line break was never finished.
  lines.pop()
  return lines.map((line, index) => readLine(line, index + 1))
}

/** The events of a recorded run, without their times. */
export function replay(text: string): readonly AgentEvent[] {
  const events: AgentEvent[] = []
  for (const line of readTrace(text)) {
    if (line.type === "trace") continue
    const { atMs: _, ...event } = line
    events.push(event as AgentEvent)
  }
  return events
}

function readLine(line: string, number: number): TraceLine {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    throw malformed(number, "it is not JSON")
  }
  if (typeof value !== "object" || value === null || typeof (value as { type?: unknown }).type !== "string") {
    throw malformed(number, "it is not an event")
  }
  if (number === 1) {
    const header = value as { type: string; version?: unknown }
    if (header.type !== "trace") throw malformed(number, "it is not the header of a trace")
    if (header.version !== traceVersion) {
      throw new SessionError({
        reason: "wrong-version",
        detail: `The trace has format version ${String(header.version)}; this release reads version ${traceVersion}.`,
        fix: "Read it with the release that wrote it.",
      })
    }
  }
  return value as TraceLine
}

function malformed(number: number, what: string): SessionError {
  return new SessionError({
    reason: "malformed",
    detail: `Line ${number} of the trace cannot be read: ${what}.`,
    fix: "Pass a trace that was written by `chasqui run --json` or traceLine.",
  })
}
