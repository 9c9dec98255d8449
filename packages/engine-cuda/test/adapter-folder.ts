/** LoRA adapters for the tiny model, written as PEFT writes them: seeded values, any projections and ranks. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const sizes: Readonly<Record<string, readonly [outputs: number, inputs: number]>> = {
  "self_attn.q_proj": [256, 256],
  "self_attn.k_proj": [128, 256],
  "self_attn.v_proj": [128, 256],
  "self_attn.o_proj": [256, 256],
  "mlp.gate_proj": [704, 256],
  "mlp.up_proj": [704, 256],
  "mlp.down_proj": [256, 704],
}

export interface AdapterShape {
  readonly seed: number
  readonly rank?: number
  readonly projections?: readonly string[]
  /** Standard size of the values; large enough by default to change what the model says. */
  readonly size?: number
  readonly config?: Readonly<Record<string, unknown>>
}

/** Writes the adapter into `folder`, which is made. */
export function writeAdapter(folder: string, shape: AdapterShape): void {
  const { seed, rank = 4, projections = Object.keys(sizes), size = 0.2, config = {} } = shape
  let state = seed
  const values = (count: number) =>
    Float32Array.from({ length: count }, () => {
      state = (state * 1103515245 + 12345) % 2 ** 31
      return (state / 2 ** 30 - 1) * size
    })
  const tensors: [name: string, shape: readonly number[], data: Float32Array][] = []
  for (let layer = 0; layer < 6; layer++) {
    for (const projection of projections) {
      const [outputs, inputs] = sizes[projection] as readonly [number, number]
      const name = `base_model.model.model.layers.${layer}.${projection}`
      tensors.push([`${name}.lora_A.weight`, [rank, inputs], values(rank * inputs)])
      tensors.push([`${name}.lora_B.weight`, [outputs, rank], values(rank * outputs)])
    }
  }
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, "adapter_model.safetensors"), safetensors(tensors))
  const written = { peft_type: "LORA", r: rank, lora_alpha: 2 * rank, bias: "none", fan_in_fan_out: false, ...config }
  writeFileSync(join(folder, "adapter_config.json"), JSON.stringify(written))
}

function safetensors(tensors: readonly [string, readonly number[], Float32Array][]): Buffer {
  let offset = 0
  const header: Record<string, unknown> = {}
  for (const [name, shape, data] of tensors) {
    header[name] = { dtype: "F32", shape, data_offsets: [offset, offset + data.byteLength] }
    offset += data.byteLength
  }
  const text = Buffer.from(JSON.stringify(header))
  const padded = Buffer.concat([text, Buffer.alloc((8 - (text.length % 8)) % 8, " ")])
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(padded.length))
  return Buffer.concat([length, padded, ...tensors.map(([, , data]) => Buffer.from(data.buffer))])
}
