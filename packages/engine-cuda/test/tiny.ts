/** The embedded model for the tests of this package: its folder, its tokenizer, a rendered prompt and an engine with both. */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { type EngineError, loadTokenizer, type Tokenizer, TokenLog } from "@chasqui/core"
import { type LlamaEngine, type LoadOptions, loadEngine, type TokenBatch } from "@chasqui/engine-cuda"

export const tinyFolder = fileURLToPath(new URL("../../tiny-llama/checkpoint", import.meta.url))

export const tinyTokenizer = (): Tokenizer =>
  loadTokenizer(JSON.parse(readFileSync(`${tinyFolder}/tokenizer.json`, "utf8")))

export const loadTiny = (options: LoadOptions = {}): Promise<LlamaEngine> => {
  const tokenizer = tinyTokenizer()
  return loadEngine(tinyFolder, {
    threads: 1,
    specialTokens: { ids: [...tokenizer.specialTokens.values()] },
    tokenBytes: Array.from({ length: tokenizer.vocabularySize }, (_, token) => tokenizer.bytesOf(token)),
    ...options,
  })
}

/** A prefix as the agent writes them: one user turn and the header of the answer. */
export const promptOf = (tokenizer: Tokenizer, text: string): TokenLog => {
  const special = (name: "<|begin_of_text|>" | "<|start_header_id|>" | "<|end_header_id|>" | "<|eot_id|>") =>
    tokenizer.specialId(name)
  const header = (role: string) => [
    special("<|start_header_id|>"),
    ...tokenizer.encodeText(role),
    special("<|end_header_id|>"),
    ...tokenizer.encodeText("\n\n"),
  ]
  return new TokenLog([
    special("<|begin_of_text|>"),
    ...header("user"),
    ...tokenizer.encodeText(text),
    special("<|eot_id|>"),
    ...header("assistant"),
  ])
}

/** All tokens of a generation. */
export const collect = async (generation: AsyncIterable<TokenBatch>): Promise<number[]> => {
  const tokens: number[] = []
  for await (const batch of generation) tokens.push(...Array.from(batch))
  return tokens
}

/** The error that a promise must reject with. */
export const failure = async (promise: Promise<unknown>): Promise<EngineError> => {
  try {
    await promise
  } catch (error) {
    return error as EngineError
  }
  throw new Error("it did not fail")
}

/** Ordinary tokens of the tiny model, the same for the same seed. */
export const random = (count: number, seed: number): number[] => {
  let state = seed
  return Array.from({ length: count }, () => {
    state = (state * 1103515245 + 12345) % 2 ** 31
    return 300 + (state % 1500)
  })
}
