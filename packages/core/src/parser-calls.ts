/**
 * Reads the calls that stand in a row at one place of the answer. Until a call cannot become anything else it is a draft
 * and its text is kept; then it is announced and its input goes out as it is read. Which drafts count is settled by what
 * follows them. It knows the places, and leaves the syntaxes to their files.
 */
import type { ParserOutput } from "./parser-output.ts"
import { readBuiltinCall } from "./syntax/builtin-call.ts"
import { type CallContext, type CallEnd, type CallSink, codeTool, text, textAfterFirst } from "./syntax/call.ts"
import { readFunctionTag } from "./syntax/function-tag.ts"
import { readJsonCall, readJsonCallArray } from "./syntax/json-call.ts"
import { readPythonicCalls } from "./syntax/pythonic-call.ts"
import { isSpace, pythonTag, type Reading, readName, readWord, type Source, skipSpace } from "./syntax/source.ts"
import type { CallSyntax } from "./turn.ts"

/** Characters of an answer that may be held back before it is known what they are; more than a context can hold. */
const mostHeldBack = 1 << 21

/** What came of looking for calls. */
export type CallsEnd =
  /** Calls, up to the end of the answer or to a tag. */
  | { readonly kind: "read" }
  /**
   * Something else follows, and the source stands again behind the last call that was announced, if `anyCall`, or where
   * the looking began. Up to `from` no further call can begin.
   */
  | { readonly kind: "text"; readonly from: number; readonly anyCall: boolean }

/** Reads calls from here on, if there are any. Before the first of them white space may stand. */
export function* readCalls(source: Source, output: ParserOutput, context: CallContext): Reading<CallsEnd> {
  const draft = new Drafts(source, output, context)
  let char = yield* skipSpace(source)
  if (char === "`" && (context.place === "beginning" || context.place === "after-tag")) {
    if (!(yield* openFence(source))) return draft.giveUp("here")
    draft.isFenced = true
    char = yield* skipSpace(source)
  }
  const here = draft.isFenced ? { ...context, place: "in-fence" as const } : context
  for (;;) {
    const end = yield* readCall(source, draft, here, char)
    if (end.kind === "text") return draft.giveUp(source.atLimit ? "here" : end.resume)
    if (end.kind === "broken") yield* skipBroken(source, end.depth)
    else if (end.kind === "read") draft.pass()
    const behind = source.position
    char = yield* skipSeparators(source)
    if (draft.isFenced && !source.atLimit) {
      if (end.kind !== "read") return draft.giveUp("here")
      if (isOver(char) || (char === "`" && !(yield* closeFence(source)))) return draft.giveUp("here")
      if (char === "`") return draft.isCallable ? draft.finish() : draft.giveUp("here")
    }
    if (end.kind !== "read") {
      if (source.atLimit || (!draft.announced && !isOver(char))) return draft.giveUp("here")
      draft.commit()
      source.rewind(behind)
      draft.invalidate(end.name, end.problem)
      char = yield* skipSeparators(source)
    }
    if (source.atLimit) return draft.giveUp("here")
    if (isOver(char)) return draft.finish()
  }
}

function* readCall(source: Source, sink: CallSink, context: CallContext, char: string): Reading<CallEnd> {
  if (char === "{") return yield* readJsonCall(source, sink, context)
  if (char === "[") {
    const start = source.position
    source.advance()
    const next = yield* skipSpace(source)
    if (next === "{") return yield* readJsonCallArray(source, sink, context, start)
    return isLetter(next) ? yield* readPythonicCalls(source, sink, context, start) : textAfterFirst
  }
  if (char === "<") return yield* readFunctionTag(source, sink, context)
  return isLetter(char) ? yield* readBuiltinCall(source, sink, context) : text
}

/** Reads the opening line of a fenced block. */
function* openFence(source: Source): Reading<boolean> {
  if (!(yield* readWord(source, "```"))) return false
  yield* readName(source)
  for (;;) {
    const char = source.char ?? (yield* source.wait())
    if (char !== " " && char !== "\t" && char !== "\r") return char === "\n"
    source.advance()
  }
}

/** Reads the closing line of a fenced block, and whether nothing follows it. */
function* closeFence(source: Source): Reading<boolean> {
  return (yield* readWord(source, "```")) && (yield* skipSpace(source)) === "" && !source.atLimit
}

/** Positions in the answer. */
interface Span {
  readonly from: number
  to: number
}

class Drafts implements CallSink {
  /** Whether the calls stand in a fenced block, which must be the whole answer for them to count. */
  isFenced = false
  readonly #source: Source
  readonly #output: ParserOutput
  readonly #context: CallContext
  /** Calls that are whole, and not announced yet. */
  #whole: { readonly name: string; readonly syntax: CallSyntax; readonly input: string; readonly raw: Span }[] = []
  #syntax: CallSyntax = "json-call"
  #name = ""
  #input: string[] = []
  #announced = false
  #anyCall = false
  /** Where the call begins, and up to where everything is settled. */
  #start: number
  #settled: number

  constructor(source: Source, output: ParserOutput, context: CallContext) {
    this.#source = source
    this.#output = output
    this.#context = context
    this.#start = source.position
    this.#settled = source.position
    source.keep(mostHeldBack)
  }

  get announced(): boolean {
    return this.#announced
  }

  begin(syntax: CallSyntax, start: number): void {
    this.#start = start
    this.#syntax = syntax
    this.#name = ""
    this.#input = []
    this.#announced = false
  }

  name(name: string): void {
    this.#name = name
    if (this.#announced || this.#whole.length > 0 || !this.#isCertain(name)) return
    this.#announced = true
    this.#anyCall = true
    this.#source.unlimit()
    this.#output.startCall(name, this.#syntax)
    for (const json of this.#input) this.#output.writeInput(json)
  }

  write(json: string): void {
    if (this.#announced) this.#output.writeInput(json)
    else this.#input.push(json)
  }

  restart(): void {
    this.#input = []
  }

  end(): void {
    if (!this.#announced) {
      const raw = { from: this.#start, to: this.#source.position }
      this.#whole.push({ name: this.#name, syntax: this.#syntax, input: this.#input.join(""), raw })
      return
    }
    this.#output.endCall()
    this.#settle()
  }

  /** Whether tools can have the names of all calls. */
  get isCallable(): boolean {
    return this.#whole.every((call) => this.#isName(call.name))
  }

  /** What was read last is over: the closing brackets behind the last call belong to it. */
  pass(): void {
    const last = this.#whole.at(-1)
    if (last !== undefined) last.raw.to = this.#source.position
    if (this.#anyCall && this.#whole.length === 0) this.#settle()
  }

  /** The calls go up to the end, or to a tag. */
  finish(): CallsEnd {
    this.commit()
    this.#source.release()
    return { kind: "read" }
  }

  /** Everything that is whole is a call, unless no tool can have its name. */
  commit(): void {
    for (const call of this.#whole) {
      if (!this.#isName(call.name)) {
        const problem = `No tool can have the name ${JSON.stringify(call.name.slice(0, 64))}.`
        this.#output.invalidCall(null, this.#source.slice(call.raw.from, call.raw.to), problem)
        continue
      }
      this.#output.startCall(call.name, call.syntax)
      this.#output.writeInput(call.input)
      this.#output.endCall()
    }
    this.#whole = []
  }

  /** The call in progress, read to its end, is none. */
  invalidate(name: string, problem: string): void {
    this.#output.invalidCall(this.#isName(name) ? name : null, this.#source.slice(this.#start), problem)
    this.#settle()
  }

  /** What is not settled is no call; the source goes back to where it begins. */
  giveUp(resume: "here" | "after-first"): CallsEnd {
    const isFirst = resume === "after-first" && this.#whole.length === 0
    const from = isFirst ? this.#start + 1 : this.#source.position
    this.#source.rewind(this.#settled)
    this.#source.release()
    return { kind: "text", from, anyCall: this.#anyCall }
  }

  #isName(name: string): boolean {
    return this.#context.offered.has(name) || /^[\w.-]{1,64}$/.test(name)
  }

  #settle(): void {
    this.#announced = false
    this.#settled = this.#source.position
    this.#source.keep(mostHeldBack)
  }

  /**
   * Whether a call of this name is one whatever follows. After prose, and inside a fence, it must end the answer. After
   * the tag it may be the first line of a program, which only its whole text can tell.
   */
  #isCertain(name: string): boolean {
    const { place, offered } = this.#context
    if (place === "after-prose" || this.isFenced) return false
    if (place === "beginning" || this.#anyCall) return offered.has(name)
    if (this.#syntax === "function-tag") return this.#isName(name)
    if (this.#syntax === "json-call") return offered.has(name)
    return this.#isName(name) && !offered.has(codeTool)
  }
}

/** Reads over what parts calls: white space, commas, semicolons, special tokens that mean nothing here. */
function* skipSeparators(source: Source): Reading<string> {
  for (;;) {
    const char = source.char ?? (yield* source.wait())
    const isOther = char !== pythonTag && source.special(char) !== undefined
    if (!isSpace(char) && char !== "," && char !== ";" && !isOther) return char
    source.advance()
  }
}

/** Reads to the end of a broken call: where the brackets that stand open are closed, whatever is between. */
function* skipBroken(source: Source, depth: number): Reading<void> {
  for (let open = depth; open > 0; ) {
    source.take(isBracket)
    const char = source.char ?? (yield* source.wait())
    if (isOver(char)) return
    if ("{[(".includes(char)) open++
    if ("}])".includes(char)) open--
    source.advance()
  }
}

const brackets = new Set([..."{[()]}"].map((bracket) => bracket.charCodeAt(0)))
const isBracket = (unit: number): boolean => brackets.has(unit)

function isLetter(char: string): boolean {
  return /^[\p{L}_]$/u.test(char)
}

function isOver(char: string): boolean {
  return char === "" || char === pythonTag
}
