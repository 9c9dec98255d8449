/**
 * A Model on an engine of our own: renders the new turns of a transcript, lets the engine go on from there, and parses what it
 * writes. The prompt of a transcript is an append-only log of tokens, in which a turn that the model wrote stands as the very
 * ids that it wrote; so the engine's cache holds everything but what is new.
 */
import { createDetokenizer } from "./detokenizer.ts"
import { type Engine, type GenerateOptions, type Generation, type GenerationEnd, TokenLog } from "./engine.ts"
import { type ParserEvent, unreadCall } from "./event.ts"
import type { Model, ModelEnd, ModelGeneration, ModelInfo, ModelOptions } from "./model.ts"
import { type Parser, parser } from "./parser.ts"
import { continuePrompt, type PromptPosition, promptStart } from "./prompt.ts"
import type { PromptOptions } from "./prompt-options.ts"
import type { PromptPart } from "./prompt-part.ts"
import { sampledSpecialTokens, stopTokens } from "./special-tokens.ts"
import type { Tokenizer } from "./tokenizer.ts"
import type { Transcript } from "./transcript.ts"
import type { AssistantTurn, Turn } from "./turn.ts"

export interface LlamaModelOptions {
  readonly name: string
  readonly tokenizer: Tokenizer
  readonly engine: Engine
}

/** A Model whose prompts are tokens: what it adds to the seam. */
export interface LlamaModel extends Model {
  readonly tokenizer: Tokenizer
  readonly engine: Engine
  /** The tokens of the prompt as the next generation on this transcript would see it. */
  promptTokens(transcript: Transcript): Int32Array
  /** What the model writes behind a raw prompt: for base models and for Llama Guard, whose layout is not a chat. */
  complete(prompt: readonly PromptPart[], options: CompleteOptions): Promise<Completion>
}

/** Options of `complete`, as those of a turn. */
export interface CompleteOptions
  extends Pick<ModelOptions, "maxTokens" | "sampling" | "constraint" | "adapter" | "cache" | "signal"> {}

/** What stands behind a raw prompt. */
export interface Completion extends GenerationEnd {
  /** Without the stop token. */
  readonly text: string
  readonly tokens: readonly number[]
}

/** Puts prompt, tokenizer, engine and parser together. Closing the model closes the engine. */
export function llamaModel({ name, tokenizer, engine }: LlamaModelOptions): LlamaModel {
  const prompts = new WeakMap<Transcript, PromptLog>()
  const written = new WeakSet<Turn>()
  const allowedSpecialTokens = sampledSpecialTokens.flatMap((token) => tokenizer.specialTokens.get(token) ?? [])
  const info: ModelInfo = { name, contextLength: engine.info.contextLength, fingerprint: engine.info.fingerprint }

  const promptOf = (transcript: Transcript): TokenLog => {
    let prompt = prompts.get(transcript)
    if (prompt === undefined || !prompt.advance(transcript)) {
      prompt = new PromptLog(tokenizer, written)
      prompt.advance(transcript)
      prompts.set(transcript, prompt)
    }
    return prompt.tokens
  }
  const start = (prefix: TokenLog, given: CompleteOptions): Generation => {
    const { maxTokens, sampling, constraint, adapter, cache, signal } = given
    const options: GenerateOptions = {
      maxTokens: Math.min(maxTokens, Math.max(1, engine.info.contextLength - prefix.length)),
      allowedSpecialTokens,
      ...(sampling && { sampling }),
      ...(constraint && { constraint }),
      ...(adapter !== undefined && { adapter }),
      ...(cache && { cache }),
      ...(signal && { signal }),
    }
    return engine.generate(prefix, options)
  }
  return {
    info,
    tokenizer,
    engine,
    promptLength: (transcript) => promptOf(transcript).length,
    promptTokens: (transcript) => promptOf(transcript).view().slice(),
    generate(transcript, options) {
      const generation = start(promptOf(transcript), options)
      return new LlamaGeneration(generation, tokenizer, parserFor(transcript.options, options.firstCall), (turn) => {
        written.add(turn)
      })
    },
    async complete(prompt, options) {
      const generation = start(new TokenLog(tokenizer.encode(prompt)), options)
      const tokens: number[] = []
      for await (const batch of generation) for (let at = 0; at < batch.length; at++) tokens.push(batch[at] as number)
      const end = await generation.end
      const body = end.reason === "stop-token" ? tokens.slice(0, -1) : tokens
      return { ...end, tokens, text: tokenizer.decode(body) }
    },
    close: () => engine.close(),
  }
}

/** The tokens of one transcript's prompt so far, and which turns are in it. */
class PromptLog {
  readonly tokens = new TokenLog()
  readonly #tokenizer: Tokenizer
  readonly #written: WeakSet<Turn>
  readonly #turns: Turn[] = []
  #position: PromptPosition = promptStart

  constructor(tokenizer: Tokenizer, written: WeakSet<Turn>) {
    this.#tokenizer = tokenizer
    this.#written = written
  }

  /** Appends what is new, up to an open assistant header. False where the prompt has to be written from the start. */
  advance({ options, turns }: Transcript): boolean {
    for (const turn of turns.slice(this.#turns.length)) this.#turns.push(this.#trusted(turn, options))
    const next = continuePrompt({ options, turns: this.#turns }, this.#position, { addGenerationPrompt: true })
    if (next.kind === "break") return false
    this.tokens.append(this.#tokenizer.encode(next.parts))
    this.#position = next.position
    return true
  }

  /** A turn with ids from outside keeps them only if they say what its fields say and hold no token that it may not. */
  #trusted(turn: Turn, options: PromptOptions): Turn {
    if (turn.role !== "assistant" || turn.tokens === undefined || this.#written.has(turn)) return turn
    if (saysTheSame(turn, turn.tokens, this.#tokenizer, options)) return turn
    const { tokens: _, ...fields } = turn
    return fields
  }
}

class LlamaGeneration implements ModelGeneration {
  readonly end: Promise<ModelEnd>
  readonly #generation: Generation
  readonly #reader: TurnReader
  readonly #onTurn: (turn: AssistantTurn) => void
  #resolve!: (end: ModelEnd) => void
  #reject!: (error: unknown) => void

  constructor(generation: Generation, tokenizer: Tokenizer, parser: Parser, onTurn: (turn: AssistantTurn) => void) {
    this.#generation = generation
    this.#reader = new TurnReader(tokenizer, parser)
    this.#onTurn = onTurn
    this.end = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.end.catch(() => undefined)
  }

  cancel(): void {
    this.#generation.cancel()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly ParserEvent[]> {
    try {
      for await (const batch of this.#generation) {
        const events = this.#reader.push(batch)
        if (events.length > 0) yield events
      }
      const { reason, usage, timing } = await this.#generation.end
      const { events, ...whole } = this.#reader.end(reason)
      if (events.length > 0) yield events
      this.#onTurn(whole.turn)
      this.#resolve({ ...whole, reason, usage, ...(timing && { timing }) })
    } catch (error) {
      this.#reject(error)
      throw error
    }
  }
}

/** Reads tokens into events and a turn: special tokens by name, everything else as text. */
class TurnReader {
  readonly #tokenizer: Tokenizer
  readonly #parser: Parser
  readonly #tokens: number[] = []
  readonly #detokenizer

  constructor(tokenizer: Tokenizer, parser: Parser) {
    this.#tokenizer = tokenizer
    this.#parser = parser
    this.#detokenizer = createDetokenizer(tokenizer)
  }

  push(batch: ArrayLike<number>): ParserEvent[] {
    const events: ParserEvent[] = []
    for (let at = 0; at < batch.length; at++) {
      const token = batch[at] as number
      this.#tokens.push(token)
      const special = this.#tokenizer.specialName(token)
      if (special === undefined) this.#text(this.#detokenizer.push(token), events)
      else {
        this.#text(this.#detokenizer.end(), events)
        this.#take(this.#parser.push({ special }), events)
      }
    }
    return events
  }

  end(reason: GenerationEnd["reason"]) {
    const events: ParserEvent[] = []
    this.#text(this.#detokenizer.end(), events)
    const { events: last, turn } = this.#parser.end(reason)
    this.#take(last, events)
    const { content, toolCalls, end, invalidCalls, complete } = turn
    const unread = invalidCalls.length > 0 && { unreadCalls: invalidCalls.map(unreadCall) }
    const whole: AssistantTurn = { role: "assistant", content, toolCalls, ...unread, end, tokens: this.#tokens }
    return { events, turn: whole, invalidCalls, complete }
  }

  #text(text: string, events: ParserEvent[]): void {
    if (text !== "") this.#take(this.#parser.push({ text }), events)
  }

  #take(from: readonly ParserEvent[], into: ParserEvent[]): void {
    for (const event of from) into.push(event)
  }
}

function parserFor({ tools, builtinTools }: PromptOptions, firstCall: number): Parser {
  return parser({ tools: tools.map(({ name }) => name), builtinTools: builtinTools ?? [], firstCall })
}

function saysTheSame(
  turn: AssistantTurn,
  tokens: readonly number[],
  tokenizer: Tokenizer,
  options: PromptOptions,
): boolean {
  const inVocabulary = tokens.every((token) => token >= 0 && token < tokenizer.vocabularySize)
  if (!inVocabulary) return false
  const permitted = tokens.every((token) => {
    const special = tokenizer.specialName(token)
    return special === undefined || sampledSpecialTokens.includes(special)
  })
  // Behind a stop token nothing was written.
  const early = tokens.slice(0, -1).some((token) => stopTokens.has(tokenizer.specialName(token) ?? ""))
  if (!permitted || early) return false
  const reader = new TurnReader(tokenizer, parserFor(options, 0))
  reader.push(tokens)
  const read = reader.end(turn.end === "aborted" ? "aborted" : turn.end === "length" ? "max-tokens" : "stop-token").turn
  return read.content === turn.content && read.end === turn.end && sameCalls(read, turn)
}

function sameCalls(a: AssistantTurn, b: AssistantTurn): boolean {
  const plain = (turn: AssistantTurn) => JSON.stringify(turn.toolCalls.map(({ name, input }) => [name, input]))
  return plain(a) === plain(b)
}
