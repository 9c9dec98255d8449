/**
 * Reads one Python literal from an answer in progress and passes it on as JSON text: strings of every quoting with their
 * escapes, neighbouring strings joined, integers in every base, floats, True, False and None (and JSON's spellings of
 * them), lists, tuples and dictionaries. What has no JSON form (bytes, sets, complex numbers, names, operators) breaks it.
 * Rules: "Lexical analysis" and `ast.literal_eval` in Python's reference.
 */
import { pythonNumber } from "../prompt-json.ts"
import type { JsonValue } from "../turn.ts"
import type { LiteralEnd } from "./call.ts"
import { maxDepth } from "./literal-json.ts"
import { numberInJson } from "./literal-number.ts"
import { isSpace, type Reading, type Source } from "./source.ts"

type Write = (json: string) => void
type Kind = "list" | "dictionary" | "parentheses"
type Expectation = "value" | "value-or-close" | "key-or-close" | "colon" | "comma-or-close"

interface Level {
  readonly kind: Kind
  readonly closer: string
  /** JSON text of what stands in parentheses, until a comma shows whether they make a tuple. */
  held: string[] | undefined
  entries: number
}

/** Reads one value. White space, line breaks and comments count for nothing, as inside parentheses. */
export function* readPython(source: Source, write: Write): Reading<LiteralEnd> {
  const levels: Level[] = []
  const put: Write = (json) => {
    const held = levels.findLast((level) => level.held !== undefined)?.held
    if (held === undefined) write(json)
    else held.push(json)
  }
  let expectation: Expectation = "value"
  for (;;) {
    const char = yield* skipPythonSpace(source)
    const level = levels.at(-1)
    if (char === "") return unfinished(levels, expectation)
    if (level !== undefined && char === level.closer && mayClose(expectation, level)) {
      source.advance()
      close(levels, put)
      if (levels.length === 0) return { kind: "read" }
      expectation = "comma-or-close"
    } else if (expectation === "comma-or-close") {
      if (char !== ",") return broken(source, levels, expectation)
      source.advance()
      separate(level!, put)
      expectation = level!.kind === "dictionary" ? "key-or-close" : "value-or-close"
    } else if (expectation === "colon") {
      if (char !== ":") return broken(source, levels, expectation)
      source.advance()
      put(": ")
      expectation = "value"
    } else if (char === "[" || char === "{" || char === "(") {
      if (expectation === "key-or-close") return broken(source, levels, "a string as the key")
      if (levels.length === maxDepth) return broken(source, levels, `at most ${maxDepth} nested levels`)
      source.advance()
      if (expectation === "value-or-close") startEntry(level, put)
      expectation = open(char, levels, put)
    } else {
      if (expectation !== "value") startEntry(level, put)
      const isKey: boolean = expectation === "key-or-close"
      const end: LiteralEnd = yield* isKey ? readKey(source, char, put) : readScalar(source, char, put)
      if (end.kind !== "read") return end.kind === "broken" ? { ...end, depth: levels.length } : end
      if (levels.length === 0) return end
      expectation = isKey ? "colon" : "comma-or-close"
    }
  }
}

/** Reads over white space, line breaks, continued lines and comments. */
export function* skipPythonSpace(source: Source): Reading<string> {
  for (;;) {
    const char = source.char ?? (yield* source.wait())
    if (char === "#") {
      while (!["\n", ""].includes(source.char ?? (yield* source.wait()))) source.advance()
    } else if (char === "\\") {
      if (!(yield* continuesLine(source))) return char
    } else if (isSpace(char)) source.advance()
    else return char
  }
}

/** Reads over a backslash that ends its line, and over no other. */
function* continuesLine(source: Source): Reading<boolean> {
  const at = source.position
  source.advance()
  if ((source.char ?? (yield* source.wait())) === "\r") source.advance()
  const endsLine = (source.char ?? (yield* source.wait())) === "\n"
  if (!endsLine) source.rewind(at)
  return endsLine
}

/**
 * Reads the inside of a string and its closing quotes; the source stands behind the opening ones. Passed on is JSON text
 * without quotes.
 */
export function* readPythonText(source: Source, quotes: string, prefix: string, write: Write): Reading<LiteralEnd> {
  const quote = quotes[0]!
  const raw = prefix.includes("r")
  const stops = (unit: number): boolean => unit === quote.charCodeAt(0) || unit === 92 || unit === 10
  for (;;) {
    const plain = source.take(stops) || (yield* source.run(stops))
    if (plain !== "") write(inJson(plain))
    const char = source.char
    if (plain !== "" && char === undefined) continue
    if (char === undefined) return { kind: "unfinished", closers: null, expected: `the closing ${quotes} of a string` }
    if (char === quote) {
      const count = yield* countQuotes(source, quotes)
      if (count === quotes.length) return { kind: "read" }
      write(inJson(quote.repeat(count)))
    } else if (char === "\\") {
      const end = yield* readEscape(source, raw, write)
      if (end.kind !== "read") return end
    } else if (char === "\n" && quotes.length === 1) {
      return brokenAt(source, `the closing ${quotes} of a string before the end of the line`)
    } else {
      source.advance()
      write(source.special(char) === undefined ? inJson(char) : source.withNames(char))
    }
  }
}

/** Reads the prefix and the opening quotes of a string: undefined where none begins here. */
export function* readQuotes(source: Source): Reading<{ readonly prefix: string; readonly quotes: string } | undefined> {
  let prefix = ""
  for (;;) {
    const char = source.char ?? (yield* source.wait())
    if (char === '"' || char === "'") {
      source.advance()
      if ((source.char ?? (yield* source.wait())) !== char) return { prefix: prefix.toLowerCase(), quotes: char }
      source.advance()
      if ((source.char ?? (yield* source.wait())) !== char) return { prefix: prefix.toLowerCase(), quotes: "" }
      source.advance()
      return { prefix: prefix.toLowerCase(), quotes: char.repeat(3) }
    }
    if (prefix.length === 2 || !/^[a-zA-Z]$/.test(char)) return undefined
    prefix += char
    source.advance()
  }
}

/** Text as it stands inside the quotes of a JSON string. */
export function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

function* readScalar(source: Source, first: string, put: Write): Reading<LiteralEnd> {
  if (first === '"' || first === "'" || /^[a-zA-Z_]$/.test(first)) return yield* readWordOrString(source, put)
  return yield* readNumber(source, put)
}

/** A key: a string, or a number or word, which JSON can only have as a string. */
function* readKey(source: Source, first: string, put: Write): Reading<LiteralEnd> {
  const pieces: string[] = []
  const end = yield* readScalar(source, first, (piece) => pieces.push(piece))
  const json = pieces.join("")
  if (end.kind === "read") put(json.startsWith('"') ? json : JSON.stringify(json))
  return end
}

const wordValues: ReadonlyMap<string, string> = new Map([
  ["True", "true"],
  ["False", "false"],
  ["None", "null"],
  ["true", "true"],
  ["false", "false"],
  ["null", "null"],
])

function* readWordOrString(source: Source, put: Write): Reading<LiteralEnd> {
  let word = ""
  for (;;) {
    const char = source.char ?? (yield* source.wait())
    if (char === '"' || char === "'") return yield* readStrings(source, word, put)
    if (word.length === 16 || !/^\w$/.test(char)) break
    word += char
    source.advance()
  }
  const value = wordValues.get(word)
  if (value === undefined) return brokenAt(source, `a literal value in place of ${word}`)
  put(value)
  return { kind: "read" }
}

/** Neighbouring strings are one. The source stands at the first string's quote, behind its prefix. */
function* readStrings(source: Source, firstPrefix: string, put: Write): Reading<LiteralEnd> {
  const refusal = refusePrefix(firstPrefix.toLowerCase())
  if (refusal !== undefined) return brokenAt(source, refusal)
  put('"')
  for (let prefix = firstPrefix.toLowerCase(); ; ) {
    const opening = yield* readQuotes(source)
    if (opening === undefined) return brokenAt(source, "a literal value")
    const refused = refusePrefix(opening.prefix)
    if (refused !== undefined) return brokenAt(source, refused)
    if (opening.quotes !== "") {
      const end = yield* readPythonText(source, opening.quotes, prefix + opening.prefix, put)
      if (end.kind !== "read") return end
    }
    const next = yield* skipPythonSpace(source)
    if (next !== '"' && next !== "'" && !/^[a-zA-Z]$/.test(next)) break
    prefix = ""
  }
  put('"')
  return { kind: "read" }
}

function refusePrefix(prefix: string): string | undefined {
  if (prefix === "" || prefix === "r" || prefix === "u") return undefined
  if (prefix.includes("b")) return "a text string, since bytes have no JSON form"
  if (prefix.includes("f")) return "a plain string, not a formatted one"
  return `a literal value in place of ${prefix}`
}

function* readNumber(source: Source, put: Write): Reading<LiteralEnd> {
  let number = ""
  for (;;) {
    const char = source.char ?? (yield* source.wait())
    const signed = number === "" || (/[eE]$/.test(number) && !/^[-+]?0[xX]/.test(number))
    if (number.length >= 400 || !(/^[\w.]$/.test(char) || (signed && (char === "-" || char === "+")))) break
    number += char
    source.advance()
    if (number === "-" || number === "+") yield* skipPythonSpace(source)
  }
  if (source.char === undefined && source.ending === "cut-off") {
    return { kind: "unfinished", closers: null, expected: "the rest of a number" }
  }
  const json = numberInJson(number)
  if (json === undefined) {
    return brokenAt(source, number === "" ? "a literal value" : `a number in place of ${number.slice(0, 40)}`)
  }
  put(json)
  return { kind: "read" }
}

const simpleEscapes: Readonly<Record<string, string>> = {
  "\n": "",
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\u0007",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
}
const hexLengths: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 }

function* readEscape(source: Source, raw: boolean, write: Write): Reading<LiteralEnd> {
  const at = source.position
  source.advance()
  const char = source.char ?? (yield* source.wait())
  if (char === "") return { kind: "unfinished", closers: null, expected: "the rest of an escape" }
  const simple = simpleEscapes[char]
  const digits = hexLengths[char]
  if (!raw && digits !== undefined) {
    source.advance()
    return yield* readHexEscape(source, digits, write)
  }
  if (!raw && /^[0-7]$/.test(char)) return yield* readOctalEscape(source, write)
  if (!raw && char === "N") {
    return { kind: "broken", expected: "the character itself in place of a \\N{…} escape", at, depth: 0 }
  }
  // Python keeps the backslash of an escape that it does not know, and in a raw string of every one.
  if (source.special(char) !== undefined) {
    write("\\\\")
    return { kind: "read" }
  }
  source.advance()
  write(inJson(raw || simple === undefined ? `\\${char}` : simple))
  return { kind: "read" }
}

function* readHexEscape(source: Source, length: number, write: Write): Reading<LiteralEnd> {
  let digits = ""
  while (digits.length < length) {
    const digit = source.char ?? (yield* source.wait())
    if (digit === "") return { kind: "unfinished", closers: null, expected: "the rest of an escape" }
    if (!/^[0-9a-fA-F]$/.test(digit)) return brokenAt(source, `${length} hexadecimal digits in an escape`)
    digits += digit
    source.advance()
  }
  const code = Number.parseInt(digits, 16)
  if (code > 0x10ffff) return brokenAt(source, "a character up to \\U0010ffff")
  write(inJson(String.fromCodePoint(code)))
  return { kind: "read" }
}

function* readOctalEscape(source: Source, write: Write): Reading<LiteralEnd> {
  let digits = ""
  while (digits.length < 3 && /^[0-7]$/.test(source.char ?? (yield* source.wait()))) {
    digits += source.char
    source.advance()
  }
  write(inJson(String.fromCharCode(Number.parseInt(digits, 8))))
  return { kind: "read" }
}

/** Reads over up to as many quotes as close the string, and says how many stood there. */
function* countQuotes(source: Source, quotes: string): Reading<number> {
  let count = 0
  while (count < quotes.length && (source.char ?? (yield* source.wait())) === quotes[0]) {
    source.advance()
    count++
  }
  return count
}

function open(char: string, levels: Level[], put: Write): Expectation {
  if (char === "(") {
    levels.push({ kind: "parentheses", closer: ")", held: [], entries: 0 })
    return "value-or-close"
  }
  put(char)
  levels.push({
    kind: char === "[" ? "list" : "dictionary",
    closer: char === "[" ? "]" : "}",
    held: undefined,
    entries: 0,
  })
  return char === "[" ? "value-or-close" : "key-or-close"
}

/** Called before each entry of a list, tuple or dictionary: Python allows a comma after the last, JSON does not. */
function startEntry(level: Level | undefined, put: Write): void {
  if (level === undefined) return
  if (level.entries > 0) put(", ")
  level.entries++
}

/** A comma shows that parentheses make a tuple. */
function separate(level: Level, put: Write): void {
  if (level.held === undefined) return
  const held = level.held.join("")
  level.held = undefined
  put(`[${held}`)
}

function close(levels: Level[], put: Write): void {
  const level = levels.pop()!
  if (level.kind !== "parentheses") put(level.closer)
  else if (level.held === undefined) put("]")
  else put(level.entries === 0 ? "[]" : level.held.join(""))
}

function mayClose(expectation: Expectation, level: Level): boolean {
  if (expectation === "value-or-close" && level.kind === "dictionary") return false
  return expectation === "comma-or-close" || expectation === "value-or-close" || expectation === "key-or-close"
}

/** The brackets that are missing, in JSON; none can be told while parentheses may still be anything. */
function unfinished(levels: readonly Level[], expectation: Expectation): LiteralEnd {
  const level = levels.at(-1)
  const closable = level !== undefined && mayClose(expectation, level) && levels.every((one) => one.held === undefined)
  const closers = levels.map((one) => (one.kind === "parentheses" ? "]" : one.closer)).toReversed()
  return { kind: "unfinished", closers: closable ? closers.join("") : null, expected: describe(expectation, level) }
}

function broken(source: Source, levels: readonly Level[], expected: string): LiteralEnd {
  const words = describe(expected as Expectation, levels.at(-1))
  return { kind: "broken", expected: words, at: source.position, depth: levels.length }
}

function brokenAt(source: Source, expected: string): LiteralEnd {
  return { kind: "broken", expected, at: source.position, depth: 0 }
}

function describe(expectation: Expectation | string, level: Level | undefined): string {
  const closer = JSON.stringify(level?.closer ?? "")
  if (expectation === "value") return "a literal value"
  if (expectation === "value-or-close") return `a literal value or ${closer}`
  if (expectation === "key-or-close") return `a string as the key or ${closer}`
  if (expectation === "colon") return 'a ":"'
  if (expectation === "comma-or-close") return `"," or ${closer}`
  return expectation
}

/** A JSON value as Python writes it: what `render` puts behind an argument's name. */
export function writePython(value: JsonValue): string {
  if (typeof value === "string") return JSON.stringify(value)
  if (value === null) return "None"
  if (typeof value === "boolean") return value ? "True" : "False"
  if (typeof value === "number") return Object.is(value, -0) ? "-0.0" : pythonNumber(value)
  if (Array.isArray(value)) return `[${value.map(writePython).join(", ")}]`
  const members = Object.entries(value).map(([key, member]) => `${writePython(key)}: ${writePython(member)}`)
  return `{${members.join(", ")}}`
}
