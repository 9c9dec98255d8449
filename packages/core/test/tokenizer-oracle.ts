/**
 * What the tokenizer tests compare with: Hugging Face's Rust tokenizers (npm `tokenizers`, prebuilt), the published split
 * patterns, small vocabularies trained here, and a seeded source of awkward text.
 */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { gpt2Pattern, isolateMatches, translatePattern } from "../src/tokenizer-pattern.ts"

export interface TokenizerJson {
  added_tokens: { id: number; content: string; special: boolean; normalized?: boolean; [flag: string]: unknown }[]
  normalizer: unknown
  pre_tokenizer: unknown
  post_processor?: unknown
  decoder?: unknown
  model: { type: "BPE"; ignore_merges: boolean; vocab: Record<string, number>; merges: [string, string][] | string[] }
}

export const tinyLlamaJson: TokenizerJson = JSON.parse(
  readFileSync(new URL("../../tiny-llama/checkpoint/tokenizer.json", import.meta.url), "utf8"),
)

/** Sources: the tokenizer.json of each model; o200k as published with tiktoken. */
export const patterns = {
  llama3:
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" +
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  qwen2:
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" +
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  o200k: [
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    "\\p{N}{1,3}",
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*",
    "\\s*[\\r\\n]+",
    "\\s+(?!\\S)",
    "\\s+",
  ].join("|"),
  gpt2: gpt2Pattern,
}

export type Encode = (text: string) => Promise<number[]>

/** Hugging Face's ids for plain text. Its encoder always looks for special tokens: here they look like nothing that occurs. */
export function oracle(json: TokenizerJson): Encode {
  const added = json.added_tokens.map((token) => ({
    ...{ single_word: false, lstrip: false, rstrip: false, normalized: false },
    ...token,
    content: token.special ? `\u{10fffd}${token.id}\u{10fffd}` : token.content,
  }))
  const plain = { ...json, post_processor: null, added_tokens: added }
  const { Tokenizer } = createRequire(import.meta.url)("tokenizers") as typeof import("tokenizers")
  const tokenizer = Tokenizer.fromString(JSON.stringify(plain))
  return async (text) => (await tokenizer.encode(text, null, { addSpecialTokens: false })).getIds()
}

/** A byte-level BPE trained on `corpus` in the plain way: count pairs, join the most frequent, repeat. */
export function train(
  corpus: string,
  options: { pattern: keyof typeof patterns; merges: number; ignoreMerges: boolean; normalizer?: "NFC" },
): TokenizerJson {
  const counts = new Map<string, number>()
  for (const piece of isolateMatches(translatePattern(patterns[options.pattern]))(corpus)) {
    counts.set(piece, (counts.get(piece) ?? 0) + 1)
  }
  const words = [...counts].map(([piece, count]) => ({ tokens: [...Buffer.from(piece)].map(byteCharacter), count }))
  const vocab: Record<string, number> = {}
  for (let byte = 0; byte < 256; byte++) vocab[byteCharacter(byte)] = byte
  const merges: [string, string][] = []
  while (merges.length < options.merges) {
    const pairs = new Map<string, number>()
    for (const { tokens, count } of words) {
      for (let at = 0; at + 1 < tokens.length; at++) {
        const pair = `${tokens[at]} ${tokens[at + 1]}`
        pairs.set(pair, (pairs.get(pair) ?? 0) + count)
      }
    }
    const best = [...pairs].reduce((one, other) => (other[1] > one[1] ? other : one), ["", 0])
    if (best[1] < 2) break
    const [left, right] = best[0].split(" ") as [string, string]
    merges.push([left, right])
    vocab[left + right] ??= Object.keys(vocab).length
    for (const { tokens } of words) {
      for (let at = 0; at + 1 < tokens.length; at++) {
        if (tokens[at] === left && tokens[at + 1] === right) tokens.splice(at, 2, left + right)
      }
    }
  }
  const first = Object.keys(vocab).length
  return {
    added_tokens: ["<|begin_of_text|>", "<|eot_id|>"].map((content, index) => ({
      id: first + index,
      content,
      special: true,
    })),
    normalizer: options.normalizer ? { type: options.normalizer } : null,
    pre_tokenizer: preTokenizer(options.pattern),
    model: { type: "BPE", ignore_merges: options.ignoreMerges, vocab, merges },
  }
}

function preTokenizer(pattern: keyof typeof patterns): unknown {
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true }
  if (pattern === "gpt2") return { ...byteLevel, use_regex: true }
  const split = { type: "Split", pattern: { Regex: patterns[pattern] }, behavior: "Isolated", invert: false }
  return { type: "Sequence", pretokenizers: [split, { ...byteLevel, use_regex: false }] }
}

/** The byte-level alphabet, written a second time on purpose: the source reads it, this writes it. */
function byteCharacter(byte: number): string {
  const printable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173)
  if (printable) return String.fromCharCode(byte)
  const rank = byte <= 32 ? byte : byte <= 160 ? byte - 127 + 33 : 67
  return String.fromCharCode(256 + rank)
}

/** Seeded uniform integers below `limit` (mulberry32). */
export function seededRandom(seed: number): (limit: number) => number {
  let state = seed >>> 0
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
}

const morsels = [
  ..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,;:!?'\"()[]{}<>|/\\-_=+*&^%$#@~`\t\n\r\v\f",
  ..."\u00a0\u0085\ufeff\u200b\u200d\u180e\u2028\u2029\u1680\u3000\u202f\u205f\u00ad\u0000\u001c\u001f\u007f",
  ..."éèüñçøßÅıİſKΩабвгдЖЯ你好世界かなカナ한국어שלוםمرحبا०१२३٣৪Ⅷ½²ǅʰ\u0301\u0308\u20dd",
  "'s",
  "'S",
  "'ſ",
  "'re",
  "'RE",
  "'Ve",
  "'ll",
  "'LL",
  "'d",
  "'T",
  " '",
  "👍🏽",
  "👨‍👩‍👧",
  "🇳🇴",
  "é",
  "\r\n",
  "\n\n",
  "   ",
  "        ",
  "the",
  " the",
  " and",
  "function",
  " return",
  "ing",
  "123456",
  "<|eot_id|>",
  "<|begin_of_text|>",
  "<|start_header_id|>",
]

/** Text that mixes what pre-tokenisers disagree about: white space, contractions, marks, scripts, runs, any code point. */
export function awkwardText(random: (limit: number) => number): string {
  let text = ""
  for (let left = 1 + random(24); left > 0; left--) {
    const kind = random(16)
    const morsel = morsels[random(morsels.length)]!
    if (kind === 0) text += morsel.repeat(1 + random(60))
    else if (kind === 1) text += anyCodePoint(random)
    else text += morsel
  }
  return text
}

/** Below U+3134F and without private use: later code points get properties that Unicode versions disagree about. */
function anyCodePoint(random: (limit: number) => number): string {
  for (;;) {
    const character = String.fromCodePoint(random(random(2) ? 0x3000 : 0x31350))
    if (!/[\p{Cs}\p{Cn}\p{Co}]/u.test(character)) return character
  }
}
