/** The answers of `fixtures/answers.jsonl` with what they mean, and helpers to compare how they are parsed. */
import { readFileSync } from "node:fs"
import type { ParserEvent } from "../src/event.ts"
import { type ParsedTurn, type ParserOptions, parser } from "../src/parser.ts"
import { splitSpecials } from "../src/parser-request.ts"
import type { JsonObject } from "../src/turn.ts"

export interface Answer {
  readonly id: string
  readonly class: string
  /** Where the expectation comes from. */
  readonly from: string
  readonly raw: string
  /** Which of `toolSets` was offered; default "all". */
  readonly tools?: keyof typeof toolSets
  readonly finish?: "stop" | "length"
  readonly text: string
  readonly calls: readonly (readonly [name: string, input: JsonObject])[]
  readonly stop: "eot" | "eom" | "eos" | null
  readonly complete: boolean
  /** Names of what was meant as a call and is none; null where no tool can have the name. */
  readonly invalid?: readonly (string | null)[]
}

const custom = ["get_weather", "get_time", "search_docs", "spotify.play", "math.add", "send_mail", "write_file"]
export const toolSets = {
  all: { tools: custom, builtinTools: ["brave_search", "wolfram_alpha", "code_interpreter"] },
  custom: { tools: custom, builtinTools: [] },
  search: { tools: [], builtinTools: ["brave_search", "wolfram_alpha"] },
  none: { tools: [], builtinTools: [] },
} satisfies Record<string, ParserOptions>

export const answers: readonly Answer[] = readFileSync(new URL("./fixtures/answers.jsonl", import.meta.url), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as Answer)

/** Parses an answer in these pieces. Deltas that follow each other are joined, since only their sum is promised. */
export function parsePieces(
  pieces: readonly string[],
  options: ParserOptions,
  finish: "stop" | "length" = "length",
): { readonly events: readonly ParserEvent[]; readonly turn: ParsedTurn } {
  const reading = parser(options)
  const events: ParserEvent[] = []
  for (const input of splitSpecials(pieces)) events.push(...reading.push(input))
  const { events: last, turn } = reading.end(finish === "stop" ? "stop-token" : "max-tokens")
  return { events: joinDeltas([...events, ...last]), turn }
}

function joinDeltas(events: readonly ParserEvent[]): readonly ParserEvent[] {
  const joined: ParserEvent[] = []
  for (const event of events) {
    const last = joined.at(-1)
    if (event.type === "text-delta" && last?.type === "text-delta") {
      joined[joined.length - 1] = { ...last, delta: last.delta + event.delta }
    } else if (event.type === "tool-call-delta" && last?.type === "tool-call-delta") {
      joined[joined.length - 1] = { ...last, delta: last.delta + event.delta }
    } else joined.push(event)
  }
  return joined
}

/** Checks what holds for the events of every answer; says what does not. */
export function findEventFault(events: readonly ParserEvent[], turn: ParsedTurn, firstCall = 0): string | undefined {
  let open: "text" | "call" | undefined
  let call = firstCall - 1
  let content = ""
  let input = ""
  for (const event of events) {
    switch (event.type) {
      case "text-start":
        if (open !== undefined) return "text starts inside something"
        open = "text"
        break
      case "text-delta":
        if (open !== "text" || event.delta === "") return "text without its start"
        if (!event.delta.isWellFormed()) return "half a character"
        content += event.delta
        break
      case "text-end":
        if (open !== "text") return "the end of no text"
        open = undefined
        break
      case "tool-call-start":
        if (open !== undefined || event.id !== `call-${++call}`) return "a call out of order"
        open = "call"
        input = ""
        break
      case "tool-call-delta":
        if (open !== "call" || event.id !== `call-${call}`) return "input of no call"
        input += event.delta
        break
      case "tool-call-end":
        if (open !== "call" || event.call.id !== `call-${call}`) return "the end of no call"
        if (JSON.stringify(JSON.parse(input)) !== JSON.stringify(event.call.input))
          return "deltas that are not the input"
        open = undefined
        break
      case "tool-call-invalid":
        if (open === "text" || event.id !== `call-${open === "call" ? call : ++call}`)
          return "an invalid call out of order"
        open = undefined
    }
  }
  if (open !== undefined) return `${open} without its end`
  if (content !== turn.content) return "deltas that are not the content"
  const ended = events.flatMap((event) => (event.type === "tool-call-end" ? [event.call] : []))
  if (JSON.stringify(ended) !== JSON.stringify(turn.toolCalls)) return "calls that are not the turn's"
  if (turn.toolCalls.length + turn.invalidCalls.length !== call + 1 - firstCall) return "calls that came to nothing"
  return undefined
}

/** A small generator of random numbers, so that every failure can be repeated (mulberry32). */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** Cuts text at random places. */
export function cutAtRandom(text: string, random: (below: number) => number): readonly string[] {
  const pieces: string[] = []
  for (let at = 0; at < text.length; ) {
    const end = at + 1 + random(random(4) === 0 ? 40 : 6)
    pieces.push(text.slice(at, end))
    at = end
  }
  return pieces
}
