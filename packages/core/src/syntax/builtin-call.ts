/**
 * `brave_search.call(query="…")`: the form of the built-in tools that Llama 3.1 was trained on, behind `<|python_tag|>`.
 * The trained renderers write a value between quotes and escape nothing, so a value with a quote in it is not Python.
 * Read as Python first; where that fails inside the only argument, the value is taken verbatim up to the last `")`.
 */
import { pythonJson } from "../prompt-json.ts"
import type { Dialect, PromptPart } from "../prompt-part.ts"
import { specialTokens } from "../special-tokens.ts"
import {
  type CallContext,
  type CallEnd,
  type CallSink,
  codeTool,
  describeBreak,
  type LiteralEnd,
  read,
  text,
  textAfterFirst,
  type WrittenCall,
} from "./call.ts"
import { inJson, readPython, readPythonText, readQuotes, skipPythonSpace } from "./literal-python.ts"
import { isSpace, pythonTag, type Reading, readName, type Source, skipSpace } from "./source.ts"

/** As the trained renderers write it: Hugging Face with the tag, Meta's encoder without; nothing is escaped. */
export function renderBuiltinCall(call: WrittenCall, dialect: Dialect): readonly PromptPart[] {
  const values = Object.entries(call.input).map(
    ([key, value]) => `${key}="${typeof value === "string" ? value : pythonJson(value)}"`,
  )
  const written = { text: `${call.name}.call(${values.join(", ")})` }
  return dialect === "meta" ? [written] : [{ special: specialTokens.pythonTag }, written]
}

/** The one argument of each trained built-in: a value that comes without a name can only be meant for it. */
const onlyArguments: ReadonlyMap<string, string> = new Map([
  ["brave_search", "query"],
  ["wolfram_alpha", "query"],
  [codeTool, "code"],
])

/** Reads one call; the source stands at the first letter of a name. */
export function* readBuiltinCall(source: Source, sink: CallSink, context: CallContext): Reading<CallEnd> {
  const start = source.position
  sink.begin("builtin-call", start)
  const name = context.place === "after-tag" ? yield* readAnyTool(source) : yield* readBuiltin(source, context)
  if (!mayBeCalled(name, context)) return textAfterFirst
  if ((source.char ?? (yield* source.wait())) !== "(") return textAfterFirst
  source.advance()
  const call: Draft = { start, name, keys: new Set(), context }
  const end = yield* readArguments(source, sink, call)
  if (end.kind === "read") {
    sink.write(call.keys.size === 0 ? "{}" : "}")
    sink.end()
  }
  return end
}

/** `NAME.call`, or "". */
function* readAnyTool(source: Source): Reading<string> {
  const word = yield* readName(source)
  return word.endsWith(".call") ? word.slice(0, -".call".length) : ""
}

/** `NAME.call` of an offered built-in tool, or "" as soon as it can be none, so that no word of prose is held back. */
function* readBuiltin(source: Source, context: CallContext): Reading<string> {
  const names = [...context.builtins]
  for (let word = ""; ; ) {
    const name = names.find((builtin) => `${builtin}.call` === word)
    if (name !== undefined) return name
    const char = source.char ?? (yield* source.wait())
    word += char
    if (char === "" || !names.some((builtin) => `${builtin}.call`.startsWith(word))) return ""
    source.advance()
  }
}

/** After the tag any name may be called, and the model be told that it is unknown, unless it is Python that has a name. */
function mayBeCalled(name: string, context: CallContext): boolean {
  if (name === "") return false
  if (context.place !== "after-tag") return context.builtins.has(name)
  return context.offered.has(name) || onlyArguments.has(name) || !context.offered.has(codeTool)
}

interface Draft {
  readonly start: number
  readonly name: string
  readonly keys: Set<string>
  readonly context: CallContext
}

/** Reads `key=value, …)`. The input's JSON text is written but for its closing brace. */
function* readArguments(source: Source, sink: CallSink, call: Draft): Reading<CallEnd> {
  for (;;) {
    const char = yield* skipPythonSpace(source)
    if (char === ")") {
      source.advance()
      if (call.keys.size === 0) sink.name(call.name)
      return read
    }
    if (char === "") return unfinished(source, call, 'an argument or ")"', call.keys.size > 0)
    const key = yield* readKey(source, char, call)
    if (key === undefined) return broken(source, call, sink, "an argument in the form name=value")
    if (call.keys.has(key)) return broken(source, call, sink, `${key} once`)
    call.keys.add(key)
    const value = yield* skipPythonSpace(source)
    if (value === "") return unfinished(source, call, "a value", false)
    if (call.keys.size === 1) sink.name(call.name)
    sink.write(call.keys.size === 1 ? `{"${inJson(key)}": ` : `, "${inJson(key)}": `)
    const end =
      call.keys.size === 1 && (value === '"' || value === "'")
        ? yield* readFirstText(source, sink, call, key)
        : yield* readValue(source, sink, call)
    if (end.kind !== "read") return end
    const after = yield* skipPythonSpace(source)
    if (after === ",") source.advance()
    else if (after === "") return unfinished(source, call, '"," or ")"', true)
    else if (after !== ")") return broken(source, call, sink, '"," or ")"')
  }
}

/** `name=`, or the only argument's name where the value comes without one. */
function* readKey(source: Source, first: string, call: Draft): Reading<string | undefined> {
  if (first === '"' || first === "'") return call.keys.size === 0 ? onlyArguments.get(call.name) : undefined
  const name = yield* readName(source)
  if (!/^[\p{L}_][\p{L}\p{N}_]*$/u.test(name) || (yield* skipPythonSpace(source)) !== "=") return undefined
  source.advance()
  return name
}

function* readValue(source: Source, sink: CallSink, call: Draft): Reading<CallEnd> {
  const end = yield* readPython(source, (json) => sink.write(json))
  if (end.kind === "read") return read
  if (end.kind === "broken") return broken(source, call, sink, end.expected, end.depth)
  if (end.closers === null || source.ending !== "complete") return unfinished(source, call, end.expected, false)
  sink.write(end.closers)
  return read
}

/**
 * Reads a first argument that is a string. Its closing quote is passed on only once what follows shows that the string
 * is over; a quote in the middle makes the value verbatim.
 */
function* readFirstText(source: Source, sink: CallSink, call: Draft, key: string): Reading<CallEnd> {
  const opening = (yield* readQuotes(source))!
  const isEmpty = opening.quotes === ""
  const from = source.position - (isEmpty ? 1 : 0)
  let differs = false
  const write = (json: string) => {
    differs ||= json.includes("\\")
    sink.write(json)
  }
  sink.write('"')
  let { quotes } = opening
  let end: LiteralEnd = quotes === "" ? read : yield* readPythonText(source, quotes, "", write)
  while (end.kind === "read" && (yield* anotherFollows(source))) {
    differs = true
    quotes = (yield* readQuotes(source))!.quotes
    if (quotes !== "") end = yield* readPythonText(source, quotes, "", write)
  }
  if (end.kind === "unfinished") return unfinished(source, call, end.expected, false)
  const written = isEmpty ? from : source.position - (end.kind === "read" ? quotes.length : 0)
  if (end.kind === "read" && (yield* endsHere(source))) {
    sink.write('"')
    return read
  }
  if (source.char === undefined) return unfinished(source, call, '"," or ")"', false)
  const endsLine = call.name !== codeTool && source.char !== "\n"
  const failed = broken(source, call, sink, end.kind === "broken" ? end.expected : '"," or ")"')
  if (quotes.length > 1 || call.context.place === "after-prose" || (differs && sink.announced)) return failed
  const closing = yield* readVerbatim(source, endsLine)
  if (closing < written) return failed
  if (differs) {
    sink.restart()
    sink.write(`{"${inJson(key)}": "${inJson(source.slice(from, closing))}"`)
  } else sink.write(`${inJson(source.slice(written, closing))}"`)
  return read
}

/** Strings that stand side by side are one, as in Python. White space must part them: a doubled quote is a quotation. */
function* anotherFollows(source: Source): Reading<boolean> {
  if (!isSpace(source.char ?? (yield* source.wait()))) return false
  const char = yield* skipPythonSpace(source)
  return char === '"' || char === "'"
}

/** True when what stands here can follow a string that is over: the end, or a comma and another argument. */
function* endsHere(source: Source): Reading<boolean> {
  const char = yield* skipPythonSpace(source)
  if (char !== ",") return char === ")" || (char === "" && source.ending === "complete")
  const comma = source.position
  source.advance()
  const next = yield* skipPythonSpace(source)
  const isNext = next === ")" || ((yield* readName(source)) !== "" && (yield* skipPythonSpace(source)) === "=")
  source.rewind(comma)
  return isNext
}

/**
 * Reads on to the end of the text that an unescaped value can reach: the line, or where lines belong to the value the
 * answer. Gives the position of the value's closing quote; the source stands before the closing parenthesis. -1 when
 * none is there.
 */
function* readVerbatim(source: Source, endsLine: boolean): Reading<number> {
  let quote = -1
  let closing = -1
  for (;;) {
    const char = source.char ?? (yield* source.wait())
    if (char === "" || char === pythonTag || (endsLine && char === "\n")) break
    if (char === '"' || char === "'") {
      quote = source.position
      closing = -1
    } else if (char === ")") {
      closing = quote
      quote = -1
    } else if (!isSpace(char) && !(char === ";" && quote === -1)) {
      quote = -1
      closing = -1
    }
    source.advance()
  }
  if (closing === -1) return -1
  source.rewind(closing + 1)
  yield* skipSpace(source)
  return closing
}

/** Whether a call that breaks is to be reported, rather than to be taken for prose or for code. */
function isMeant(call: Draft, sink: CallSink): boolean {
  if (sink.announced) return true
  return call.context.place === "after-tag" ? !call.context.offered.has(codeTool) : false
}

function broken(source: Source, call: Draft, sink: CallSink, expected: string, depth = 0): CallEnd {
  if (!isMeant(call, sink)) return text
  const problem = `The call is broken ${describeBreak(source, call.start, source.position, expected)}.`
  return { kind: "broken", name: call.name, problem, depth: depth + 1 }
}

/** Only the closing parenthesis may be missing from a call whose turn is over. */
function unfinished(source: Source, call: Draft, expected: string, closable: boolean): CallEnd {
  if (closable && source.ending === "complete") return read
  if (call.context.place !== "after-tag" && call.keys.size === 0) return text
  return { kind: "unfinished", name: call.name, problem: `The call ends too soon: expected ${expected}.` }
}
