import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { loadTokenizer } from "../src/tokenizer.ts"
import {
  awkwardText,
  oracle,
  patterns,
  seededRandom,
  type TokenizerJson,
  tinyLlamaJson,
  train,
} from "./tokenizer-oracle.ts"

const corpus = readFileSync(new URL("tokenizer-oracle.ts", import.meta.url), "utf8")
const files: [string, TokenizerJson][] = [["the tiny model", tinyLlamaJson]]
for (const pattern of Object.keys(patterns) as (keyof typeof patterns)[]) {
  files.push([
    `a trained ${pattern} tokenizer`,
    train(corpus, { pattern, merges: 600, ignoreMerges: pattern === "llama3" }),
  ])
}

describe("ids equal Hugging Face's for 100,000 awkward texts", () => {
  it.each(files)("on %s", async (_, json) => {
    const [encode, tokenizer, random] = [oracle(json), loadTokenizer(json), seededRandom(17)]
    const different: string[] = []
    for (let count = 0; count < 100_000; count++) {
      const text = awkwardText(random)
      const [ours, theirs] = [tokenizer.encodeText(text), await encode(text)]
      if (ours.join() !== theirs.join()) different.push(JSON.stringify(text))
    }
    expect(different).toEqual([])
  })
})
