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
  /** Names of what was meant as a call and is none. */
  readonly invalid?: readonly string[]
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
