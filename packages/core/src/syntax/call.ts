/**
 * What the readers of the call syntaxes share: where a call stands, what is offered, whom they tell what they read, and
 * how reading can end. No syntax is known here.
 */
import type { CallSyntax, ToolCall } from "../turn.ts"
import type { Source } from "./source.ts"

/** The tool that runs code, for which text after the tag is meant when it is nothing else. */
export const codeTool = "code_interpreter"

/** What of a call is written. */
export type WrittenCall = Pick<ToolCall, "name" | "input">

/** Where in the answer a call is looked for. Reading is strictest after prose, where most look-alikes stand. */
export type Place = "beginning" | "after-tag" | "after-prose" | "in-fence"

export interface CallContext {
  readonly place: Place
  /** Names that the model was told of, built-in tools among them. */
  readonly offered: ReadonlySet<string>
  /** Built-in tools among the offered ones: only these may be called as `name.call(…)` without the tag. */
  readonly builtins: ReadonlySet<string>
}

/** Takes what a reader finds. A call is `begin`, pieces of its input as JSON text, its `name` once known, `end`. */
export interface CallSink {
  /** `start`: the position of the call's first character, or of the first of a list of calls. */
  begin(syntax: CallSyntax, start: number): void
  /** The name is known, and what follows can only be this call's input. */
  name(name: string): void
  write(json: string): void
  end(): void
  /** Whether the call was already told to the listener, after which it cannot be anything else. */
  readonly announced: boolean
  /** Forgets the input written so far, which is possible only while the call is not announced. */
  restart(): void
}

/** How the reading of a literal ends. Positions are those of the source. */
export type LiteralEnd =
  | { readonly kind: "read" }
  /** Something else stands where `expected` should; `depth` brackets are open there. */
  | { readonly kind: "broken"; readonly expected: string; readonly at: number; readonly depth: number }
  /** The answer is over. With `closers` the literal would be whole; null when more than brackets is missing. */
  | { readonly kind: "unfinished"; readonly closers: string | null; readonly expected: string }

/** How the reading of a call, or of a list of calls, ends. */
export type CallEnd =
  | { readonly kind: "read" }
  /**
   * It is no call. `resume` says where the next one may begin: `here`, or right after the first character, where so
   * little was read that reading it twice costs nothing.
   */
  | { readonly kind: "text"; readonly resume: "here" | "after-first" }
  /** It was meant as a call of `name`, and cannot be read as one. */
  | { readonly kind: "broken"; readonly name: string; readonly problem: string; readonly depth: number }
  /** The answer ends inside a call of `name`. */
  | { readonly kind: "unfinished"; readonly name: string; readonly problem: string }

export const read = { kind: "read" } as const
export const text: CallEnd = { kind: "text", resume: "here" }
export const textAfterFirst: CallEnd = { kind: "text", resume: "after-first" }

/** What is wrong with a call's text, in words that a model can act on. Kept text must reach back to `start`. */
export function describeBreak(source: Source, start: number, at: number, expected: string): string {
  const before = source.slice(start, at)
  const line = before.split("\n").length
  const column = before.length - before.lastIndexOf("\n")
  const [char = ""] = at < source.position ? source.slice(at, at + 2) : [source.withNames(source.char ?? "")]
  const found = char === "" ? "the end" : describeCharacter(char)
  return `at line ${line}, column ${column} (character ${before.length}) of the call: expected ${expected}, found ${found}`
}

function describeCharacter(char: string): string {
  return char === "\n" ? "a line break" : JSON.stringify(char)
}
