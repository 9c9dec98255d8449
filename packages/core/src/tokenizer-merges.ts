/**
 * Byte-pair merging of one piece: the adjacent pair of lowest rank is joined, again and again, leftmost first. A short
 * piece is scanned anew after each merge; a long one keeps its pairs in a queue, so that the cost is n log n, never n².
 */
import { malformed, type TokenizerFile } from "./tokenizer-file.ts"
import { tableSize, type Vocabulary, writeByteLevel } from "./tokenizer-vocabulary.ts"

export interface MergeTable {
  /** Merges in place; returns the tokens that are left. `tokens` holds one token per byte when it comes in. */
  merge(tokens: Int32Array): Int32Array
}

/** From this length on the queue is faster than scanning (measured near 48). */
const QUEUE_FROM = 48
/** A queue entry is rank · 2^31 + position, exact in a double: ranks stay below 2^22. */
const RANK_UNIT = 2 ** 31
/** Fields per slot of the table: left token, right token, rank, merged token. */
const FIELDS = 4
const RANK = 2
const MERGED = 3

/** Throws TokenizerError `malformed` when a merge names a token that the vocabulary lacks. */
export function buildMergeTable(file: TokenizerFile, vocabulary: Vocabulary): MergeTable {
  const table = fillTable(file, vocabulary)
  const mask = table.length / FIELDS - 1

  /** Where the merge of a pair stands in the table, or -1. */
  const find = (left: number, right: number): number => {
    for (let slot = hashPair(left, right); ; slot++) {
      const at = (slot & mask) * FIELDS
      if (table[at] === -1) return -1
      if (table[at] === left && table[at + 1] === right) return at
    }
  }
  return {
    merge: (tokens) =>
      tokens.length < QUEUE_FROM ? mergeByScan(tokens, table, find) : mergeByQueue(tokens, table, find),
  }
}

type FindMerge = (left: number, right: number) => number

function fillTable(file: TokenizerFile, vocabulary: Vocabulary): Int32Array {
  const table = new Int32Array(tableSize(file.merges.length * 1.6) * FIELDS).fill(-1)
  const mask = table.length / FIELDS - 1
  const bytes = new Uint8Array(2 * longestToken(file))
  for (const [rank, [leftText, rightText]] of file.merges.entries()) {
    const left = vocabulary.find(bytes, writeByteLevel(leftText, bytes, 0))
    const right = vocabulary.find(bytes, writeByteLevel(rightText, bytes, 0))
    const length = writeByteLevel(leftText, bytes, 0) + writeByteLevel(rightText, bytes, leftText.length)
    const merged = vocabulary.find(bytes, length)
    if (left < 0 || right < 0 || merged < 0) {
      throw malformed(`model.merges[${rank}] names a token that is not in model.vocab, or makes one that is not`)
    }
    let slot = hashPair(left, right) & mask
    while (table[slot * FIELDS] !== -1) slot = (slot + 1) & mask
    table.set([left, right, rank, merged], slot * FIELDS)
  }
  return table
}

function longestToken(file: TokenizerFile): number {
  let longest = 1
  for (const [left, right] of file.merges) longest = Math.max(longest, left.length, right.length)
  return longest
}

function hashPair(left: number, right: number): number {
  return (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> 0
}

function mergeByScan(tokens: Int32Array, table: Int32Array, find: FindMerge): Int32Array {
  let count = tokens.length
  const merges = new Int32Array(count)
  for (let at = 0; at + 1 < count; at++) merges[at] = find(tokens[at]!, tokens[at + 1]!)
  for (;;) {
    let best = -1
    let bestRank = Number.POSITIVE_INFINITY
    for (let at = 0; at + 1 < count; at++) {
      const merge = merges[at]!
      if (merge >= 0 && table[merge + RANK]! < bestRank) {
        bestRank = table[merge + RANK]!
        best = at
      }
    }
    if (best < 0) return tokens.slice(0, count)
    tokens[best] = table[merges[best]! + MERGED]!
    tokens.copyWithin(best + 1, best + 2, count)
    merges.copyWithin(best + 1, best + 2, count - 1)
    count--
    merges[best] = best + 1 < count ? find(tokens[best]!, tokens[best + 1]!) : -1
    if (best > 0) merges[best - 1] = find(tokens[best - 1]!, tokens[best]!)
  }
}

/** Tokens form a linked list; a merged pair lives on in its left node. Queue entries that no longer hold are skipped. */
function mergeByQueue(tokens: Int32Array, table: Int32Array, find: FindMerge): Int32Array {
  const count = tokens.length
  const next = new Int32Array(count)
  const previous = new Int32Array(count)
  for (let at = 0; at < count; at++) {
    next[at] = at + 1
    previous[at] = at - 1
  }
  const merges = new Int32Array(count).fill(-1)
  // One entry per pair at first, and at most two new ones per merge.
  const queue = new MinQueue(count * 3)

  const link = (at: number): void => {
    const right = next[at]!
    const merge = right < count ? find(tokens[at]!, tokens[right]!) : -1
    merges[at] = merge
    if (merge >= 0) queue.push(table[merge + RANK]! * RANK_UNIT + at)
  }
  for (let at = 0; at < count; at++) link(at)
  while (queue.length > 0) {
    const entry = queue.pop()
    const at = entry % RANK_UNIT
    const merge = merges[at]!
    if (merge < 0 || table[merge + RANK] !== (entry - at) / RANK_UNIT) continue
    const right = next[at]!
    tokens[at] = table[merge + MERGED]!
    merges[right] = -1
    next[at] = next[right]!
    if (next[at]! < count) previous[next[at]!] = at
    link(at)
    if (previous[at]! >= 0) link(previous[at]!)
  }
  let left = 0
  for (let at = 0; at < count; at = next[at]!) tokens[left++] = tokens[at]!
  return tokens.slice(0, left)
}

/** A binary heap of numbers, smallest first. */
class MinQueue {
  readonly #heap: Float64Array
  length = 0

  constructor(capacity: number) {
    this.#heap = new Float64Array(capacity)
  }

  push(value: number): void {
    const heap = this.#heap
    let at = this.length++
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (heap[parent]! <= value) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = value
  }

  pop(): number {
    const heap = this.#heap
    const smallest = heap[0]!
    const value = heap[--this.length]!
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= this.length) break
      if (child + 1 < this.length && heap[child + 1]! < heap[child]!) child++
      if (heap[child]! >= value) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = value
    return smallest
  }
}
