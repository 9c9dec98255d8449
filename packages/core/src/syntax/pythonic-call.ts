/**
 * `[f(a="x", n=1), g()]`: the zero-shot form of Llama 3.2 and 3.3, a Python list of calls with named arguments only.
 * Read over several lines, with dotted names, and with `**{…}` for arguments whose names Python could not write. A list
 * of which any element is something else is an ordinary list.
 */
import type { PromptPart } from "../prompt-part.ts"
import type { JsonObject } from "../turn.ts"
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
import { inJson, readPython, skipPythonSpace, writePython } from "./literal-python.ts"
import { type Reading, readName, readWord, type Source } from "./source.ts"

/** One list with all calls of a turn. Strings are escaped as in Python, which Meta's own encoder leaves out. */
export function renderPythonicCalls(calls: readonly WrittenCall[]): readonly PromptPart[] {
  return [{ text: `[${calls.map(writeCall).join(", ")}]` }]
}

function writeCall(call: WrittenCall): string {
  const named = Object.entries(call.input).filter(([key]) => isArgumentName(key))
  const others = Object.fromEntries(Object.entries(call.input).filter(([key]) => !isArgumentName(key)))
  const values = named.map(([key, value]) => `${key}=${writePython(value)}`)
  if (Object.keys(others).length > 0) values.push(`**${writePython(others)}`)
  return `${call.name}(${values.join(", ")})`
}

/** Reads a list of calls, whose `[` is at `start`; the source stands at the first letter of a name. */
export function* readPythonicCalls(
  source: Source,
  sink: CallSink,
  context: CallContext,
  start: number,
): Reading<CallEnd> {
  const list: List = { start, count: 0, isCertain: false }
  for (;;) {
    const char = yield* skipPythonSpace(source)
    if (char === "]" && list.count > 0) {
      source.advance()
      return read
    }
    if (char === "" && list.count > 0 && source.ending === "complete") return read
    const end = yield* readElement(source, sink, context, list)
    if (end.kind !== "read") return end
    const next = yield* skipPythonSpace(source)
    if (next === ",") source.advance()
    else if (next !== "]" && next !== "") return text
  }
}

/** What has been read of the list. */
interface List {
  readonly start: number
  count: number
  /** Whether a call of it was announced: then the others are calls too, and an unknown name is one to report. */
  isCertain: boolean
}

/** What has been read of one element. */
interface Draft {
  readonly name: string
  readonly keys: Set<string>
}

function* readElement(source: Source, sink: CallSink, context: CallContext, list: List): Reading<CallEnd> {
  const start = list.count === 0 ? list.start : source.position
  sink.begin("pythonic-call", start)
  const name = yield* readName(source)
  const noCall = list.count === 0 ? textAfterFirst : text
  if (name === "" || (!context.offered.has(name) && !list.isCertain)) return noCall
  if ((yield* skipPythonSpace(source)) !== "(") return noCall
  source.advance()
  const call: Draft = { name, keys: new Set() }
  const end = yield* readArguments(source, sink, call)
  if (end.kind === "read") {
    list.count++
    list.isCertain ||= sink.announced
    sink.end()
    return read
  }
  if (end.kind === "unfinished") {
    if (call.keys.size === 0) return text
    return { kind: "unfinished", name, problem: `The call ends too soon: expected ${end.expected}.` }
  }
  if (!sink.announced) return text
  const problem = `The call is broken ${describeBreak(source, start, end.at, end.expected)}.`
  return { kind: "broken", name, problem, depth: end.depth + 2 }
}

/** Reads `key=value, …)` and writes the input. */
function* readArguments(source: Source, sink: CallSink, call: Draft): Reading<LiteralEnd> {
  for (;;) {
    const char = yield* skipPythonSpace(source)
    if (char === ")") break
    if (char === "") {
      if (call.keys.size === 0 || source.ending !== "complete") return unfinished('an argument or ")"')
      sink.write("}")
      return read
    }
    const end: LiteralEnd = char === "*" ? yield* readRest(source, sink, call) : yield* readNamed(source, sink, call)
    if (end.kind !== "read") return end
    const next = yield* skipPythonSpace(source)
    if (next === ",") source.advance()
    else if (next !== ")" && next !== "") return broken(source, '"," or ")"')
  }
  source.advance()
  if (call.keys.size === 0) sink.name(call.name)
  sink.write(call.keys.size === 0 ? "{}" : "}")
  return read
}

function* readNamed(source: Source, sink: CallSink, call: Draft): Reading<LiteralEnd> {
  const key = yield* readName(source)
  const next = yield* skipPythonSpace(source)
  if (next === "") return unfinished("the rest of an argument")
  if (!isArgumentName(key) || next !== "=") return broken(source, "an argument in the form name=value")
  if (call.keys.has(key)) return broken(source, `${key} once`)
  source.advance()
  if ((yield* skipPythonSpace(source)) === "") return unfinished("a value")
  if (source.char === "=") return broken(source, "a literal value")
  begin(sink, call, key)
  sink.write(`"${inJson(key)}": `)
  return yield* readClosed(source, (json) => sink.write(json))
}

/** `**{…}`: its entries become arguments. */
function* readRest(source: Source, sink: CallSink, call: Draft): Reading<LiteralEnd> {
  if (!(yield* readWord(source, "**"))) return broken(source, "an argument in the form name=value")
  if ((yield* skipPythonSpace(source)) !== "{") return broken(source, "a dictionary after **")
  const pieces: string[] = []
  const end = yield* readClosed(source, (json) => pieces.push(json))
  if (end.kind !== "read") return end
  for (const [key, value] of Object.entries(JSON.parse(pieces.join("")) as JsonObject)) {
    if (call.keys.has(key)) return broken(source, `${JSON.stringify(key)} once`)
    begin(sink, call, key)
    sink.write(`"${inJson(key)}": ${JSON.stringify(value)}`)
  }
  return read
}

/** Reads a value, and adds its closing brackets where the turn is over and only they are missing. */
function* readClosed(source: Source, write: (json: string) => void): Reading<LiteralEnd> {
  const end = yield* readPython(source, write)
  if (end.kind !== "unfinished" || end.closers === null || source.ending !== "complete") return end
  write(end.closers)
  return read
}

function begin(sink: CallSink, call: Draft, key: string): void {
  if (call.keys.size === 0) sink.name(call.name)
  sink.write(call.keys.size === 0 ? "{" : ", ")
  call.keys.add(key)
}

function isArgumentName(key: string): boolean {
  return /^[\p{L}_][\p{L}\p{N}_]*$/u.test(key)
}

function unfinished(expected: string): LiteralEnd {
  return { kind: "unfinished", closers: null, expected }
}

function broken(source: Source, expected: string): LiteralEnd {
  return { kind: "broken", expected, at: source.position, depth: 0 }
}
