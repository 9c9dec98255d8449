/**
 * A trace is the events of a session as JSON lines, one event each, written as they happen. It is enough to go on from: replay
 * gives the same events with no model and no tools, and the transcript of any step can be made from it again. A last line
 * that a crash cut off is left out.
 */
import type { Sampling } from "./engine.ts"
import { SessionError } from "./error.ts"
import type { AgentEvent, ToolResult } from "./event.ts"
import type { PromptOptions } from "./prompt-options.ts"
import { readTurn } from "./session.ts"
import { askAgain, closeOpenCalls, resultTurn } from "./tool-turn.ts"
import { Transcript } from "./transcript.ts"
import type { AssistantTurn, Turn } from "./turn.ts"

const traceVersion = 1

/** The first line of a trace: what stood before the first run. */
export interface TraceHeader {
  readonly type: "trace"
  readonly version: typeof traceVersion
  readonly sessionId: string
  readonly model: string
  readonly fingerprint: string
  readonly options: PromptOptions
  readonly turns: readonly Turn[]
  readonly calls: number
  /** The agent that the conversation had been handed to. */
  readonly agent?: string
  readonly sampling?: Omit<Sampling, "logitBias" | "seed"> & { readonly seed?: number | string }
}

/** An event, with the milliseconds of the injected clock where there is one. */
export type TraceEvent = AgentEvent & { readonly atMs?: number }
/** One line of a trace. */
export type TraceLine = TraceHeader | TraceEvent

/** A trace that was read. */
export interface Trace {
  readonly header: TraceHeader
  readonly events: readonly TraceEvent[]
}

/** The line with its line feed. */
export function traceLine(line: TraceLine): string {
  return `${JSON.stringify(line)}\n`
}

/** Throws SessionError naming the line that cannot be read. */
export function readTrace(text: string): Trace {
  const lines = text.split("\n")
  // What stands behind the last line feed was never finished.
  lines.pop()
  const [header, ...events] = lines.map((line, index) => readLine(line, index + 1))
  if (header?.type !== "trace") throw malformed(1, "it is not the header of a trace")
  return { header, events: events as readonly TraceEvent[] }
}

/** The events of a recorded session, without their times. */
export function replay(text: string): readonly AgentEvent[] {
  return readTrace(text).events.map(({ atMs: _, ...event }) => event as AgentEvent)
}

/** A point of a trace. */
export interface ForkPoint {
  /** How many runs back the step counts, from 0 for the first run of the trace. Default: the last. */
  readonly run?: number
  /** The transcript as it stood before this step of that run. Default: at the end of the run. */
  readonly step?: number
}

/**
 * The transcript as it stood at a point of the trace, to go on from there another way. Token ids are kept where `fingerprint` is
 * that of the model that wrote them, so that an engine finds their prefix in its cache.
 */
export function forkTrace(trace: Trace, fingerprint: string, point: ForkPoint = {}): Transcript {
  const { header } = trace
  const trusted = header.fingerprint === fingerprint
  const turns = header.turns.map((turn, index) => readTurn(turn, index, trusted))
  const transcript = new Transcript(header.sessionId, header.options, turns, header)
  const fold = new Fold(transcript, trusted)
  const runs = trace.events.filter(({ type }) => type === "run-start").length
  const lastRun = point.run ?? runs - 1
  let run = -1
  for (const event of trace.events) {
    if (event.type === "run-start") run++
    if (run > lastRun || (run === lastRun && event.type === "step-start" && event.step === point.step)) break
    fold.take(event)
  }
  return fold.end()
}

/** Does to a transcript what the run did that emitted the events. */
class Fold {
  #transcript: Transcript
  readonly #trusted: boolean
  #open: AssistantTurn | undefined
  #results: ToolResult[] = []
  #calls: string[] = []

  constructor(transcript: Transcript, trusted: boolean) {
    this.#transcript = transcript
    this.#trusted = trusted
  }

  take(event: TraceEvent): void {
    switch (event.type) {
      case "run-start":
        if (event.input === undefined) break
        this.#hold()
        closeOpenCalls(this.#transcript)
        this.#clear()
        this.#transcript.append({ role: "user", content: event.input })
        break
      case "step-start":
        this.#clear()
        break
      case "tool-call-end":
        this.#calls.push(event.call.id)
        break
      case "tool-call-invalid":
        this.#calls.push(event.id)
        break
      case "tool-result":
        this.#results.push(event)
        this.#answer()
        break
      case "step-end":
        this.#open = readTurn(event.turn, this.#transcript.turns.length, this.#trusted) as AssistantTurn
        this.#transcript.append(this.#open)
        this.#transcript.countCalls(this.#calls.length)
        this.#answer()
        break
      case "transcript-replaced": {
        const turns = event.turns.map((turn, index) => readTurn(turn, index, this.#trusted))
        const { id, calls, agent } = this.#transcript
        const state = { calls, agent: event.reason === "handoff" ? event.by : agent }
        this.#transcript = new Transcript(id, event.options as unknown as PromptOptions, turns, state)
        break
      }
      case "output-invalid":
        this.#transcript.append(askAgain(event.problem))
        break
    }
  }

  end(): Transcript {
    this.#hold()
    return this.#transcript
  }

  /** Results of a turn that is there, while others of its calls wait; those of a step that was cut off go. */
  #hold(): void {
    if (this.#open !== undefined) this.#transcript.holdResults(this.#results)
  }

  /** Appends the results once the turn is there and every call has one. */
  #answer(): void {
    if (this.#open === undefined || this.#results.length < this.#calls.length) return
    for (const id of this.#calls) {
      const result = this.#results.find(({ callId }) => callId === id)
      if (result !== undefined) this.#transcript.append(resultTurn(result))
    }
    this.#clear()
  }

  #clear(): void {
    this.#open = undefined
    this.#results = []
    this.#calls = []
  }
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
  const { type, version } = value as { type: string; version?: unknown }
  if (number === 1 && type === "trace" && version !== traceVersion) {
    throw new SessionError({
      reason: "wrong-version",
      detail: `The trace has format version ${String(version)}; this release reads version ${traceVersion}.`,
      fix: "Read it with the release that wrote it.",
    })
  }
  return value as TraceLine
}

function malformed(number: number, what: string): SessionError {
  return new SessionError({
    reason: "malformed",
    detail: `Line ${number} of the trace cannot be read: ${what}.`,
    fix: "Pass a trace that a session or `chasqui run --json` wrote.",
  })
}
