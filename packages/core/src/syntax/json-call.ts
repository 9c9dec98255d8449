/**
 * `{"name": "f", "parameters": {…}}`: the zero-shot form of Llama 3.1 and 3.3, alone, in a JSON array, or several in a row.
 * Rendered as Hugging Face's template or Meta's encoder writes it. Read with `arguments` for `parameters`, with a
 * `"type": "function"` beside it, unwrapped from `"function": {…}`, and with the input as an object, as a string that
 * holds one, or null. Whether a call may stand where it stands is the parser's business.
 */
import { pythonJson } from "../prompt-json.ts"
import type { Dialect, PromptPart } from "../prompt-part.ts"
import {
  type CallContext,
  type CallEnd,
  type CallSink,
  describeBreak,
  type LiteralEnd,
  read,
  text,
  textAfterFirst,
  type WrittenCall,
} from "./call.ts"
import { readJson, readJsonString } from "./literal-json.ts"
import { type Reading, Source, skipSpace } from "./source.ts"

export function renderJsonCall(call: WrittenCall, dialect: Dialect): readonly PromptPart[] {
  if (dialect !== "meta") return [{ text: `{"name": "${call.name}", "parameters": ${pythonJson(call.input)}}` }]
  const parameters = pythonJson(call.input, { nonAscii: "escaped" })
  return [{ text: `{"type": "function", "name": "${call.name}", "parameters": ${parameters}}` }]
}

/** Reads one call object; the source stands at its `{`. */
export function* readJsonCall(
  source: Source,
  sink: CallSink,
  context: CallContext,
  start: number = source.position,
): Reading<CallEnd> {
  sink.begin("json-call", start)
  const call: Draft = { start, name: undefined, hasInput: false, others: false, closers: "" }
  const end = yield* readMembers(source, sink, context, call)
  if (end.kind === "read") return finish(sink, context, call)
  if (end.kind === "unfinished" && source.ending === "complete" && end.closers !== null && isOffered(call, context)) {
    return finish(sink, context, call)
  }
  return whole(source, context, call, end)
}

/** Reads a JSON array of call objects, whose `[` is at `start`; the source stands at the first `{`. */
export function* readJsonCallArray(
  source: Source,
  sink: CallSink,
  context: CallContext,
  start: number,
): Reading<CallEnd> {
  let from: number | undefined = start
  for (let char = yield* skipSpace(source); char === "{"; char = yield* skipSpace(source)) {
    const end = yield* readJsonCall(source, sink, context, from)
    from = undefined
    if (end.kind === "text") return text
    if (end.kind === "broken") return { ...end, depth: end.depth + 1 }
    if (end.kind === "unfinished") return end
    if ((yield* skipSpace(source)) === ",") source.advance()
  }
  const char = source.char ?? ""
  if (char === "]") source.advance()
  return char === "]" || (char === "" && source.ending === "complete") ? read : text
}

/** What has been read of one call object. */
interface Draft {
  readonly start: number
  name: string | undefined
  hasInput: boolean
  /** Members that belong to no call. */
  others: boolean
  /** Brackets that stand open outside the input. */
  closers: string
}

/** Nothing is said of the call yet: the object broke or ended as JSON. */
type MembersEnd = LiteralEnd | { readonly kind: "no-call"; readonly resume: "here" | "after-first" }

function* readMembers(source: Source, sink: CallSink, context: CallContext, call: Draft): Reading<MembersEnd> {
  source.advance()
  call.closers = `}${call.closers}`
  for (let first = true; ; first = false) {
    const char = yield* skipSpace(source)
    if (char === "}") {
      source.advance()
      call.closers = call.closers.slice(1)
      return read
    }
    if (char === "") return unfinishedAt(first ? null : call.closers)
    if (!first) {
      if (char !== ",") return brokenAt(source, call, '"," or "}"')
      source.advance()
    }
    const end = yield* readMember(source, sink, context, call)
    if (end.kind !== "read") return end
  }
}

const callKeys = new Set(["name", "parameters", "arguments", "function", "type", "id", "index"])

function* readMember(source: Source, sink: CallSink, context: CallContext, call: Draft): Reading<MembersEnd> {
  const key = yield* readKey(source, context.place === "after-prose" ? 16 : Number.POSITIVE_INFINITY)
  if (typeof key !== "string") return key.kind === "broken" ? brokenAt(source, call, key.expected) : key
  if (context.place === "after-prose" && !callKeys.has(key)) return { kind: "no-call", resume: "after-first" }
  const char = yield* skipSpace(source)
  if (char === "") return unfinishedAt(null)
  if (char !== ":") return brokenAt(source, call, 'a ":"')
  source.advance()
  const value = yield* skipSpace(source)
  if (value === "") return unfinishedAt(null)
  if (key === "name" && value === '"') return yield* readCallName(source, sink, context, call)
  if (key === "parameters" || key === "arguments") return yield* readInput(source, value, sink, context, call)
  if (key === "function" && value === "{" && call.closers === "}") {
    return yield* readMembers(source, sink, context, call)
  }
  if (!callKeys.has(key)) call.others = true
  else if (context.place === "after-prose" && (value === "{" || value === "["))
    return { kind: "no-call", resume: "here" }
  const end = yield* readJson(source, ignore)
  return end.kind === "unfinished" ? unfinishedAt(null) : end
}

/** A key, or how it failed. After prose a key longer than any of a call ends the matter. */
function* readKey(source: Source, mostLetters: number): Reading<string | MembersEnd> {
  const first = yield* skipSpace(source)
  if (first === "") return unfinishedAt(null)
  if (first !== '"') return { kind: "broken", expected: "a key in double quotes", at: source.position, depth: 0 }
  if (mostLetters === Number.POSITIVE_INFINITY) {
    const pieces: string[] = []
    const end = yield* readJsonString(source, (piece) => pieces.push(piece))
    return end.kind === "read" ? (JSON.parse(pieces.join("")) as string) : end
  }
  source.advance()
  let key = ""
  for (;;) {
    const char = source.char ?? (yield* source.wait())
    if (char === "") return unfinishedAt(null)
    if (key.length > mostLetters || !/^[a-z"]$/.test(char)) return { kind: "no-call", resume: "after-first" }
    source.advance()
    if (char === '"') return key
    key += char
  }
}

function* readCallName(source: Source, sink: CallSink, context: CallContext, call: Draft): Reading<MembersEnd> {
  const pieces: string[] = []
  const end = yield* readJsonString(source, (piece) => pieces.push(piece))
  if (end.kind !== "read") return end
  const name = JSON.parse(pieces.join("")) as string
  if (context.place === "after-prose" && !context.offered.has(name)) return { kind: "no-call", resume: "here" }
  if (call.name !== undefined) return brokenAt(source, call, "one name only")
  call.name = name
  if (call.hasInput) sink.name(name)
  return read
}

function* readInput(
  source: Source,
  first: string,
  sink: CallSink,
  context: CallContext,
  call: Draft,
): Reading<MembersEnd> {
  if (call.hasInput) return brokenAt(source, call, '"parameters" or "arguments" once')
  const announce = () => {
    call.hasInput = true
    if (call.name !== undefined) sink.name(call.name)
  }
  if (first === "{") {
    announce()
    const end = yield* readJson(source, (json) => sink.write(json))
    if (end.kind === "broken") return { ...end, depth: end.depth + call.closers.length }
    // The input's own brackets may be added once the turn is known to be over; those around it add nothing to it.
    if (end.kind === "unfinished" && end.closers !== null && source.ending === "complete" && isOffered(call, context)) {
      sink.write(end.closers)
    }
    return end
  }
  const at = source.position
  const pieces: string[] = []
  const end = yield* readJson(source, (piece) => pieces.push(piece))
  if (end.kind !== "read") return end.kind === "unfinished" ? unfinishedAt(null) : end
  const json = objectText(JSON.parse(pieces.join("")))
  if (json === undefined) return { kind: "broken", expected: "an object as the input", at, depth: call.closers.length }
  announce()
  sink.write(json)
  return read
}

/** The JSON text of an input that is no object itself: a string that holds one, or null for none. */
function objectText(value: unknown): string | undefined {
  if (value === null) return "{}"
  if (typeof value !== "string") return undefined
  if (value.trim() === "") return "{}"
  const source = new Source()
  source.feed(value.trim())
  source.close("complete")
  const pieces: string[] = []
  const reading = readJson(source, (piece) => pieces.push(piece)).next()
  const isWhole = reading.done === true && reading.value.kind === "read" && source.char === undefined
  return isWhole && pieces[0] === "{" ? pieces.join("") : undefined
}

function finish(sink: CallSink, context: CallContext, call: Draft): CallEnd {
  if (call.name === undefined || (call.hasInput === false && (call.others || !context.offered.has(call.name)))) {
    return text
  }
  if (!call.hasInput) {
    sink.name(call.name)
    sink.write("{}")
  }
  sink.end()
  return read
}

/** Decides what an object that broke or ended too soon was meant to be. */
function whole(source: Source, context: CallContext, call: Draft, end: MembersEnd): CallEnd {
  if (end.kind === "no-call") return end.resume === "here" ? text : textAfterFirst
  if (call.name === undefined || !context.offered.has(call.name) || (!call.hasInput && call.others)) {
    return call.name === undefined && !call.hasInput && end.kind === "broken" ? textAfterFirst : text
  }
  if (end.kind === "broken") {
    const place = describeBreak(source, call.start, end.at, end.expected)
    return { kind: "broken", name: call.name, problem: `The JSON is broken ${place}.`, depth: end.depth }
  }
  const missing = end.kind === "unfinished" ? end.expected : ""
  return { kind: "unfinished", name: call.name, problem: `The JSON ends too soon: expected ${missing}.` }
}

function isOffered(call: Draft, context: CallContext): boolean {
  return call.name !== undefined && context.offered.has(call.name)
}

function unfinishedAt(closers: string | null): MembersEnd {
  return { kind: "unfinished", closers, expected: closers === null ? "the rest of the call" : JSON.stringify(closers) }
}

function brokenAt(source: Source, call: Draft, expected: string): MembersEnd {
  return { kind: "broken", expected, at: source.position, depth: call.closers.length }
}

const ignore = (): void => undefined
