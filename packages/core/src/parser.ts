/**
 * Reads an answer while the model writes it: text and special tokens by name go in, events come out, at the end the
 * whole turn. Where the input is cut makes no difference, and nothing that was told is taken back. It knows where a call
 * may stand: after `<|python_tag|>`, at the beginning of the answer, or as its end. It does not check inputs against
 * schemas, and knows no token ids.
 */
import type { GenerationStopReason } from "./engine.ts"
import type { ParserEvent, ToolCallInvalid } from "./event.ts"
import { readAnswer } from "./parser-answer.ts"
import { ParserOutput } from "./parser-output.ts"
import { type SpecialToken, stopTokens } from "./special-tokens.ts"
import { Source } from "./syntax/source.ts"
import type { ToolCall, TurnEnd } from "./turn.ts"

/** What the parser of one answer must know. */
export interface ParserOptions {
  /** Names of the custom functions that the model was told of. */
  readonly tools: readonly string[]
  /** Names of the built-in tools that the model was told of. */
  readonly builtinTools?: readonly string[]
  /** The number that the first call gets in its id; default 0. */
  readonly firstCall?: number
  /** Whether a call needs `<|python_tag|>` before it; default "anywhere". */
  readonly untaggedCalls?: "allowed" | "text"
  /** Whether a call without the tag may end an answer that began with prose; default "allowed". */
  readonly callsAfterProse?: "allowed" | "text"
}

/** A piece of an answer: text, cut anywhere, or a special token by its name, such as `<|eot_id|>`. */
export type ParserInput = { readonly text: string } | { readonly special: SpecialToken }

/** What an answer turned out to be. */
export interface ParsedTurn {
  /** The prose beside the calls: the text deltas, joined. */
  readonly content: string
  readonly toolCalls: readonly ToolCall[]
  /** What was meant as a call and cannot be read as one, or was cut off in the middle. */
  readonly invalidCalls: readonly ToolCallInvalid[]
  /** Everything that is no call: the prose, and the text of the invalid calls where it stood. */
  readonly remainder: string
  /** The stop token that was written, if one was. */
  readonly stop: "eot" | "eom" | "eos" | null
  readonly end: TurnEnd
  /** False when the turn was cut off: none of its calls may run. */
  readonly complete: boolean
}

/** The state of reading one answer. */
export interface Parser {
  /** Takes the next piece and gives what is certain now. After a stop token nothing counts any more. */
  push(input: ParserInput): readonly ParserEvent[]
  /** Ends the answer: the last events and the whole turn. A stop token that was pushed outweighs the reason. */
  end(reason: GenerationStopReason): { readonly events: readonly ParserEvent[]; readonly turn: ParsedTurn }
}

/** A parser for one answer. It never throws for what a model may write. */
export function parser(options: ParserOptions): Parser {
  const source = new Source()
  const output = new ParserOutput(options.firstCall ?? 0)
  const offered = new Set([...options.tools, ...(options.builtinTools ?? [])])
  const reading = readAnswer(source, output, {
    offered,
    builtins: new Set(options.builtinTools),
    untaggedCalls: options.untaggedCalls ?? "allowed",
    callsAfterProse: options.callsAfterProse ?? "allowed",
  })
  let stop: ParsedTurn["stop"] = null
  let done = false
  const go = () => {
    if (!done) done = reading.next().done === true
    if (source.ending !== "open") output.end()
    return output.flush()
  }
  return {
    push(input) {
      if (source.ending !== "open") return []
      if ("text" in input) source.feed(input.text)
      else {
        stop = stopTokens.get(input.special) ?? null
        if (stop === null) source.feedSpecial(input.special)
        else source.close("complete")
      }
      return go()
    },
    end(reason) {
      const complete = stop !== null || reason === "stop-token"
      const isOpen = source.ending === "open"
      if (isOpen) source.close(complete ? "complete" : "cut-off")
      const events = isOpen ? go() : []
      const { content, remainder, toolCalls, invalidCalls } = output
      const cut = reason === "aborted" ? "aborted" : "length"
      return {
        events,
        turn: { content, toolCalls, invalidCalls, remainder, stop, end: stop ?? (complete ? "eot" : cut), complete },
      }
    },
  }
}
