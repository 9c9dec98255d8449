/**
 * Bare Python after `<|python_tag|>`: a call of code_interpreter. The code is passed on as it is written, without the
 * white space around it; it is not checked, the interpreter says what is wrong with it. A tag inside a string or a
 * comment of the code is part of it, any other tag ends it.
 */
import type { PromptPart } from "../prompt-part.ts"
import { specialTokens } from "../special-tokens.ts"
import { type CallSink, codeTool, type WrittenCall } from "./call.ts"
import { inJson } from "./literal-python.ts"
import { isSpace, pythonTag, type Reading, type Source, skipSpace } from "./source.ts"

/** The tag and the code. */
export function renderPythonCode(call: Pick<WrittenCall, "input">): readonly PromptPart[] {
  return [{ special: specialTokens.pythonTag }, { text: String(call.input.code ?? "") }]
}

/**
 * Reads code up to the end of the answer or the next tag. The source stands behind the tag, with at least one character
 * of code to come. False when the answer was cut off in it.
 */
export function* readPythonCode(source: Source, sink: CallSink): Reading<boolean> {
  yield* skipSpace(source)
  sink.begin("python-code", source.position)
  sink.name(codeTool)
  sink.write('{"code": "')
  let quotes = ""
  let space = ""
  for (;;) {
    const plain = source.take(endsPlainCode) || (yield* source.run(endsPlainCode))
    if (plain !== "") {
      sink.write(inJson(space + plain))
      space = ""
    }
    const char = source.char
    if (plain !== "" && char === undefined) continue
    if (char === undefined || (char === pythonTag && quotes === "")) break
    source.advance()
    if (isSpace(char)) {
      space += char
      if (char === "\n" && quotes.length === 1) quotes = ""
      continue
    }
    sink.write(inJson(space) + inJson(source.withNames(char)))
    space = ""
    if (char === "\\" && quotes !== "" && quotes !== "#") yield* passEscaped(source, sink)
    else if (char === '"' || char === "'") quotes = yield* passQuotes(source, sink, char, quotes)
    else if (char === "#" && quotes === "") quotes = "#"
  }
  if (source.ending === "cut-off") return false
  sink.write('"}')
  sink.end()
  return true
}

/**
 * Reads code that stands in a fence, as `readPythonCode` does, and leaves the fence away if nothing follows it. What it is
 * shows only at the end. Kept text must reach back to here.
 */
export function* readFencedCode(source: Source, sink: CallSink): Reading<boolean> {
  const start = source.position
  for (;;) {
    source.take(endsNothing)
    const char = source.char ?? (yield* source.wait())
    if (char === "" || char === pythonTag) break
    source.advance()
  }
  sink.begin("python-code", start)
  sink.name(codeTool)
  if (source.ending === "cut-off") return false
  const whole = source.slice(start).trim()
  const line = whole.indexOf("\n")
  const inside = whole.endsWith("```") && line !== -1 ? whole.slice(line + 1, -3) : "```"
  sink.write(JSON.stringify({ code: inside.includes("```") ? whole : inside.trim() }))
  sink.end()
  return true
}

const endsNothing = (): boolean => false

/** The character after a backslash in a string: never a closing quote. */
function* passEscaped(source: Source, sink: CallSink): Reading<void> {
  const char = source.char ?? (yield* source.wait())
  if (char === "") return
  source.advance()
  sink.write(inJson(source.withNames(char)))
}

/** Follows a quote: opens a string, closes it, or is part of one. Gives the quotes that are open then. */
function* passQuotes(source: Source, sink: CallSink, quote: string, open: string): Reading<string> {
  if (open !== "" && open[0] !== quote) return open
  if (open.length === 1) return ""
  let count = 1
  while (count < 3 && (source.char ?? (yield* source.wait())) === quote) {
    source.advance()
    sink.write(inJson(quote))
    count++
  }
  if (open.length === 3) return count === 3 ? "" : open
  return count === 3 ? quote.repeat(3) : count === 2 ? "" : quote
}

/** White space is held back until more code follows; quotes, backslashes and comments decide where a tag is text. */
const endsPlainCode = (unit: number): boolean => unit <= 32 || unit === 34 || unit === 39 || unit === 35 || unit === 92
