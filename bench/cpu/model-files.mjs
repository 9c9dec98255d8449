// The two files of one model: a Hugging Face folder (bf16 safetensors) and a GGUF, of the shape of Llama 3.2 1B, with
// random weights. Both are cut from the same pool of normal numbers, encoded once for each format.
import { closeSync, existsSync, mkdirSync, openSync, renameSync, writeFileSync, writeSync } from "node:fs"

export const shape = {
  dim: 2048,
  layers: 16,
  heads: 32,
  kvHeads: 8,
  ffn: 8192,
  vocabulary: 128256,
  headDim: 64,
  context: 131072,
}

const bytesOf = { bf16: [1, 2], q8_0: [32, 34], q4_0: [32, 18] }
const ggufType = { f32: 0, q4_0: 2, q8_0: 8, bf16: 30 }
const ggufFileType = { bf16: 32, q8_0: 7, q4_0: 2 }
const poolSize = 1 << 21

/** Matrices as [gguf name, safetensors name, columns, rows]. */
function matrices() {
  const { dim, ffn, layers, vocabulary } = shape
  const kv = shape.kvHeads * shape.headDim
  const list = [["token_embd", "model.embed_tokens", dim, vocabulary]]
  for (let i = 0; i < layers; i++) {
    const of = (gguf, name, columns, rows) =>
      list.push([`blk.${i}.${gguf}`, `model.layers.${i}.${name}`, columns, rows])
    of("attn_q", "self_attn.q_proj", dim, dim)
    of("attn_k", "self_attn.k_proj", dim, kv)
    of("attn_v", "self_attn.v_proj", dim, kv)
    of("attn_output", "self_attn.o_proj", dim, dim)
    of("ffn_gate", "mlp.gate_proj", dim, ffn)
    of("ffn_up", "mlp.up_proj", dim, ffn)
    of("ffn_down", "mlp.down_proj", ffn, dim)
  }
  return list
}

function norms() {
  const list = [["output_norm", "model.norm"]]
  for (let i = 0; i < shape.layers; i++) {
    list.push([`blk.${i}.attn_norm`, `model.layers.${i}.input_layernorm`])
    list.push([`blk.${i}.ffn_norm`, `model.layers.${i}.post_attention_layernorm`])
  }
  return list
}

// ---- numbers ----

function normalPool() {
  let state = 0x9e3779b9
  const uniform = () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return ((state >>> 0) + 0.5) / 4294967296
  }
  return Float32Array.from({ length: poolSize }, () => {
    return 0.02 * Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform())
  })
}

function encode(pool, format) {
  const [block, bytes] = bytesOf[format]
  const out = Buffer.alloc((pool.length / block) * bytes)
  const bits = new Uint32Array(pool.buffer)
  if (format === "bf16") {
    for (let i = 0; i < pool.length; i++) {
      out.writeUInt16LE(((bits[i] + 0x7fff + ((bits[i] >>> 16) & 1)) >>> 16) & 0xffff, 2 * i)
    }
    return out
  }
  for (let b = 0; b < pool.length / block; b++)
    encodeBlock(pool.subarray(b * block, (b + 1) * block), out, b * bytes, format)
  return out
}

// ggml's blocks: a half-precision scale, then 32 integers.
function encodeBlock(x, out, at, format) {
  let most = 0
  for (const value of x) if (Math.abs(value) > Math.abs(most)) most = value
  const scale = format === "q8_0" ? Math.abs(most) / 127 : most / -8
  out.writeUInt16LE(half(scale), at)
  for (let i = 0; i < 32; i++) {
    if (format === "q8_0") {
      out.writeInt8(Math.round(x[i] / scale), at + 2 + i)
      continue
    }
    const q = Math.max(0, Math.min(15, Math.floor(x[i] / scale + 8.5)))
    out[at + 2 + (i % 16)] |= q << (i < 16 ? 0 : 4)
  }
}

const half = (value) => new Uint16Array(new Float16Array([value]).buffer)[0]

// ---- writing ----

// `elements` of a matrix from the encoded pool, from a place that depends on `index`.
function writeMatrix(file, encoded, format, elements, index) {
  const [block, bytes] = bytesOf[format]
  let left = (elements / block) * bytes
  let at = (((index * 7919 * 4096) % poolSize) / block) * bytes
  while (left > 0) {
    const count = Math.min(left, encoded.length - at)
    writeSync(file, encoded, at, count)
    left -= count
    at = 0
  }
}

/** Makes the folder if it is not there, and returns its path. */
export function safetensorsFolder(parent) {
  const folder = `${parent}/1b`
  if (existsSync(`${folder}/model.safetensors`)) return folder
  mkdirSync(folder, { recursive: true })
  writeFileSync(
    `${folder}/config.json`,
    JSON.stringify({
      architectures: ["LlamaForCausalLM"],
      model_type: "llama",
      hidden_size: shape.dim,
      intermediate_size: shape.ffn,
      num_hidden_layers: shape.layers,
      num_attention_heads: shape.heads,
      num_key_value_heads: shape.kvHeads,
      head_dim: shape.headDim,
      vocab_size: shape.vocabulary,
      max_position_embeddings: shape.context,
      rms_norm_eps: 1e-5,
      rope_theta: 500000,
      rope_scaling: {
        rope_type: "llama3",
        factor: 32,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 8192,
      },
      tie_word_embeddings: true,
      torch_dtype: "bfloat16",
      bos_token_id: 128000,
      eos_token_id: 128009,
    }),
  )
  const header = { __metadata__: { format: "pt" } }
  let offset = 0
  const add = (name, dimensions) => {
    const bytes = 2 * dimensions.reduce((a, b) => a * b)
    header[`${name}.weight`] = { dtype: "BF16", shape: dimensions, data_offsets: [offset, offset + bytes] }
    offset += bytes
  }
  for (const [, name, columns, rows] of matrices()) add(name, [rows, columns])
  for (const [, name] of norms()) add(name, [shape.dim])
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  const file = openSync(`${folder}/making`, "w")
  writeSync(file, length)
  writeSync(file, text)
  const encoded = encode(normalPool(), "bf16")
  for (const [index, [, , columns, rows]] of matrices().entries())
    writeMatrix(file, encoded, "bf16", columns * rows, index)
  const ones = Buffer.alloc(2 * shape.dim)
  for (let i = 0; i < shape.dim; i++) ones.writeUInt16LE(0x3f80, 2 * i)
  for (const _ of norms()) writeSync(file, ones)
  closeSync(file)
  renameSync(`${folder}/making`, `${folder}/model.safetensors`)
  return folder
}

/** Makes the GGUF of a format if it is not there, and returns its path. */
export function ggufFile(parent, format) {
  const path = `${parent}/1b-${format}.gguf`
  if (existsSync(path)) return path
  mkdirSync(parent, { recursive: true })
  const size = (dimensions, type) => {
    const elements = dimensions.reduce((a, b) => a * b)
    if (type === "f32") return 4 * elements
    const [block, bytes] = bytesOf[type]
    return (elements / block) * bytes
  }
  const tensors = matrices().map(([name, , columns, rows]) => [`${name}.weight`, [columns, rows], format])
  for (const [name] of norms()) tensors.push([`${name}.weight`, [shape.dim], "f32"])
  tensors.push(["rope_freqs.weight", [shape.headDim / 2], "f32"])
  const header = new GgufHeader(tensors.length)
  let offset = 0
  for (const [name, dimensions, type] of tensors) {
    header.tensor(name, dimensions, ggufType[type], offset)
    offset += Math.ceil(size(dimensions, type) / 32) * 32
  }
  const file = openSync(`${path}.making`, "w")
  writeSync(file, header.bytes(format))
  const encoded = encode(normalPool(), format)
  for (const [index, [name, dimensions, type]] of tensors.entries()) {
    const bytes = size(dimensions, type)
    if (type !== "f32") writeMatrix(file, encoded, format, dimensions[0] * dimensions[1], index)
    else
      writeSync(
        file,
        Buffer.from((name.startsWith("rope") ? ropeDivisors() : new Float32Array(shape.dim).fill(1)).buffer),
      )
    writeSync(file, Buffer.alloc(Math.ceil(bytes / 32) * 32 - bytes))
  }
  closeSync(file)
  renameSync(`${path}.making`, path)
  return path
}

function ropeDivisors() {
  return Float32Array.from({ length: shape.headDim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * 500000 ** ((2 * i) / shape.headDim)
    if (wavelength > 8192) return 32
    if (wavelength < 8192 / 4) return 1
    const kept = (8192 / wavelength - 1) / 3
    return 1 / ((1 - kept) / 32 + kept)
  })
}

class GgufHeader {
  #parts = []
  #tensors = []
  #pairs = 0
  #count

  constructor(count) {
    this.#count = count
  }

  tensor(name, dimensions, type, offset) {
    this.#tensors.push(string(name), u32(dimensions.length), ...dimensions.map(u64), u32(type), u64(offset))
  }

  #pair(key, type, ...values) {
    this.#parts.push(string(key), u32(type), ...values)
    this.#pairs++
  }

  bytes(format) {
    const text = (key, value) => this.#pair(key, 8, string(value))
    const number = (key, value) => this.#pair(key, 4, u32(value))
    const real = (key, value) => this.#pair(key, 6, f32(value))
    text("general.architecture", "llama")
    text("general.name", `random 1b ${format}`)
    number("general.alignment", 32)
    number("general.file_type", ggufFileType[format])
    number("llama.block_count", shape.layers)
    number("llama.context_length", shape.context)
    number("llama.embedding_length", shape.dim)
    number("llama.feed_forward_length", shape.ffn)
    number("llama.attention.head_count", shape.heads)
    number("llama.attention.head_count_kv", shape.kvHeads)
    real("llama.attention.layer_norm_rms_epsilon", 1e-5)
    real("llama.rope.freq_base", 500000)
    number("llama.rope.dimension_count", shape.headDim)
    number("llama.vocab_size", shape.vocabulary)
    this.#vocabulary()
    const head = Buffer.concat([
      Buffer.from("GGUF"),
      u32(3),
      u64(this.#count),
      u64(this.#pairs),
      ...this.#parts,
      ...this.#tensors,
    ])
    return Buffer.concat([head, Buffer.alloc(Math.ceil(head.length / 32) * 32 - head.length)])
  }

  // 256 bytes, filler, and special tokens at the end.
  #vocabulary() {
    const plain = shape.vocabulary - 256
    const tokens = [...byteAlphabet(), "Ġt"]
    while (tokens.length < plain) tokens.push(`x${String(tokens.length).padStart(6, "0")}`)
    const special = ["<|begin_of_text|>", "<|end_of_text|>"]
    while (special.length < 256) special.push(`<|reserved_${special.length}|>`)
    const all = [...tokens, ...special]
    this.#pair("tokenizer.ggml.model", 8, string("gpt2"))
    this.#pair("tokenizer.ggml.pre", 8, string("llama-bpe"))
    const types = Buffer.concat(all.map((_, i) => u32(i < plain ? 1 : 3)))
    this.#pair("tokenizer.ggml.tokens", 9, u32(8), u64(all.length), Buffer.concat(all.map(string)))
    this.#pair("tokenizer.ggml.token_type", 9, u32(5), u64(all.length), types)
    this.#pair("tokenizer.ggml.merges", 9, u32(8), u64(1), string("Ġ t"))
    this.#pair("tokenizer.ggml.bos_token_id", 4, u32(plain))
    this.#pair("tokenizer.ggml.eos_token_id", 4, u32(plain + 1))
  }
}

// The printable stand-ins for bytes that byte-level vocabularies use.
function byteAlphabet() {
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173)
    return String.fromCharCode(printable ? byte : next++)
  })
}

function string(value) {
  const bytes = Buffer.from(value)
  return Buffer.concat([u64(bytes.length), bytes])
}

function u32(value) {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function u64(value) {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

function f32(value) {
  const bytes = Buffer.alloc(4)
  bytes.writeFloatLE(value)
  return bytes
}
