/** `llama(folder)`: a checkpoint on the native engine, as a Model that is loaded when an agent is made. */
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { type LlamaModel, llamaModel } from "@chasqui/core"
import { type LoadOptions, loadEngine } from "@chasqui/engine-cuda"
import { readCheckpoint } from "./checkpoint.ts"

/** Options of the engine; what the tokenizer knows is filled in. */
export interface LlamaOptions extends Omit<LoadOptions, "specialTokens" | "tokenBytes"> {}

/**
 * Gives a function that loads the model. `folder` is a checkpoint in Hugging Face layout; without it, the tiny model that
 * comes with this package. Loading throws TokenizerError or EngineError saying what is wrong with the folder.
 */
export function llama(folder?: string, options: LlamaOptions = {}): () => Promise<LlamaModel> {
  return async () => {
    const checkpoint = await readCheckpoint(folder ?? tinyLlamaFolder())
    const { tokenizer } = checkpoint
    const engine = await loadEngine(checkpoint.folder, {
      ...options,
      specialTokens: { ids: [...tokenizer.specialTokens.values()] },
      tokenBytes: Array.from({ length: tokenizer.vocabularySize }, (_, token) => tokenizer.bytesOf(token)),
    })
    return llamaModel({ name: folder === undefined ? "tiny-llama" : checkpoint.name, tokenizer, engine })
  }
}

/** Where the embedded checkpoint lies. */
export function tinyLlamaFolder(): string {
  const manifest = createRequire(import.meta.url).resolve("@chasqui/tiny-llama/package.json")
  return join(dirname(manifest), "checkpoint")
}
