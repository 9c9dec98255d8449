/**
 * Reads the stream of a chat completion into parser events and a turn. Text goes through the same parser as an engine's, since
 * many servers leave Llama's calls in the text; calls that the server did recognise follow it. Sizes are bounded.
 */
import {
  type AssistantTurn,
  EngineError,
  type GenerationStopReason,
  type JsonObject,
  type ModelEnd,
  type ParsedTurn,
  type Parser,
  type ParserEvent,
  parser,
  type ToolCall,
  type ToolCallInvalid,
  type Usage,
} from "@chasqui/core"

/** Most characters of one answer. */
const mostCharacters = 4 * 1024 * 1024

interface OpenCall {
  readonly id: string
  name: string
  json: string
  started: boolean
}

export class ChatStream {
  readonly #tools: readonly string[]
  readonly #calls = new Map<number, OpenCall>()
  readonly #texts: ParsedTurn[] = []
  #parser: Parser | undefined
  #nextCall: number
  #characters = 0
  #finish: string | undefined
  #usage: Usage = { prompt: 0, cached: 0, generated: 0, forced: 0, discarded: 0 }

  constructor(tools: readonly string[], firstCall: number) {
    this.#tools = tools
    this.#nextCall = firstCall
  }

  /** Takes the data of one server-sent event. Throws EngineError for what is no chunk of a completion. */
  push(data: string): readonly ParserEvent[] {
    const chunk = readChunk(data)
    const events: ParserEvent[] = []
    this.#takeUsage(chunk.usage)
    const choice = chunk.choices?.[0]
    if (choice?.finish_reason) this.#finish = choice.finish_reason
    const { content, tool_calls: calls } = choice?.delta ?? {}
    if (typeof content === "string" && content !== "") {
      this.#grow(content.length)
      this.#parser ??= parser({ tools: this.#tools, firstCall: this.#nextCall })
      events.push(...this.#parser.push({ text: content }))
    }
    for (const call of calls ?? []) this.#takeCall(call, events)
    return events
  }

  /** The last events and the turn. `aborted` when the caller stopped it. */
  end(aborted: boolean): { readonly events: readonly ParserEvent[]; readonly end: ModelEnd } {
    const reason = aborted ? "aborted" : this.#finish === "length" ? "max-tokens" : "stop-token"
    if (!aborted && this.#finish === undefined) throw cutOff()
    const events: ParserEvent[] = []
    this.#endText(reason, events)
    const complete = reason === "stop-token"
    const toolCalls: ToolCall[] = this.#texts.flatMap((text) => text.toolCalls)
    const invalidCalls: ToolCallInvalid[] = this.#texts.flatMap((text) => text.invalidCalls)
    const content = this.#texts.map((text) => text.content).join("")
    for (const call of this.#calls.values()) {
      const read = readCall(call, complete)
      if (read.type === "tool-call-end") toolCalls.push(read.call)
      else invalidCalls.push(read)
      events.push(read)
    }
    const end: AssistantTurn["end"] = aborted ? "aborted" : complete ? (toolCalls.length > 0 ? "eom" : "eot") : "length"
    const unread = invalidCalls.length > 0 && {
      unreadCalls: invalidCalls.map(({ id, name, raw }) => ({ id, name, raw })),
    }
    const turn: AssistantTurn = { role: "assistant", content, toolCalls, ...unread, end }
    return { events, end: { turn, usage: this.#usage, reason, invalidCalls, complete } }
  }

  #takeCall(call: ChunkCall, events: ParserEvent[]): void {
    const index = call.index ?? 0
    let open = this.#calls.get(index)
    if (open === undefined) {
      // Calls are numbered as they come, so the text before this one has to be read to its end first.
      this.#endText("stop-token", events)
      open = { id: `call-${this.#nextCall++}`, name: "", json: "", started: false }
      this.#calls.set(index, open)
    }
    open.name += call.function?.name ?? ""
    const delta = call.function?.arguments ?? ""
    this.#grow(delta.length)
    open.json += delta
    if (!open.started && open.name !== "") {
      open.started = true
      events.push({ type: "tool-call-start", id: open.id, name: open.name, syntax: "json-call" })
    }
    if (open.started && delta !== "") events.push({ type: "tool-call-delta", id: open.id, delta })
  }

  #endText(reason: GenerationStopReason, events: ParserEvent[]): void {
    if (this.#parser === undefined) return
    const { events: last, turn } = this.#parser.end(reason)
    events.push(...last)
    this.#texts.push(turn)
    this.#nextCall += turn.toolCalls.length + turn.invalidCalls.length
    this.#parser = undefined
  }

  #takeUsage(usage: ChunkUsage | null | undefined): void {
    if (!usage) return
    this.#usage = {
      prompt: usage.prompt_tokens ?? 0,
      cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
      generated: usage.completion_tokens ?? 0,
      forced: 0,
      discarded: 0,
    }
  }

  #grow(characters: number): void {
    this.#characters += characters
    if (this.#characters > mostCharacters) {
      throw new EngineError({
        reason: "bad-request",
        detail: `The server's answer is longer than ${mostCharacters} characters.`,
        fix: "Set maxTokens.",
      })
    }
  }
}

interface ChunkCall {
  readonly index?: number
  readonly function?: { readonly name?: string; readonly arguments?: string }
}
interface ChunkUsage {
  readonly prompt_tokens?: number
  readonly completion_tokens?: number
  readonly prompt_tokens_details?: { readonly cached_tokens?: number } | null
}
interface Chunk {
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string | null; readonly tool_calls?: readonly ChunkCall[] | null }
    readonly finish_reason?: string | null
  }[]
  readonly usage?: ChunkUsage | null
}

function readChunk(data: string): Chunk {
  let value: unknown
  try {
    value = JSON.parse(data)
  } catch {
    throw unreadable(data)
  }
  if (typeof value !== "object" || value === null) throw unreadable(data)
  const { error } = value as { error?: { message?: unknown } }
  if (error !== undefined) {
    const said = typeof error?.message === "string" ? error.message : JSON.stringify(error)
    throw new EngineError({
      reason: "device-lost",
      detail: `The server failed while it answered: ${said.slice(0, 300)}`,
      fix: "See the server's own log.",
    })
  }
  return value as Chunk
}

/** A call whose arguments are not JSON goes back to the model with the place where they break, kept as they were written. */
function readCall(
  { id, name, json }: OpenCall,
  complete: boolean,
): Extract<ParserEvent, { type: "tool-call-end" | "tool-call-invalid" }> {
  const invalid = (problem: string) =>
    ({ type: "tool-call-invalid", id, name: name || null, raw: json, problem }) as const
  if (!complete) return invalid("The answer was cut off before the call was complete.")
  if (name === "") return invalid("The call has no name.")
  try {
    const input: unknown = json.trim() === "" ? {} : JSON.parse(json)
    if (typeof input !== "object" || input === null || Array.isArray(input)) {
      return invalid("The arguments are not a JSON object.")
    }
    return { type: "tool-call-end", call: { id, name, input: input as JsonObject, syntax: "json-call" } }
  } catch (thrown) {
    return invalid(`The arguments are not JSON: ${(thrown as Error).message}.`)
  }
}

function unreadable(data: string): EngineError {
  return new EngineError({
    reason: "device-lost",
    detail: `The server sent something that is no chunk of a chat completion: ${data.slice(0, 120)}`,
    fix: "Check that the address is that of an OpenAI-compatible server.",
  })
}

function cutOff(): EngineError {
  return new EngineError({
    reason: "device-lost",
    detail: "The connection to the server ended in the middle of the answer.",
    fix: "Run again: the session holds everything up to the last user turn.",
  })
}
