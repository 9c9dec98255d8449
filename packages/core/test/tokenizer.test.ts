import { readFileSync } from "node:fs"
import { beforeAll, describe, expect, it } from "vitest"
import { createDetokenizer } from "../src/detokenizer.ts"
import { specialTokens } from "../src/special-tokens.ts"
import { loadTokenizer, MAX_TEXT_LENGTH, type Tokenizer } from "../src/tokenizer.ts"
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
const trained = (pattern: keyof typeof patterns, merges = 300, ignoreMerges = true): TokenizerJson =>
  train(corpus, { pattern, merges, ignoreMerges, ...(pattern === "qwen2" && { normalizer: "NFC" }) })

describe("ids equal Hugging Face's", () => {
  const files: [string, TokenizerJson][] = [["the tiny model", tinyLlamaJson]]
  for (const pattern of Object.keys(patterns) as (keyof typeof patterns)[]) {
    files.push([`a trained ${pattern} tokenizer`, trained(pattern)])
    files.push([`a trained ${pattern} tokenizer without ignore_merges`, trained(pattern, 300, false)])
  }
  it.each(files)("for 600 awkward texts on %s", async (_, json) => {
    const [encode, tokenizer, random] = [oracle(json), loadTokenizer(json), seededRandom(3)]
    for (let count = 0; count < 600; count++) {
      const text = awkwardText(random)
      expect([...tokenizer.encodeText(text)], JSON.stringify(text)).toEqual(await encode(text))
      expect(tokenizer.decode(tokenizer.encodeText(text))).toBe(json.normalizer ? text.normalize("NFC") : text)
    }
  })

  it("for added tokens that are not special, before and after normalisation", async () => {
    const json = trained("qwen2")
    const added = ["<think>", "<think", "</think>", "[x.y]", "hold on", "\u00e9clair", "the"]
    const first = Math.max(...json.added_tokens.map((token) => token.id)) + 1
    for (const [at, content] of added.entries()) {
      json.added_tokens.push({ id: first + at, content, special: false, normalized: at % 2 === 0 })
    }
    const [encode, tokenizer, random] = [oracle(json), loadTokenizer(json), seededRandom(5)]
    for (let count = 0; count < 500; count++) {
      const text = `${awkwardText(random)}${added[random(added.length)]}${awkwardText(random)}e\u0301clair <think>`
      expect([...tokenizer.encodeText(text)], JSON.stringify(text)).toEqual(await encode(text))
    }
  })

  it("for a merge that must wait for one of lower rank to its right", async () => {
    const json = trained("gpt2", 0)
    const byte = (text: string) => json.model.vocab[text]!
    for (const token of ["ab", "bc", "abc"])
      json.model.vocab[token] = 256 + 2 + Object.keys(json.model.vocab).length - 256
    json.model.merges = [
      ["b", "c"],
      ["a", "b"],
      ["a", "bc"],
    ]
    const tokenizer = loadTokenizer(json)
    expect([...tokenizer.encodeText("abc")]).toEqual(await oracle(json)("abc"))
    expect([...tokenizer.encodeText("ab")]).toEqual([byte("ab")])
  })
})

describe("the tiny model's tokenizer", () => {
  let tokenizer: Tokenizer
  beforeAll(() => {
    tokenizer = loadTokenizer(tinyLlamaJson)
  })

  it("gives special tokens by name only", () => {
    const literal = Object.values(specialTokens).join("")
    const special = new Set(tokenizer.specialTokens.values())
    expect([...tokenizer.encodeText(literal)].filter((id) => special.has(id))).toEqual([])
    const parts = Object.values(specialTokens).map((name) => ({ special: name }))
    expect([...tokenizer.encode(parts)]).toEqual(parts.map(({ special: name }) => tokenizer.specialId(name)))
    expect(tokenizer.decode(tokenizer.encode(parts))).toBe(literal)
  })

  it("encodes parts in order, with ids as they are", () => {
    const parts = [{ special: specialTokens.eot }, { text: "hello" }, { tokens: [5, 2044, 7] }]
    const expected = [tokenizer.specialId("<|eot_id|>"), ...tokenizer.encodeText("hello"), 5, 2044, 7]
    expect([...tokenizer.encode(parts)]).toEqual(expected)
  })

  it("turns lone surrogates into U+FFFD and keeps NUL", () => {
    expect(tokenizer.decode(tokenizer.encodeText("a\ud800b\udc00c\0"))).toBe("a\ufffdb\ufffdc\0")
  })

  it.each([
    ["an unknown special token", () => tokenizer.encode([{ special: "<|nope|>" }]), "no-special-token"],
    ["an id that is too high", () => tokenizer.encode([{ tokens: [2048] }]), "bad-token-id"],
    ["a negative id", () => tokenizer.bytesOf(-1), "bad-token-id"],
    ["an id that is no integer", () => tokenizer.encode([{ tokens: [1.5] }]), "bad-token-id"],
    ["a text that is too long", () => tokenizer.encodeText("a".repeat(MAX_TEXT_LENGTH + 1)), "too-large"],
  ])("refuses %s", (_, act, reason) => {
    expect(act).toThrow(expect.objectContaining({ _tag: "TokenizerError", reason }))
  })

  it("gives text as soon as its bytes are whole, and the same text for any batching", () => {
    const text = "\ufeffnaïve 你好 👨‍👩‍👧 \u0085 end"
    const tokens = [...tokenizer.encodeText(text)]
    const detokenizer = createDetokenizer(tokenizer)
    const pieces = tokens.map((token) => detokenizer.push(token))
    expect(pieces.join("") + detokenizer.end()).toBe(text)
    for (const piece of pieces) expect(piece).not.toContain("\ufffd")
  })

  it("ends an unfinished character with U+FFFD and shows no special token as text", () => {
    const detokenizer = createDetokenizer(tokenizer)
    const [first] = tokenizer.encodeText("你")
    expect(detokenizer.push(first!) + detokenizer.push(tokenizer.specialId("<|eot_id|>"))).toBe("")
    expect(detokenizer.end()).toBe("\ufffd")
    expect(detokenizer.push(tokenizer.encodeText("a")[0]!)).toBe("a")
  })
})

// Were the work quadratic, 300,000 units would be 10^11 steps, and the test's time limit would end it.
describe("work is linear", () => {
  const tokenizer = loadTokenizer(trained("llama3"))
  it.each(["a", " ", "\n", "你", "👍", "ab", " \n", "'s", "a1", "!?"])("in a run of %j", (unit) => {
    const text = unit.repeat(300_000 / unit.length)
    expect(tokenizer.decode(tokenizer.encodeText(text))).toBe(text)
  })
})

describe("a tokenizer file that cannot be read exactly", () => {
  const changed = (change: (json: TokenizerJson) => void): TokenizerJson => {
    const json = structuredClone(tinyLlamaJson)
    change(json)
    return json
  }
  const model = (fields: object) => changed((json) => Object.assign(json.model, fields))
  const pre = (preTokenizer: unknown) => changed((json) => Object.assign(json, { pre_tokenizer: preTokenizer }))
  const split = (Regex: string) =>
    pre({
      type: "Sequence",
      pretokenizers: [{ type: "Split", pattern: { Regex }, behavior: "Isolated" }, { type: "ByteLevel" }],
    })

  it.each([
    ["a WordPiece model", model({ type: "WordPiece" }), "unsupported", "WordPiece"],
    ["byte fallback", model({ byte_fallback: true }), "unsupported", "byte_fallback"],
    ["dropout", model({ dropout: 0.1 }), "unsupported", "dropout"],
    ["a word suffix", model({ end_of_word_suffix: "</w>" }), "unsupported", "end_of_word_suffix"],
    [
      "a lowercasing normalizer",
      changed((json) => {
        json.normalizer = { type: "Lowercase" }
      }),
      "unsupported",
      "Lowercase",
    ],
    ["Metaspace", pre({ type: "Metaspace" }), "unsupported", "Metaspace"],
    ["no byte level", pre({ type: "Digits" }), "unsupported", "without ByteLevel"],
    ["a prefix space", pre({ type: "ByteLevel", add_prefix_space: true }), "unsupported", "add_prefix_space"],
    ["a possessive quantifier", split("\\p{L}++|\\s+"), "unsupported", "possessive"],
    ["an atomic group", split("(?>a|b)"), "unsupported", "JavaScript lacks"],
    ["an anchor escape", split("\\Ga"), "unsupported", "\\G"],
    ["a class intersection", split("[\\p{L}&&\\p{Lu}]"), "unsupported", "&&"],
    [
      "a vocabulary without a byte",
      changed((json) => {
        delete json.model.vocab["!"]
      }),
      "unsupported",
      "0x21",
    ],
    ["a merge of unknown tokens", model({ merges: ["q zzzz"] }), "malformed", "merges[0]"],
    ["a merge that is no pair", model({ merges: ["a b c"] }), "malformed", "merges[0]"],
    ["two tokens with one id", model({ vocab: { a: 1, b: 1 } }), "malformed", "same id"],
    ["a negative id", model({ vocab: { a: -1 } }), "malformed", "model.vocab"],
    ["a huge id", model({ vocab: { a: 2 ** 30 } }), "malformed", "model.vocab"],
    ["no model", {}, "malformed", "model"],
    ["nothing", null, "malformed", "the file"],
  ])("is refused by name: %s", (_, json, reason, named) => {
    expect(() => loadTokenizer(json)).toThrow(
      expect.objectContaining({ _tag: "TokenizerError", reason, message: expect.stringContaining(named) }),
    )
  })

  it("gives a typed error or a tokenizer, whatever is broken in it", () => {
    const random = seededRandom(11)
    const junk = [null, 0, -1, 1.5, "x", "", [], {}, [[]], { type: "BPE" }, true, 1e300]
    for (let count = 0; count < 200; count++) {
      const json = structuredClone(tinyLlamaJson) as unknown as Record<string, unknown>
      mutate(json, random, junk)
      try {
        loadTokenizer(json).encodeText("Hello 123")
      } catch (error) {
        expect(error).toMatchObject({ _tag: "TokenizerError" })
      }
    }
  })

  it("cannot be made to merge text into a special token", () => {
    const json = trained("llama3", 0)
    json.added_tokens.push({ id: 258, content: "ab", special: true })
    json.model.vocab.ab = 258
    json.model.merges = [["a", "b"]]
    expect(() => loadTokenizer(json)).toThrow(expect.objectContaining({ reason: "malformed" }))
    json.model.merges = []
    expect([...loadTokenizer(json).encodeText("ab")]).not.toContain(258)
  })
})

/** Replaces one value somewhere below by junk. */
function mutate(json: Record<string, unknown>, random: (limit: number) => number, junk: readonly unknown[]): void {
  let node = json
  for (let depth = 0; depth < 5; depth++) {
    const keys = Object.keys(node)
    const key = keys[random(keys.length)]
    if (key === undefined) return
    const child = node[key]
    if (typeof child !== "object" || child === null || random(3) === 0) {
      node[key] = junk[random(junk.length)]
      return
    }
    node = child as Record<string, unknown>
  }
}
