/**
 * The bytes of every token in one pool, and the way back from bytes to an id. Special tokens have their literal as bytes
 * and cannot be found: no run of bytes leads to one.
 */
import { TokenizerError } from "./error.ts"
import { malformed, type TokenizerFile, unsupported } from "./tokenizer-file.ts"

export interface Vocabulary {
  /** One more than the highest id. */
  readonly size: number
  /** The token of each single byte. */
  readonly byteTokens: Int32Array
  /** The longest token, in bytes. */
  readonly longest: number
  /** A view into the pool, not to be written. Throws TokenizerError `bad-token-id`. */
  bytesOf(id: number): Uint8Array
  /** The token with exactly the first `length` bytes, or -1. */
  find(bytes: Uint8Array, length: number): number
}

/** Throws TokenizerError `unsupported` when a byte has no token: such a vocabulary cannot write every text. */
export function buildVocabulary(file: TokenizerFile): Vocabulary {
  const texts = placeTokens(file)
  const offsets = new Uint32Array(texts.length + 1)
  let bytes = new Uint8Array(1 << 16)
  let end = 0
  for (const [id, text] of texts.entries()) {
    if (text === undefined) {
      offsets[id + 1] = end
      continue
    }
    while (bytes.length < end + text.content.length * 3) bytes = grown(bytes)
    end += text.added
      ? encoder.encodeInto(text.content, bytes.subarray(end)).written
      : writeByteLevel(text.content, bytes, end)
    offsets[id + 1] = end
  }
  return indexed(texts, bytes.slice(0, end), offsets)
}

interface PlacedToken {
  readonly content: string
  /** Content is text; else it is in the byte-level alphabet. */
  readonly added: boolean
}

function placeTokens(file: TokenizerFile): readonly (PlacedToken | undefined)[] {
  let size = 0
  for (const id of file.vocabulary.values()) size = Math.max(size, id + 1)
  for (const { id } of file.added) size = Math.max(size, id + 1)
  const tokens = new Array<PlacedToken | undefined>(size).fill(undefined)
  for (const [content, id] of file.vocabulary) tokens[id] = { content, added: false }
  for (const { id, content, special } of file.added) {
    const there = tokens[id]
    if (there !== undefined && there.content !== content) {
      throw malformed(`the id ${id} belongs to two tokens, ${quoted(there.content)} and ${quoted(content)}`)
    }
    if (there !== undefined && !special && isByteLevel(content)) continue
    tokens[id] = { content, added: true }
  }
  return tokens
}

/** Open addressing from token bytes to id; collisions go to the next slot. */
function indexed(tokens: readonly (PlacedToken | undefined)[], bytes: Uint8Array, offsets: Uint32Array): Vocabulary {
  const slots = new Int32Array(tableSize(tokens.length * 2)).fill(-1)
  const byteTokens = new Int32Array(256).fill(-1)
  let longest = 1
  for (const [id, token] of tokens.entries()) {
    const start = offsets[id]!
    const length = offsets[id + 1]! - start
    if (token === undefined || token.added || length === 0) continue
    let slot = hashBytes(bytes, start, start + length) & (slots.length - 1)
    while (slots[slot] !== -1) slot = (slot + 1) & (slots.length - 1)
    slots[slot] = id
    longest = Math.max(longest, length)
    if (length === 1) byteTokens[bytes[start]!] = id
  }
  const missing = byteTokens.indexOf(-1)
  if (missing !== -1) throw unsupported(`no token for the byte 0x${missing.toString(16).padStart(2, "0")}`)
  return {
    size: tokens.length,
    byteTokens,
    longest,
    bytesOf(id) {
      if (!Number.isInteger(id) || id < 0 || id >= tokens.length) throw badTokenId(id, tokens.length)
      return bytes.subarray(offsets[id], offsets[id + 1])
    },
    find(wanted, length) {
      for (let slot = hashBytes(wanted, 0, length); ; slot++) {
        const id = slots[slot & (slots.length - 1)]!
        if (id === -1) return -1
        const start = offsets[id]!
        if (offsets[id + 1]! - start !== length) continue
        let same = 0
        while (same < length && bytes[start + same] === wanted[same]) same++
        if (same === length) return id
      }
    },
  }
}

export function badTokenId(id: number, size: number): TokenizerError {
  return new TokenizerError({
    reason: "bad-token-id",
    detail: `There is no token ${id}; the vocabulary has the ids 0 to ${size - 1}.`,
    fix: "Use ids of the same tokenizer.",
  })
}

/** A power of two that is at least `least`. */
export function tableSize(least: number): number {
  return 2 ** Math.max(10, Math.ceil(Math.log2(least)))
}

const encoder = new TextEncoder()

/**
 * The byte-level alphabet of GPT-2: printable bytes stand for themselves, the other 68 for U+0100 onwards.
 * Source: `bytes_to_unicode` of OpenAI's GPT-2 release.
 */
const byteOfCharacter = byteLevelAlphabet()

function byteLevelAlphabet(): Int16Array {
  const bytes = new Int16Array(0x100 + 68).fill(-1)
  let moved = 0
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
    bytes[printable ? byte : 0x100 + moved++] = byte
  }
  return bytes
}

/** Writes a token of the byte-level alphabet into `target` at `start`; returns how many bytes. */
export function writeByteLevel(token: string, target: Uint8Array, start: number): number {
  for (let at = 0; at < token.length; at++) {
    const byte = byteOfCharacter[token.charCodeAt(at)] ?? -1
    if (byte === -1) throw unsupported(`the token ${quoted(token)}, which is not in the byte-level alphabet`)
    target[start + at] = byte
  }
  return token.length
}

function isByteLevel(token: string): boolean {
  for (let at = 0; at < token.length; at++) {
    if ((byteOfCharacter[token.charCodeAt(at)] ?? -1) === -1) return false
  }
  return true
}

/** FNV-1a with a last mix, since only the low bits are used. */
function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 | 0
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193)
  return (hash ^ (hash >>> 15)) >>> 0
}

function grown(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(bytes.length * 2)
  larger.set(bytes)
  return larger
}

function quoted(token: string): string {
  return JSON.stringify(token.slice(0, 40))
}
