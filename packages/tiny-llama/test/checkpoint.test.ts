/**
 * The shipped checkpoint folder: that its files fit each other, that the chat template gives the bytes of the training text, and
 * that nobody changes the weights unawares.
 */
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { Template } from "@huggingface/jinja"
import { describe, expect, it } from "vitest"

const bytesOf = (name: string) => readFileSync(new URL(`../checkpoint/${name}`, import.meta.url))
const jsonOf = (name: string) => JSON.parse(bytesOf(name).toString("utf8"))
const testData = (name: string) => JSON.parse(readFileSync(new URL(name, import.meta.url), "utf8"))

interface Golden {
  kind: string
  messages: object[]
  variables: { [name: string]: unknown }
  text: string
}

describe("the tiny checkpoint", () => {
  it("has the weights that the model card describes", () => {
    const sha256 = createHash("sha256").update(bytesOf("model.safetensors")).digest("hex")
    expect(sha256).toBe("aa998fd4591d1f6b0bb91d3ecdf8f5ef72f81b641fde259ab8473f4a19a12b7c")
    expect(bytesOf("model.safetensors").length).toBeLessThan(12_000_000)
  })

  it("holds every tensor that its config needs, in the shape that it needs", () => {
    const config = jsonOf("config.json")
    const file = bytesOf("model.safetensors")
    const headerBytes = Number(file.readBigUInt64LE(0))
    const header = JSON.parse(file.toString("utf8", 8, 8 + headerBytes))
    const { hidden_size: width, intermediate_size: ffn, head_dim: headDim, vocab_size: vocabulary } = config
    const query = config.num_attention_heads * headDim
    const key = config.num_key_value_heads * headDim
    const expected: { [name: string]: number[] } = {
      "model.embed_tokens.weight": [vocabulary, width],
      "model.norm.weight": [width],
    }
    for (let layer = 0; layer < config.num_hidden_layers; layer++) {
      const prefix = `model.layers.${layer}.`
      expected[`${prefix}self_attn.q_proj.weight`] = [query, width]
      expected[`${prefix}self_attn.k_proj.weight`] = [key, width]
      expected[`${prefix}self_attn.v_proj.weight`] = [key, width]
      expected[`${prefix}self_attn.o_proj.weight`] = [width, query]
      expected[`${prefix}mlp.gate_proj.weight`] = [ffn, width]
      expected[`${prefix}mlp.up_proj.weight`] = [ffn, width]
      expected[`${prefix}mlp.down_proj.weight`] = [width, ffn]
      expected[`${prefix}input_layernorm.weight`] = [width]
      expected[`${prefix}post_attention_layernorm.weight`] = [width]
    }
    const { __metadata__: _, ...tensors } = header
    const shapes = Object.fromEntries(
      Object.entries<{ shape: number[] }>(tensors).map(([name, { shape }]) => [name, shape]),
    )
    expect(shapes).toEqual(expected)
  })

  it("names the same special tokens in all of its files", () => {
    const tokenizer = jsonOf("tokenizer.json")
    const config = jsonOf("config.json")
    const tokenizerConfig = jsonOf("tokenizer_config.json")
    const idOf = (name: string) =>
      tokenizer.added_tokens.find(({ content }: { content: string }) => content === name).id
    expect(Object.keys(tokenizer.model.vocab).length + tokenizer.added_tokens.length).toBe(config.vocab_size)
    expect(config.bos_token_id).toBe(idOf(tokenizerConfig.bos_token))
    expect(config.eos_token_id).toEqual(["<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"].map(idOf))
    expect(jsonOf("generation_config.json").eos_token_id).toEqual(config.eos_token_id)
    const { bos_token, eos_token, pad_token } = tokenizerConfig
    expect(jsonOf("special_tokens_map.json")).toEqual({ bos_token, eos_token, pad_token })
  })

  it("has a chat template that gives the text of the training renderer", () => {
    const { chat_template, bos_token } = jsonOf("tokenizer_config.json")
    const template = new Template(chat_template)
    const golden: Golden[] = testData("template.json")
    expect(golden.length).toBeGreaterThan(20)
    for (const { messages, variables, text } of golden) {
      expect(template.render({ ...variables, messages, bos_token })).toBe(text)
    }
  })

  it("refuses to list functions in a user message that is not there", () => {
    const { chat_template, bos_token } = jsonOf("tokenizer_config.json")
    const template = new Template(chat_template)
    expect(() => template.render({ messages: [], tools: [{ name: "f" }], bos_token })).toThrow(
      /set tools_in_user_message/,
    )
  })
})
