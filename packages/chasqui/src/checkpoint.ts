/**
 * What a checkpoint folder in Hugging Face layout says about text: its tokenizer, its special tokens, its chat template.
 * The weights are the engine's business.
 */
import { readFile } from "node:fs/promises"
import { basename, join, resolve } from "node:path"
import { loadTokenizer, type Tokenizer, TokenizerError } from "@chasqui/core"

export interface Checkpoint {
  readonly folder: string
  readonly name: string
  readonly tokenizer: Tokenizer
}

/** Throws TokenizerError where tokenizer.json is missing or cannot be used. */
export async function readCheckpoint(folder: string): Promise<Checkpoint> {
  const path = resolve(folder)
  return { folder: path, name: basename(path), tokenizer: loadTokenizer(await readJson(join(path, "tokenizer.json"))) }
}

async function readJson(file: string): Promise<unknown> {
  let text: string
  try {
    text = await readFile(file, "utf8")
  } catch (cause) {
    throw new TokenizerError({
      reason: "not-found",
      detail: `There is no readable file ${file}.`,
      fix: "Give the folder of a checkpoint in Hugging Face layout: config.json, tokenizer.json, *.safetensors.",
      cause,
    })
  }
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new TokenizerError({
      reason: "malformed",
      detail: `The file ${file} is not JSON.`,
      fix: "Download the checkpoint again.",
      cause,
    })
  }
}
