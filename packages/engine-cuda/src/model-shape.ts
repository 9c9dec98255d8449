/**
 * The sizes of a Llama, from its config.json or by a known name: what a plan needs, without opening weights. The engine reads
 * the file again with all its rules; here only sizes that cannot be are refused.
 */
import { EngineError } from "@chasqui/core"

/** A model's sizes: counts, widths in elements, `context` in tokens. */
export interface ModelShape {
  readonly name: string
  readonly layers: number
  readonly dim: number
  readonly ffn: number
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  readonly vocabulary: number
  readonly context: number
  /** The output head is the embedding. */
  readonly tied: boolean
}

const llama = (
  name: string,
  [layers, dim, ffn, heads, headDim]: readonly [number, number, number, number, number],
  tied = false,
): ModelShape => ({
  ...{ name, layers, dim, ffn, heads, headDim, tied },
  kvHeads: 8,
  vocabulary: 128_256,
  context: 131_072,
})

/** The text models of Llama 3.1, 3.2 and 3.3 by their sizes. */
export const knownShapes: Readonly<Record<string, ModelShape>> = {
  "1B": llama("1B", [16, 2048, 8192, 32, 64], true),
  "3B": llama("3B", [28, 3072, 8192, 24, 128], true),
  "8B": llama("8B", [32, 4096, 14_336, 32, 128]),
  "70B": llama("70B", [80, 8192, 28_672, 64, 128]),
  "405B": llama("405B", [126, 16_384, 53_248, 128, 128]),
}

/** The shape that a parsed config.json describes. Throws EngineError `bad-checkpoint` or `unsupported`. */
export function shapeOfConfig(name: string, config: unknown): ModelShape {
  const fields = typeof config === "object" && config !== null ? (config as Readonly<Record<string, unknown>>) : {}
  if (fields.model_type !== "llama")
    throw new EngineError({
      reason: "unsupported",
      detail: `The model type of ${name} is ${JSON.stringify(fields.model_type) ?? "missing"}.`,
      fix: "Use a checkpoint of type llama.",
    })
  const size = (key: string, otherwise?: number): number => {
    const value = fields[key] ?? otherwise
    if (typeof value === "number" && Number.isSafeInteger(value) && value > 0 && value < 2 ** 28) return value
    throw new EngineError({
      reason: "bad-checkpoint",
      detail: `${key} of ${name} is ${JSON.stringify(value) ?? "missing"}.`,
      fix: "Use the config.json that came with the weights.",
    })
  }
  const dim = size("hidden_size")
  const heads = size("num_attention_heads")
  return {
    name,
    layers: size("num_hidden_layers"),
    dim,
    ffn: size("intermediate_size"),
    heads,
    kvHeads: size("num_key_value_heads", heads),
    headDim: size("head_dim", Math.floor(dim / heads)),
    vocabulary: size("vocab_size"),
    context: size("max_position_embeddings", 2048),
    tied: fields.tie_word_embeddings === true,
  }
}

/** A matrix of a linear layer, by the path of its module. */
export interface LinearShape {
  readonly module: string
  readonly outputs: number
  readonly inputs: number
}

/** The linear layers of one layer of the model, in the order in which they run. */
export function layerLinears({ dim, ffn, heads, kvHeads, headDim }: ModelShape, layer: number): readonly LinearShape[] {
  const at = (module: string, outputs: number, inputs: number): LinearShape => ({
    module: `model.layers.${layer}.${module}`,
    outputs,
    inputs,
  })
  return [
    at("self_attn.q_proj", heads * headDim, dim),
    at("self_attn.k_proj", kvHeads * headDim, dim),
    at("self_attn.v_proj", kvHeads * headDim, dim),
    at("self_attn.o_proj", dim, heads * headDim),
    at("mlp.gate_proj", ffn, dim),
    at("mlp.up_proj", ffn, dim),
    at("mlp.down_proj", dim, ffn),
  ]
}

/** All weights, those of the embedding and of an untied head included. */
export function parametersOf(shape: ModelShape): number {
  const { layers, dim, vocabulary, tied } = shape
  const linears = layerLinears(shape, 0).reduce((sum, { outputs, inputs }) => sum + outputs * inputs, 0)
  return layers * (linears + 2 * dim) + dim + vocabulary * dim * (tied ? 1 : 2)
}
