/**
 * `<function=f>{…}</function>`: the form of custom functions in Llama 3.1's documentation, with JSON inside. Read with the
 * name in quotes, with `=` or nothing in place of `>`, without the closing tag, and with nothing inside for no arguments,
 * all of which models write.
 */
import { pythonJson } from "../prompt-json.ts"
import type { PromptPart } from "../prompt-part.ts"
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
import { readJson } from "./literal-json.ts"
import { type Reading, readName, readWord, type Source, skipSpace } from "./source.ts"

export function renderFunctionTag(call: WrittenCall): readonly PromptPart[] {
  return [{ text: `<function=${call.name}>${pythonJson(call.input)}</function>` }]
}

/** Reads one call; the source stands at its `<`. */
export function* readFunctionTag(source: Source, sink: CallSink, context: CallContext): Reading<CallEnd> {
  const start = source.position
  sink.begin("function-tag", start)
  if (!(yield* readWord(source, "<function="))) return textAfterFirst
  const name = yield* readFunctionName(source)
  const isOffered = context.offered.has(name)
  if (name === "" || (context.place === "after-prose" && !isOffered)) return text
  const first = yield* skipSpace(source)
  if (first === "" && !isOffered) return text
  if (first === "") return { kind: "unfinished", name, problem: "The call ends too soon: expected its input." }
  if (first !== "{" && first !== "<") return text
  sink.name(name)
  const end: LiteralEnd = first === "{" ? yield* readJson(source, (json) => sink.write(json)) : read
  if (first === "<") sink.write("{}")
  if (end.kind === "broken") {
    const problem = `The JSON is broken ${describeBreak(source, start, end.at, end.expected)}.`
    yield* skipToClosing(source)
    return isOffered || sink.announced ? { kind: "broken", name, problem, depth: 0 } : text
  }
  if (end.kind === "unfinished") {
    const closable = end.closers !== null && source.ending === "complete" && isOffered
    if (!closable && !isOffered && !sink.announced) return text
    if (!closable) return { kind: "unfinished", name, problem: `The JSON ends too soon: expected ${end.expected}.` }
    sink.write(end.closers)
  }
  return yield* readClosing(source, sink, name)
}

/** `NAME>`, `"NAME">`, `NAME=` or `NAME`. */
function* readFunctionName(source: Source): Reading<string> {
  const quote = source.char ?? (yield* source.wait())
  const isQuoted = quote === '"' || quote === "'"
  if (isQuoted) source.advance()
  const name = yield* readName(source)
  if (isQuoted && (source.char ?? (yield* source.wait())) === quote) source.advance()
  const end = yield* skipSpace(source)
  if (end === ">" || end === "=") source.advance()
  return name
}

/** Reads over `</function>` where it stands. It may be missing, since the input's own brackets show where that ends. */
function* readClosing(source: Source, sink: CallSink, name: string): Reading<CallEnd> {
  const behind = source.position
  const isClosed = (yield* skipSpace(source)) === "<" && (yield* readWord(source, "</function>"))
  if (!isClosed && source.char === undefined) {
    const problem = "The call ends too soon: expected </function>."
    if (source.ending !== "complete") return { kind: "unfinished", name, problem }
  } else if (!isClosed) source.rewind(behind)
  sink.end()
  return read
}

function* skipToClosing(source: Source): Reading<void> {
  for (;;) {
    source.take(isOpeningBracket)
    const char = source.char ?? (yield* source.wait())
    if (char === "" || source.special(char) !== undefined) return
    if (yield* readWord(source, "</function>")) return
  }
}

const isOpeningBracket = (unit: number): boolean => unit === 60
