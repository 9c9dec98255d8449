/**
 * The characters of one answer while they arrive. Readers are generators that look at one character after the other and
 * yield when none is there yet, so the same reader serves a whole answer and one that comes in pieces, and where the
 * pieces were cut cannot matter. Text that may still turn out to be something else is kept and can be read again.
 *
 * A special token stands among the characters as one low surrogate of its own. Text is made well-formed first, in which
 * a low surrogate only ever follows a high one, so the two cannot be mistaken for each other.
 */
import { type SpecialToken, specialTokens } from "../special-tokens.ts"

/** A reader in progress: yields when it needs more of the answer. */
export type Reading<Result> = Generator<void, Result, void>

/** `complete`: the model ended its turn. `cut-off`: the turn was ended for it, so the last thing said may be half. */
export type Ending = "open" | "complete" | "cut-off"

/** What `wait` and `char` give for the tag that opens a tool call. */
export const pythonTag = "\udc00"

export class Source {
  /** Text that arrived last; everything before it has been read. */
  #chunk = ""
  #index = 0
  /** How much of the chunk may be read: all of it, or up to the limit. */
  #readable = 0
  /** Position of the chunk's first character in the answer. */
  #base = 0
  /** Earlier chunks from `#keptFrom` on, kept since they may be read again. */
  #kept: string[] = []
  #keptFrom = Number.POSITIVE_INFINITY
  #limit = Number.POSITIVE_INFINITY
  #ending: Ending = "open"
  /** A high surrogate whose other half has not arrived. */
  #half = ""
  readonly #specials: SpecialToken[] = [specialTokens.pythonTag]

  get ending(): Ending {
    return this.#ending
  }

  /** Characters read so far; a special token counts as one. */
  get position(): number {
    return this.#base + this.#index
  }

  /** The next character, or undefined when it has not arrived or there is none: then `yield* wait()`. */
  get char(): string | undefined {
    if (this.#index >= this.#readable) return undefined
    const end = this.#index + (isHighSurrogate(this.#chunk.charCodeAt(this.#index)) ? 2 : 1)
    return this.#chunk.slice(this.#index, end)
  }

  /** True when reading stopped at the limit and not at the end. */
  get atLimit(): boolean {
    return this.position >= this.#limit
  }

  /** Adds text. A surrogate pair that is cut in two is joined again; half a pair becomes U+FFFD. */
  feed(text: string): void {
    let whole = this.#half + text
    this.#half = ""
    if (isHighSurrogate(whole.charCodeAt(whole.length - 1))) {
      this.#half = whole.slice(-1)
      whole = whole.slice(0, -1)
    }
    if (whole !== "") this.#append(whole.isWellFormed() ? whole : whole.toWellFormed())
  }

  feedSpecial(name: SpecialToken): void {
    this.#endHalf()
    let number = this.#specials.indexOf(name)
    if (number === -1) number = Math.min(this.#specials.push(name) - 1, 0x3ff)
    this.#append(String.fromCharCode(0xdc00 + number))
  }

  close(ending: Exclude<Ending, "open">): void {
    this.#endHalf()
    this.#ending = ending
  }

  /** Waits for the next character and gives it without reading over it; "" at the end of the answer or at the limit. */
  *wait(): Reading<string> {
    for (;;) {
      const char = this.char
      if (char !== undefined) return char
      if (this.#ending !== "open" || this.atLimit) return ""
      yield
    }
  }

  advance(): void {
    this.#index += isHighSurrogate(this.#chunk.charCodeAt(this.#index)) ? 2 : 1
  }

  /** Reads the longest run that has arrived and holds no special token and no character that `stops`. */
  take(stops: (unit: number) => boolean): string {
    const from = this.#index
    let index = from
    while (index < this.#readable) {
      const unit = this.#chunk.charCodeAt(index)
      if (isHighSurrogate(unit)) index += 2
      else if (stops(unit) || (unit >= 0xdc00 && unit <= 0xdfff)) break
      else index++
    }
    this.#index = index
    return this.#chunk.slice(from, index)
  }

  /** As `take`, but waits for the run to begin: "" means that something stops here, or that the answer is over. */
  *run(stops: (unit: number) => boolean): Reading<string> {
    for (;;) {
      const run = this.take(stops)
      if (run !== "" || this.char !== undefined || (yield* this.wait()) === "") return run
    }
  }

  /** The special token that a character stands for. */
  special(char: string): SpecialToken | undefined {
    return char >= "\udc00" && char <= "\udfff" ? this.#specials[char.charCodeAt(0) - 0xdc00] : undefined
  }

  /** From here on the text is kept for `slice` and `rewind`; after `limit` characters more, reading stops. */
  keep(limit = Number.POSITIVE_INFINITY): void {
    this.#kept = []
    this.#keptFrom = this.position
    this.#setLimit(this.position + limit)
  }

  /** Keeps on keeping, without a limit. */
  unlimit(): void {
    this.#setLimit(Number.POSITIVE_INFINITY)
  }

  release(): void {
    this.#kept = []
    this.#keptFrom = Number.POSITIVE_INFINITY
    this.#setLimit(Number.POSITIVE_INFINITY)
  }

  /** Kept text between two positions, special tokens by name. */
  slice(from: number, to: number = this.position): string {
    if (from < this.#base) this.#gather(from)
    const text = this.#chunk.slice(from - this.#base, to - this.#base)
    return text.isWellFormed() ? text : this.withNames(text)
  }

  /** Goes back to a kept position. */
  rewind(to: number): void {
    if (to < this.#base) this.#gather(to)
    this.#index = to - this.#base
  }

  /** A text in which special tokens stand by their names. */
  withNames(text: string): string {
    return text.replace(/[\ud800-\udbff][\udc00-\udfff]|[\udc00-\udfff]/g, (match) =>
      match.length === 2 ? match : (this.special(match) ?? ""),
    )
  }

  #append(text: string): void {
    if (this.#index < this.#chunk.length) {
      this.#chunk = this.#chunk + text
    } else {
      const end = this.#base + this.#chunk.length
      if (this.#keptFrom < end) this.#kept.push(this.#chunk.slice(Math.max(0, this.#keptFrom - this.#base)))
      this.#base = end
      this.#chunk = text
      this.#index = 0
    }
    this.#setLimit(this.#limit)
  }

  #endHalf(): void {
    if (this.#half === "") return
    this.#half = ""
    this.#append("\ufffd")
  }

  /** Makes earlier chunks, back to the one that holds a position, part of the chunk again. */
  #gather(from: number): void {
    const pieces: string[] = []
    let base = this.#base
    while (base > from && this.#kept.length > 0) {
      const piece = this.#kept.pop()!
      pieces.push(piece)
      base -= piece.length
    }
    this.#index += this.#base - base
    this.#chunk = pieces.reverse().join("") + this.#chunk
    this.#base = base
    this.#setLimit(this.#limit)
  }

  #setLimit(limit: number): void {
    this.#limit = limit
    const readable = Math.max(0, Math.min(this.#chunk.length, limit - this.#base))
    this.#readable = readable + (isHighSurrogate(this.#chunk.charCodeAt(readable - 1)) ? 1 : 0)
  }
}

/** Reads over white space. */
export function* skipSpace(source: Source): Reading<string> {
  for (;;) {
    const char = source.char ?? (yield* source.wait())
    if (!isSpace(char)) return char
    source.advance()
  }
}

/** Reads over exactly this text; false, with the source wherever the difference was seen, for any other. */
export function* readWord(source: Source, word: string): Reading<boolean> {
  for (const letter of word) {
    if ((source.char ?? (yield* source.wait())) !== letter) return false
    source.advance()
  }
  return true
}

/** Reads a name of a tool or an argument; "" when none stands here. Longer than a name can be: its first 128 letters. */
export function* readName(source: Source): Reading<string> {
  let name = ""
  for (;;) {
    const char = source.char ?? (yield* source.wait())
    if (name.length >= 128 || !/^[\p{L}\p{N}_.-]$/u.test(char)) return name
    name += char
    source.advance()
  }
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff
}

/** White space as Python's `str.strip` and Unicode have it; U+FEFF is none. */
export function isSpace(char: string): boolean {
  return isSpaceUnit(char.charCodeAt(0))
}

export function isSpaceUnit(unit: number): boolean {
  if (unit < 0x80) return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d) || (unit >= 0x1c && unit <= 0x1f)
  return unit === 0x85 || unit === 0xa0 || (unit >= 0x1680 && wideSpaces.has(unit))
}

const wideSpaces: ReadonlySet<number> = new Set([
  ...[0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000],
  ...Array.from({ length: 11 }, (_, offset) => 0x2000 + offset),
])
