/**
 * Collects what the parser finds and puts it in order as events: text in blocks without the white space that only
 * separates it from calls, calls with their input in pieces. It decides nothing about what is text and what is a call.
 */
import type { ParserEvent, ToolCallInvalid } from "./event.ts"
import { isSpaceUnit } from "./syntax/source.ts"
import type { CallSyntax, JsonObject, ToolCall } from "./turn.ts"

export class ParserOutput {
  readonly toolCalls: ToolCall[] = []
  readonly invalidCalls: ToolCallInvalid[] = []
  /** Text as the listener gets it, and the same with the text of invalid calls where it stood. */
  readonly #prose = new TrimmedText()
  readonly #remainder = new TrimmedText()
  #events: ParserEvent[] = []
  #textIsOpen = false
  #textDelta = ""
  #call: { readonly id: string; readonly name: string; readonly syntax: CallSyntax } | undefined
  #input: string[] = []
  #inputDelta: string[] = []
  #nextCall: number

  constructor(firstCall: number) {
    this.#nextCall = firstCall
  }

  /** Prose beside the calls. */
  get content(): string {
    return this.#prose.whole
  }

  /** Everything that is no call: the prose, and what was meant as a call and is none. */
  get remainder(): string {
    return this.#remainder.whole
  }

  text(text: string): void {
    this.#remainder.add(text)
    this.#emitText(this.#prose.add(text))
  }

  startCall(name: string, syntax: CallSyntax): void {
    this.#endText()
    this.#prose.interrupt()
    this.#remainder.interrupt()
    this.#call = { id: `call-${this.#nextCall++}`, name, syntax }
    this.#input = []
    this.#events.push({ type: "tool-call-start", ...this.#call })
  }

  writeInput(json: string): void {
    this.#input.push(json)
    this.#inputDelta.push(json)
  }

  endCall(): void {
    const call: ToolCall = { ...this.#call!, input: JSON.parse(this.#input.join("")) as JsonObject }
    this.#flushInput()
    this.#call = undefined
    this.toolCalls.push(call)
    this.#events.push({ type: "tool-call-end", call })
  }

  /** Reports what was meant as a call: the one that was started, or one that was never announced. */
  invalidCall(name: string | null, raw: string, problem: string): void {
    this.#remainder.add(raw)
    if (this.#call === undefined) {
      this.#endText()
      this.#prose.interrupt()
    }
    this.#flushInput()
    const id = this.#call?.id ?? `call-${this.#nextCall++}`
    this.#call = undefined
    const invalid: ToolCallInvalid = { type: "tool-call-invalid", id, name, raw, problem }
    this.invalidCalls.push(invalid)
    this.#events.push(invalid)
  }

  /** The events since the last time. */
  flush(): readonly ParserEvent[] {
    this.#flushText()
    this.#flushInput()
    const events = this.#events
    this.#events = []
    return events
  }

  end(): void {
    this.#emitText(this.#prose.end())
    this.#remainder.end()
    this.#endText()
  }

  #emitText(text: string): void {
    if (text === "") return
    if (!this.#textIsOpen) this.#events.push({ type: "text-start" })
    this.#textIsOpen = true
    this.#textDelta += text
  }

  #flushText(): void {
    if (this.#textDelta !== "") this.#events.push({ type: "text-delta", delta: this.#textDelta })
    this.#textDelta = ""
  }

  #endText(): void {
    this.#flushText()
    if (this.#textIsOpen) this.#events.push({ type: "text-end" })
    this.#textIsOpen = false
  }

  #flushInput(): void {
    if (this.#inputDelta.length === 0) return
    this.#events.push({ type: "tool-call-delta", id: this.#call!.id, delta: this.#inputDelta.join("") })
    this.#inputDelta = []
  }
}

/** Text without the white space next to a call. White space is held until it is known what follows. */
class TrimmedText {
  readonly #pieces: string[] = []
  #space = ""
  /** Whether white space that comes now separates the text from a call before it. */
  #isAfterCall = false

  get whole(): string {
    return this.#pieces.join("")
  }

  /** Adds text; gives what of it, and of the white space held back, is text now. */
  add(text: string): string {
    let end = text.length
    while (end > 0 && isSpaceUnit(text.charCodeAt(end - 1))) end--
    if (end === 0) {
      if (!this.#isAfterCall) this.#space += text
      return ""
    }
    let start = 0
    while (this.#isAfterCall && isSpaceUnit(text.charCodeAt(start))) start++
    const piece = this.#space + text.slice(start, end)
    this.#space = text.slice(end)
    this.#isAfterCall = false
    this.#pieces.push(piece)
    return piece
  }

  interrupt(): void {
    this.#space = ""
    this.#isAfterCall = true
  }

  /** No call follows, so the white space held back is text. */
  end(): string {
    const piece = this.#space
    this.#space = ""
    this.#pieces.push(piece)
    return piece
  }
}
