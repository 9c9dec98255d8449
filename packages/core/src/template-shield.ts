/**
 * Keeps the caller's values apart from the template's own text while both go through a template as one string. Whatever
 * looks like a special token inside a value, or like a piece of one at its edge, is replaced by a word of digits that
 * occurs nowhere else; after rendering, special tokens are split off and the words are put back as text.
 * The words are no secret: putting one back only ever makes text.
 */
import { PromptError } from "./error.ts"
import { mergeText, type PromptPart } from "./prompt-part.ts"
import type { SpecialToken } from "./special-tokens.ts"

export interface Shield {
  /** `source`: the template, whose text the words must not occur in either. Throws PromptError for what is not JSON. */
  cover(values: Readonly<Record<string, unknown>>, source: string): ShieldedValues
}

export interface ShieldedValues {
  readonly values: Readonly<Record<string, unknown>>
  /** The rendered text as parts. */
  split(text: string): readonly PromptPart[]
}

const MAX_DEPTH = 256
const NONCE_DIGITS = 24
const INDEX_DIGITS = 8

export function createShield(specials: Iterable<SpecialToken>): Shield {
  const literals = [...new Set(specials)].filter((literal) => literal !== "").sort((a, b) => b.length - a.length)
  const edges = edgesOf(literals)
  // The pattern with nothing in it matches nowhere.
  const pattern = new RegExp(literals.length === 0 ? "[]" : literals.map(quotePattern).join("|"), "gu")
  return {
    cover(values, source) {
      const pieces: string[] = []
      const nonce = unusedNonce(values, source)
      const word = (piece: string): string => nonce + String(pieces.push(piece) - 1).padStart(INDEX_DIGITS, "0")
      const coverText = (text: string): string => coverEdges(text, edges, word).replace(pattern, word)
      return {
        values: mapTexts(values, coverText) as Readonly<Record<string, unknown>>,
        split: (text) => splitText(text, pattern, (part) => uncover(part, nonce, pieces)),
      }
    },
  }
}

function splitText(text: string, pattern: RegExp, uncoverText: (text: string) => string): readonly PromptPart[] {
  const parts: PromptPart[] = []
  let end = 0
  for (const match of text.matchAll(pattern)) {
    parts.push({ text: uncoverText(text.slice(end, match.index)) }, { special: match[0] })
    end = match.index + match[0].length
  }
  parts.push({ text: uncoverText(text.slice(end)) })
  return mergeText(parts)
}

function uncover(text: string, nonce: string, pieces: readonly string[]): string {
  // A piece covered at an edge may have lain inside another one.
  return text.replace(new RegExp(`${nonce}(\\d{${INDEX_DIGITS}})`, "g"), (word, index) => {
    const piece = pieces[Number(index)]
    return piece === undefined ? word : uncover(piece, nonce, pieces)
  })
}

interface Edges {
  /** Proper prefixes of special tokens: what a value must not end with. */
  readonly prefixes: ReadonlySet<string>
  /** Proper suffixes: what a value must not begin with. */
  readonly suffixes: ReadonlySet<string>
  readonly longest: number
}

function edgesOf(literals: readonly string[]): Edges {
  const [prefixes, suffixes] = [new Set<string>(), new Set<string>()]
  for (const literal of literals) {
    for (let at = 1; at < literal.length; at++) {
      prefixes.add(literal.slice(0, at))
      suffixes.add(literal.slice(at))
    }
  }
  return { prefixes, suffixes, longest: literals[0]?.length ?? 0 }
}

/** Beyond white space at the edges, since templates trim. */
function coverEdges(text: string, { prefixes, suffixes, longest }: Edges, word: (piece: string) => string): string {
  let covered = text
  const tailEnd = covered.trimEnd().length
  for (let length = Math.min(longest - 1, tailEnd); length > 0; length--) {
    const piece = covered.slice(tailEnd - length, tailEnd)
    if (!prefixes.has(piece)) continue
    covered = covered.slice(0, tailEnd - length) + word(piece) + covered.slice(tailEnd)
    break
  }
  const headStart = covered.length - covered.trimStart().length
  for (let length = Math.min(longest - 1, covered.length - headStart); length > 0; length--) {
    const piece = covered.slice(headStart, headStart + length)
    if (!suffixes.has(piece)) continue
    return covered.slice(0, headStart) + word(piece) + covered.slice(headStart + length)
  }
  return covered
}

/** A nine and then digits below nine: it cannot overlap with itself, nor be hidden by digits around it. */
function unusedNonce(values: unknown, source: string): string {
  const texts: string[] = [source]
  mapTexts(values, (text) => {
    texts.push(text)
    return text
  })
  for (let count = 0; ; count++) {
    const nonce = `9${count.toString(9).padStart(NONCE_DIGITS - 1, "0")}`
    if (!texts.some((text) => text.includes(nonce))) return nonce
  }
}

/** A copy with every text replaced, keys included. */
function mapTexts(value: unknown, replace: (text: string) => string, depth = 0): unknown {
  if (typeof value === "string") return replace(value)
  if (value === null || value === undefined || typeof value === "number" || typeof value === "boolean") return value
  if (typeof value !== "object") throw notJson(`a ${typeof value}`)
  if (depth > MAX_DEPTH) {
    throw new PromptError({
      reason: "circular-value",
      detail: `A value of the prompt is nested more than ${MAX_DEPTH} levels deep, or contains itself.`,
      fix: "Pass plain JSON data without cycles.",
    })
  }
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, replace, depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [replace(key), mapTexts(item, replace, depth + 1)]),
  )
}

function notJson(what: string): PromptError {
  return new PromptError({
    reason: "bad-turn",
    detail: `A value of the prompt is ${what}, which JSON cannot carry.`,
    fix: "Pass null, booleans, finite numbers, strings, arrays and plain objects.",
  })
}

function quotePattern(literal: string): string {
  return literal.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")
}
