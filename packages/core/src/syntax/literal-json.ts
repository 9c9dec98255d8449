/**
 * Reads one JSON value from an answer in progress and passes it on as JSON text, as it was written. It says where JSON
 * broke and what was expected there. RFC 8259, with one leniency: line breaks and other control characters inside a
 * string are taken for themselves and passed on escaped, since models write code that way.
 */
import type { LiteralEnd } from "./call.ts"
import { type Reading, readWord, type Source } from "./source.ts"

/** Deeper nesting is refused, so that nothing that works on the value later can run out of stack. */
export const maxDepth = 256

type Write = (json: string) => void
type Expectation = "value" | "value-or-close" | "key" | "key-or-close" | "colon" | "comma-or-close"

/** Reads one value of any kind. The source stands behind it, or where it broke. */
export function* readJson(source: Source, write: Write): Reading<LiteralEnd> {
  const closers: string[] = []
  let expectation: Expectation = "value"
  for (;;) {
    const char = yield* passSpace(source, write)
    if (char === "") return unfinished(closers, expectation)
    if (char === closers.at(-1) && mayClose(expectation)) {
      pass(source, write, char)
      closers.pop()
      if (closers.length === 0) return { kind: "read" }
      expectation = "comma-or-close"
    } else if (expectation === "colon" || expectation === "comma-or-close") {
      if (char !== (expectation === "colon" ? ":" : ",")) return broken(source, closers, expectation)
      pass(source, write, char)
      expectation = expectation === "colon" || closers.at(-1) === "]" ? "value" : "key"
    } else if (expectation === "key" || expectation === "key-or-close") {
      if (char !== '"') return broken(source, closers, expectation)
      const end = yield* readJsonString(source, write)
      if (end.kind !== "read") return atDepth(end, closers.length)
      expectation = "colon"
    } else if (char === "{" || char === "[") {
      if (closers.length === maxDepth) return broken(source, closers, `at most ${maxDepth} nested levels`)
      pass(source, write, char)
      closers.push(char === "{" ? "}" : "]")
      expectation = char === "{" ? "key-or-close" : "value-or-close"
    } else {
      const end = yield* readScalar(source, char, write)
      if (end.kind !== "read") return atDepth(end, closers.length)
      if (closers.length === 0) return end
      expectation = "comma-or-close"
    }
  }
}

/** Reads a string with its quotes; the source stands before the opening one. */
export function* readJsonString(source: Source, write: Write): Reading<LiteralEnd> {
  pass(source, write, '"')
  for (;;) {
    const plain = source.take(endsPlainText) || (yield* source.run(endsPlainText))
    if (plain !== "") write(plain)
    const char = source.char
    if (plain !== "" && char === undefined) continue
    if (char === undefined) return { kind: "unfinished", closers: null, expected: "the closing quote of a string" }
    if (char === '"') {
      pass(source, write, char)
      return { kind: "read" }
    }
    if (char === "\\") {
      const end = yield* readEscape(source, write)
      if (end.kind !== "read") return end
      continue
    }
    source.advance()
    // A control character or a special token: data here, whatever it would be outside.
    write(source.special(char) === undefined ? JSON.stringify(char).slice(1, -1) : source.withNames(char))
  }
}

const wordsByLetter: Readonly<Record<string, string>> = { t: "true", f: "false", n: "null" }

function* readScalar(source: Source, char: string, write: Write): Reading<LiteralEnd> {
  if (char === '"') return yield* readJsonString(source, write)
  const word = wordsByLetter[char]
  if (word !== undefined) {
    if (!(yield* readWord(source, word))) return brokenAt(source, word)
    write(word)
    return { kind: "read" }
  }
  if (char === "-" || isDigit(char)) return yield* readNumber(source, write)
  return brokenAt(source, "a value")
}

function* readNumber(source: Source, write: Write): Reading<LiteralEnd> {
  let number = ""
  for (;;) {
    const char = source.char ?? (yield* source.wait())
    if (number.length >= 400 || !/^[-+.0-9eE]$/.test(char)) break
    number += char
    source.advance()
  }
  if (source.char === undefined && source.ending === "cut-off") {
    return { kind: "unfinished", closers: null, expected: "the rest of a number" }
  }
  if (!/^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$/.test(number) || !Number.isFinite(Number(number))) {
    return brokenAt(source, `a number in place of ${number.slice(0, 40)}`)
  }
  write(number)
  return { kind: "read" }
}

function* readEscape(source: Source, write: Write): Reading<LiteralEnd> {
  source.advance()
  const char = source.char ?? (yield* source.wait())
  if (char === "") return { kind: "unfinished", closers: null, expected: "the rest of an escape" }
  if (char !== "u") {
    if (!'"\\/bfnrt'.includes(char)) return brokenAt(source, 'one of "\\/bfnrtu after a backslash')
    source.advance()
    write(`\\${char}`)
    return { kind: "read" }
  }
  source.advance()
  let digits = ""
  while (digits.length < 4) {
    const digit = source.char ?? (yield* source.wait())
    if (digit === "") return { kind: "unfinished", closers: null, expected: "the rest of an escape" }
    if (!/^[0-9a-fA-F]$/.test(digit)) return brokenAt(source, "four hexadecimal digits after \\u")
    digits += digit
    source.advance()
  }
  write(`\\u${digits}`)
  return { kind: "read" }
}

/** JSON allows four kinds of white space; other kinds break it where they stand. */
function* passSpace(source: Source, write: Write): Reading<string> {
  for (;;) {
    const char = source.char ?? (yield* source.wait())
    if (!isJsonSpace(char)) return char
    pass(source, write, char)
  }
}

function pass(source: Source, write: Write, char: string): void {
  source.advance()
  write(char)
}

function mayClose(expectation: Expectation): boolean {
  return expectation === "comma-or-close" || expectation === "value-or-close" || expectation === "key-or-close"
}

function unfinished(closers: readonly string[], expectation: Expectation): LiteralEnd {
  const closable = closers.length > 0 && mayClose(expectation)
  return {
    kind: "unfinished",
    closers: closable ? closers.toReversed().join("") : null,
    expected: describe(expectation, closers),
  }
}

function broken(source: Source, closers: readonly string[], expected: string): LiteralEnd {
  const words = describe(expected as Expectation, closers)
  return { kind: "broken", expected: words, at: source.position, depth: closers.length }
}

function brokenAt(source: Source, expected: string): LiteralEnd {
  return { kind: "broken", expected, at: source.position, depth: 0 }
}

function atDepth(end: LiteralEnd, depth: number): LiteralEnd {
  return end.kind === "broken" ? { ...end, depth } : end
}

function describe(expectation: Expectation | string, closers: readonly string[]): string {
  const closer = JSON.stringify(closers.at(-1) ?? "")
  switch (expectation) {
    case "value":
      return "a value"
    case "value-or-close":
      return `a value or ${closer}`
    case "key":
      return "a key in double quotes"
    case "key-or-close":
      return `a key in double quotes or ${closer}`
    case "colon":
      return 'a ":"'
    case "comma-or-close":
      return `"," or ${closer}`
    default:
      return expectation
  }
}

function isJsonSpace(char: string): boolean {
  return char === " " || char === "\n" || char === "\t" || char === "\r"
}

function isDigit(char: string): boolean {
  return char >= "0" && char <= "9"
}

const endsPlainText = (unit: number): boolean => unit === 34 || unit === 92 || unit < 32
