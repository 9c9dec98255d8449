/**
 * A model that answers from a script, for tests of tools and loops: turns in, the scripted turn out, as the same events
 * in the same order as a real model would give them. It has no tokens; `scriptedEngine` is the twin that has.
 */
import type { GenerationStopReason } from "./engine.ts"
import { EngineError } from "./error.ts"
import { type ParserEvent, type ToolCallInvalid, unreadCall } from "./event.ts"
import type { Model, ModelEnd, ModelGeneration, ModelOptions } from "./model.ts"
import type { Transcript } from "./transcript.ts"
import type { JsonObject, ToolCall, Turn, TurnEnd } from "./turn.ts"

/** One turn of the script. */
export interface ScriptedReply {
  /** Prose before the calls. */
  readonly text?: string
  readonly calls?: readonly { readonly name: string; readonly input: JsonObject }[]
  /** Texts that were meant as calls, with what is wrong with each. They count after the calls. */
  readonly invalid?: readonly { readonly name?: string; readonly raw: string; readonly problem: string }[]
  /** Default: `eom` after calls, `eot` otherwise; `length` cuts the turn off. */
  readonly end?: TurnEnd
  /** Fails the generation. */
  readonly error?: EngineError
  /** Runs before the reply is given, to wait or to abort something. */
  readonly before?: (signal: AbortSignal | undefined) => void | Promise<void>
}

/** A Model that also tells what it was shown. */
export interface ScriptedModel extends Model {
  /** What the model was shown in each generation: the turns up to then. */
  readonly seen: readonly (readonly Turn[])[]
  /** Throws when replies are left over. */
  assertComplete(): void
}

/** Answers each generation with the next reply; a string is a reply of prose. Fails when the script is over. */
export function scriptedModel(replies: Iterable<string | ScriptedReply>): ScriptedModel {
  const script = replies[Symbol.iterator]()
  const seen: (readonly Turn[])[] = []
  return {
    info: { name: "scripted", contextLength: 131_072, fingerprint: "scripted" },
    seen,
    generate(transcript, options) {
      seen.push([...transcript.turns])
      const next = script.next()
      if (next.done === true) return failed(scriptOver(seen.length))
      const reply = typeof next.value === "string" ? { text: next.value } : next.value
      return reply.error === undefined ? new ScriptedGeneration(reply, transcript, options) : failed(reply.error)
    },
    assertComplete() {
      if (script.next().done !== true)
        throw new Error(`The scripted model has replies left after ${seen.length} generations.`)
    },
    close: () => Promise.resolve(),
  }
}

class ScriptedGeneration implements ModelGeneration {
  readonly end: Promise<ModelEnd>
  readonly #reply: ScriptedReply
  readonly #transcript: Transcript
  readonly #options: ModelOptions
  #settle!: (end: ModelEnd) => void
  #cancelled = false

  constructor(reply: ScriptedReply, transcript: Transcript, options: ModelOptions) {
    this.#reply = reply
    this.#transcript = transcript
    this.#options = options
    this.end = new Promise((resolve) => {
      this.#settle = resolve
    })
  }

  cancel(): void {
    this.#cancelled = true
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly ParserEvent[]> {
    await this.#reply.before?.(this.#options.signal)
    if (this.#cancelled || this.#options.signal?.aborted === true) {
      this.#settle(this.#whole("", [], [], "aborted"))
      return
    }
    const text = this.#reply.text ?? ""
    const { calls, invalid } = this.#numbered()
    yield [...textEvents(text), ...calls.flatMap(callEvents), ...invalid]
    this.#settle(this.#whole(text, calls, invalid, this.#reply.end ?? (calls.length > 0 ? "eom" : "eot")))
  }

  #numbered(): { calls: readonly ToolCall[]; invalid: readonly ToolCallInvalid[] } {
    let number = this.#options.firstCall
    const calls = (this.#reply.calls ?? []).map(
      ({ name, input }): ToolCall => ({ id: `call-${number++}`, name, input, syntax: "json-call" }),
    )
    const invalid = (this.#reply.invalid ?? []).map(
      ({ name = null, raw, problem }): ToolCallInvalid => ({
        type: "tool-call-invalid",
        id: `call-${number++}`,
        name,
        raw,
        problem,
      }),
    )
    return { calls, invalid }
  }

  #whole(
    content: string,
    toolCalls: readonly ToolCall[],
    invalidCalls: readonly ToolCallInvalid[],
    end: TurnEnd,
  ): ModelEnd {
    const reasons: Partial<Record<TurnEnd, GenerationStopReason>> = { length: "max-tokens", aborted: "aborted" }
    return {
      turn: {
        role: "assistant",
        content,
        toolCalls,
        ...(invalidCalls.length > 0 && { unreadCalls: invalidCalls.map(unreadCall) }),
        end,
      },
      usage: { prompt: this.#transcript.turns.length, cached: 0, generated: 1, forced: 0, discarded: 0 },
      reason: reasons[end] ?? "stop-token",
      invalidCalls,
      complete: end !== "length" && end !== "aborted",
    }
  }
}

function textEvents(text: string): readonly ParserEvent[] {
  return text === "" ? [] : [{ type: "text-start" }, { type: "text-delta", delta: text }, { type: "text-end" }]
}

function callEvents(call: ToolCall): readonly ParserEvent[] {
  return [
    { type: "tool-call-start", id: call.id, name: call.name, syntax: call.syntax },
    { type: "tool-call-delta", id: call.id, delta: JSON.stringify(call.input) },
    { type: "tool-call-end", call },
  ]
}

function failed(error: EngineError): ModelGeneration {
  const end = Promise.reject(error)
  end.catch(() => undefined)
  return {
    end,
    cancel: () => undefined,
    // biome-ignore lint/correctness/useYield: it fails before the first batch
    async *[Symbol.asyncIterator]() {
      throw error
    },
  }
}

function scriptOver(generations: number): EngineError {
  return new EngineError({
    reason: "bad-request",
    detail: `The script of the model has no reply for generation ${generations}.`,
    fix: "Give the scripted model one reply for each step that the run makes.",
  })
}
