/**
 * The parts of an answer, in order: an echoed header, calls at the beginning, then prose, in which a tag or a call that
 * ends the answer may come. Which characters make a call is left to `parser-calls.ts`.
 */
import { readCalls } from "./parser-calls.ts"
import type { ParserOutput } from "./parser-output.ts"
import { specialTokens } from "./special-tokens.ts"
import { type CallContext, type CallSink, codeTool } from "./syntax/call.ts"
import { readFencedCode, readPythonCode } from "./syntax/python-code.ts"
import { pythonTag, type Reading, readWord, type Source, skipSpace } from "./syntax/source.ts"
import type { CallSyntax } from "./turn.ts"

export interface AnswerRules extends Omit<CallContext, "place"> {
  readonly untaggedCalls: "allowed" | "text"
  readonly callsAfterProse: "allowed" | "text"
}

/** Reads a whole answer. */
export function* readAnswer(source: Source, output: ParserOutput, rules: AnswerRules): Reading<void> {
  yield* skipEchoedHeader(source)
  const mayCall = rules.offered.size > 0
  let callsFrom = mayCall && rules.untaggedCalls === "allowed" ? 0 : Number.POSITIVE_INFINITY
  if (callsFrom === 0) {
    const end = yield* readCalls(source, output, { ...rules, place: "beginning" })
    if (end.kind === "text") callsFrom = end.from
    if (rules.callsAfterProse === "text") callsFrom = Number.POSITIVE_INFINITY
  }
  const prose = new Prose(source, output, { ...rules, place: "after-prose" })
  while ((yield* prose.read(callsFrom)) !== "") {
    source.advance()
    if (mayCall) callsFrom = Math.max(callsFrom, yield* readTagged(source, output, rules))
  }
}

/** Drops the header of the turn where the model writes it once more. */
function* skipEchoedHeader(source: Source): Reading<void> {
  const first = source.char ?? (yield* source.wait())
  if (source.special(first) !== specialTokens.startHeader) return
  const start = source.position
  source.keep()
  source.advance()
  const isOwn = yield* readWord(source, "assistant")
  const next = source.char ?? (yield* source.wait())
  if (isOwn && source.special(next) === specialTokens.endHeader) {
    source.advance()
    const behind = source.position
    if (!(yield* readWord(source, "\n\n"))) source.rewind(behind)
  } else source.rewind(start)
  source.release()
}

/** Reads what stands behind a tag: calls, or else code. Gives the position from which further calls can begin. */
function* readTagged(source: Source, output: ParserOutput, rules: AnswerRules): Reading<number> {
  if (isOver(yield* skipSpace(source))) return 0
  const end = yield* readCalls(source, output, { ...rules, place: "after-tag" })
  if (end.kind === "read") return 0
  if (end.anyCall) return end.from
  source.keep()
  const start = source.position
  const isFenced = (yield* skipSpace(source)) === "`"
  const isWhole = yield* (isFenced ? readFencedCode : readPythonCode)(source, codeSink(output))
  if (!isWhole) {
    output.invalidCall(codeTool, source.slice(start), "The turn was cut off before the code was complete.")
  }
  source.release()
  return 0
}

/** Code is announced at once: nothing else is left for it to be. */
function codeSink(output: ParserOutput): CallSink {
  let syntax: CallSyntax = "python-code"
  return {
    announced: true,
    begin: (written) => {
      syntax = written
    },
    name: (name) => output.startCall(name, syntax),
    write: (json) => output.writeInput(json),
    restart: () => undefined,
    end: () => output.endCall(),
  }
}

/** Prose, with what has to be known of it to tell where a call may begin. */
class Prose {
  readonly #source: Source
  readonly #output: ParserOutput
  readonly #context: CallContext
  readonly #stops: ReadonlySet<number>
  /** The last character, for the borders of words. */
  #before = ""
  /** Backticks in a row just now; three open or close a fence, in which nothing is a call. */
  #backticks = 0
  #isFenced = false

  constructor(source: Source, output: ParserOutput, context: CallContext) {
    this.#source = source
    this.#output = output
    this.#context = context
    const letters = [...context.builtins].map((name) => name[0] ?? "")
    this.#stops = new Set([..."{[<`", ...letters].map((char) => char.charCodeAt(0)))
  }

  /** Reads up to a tag, or to the end: "". Calls that end the prose are read with it, where they begin behind `from`. */
  *read(from: number): Reading<string> {
    let callsFrom = from
    this.#before = ""
    const stops = (unit: number): boolean => this.#stops.has(unit)
    for (;;) {
      const plain = this.#source.take(stops) || (yield* this.#source.run(stops))
      this.#pass(plain)
      if (plain !== "" && this.#source.char === undefined) continue
      const char = this.#source.char ?? ""
      if (isOver(char)) return char
      if (this.#source.position >= callsFrom && this.#mayBegin(char)) {
        const end = yield* readCalls(this.#source, this.#output, this.#context)
        if (end.kind === "text") callsFrom = Math.max(end.from, this.#source.position + 1)
        continue
      }
      this.#source.advance()
      if (this.#source.special(char) === undefined) this.#pass(char)
    }
  }

  #mayBegin(char: string): boolean {
    if (this.#isFenced || !this.#stops.has(char.charCodeAt(0)) || char === "`") return false
    return "{[<".includes(char) || !/^[\p{L}\p{N}_.]$/u.test(this.#before)
  }

  #pass(text: string): void {
    if (text === "") return
    this.#output.text(text)
    this.#before = text.at(-1)!
    this.#backticks = text === "`" ? this.#backticks + 1 : 0
    if (this.#backticks === 3) this.#isFenced = !this.#isFenced
  }
}

function isOver(char: string): boolean {
  return char === "" || char === pythonTag
}
