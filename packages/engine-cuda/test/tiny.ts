/** The embedded model for the tests of this package: its folder, its tokenizer, a rendered prompt and an engine with both. */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { loadTokenizer, type Tokenizer, TokenLog } from "@chasqui/core"
import { type LlamaEngine, type LoadOptions, loadEngine } from "@chasqui/engine-cuda"

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
