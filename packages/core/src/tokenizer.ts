/**
 * Byte-level BPE from a Hugging Face tokenizer.json: prompt parts in, token ids out, and the bytes of every token.
 * Text is encoded with special-token matching off, so no text of any kind becomes a special token; only a part that
 * names one does. Ids equal Hugging Face's for the same text.
 */
import { TokenizerError } from "./error.ts"
import type { PromptPart } from "./prompt-part.ts"
import type { SpecialToken } from "./special-tokens.ts"
import { type AddedToken, readTokenizerFile, type TokenizerFile } from "./tokenizer-file.ts"
import { buildMergeTable, type MergeTable } from "./tokenizer-merges.ts"
import { badTokenId, buildVocabulary, type Vocabulary } from "./tokenizer-vocabulary.ts"

/** One vocabulary, both ways. Ids count from 0. */
export interface Tokenizer {
  /** One more than the highest id. */
  readonly vocabularySize: number
  readonly specialTokens: ReadonlyMap<SpecialToken, number>
  /** Ordinary text: what looks like a special token stays text, lone surrogates become U+FFFD. */
  encodeText(text: string): Int32Array
  /** Throws TokenizerError `no-special-token`, `bad-token-id` or `too-large`. */
  encode(parts: readonly PromptPart[]): Int32Array
  /** The text of the tokens; special tokens as their literals, bytes that are no UTF-8 as U+FFFD. */
  decode(tokens: Iterable<number>): string
  /** A view, not to be written. Throws TokenizerError `bad-token-id`. */
  bytesOf(token: number): Uint8Array
  /** Throws TokenizerError `no-special-token`. */
  specialId(name: SpecialToken): number
  /** The literal of a special token; undefined for all others. */
  specialName(token: number): SpecialToken | undefined
}

/** Most UTF-16 units of one text: about a second of work. */
export const MAX_TEXT_LENGTH = 16 * 1024 * 1024

/** `json` is a parsed tokenizer.json. Throws TokenizerError `malformed`, or `unsupported` naming what is not. */
export function loadTokenizer(json: unknown): Tokenizer {
  const file = readTokenizerFile(json)
  const vocabulary = buildVocabulary(file)
  const encodeText = textEncoder(file, vocabulary)
  const special = file.added.filter((token) => token.special)
  const specialTokens = new Map(special.map((token) => [token.content, token.id]))
  const specialNames = new Map(special.map((token) => [token.id, token.content]))

  const tokenizer: Tokenizer = {
    vocabularySize: vocabulary.size,
    specialTokens,
    encodeText(text) {
      const tokens = new TokenList()
      encodeText(text, tokens)
      return tokens.take()
    },
    encode(parts) {
      const tokens = new TokenList()
      for (const part of parts) {
        if ("text" in part) encodeText(part.text, tokens)
        else if ("special" in part) tokens.push(tokenizer.specialId(part.special))
        else for (const id of part.tokens) tokens.push(checked(id, vocabulary.size))
      }
      return tokens.take()
    },
    decode(tokens) {
      const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
      let text = ""
      for (const token of tokens) text += decoder.decode(vocabulary.bytesOf(token), { stream: true })
      return text + decoder.decode()
    },
    bytesOf: (token) => vocabulary.bytesOf(token),
    specialId(name) {
      const id = specialTokens.get(name)
      if (id === undefined) throw noSpecialToken(name)
      return id
    },
    specialName: (token) => specialNames.get(token),
  }
  return tokenizer
}

function checked(id: number, size: number): number {
  if (Number.isInteger(id) && id >= 0 && id < size) return id
  throw badTokenId(id, size)
}

function noSpecialToken(name: SpecialToken): TokenizerError {
  return new TokenizerError({
    reason: "no-special-token",
    detail: `The tokenizer has no special token ${JSON.stringify(name.slice(0, 80))}.`,
    fix: "Use a Llama 3.1, 3.2 or 3.3 tokenizer, or render the prompt with the checkpoint's own template.",
  })
}

/** Longest piece that is remembered, in UTF-16 units. */
const CACHED_LENGTH = 64
const CACHED_PIECES = 65_536

type EncodeText = (text: string, tokens: TokenList) => void

/** Added tokens are cut out first, then come normalisation, added tokens that are matched normalised, pieces, merges. */
function textEncoder(file: TokenizerFile, vocabulary: Vocabulary): EncodeText {
  const pieceEncoder = cachedPieceEncoder(file, vocabulary, buildMergeTable(file, vocabulary))
  const encodePlain: EncodeText = (text, tokens) => {
    let pieces: readonly string[] = [text]
    for (const split of file.splitters) pieces = pieces.length === 1 ? split(pieces[0]!) : pieces.flatMap(split)
    for (const piece of pieces) tokens.append(pieceEncoder(piece))
  }
  const added = file.added.filter((token) => !token.special)
  const normalized = cutting(
    added.filter((token) => token.normalized),
    encodePlain,
  )
  const normalizing: EncodeText =
    file.normalization === "none" ? normalized : (text, tokens) => normalized(text.normalize("NFC"), tokens)
  const encode = cutting(
    added.filter((token) => !token.normalized),
    normalizing,
  )
  return (text, tokens) => {
    if (text.length > MAX_TEXT_LENGTH) throw tooLarge(text.length)
    if (text !== "") encode(text.toWellFormed(), tokens)
  }
}

/** Cuts added tokens out of the text, leftmost first and the longest where two begin; the rest goes to `encodeRest`. */
function cutting(added: readonly AddedToken[], encodeRest: EncodeText): EncodeText {
  if (added.length === 0) return encodeRest
  const ids = new Map(added.map((token) => [token.content, token.id]))
  const longestFirst = [...ids.keys()].sort((left, right) => right.length - left.length)
  const pattern = new RegExp(longestFirst.map((text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")).join("|"), "gu")
  return (text, tokens) => {
    let end = 0
    for (const match of text.matchAll(pattern)) {
      if (match.index > end) encodeRest(text.slice(end, match.index), tokens)
      tokens.push(ids.get(match[0])!)
      end = match.index + match[0].length
    }
    if (end < text.length) encodeRest(end === 0 ? text : text.slice(end), tokens)
  }
}

function cachedPieceEncoder(
  file: TokenizerFile,
  vocabulary: Vocabulary,
  merges: MergeTable,
): (piece: string) => ArrayLike<number> {
  const cache = new Map<string, ArrayLike<number>>()
  const encoder = new TextEncoder()
  const scratch = new Uint8Array(4096)

  const encodePiece = (piece: string): ArrayLike<number> => {
    // At most three bytes per unit.
    const bytes =
      piece.length * 3 <= scratch.length
        ? scratch.subarray(0, encoder.encodeInto(piece, scratch).written)
        : encoder.encode(piece)
    if (file.ignoreMerges && bytes.length <= vocabulary.longest) {
      const whole = vocabulary.find(bytes, bytes.length)
      if (whole >= 0) return [whole]
    }
    const tokens = new Int32Array(bytes.length)
    for (let at = 0; at < bytes.length; at++) tokens[at] = vocabulary.byteTokens[bytes[at]!]!
    return merges.merge(tokens)
  }
  return (piece) => {
    if (piece.length > CACHED_LENGTH) return encodePiece(piece)
    const known = cache.get(piece)
    if (known !== undefined) return known
    const tokens = encodePiece(piece)
    if (cache.size >= CACHED_PIECES) cache.clear()
    // A piece is a view of the whole text and would hold it in memory: the key is a copy.
    cache.set(Buffer.from(piece).toString(), tokens)
    return tokens
  }
}

function tooLarge(length: number): TokenizerError {
  return new TokenizerError({
    reason: "too-large",
    detail: `A text of ${length} characters is longer than the ${MAX_TEXT_LENGTH} that one text may have.`,
    fix: "Shorten it: it is longer than any context window.",
  })
}

/** A list of ids that grows by doubling. */
class TokenList {
  #tokens = new Int32Array(256)
  #length = 0

  push(token: number): void {
    if (this.#length === this.#tokens.length) this.#grow(1)
    this.#tokens[this.#length++] = token
  }

  append(tokens: ArrayLike<number>): void {
    if (this.#length + tokens.length > this.#tokens.length) this.#grow(tokens.length)
    for (let at = 0; at < tokens.length; at++) this.#tokens[this.#length++] = tokens[at]!
  }

  take(): Int32Array {
    return this.#tokens.slice(0, this.#length)
  }

  #grow(by: number): void {
    const larger = new Int32Array(Math.max(this.#tokens.length * 2, this.#length + by))
    larger.set(this.#tokens)
    this.#tokens = larger
  }
}
