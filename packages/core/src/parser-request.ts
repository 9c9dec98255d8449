/**
 * Parses an answer that is written down, for debugging and batch work: a JSON object in, a JSON object out. Special tokens
 * stand in the text by their names, which is how people write answers down; a parser behind a model gets them by id.
 */
import { TaggedError } from "effect/Data"
import type { ParserEvent } from "./event.ts"
import { type ParserInput, parser } from "./parser.ts"
import type { JsonObject } from "./turn.ts"

/** An answer to parse, and what the model was told of. */
export interface ParseRequest {
  /** The answer with its special tokens by name. */
  readonly raw: string
  /** Functions that the model was told of: names, or definitions with or without the `function` wrapper. */
  readonly tools?: readonly (string | JsonObject)[]
  readonly builtin_tools?: readonly string[]
  /** Why the generation ended, where `raw` has no stop token; default "length". */
  readonly finish?: "stop" | "length"
  /** The same answer cut into pieces, as they are to be parsed. */
  readonly chunks?: readonly string[]
  /** Whether the reply lists the events. */
  readonly events?: boolean
}

/** What the answer turned out to be. */
export interface ParseReply {
  /** Everything that is no call. */
  readonly text: string
  readonly toolCalls: readonly { readonly name: string; readonly arguments: JsonObject }[]
  readonly stop: "eot" | "eom" | "eos" | null
  /** True when a stop token was seen or `finish` is "stop". */
  readonly complete: boolean
  /** What of the text was meant as a call, and what is wrong with it; absent where nothing was. */
  readonly invalid?: readonly { readonly name: string | null; readonly raw: string; readonly problem: string }[]
  readonly events?: readonly ParserEvent[]
}

/** A request that is none: which field is wrong, and what it must be. */
export class ParseRequestError extends TaggedError("ParseRequestError")<{
  readonly reason: "bad-request"
  readonly detail: string
  readonly fix: string
}> {
  override get message(): string {
    return `${this.detail} ${this.fix}`
  }
}

/** Parses one answer; a field that is null counts as absent. Throws ParseRequestError for what is no ParseRequest, and for nothing else. */
export function parseRequest(request: unknown): ParseReply {
  const { raw, tools, builtin_tools, finish, chunks, events: wantsEvents } = checked(request)
  const reading = parser({ tools: tools?.map(toolName) ?? [], builtinTools: builtin_tools ?? [] })
  const events: ParserEvent[] = []
  for (const input of splitSpecials(chunks ?? [raw])) events.push(...reading.push(input))
  const { turn, events: last } = reading.end(finish === "stop" ? "stop-token" : "max-tokens")
  return {
    text: turn.remainder,
    toolCalls: turn.toolCalls.map(({ name, input }) => ({ name, arguments: input })),
    stop: turn.stop,
    complete: turn.complete,
    ...(turn.invalidCalls.length > 0 && {
      invalid: turn.invalidCalls.map(({ name, raw: text, problem }) => ({ name, raw: text, problem })),
    }),
    ...(wantsEvents === true && { events: [...events, ...last] }),
  }
}

const specialName =
  /<\|(?:begin_of_text|end_of_text|start_header_id|end_header_id|eom_id|eot_id|python_tag|finetune_right_pad_id|step_id|image|reserved_special_token_\d{1,3})\|>/g
const longestName = "<|reserved_special_token_000|>".length

/** Cuts text at the names of special tokens. A name that is itself cut between two pieces is put together again. */
export function* splitSpecials(pieces: Iterable<string>): Generator<ParserInput> {
  let text = ""
  for (const piece of pieces) {
    text += piece
    let from = 0
    for (const match of text.matchAll(specialName)) {
      if (match.index > from) yield { text: text.slice(from, match.index) }
      yield { special: match[0] }
      from = match.index + match[0].length
    }
    const open = text.lastIndexOf("<")
    const mayGoOn = open >= from && text.length - open < longestName && !text.includes(">", open)
    const to = mayGoOn ? open : text.length
    if (to > from) yield { text: text.slice(from, to) }
    text = text.slice(to)
  }
  if (text !== "") yield { text }
}

function checked(request: unknown): ParseRequest {
  if (!isObject(request)) throw refuse("The request", "a JSON object")
  const present = Object.fromEntries(Object.entries(request).filter(([, value]) => value !== null))
  const { raw, tools, builtin_tools: builtins, finish, chunks, events } = present
  if (typeof raw !== "string") throw refuse('"raw"', "a string")
  if (tools !== undefined && !(Array.isArray(tools) && tools.every((tool) => toolName(tool) !== ""))) {
    throw refuse('"tools"', "a list of names or of definitions with a name")
  }
  if (builtins !== undefined && !isStrings(builtins)) throw refuse('"builtin_tools"', "a list of names")
  if (finish !== undefined && finish !== "stop" && finish !== "length") throw refuse('"finish"', '"stop" or "length"')
  if (chunks !== undefined && !(isStrings(chunks) && chunks.join("") === raw)) {
    throw refuse('"chunks"', 'a list of strings that join to "raw"')
  }
  if (events !== undefined && typeof events !== "boolean") throw refuse('"events"', "true or false")
  return present as unknown as ParseRequest
}

/** The name in a tool definition of any common form; "" where there is none. */
function toolName(tool: unknown): string {
  if (typeof tool === "string") return tool
  if (!isObject(tool)) return ""
  const definition = isObject(tool.function) ? tool.function : tool
  return typeof definition.name === "string" ? definition.name : ""
}

function refuse(what: string, expected: string): ParseRequestError {
  return new ParseRequestError({
    reason: "bad-request",
    detail: `${what} of the request to parse is not ${expected}.`,
    fix: 'Give an object such as {"raw": "…", "tools": ["name"], "finish": "stop"}.',
  })
}

function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string")
}
