/**
 * Pre-tokenisation: cuts text into the pieces that byte-pair merging works on. The patterns stand in tokenizer.json in
 * Oniguruma's dialect; here they become JavaScript's, exactly, or are refused by name. Knows nothing of tokens.
 */
import { TokenizerError } from "./error.ts"

/** Cuts a piece of text into smaller ones, in order. */
export type Splitter = (text: string) => readonly string[]

/** Source: `pre_tokenizers/byte_level.rs` of Hugging Face tokenizers; the pattern was published with GPT-2. */
export const gpt2Pattern = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/** Every match is a piece, and so is every gap between matches (`Isolated`). */
export function isolateMatches(pattern: RegExp): Splitter {
  return (text) => {
    const matches: readonly string[] = text.match(pattern) ?? []
    let matched = 0
    for (const match of matches) matched += match.length
    return matched === text.length ? matches : withGaps(text, pattern)
  }
}

/** Only the matches are pieces, what lies between is lost (`Removed` with `invert`). */
export function keepMatches(pattern: RegExp): Splitter {
  return (text) => (text.match(pattern) ?? []).filter((match) => match !== "")
}

function withGaps(text: string, pattern: RegExp): readonly string[] {
  const pieces: string[] = []
  let end = 0
  for (const match of text.matchAll(pattern)) {
    if (match.index > end) pieces.push(text.slice(end, match.index))
    if (match[0] !== "") pieces.push(match[0])
    end = match.index + match[0].length
  }
  if (end < text.length) pieces.push(text.slice(end))
  return pieces
}

/**
 * An Oniguruma pattern as a JavaScript one. The two agree on most syntax; they differ in three classes (`\s` is Unicode
 * White_Space there, which has U+0085 and lacks U+FEFF; `\d` and `\w` are Unicode-wide) and in escapes that the `u` flag
 * refuses. Throws TokenizerError `unsupported` for what JavaScript cannot say.
 */
export function translatePattern(source: string): RegExp {
  let translated = ""
  let inClass = false
  for (let at = 0; at < source.length; at++) {
    const character = source[at]!
    if (character === "\\") {
      const escaped = readEscape(source, at)
      translated += translateEscape(escaped, inClass, source)
      at += escaped.length - 1
      continue
    }
    if (character === "[") {
      if (inClass) throw unsupportedPattern("a class inside a class", source)
      inClass = true
    } else if (character === "]") inClass = false
    else if (inClass && character === "&" && source[at + 1] === "&") throw unsupportedPattern("&& in a class", source)
    else if (!inClass && "*+?}".includes(character) && source[at + 1] === "+") {
      throw unsupportedPattern("a possessive quantifier", source)
    }
    translated += character
  }
  try {
    return new RegExp(translated, "gu")
  } catch (cause) {
    throw unsupportedPattern(`a construct that JavaScript lacks (${(cause as Error).message})`, source)
  }
}

/** The escape that begins at `at`: `\s`, `\p{…}`, `\x{…}`, `\uXXXX`. */
function readEscape(source: string, at: number): string {
  const braced = /^\\[pPx]\{[^}]*\}/.exec(source.slice(at, at + 64))
  return braced ? braced[0] : source.slice(at, at + 2)
}

const wordCharacters = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"
const classEscapes: Readonly<Record<string, string>> = {
  "\\s": "\\p{White_Space}",
  "\\S": "\\P{White_Space}",
  "\\d": "\\p{Nd}",
  "\\D": "\\P{Nd}",
}

function translateEscape(escaped: string, inClass: boolean, source: string): string {
  if (escaped.startsWith("\\p") || escaped.startsWith("\\P")) return escaped
  if (escaped.startsWith("\\x{")) return `\\u${escaped.slice(2)}`
  const known = classEscapes[escaped]
  if (known !== undefined) return known
  if (escaped === "\\w") return inClass ? wordCharacters : `[${wordCharacters}]`
  if (escaped === "\\W" && !inClass) return `[^${wordCharacters}]`
  const character = escaped[1]
  if (character === undefined) throw unsupportedPattern("a trailing backslash", source)
  if ("nrtvfxu".includes(character) || "^$\\.*+?()[]{}|/".includes(character)) return escaped
  if (character === "-") return inClass ? escaped : character
  if (/[A-Za-z0-9]/.test(character)) throw unsupportedPattern(`the escape ${escaped}`, source)
  return character
}

function unsupportedPattern(what: string, source: string): TokenizerError {
  return new TokenizerError({
    reason: "unsupported",
    detail: `The tokenizer's split pattern has ${what}: ${source.slice(0, 200)}`,
    fix: "Use a tokenizer whose pattern has the syntax that Oniguruma and JavaScript share.",
  })
}
