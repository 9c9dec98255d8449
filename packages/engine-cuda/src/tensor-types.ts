/** Types and shapes of a checkpoint's tensors, read from the headers of its files alone; and what config.json adds. */
import { existsSync } from "node:fs"
import { open, readFile } from "node:fs/promises"
import { join } from "node:path"
import { EngineError } from "@chasqui/core"

/** A tensor as safetensors names it: `dtype` such as `BF16`, `shape` outermost first. */
export interface TensorType {
  readonly dtype: string
  readonly shape: readonly number[]
}

/** A checkpoint's tensors by name, and what of its quantisation the names do not tell. */
export interface TensorTypes {
  get(name: string): TensorType | undefined
  /** Inputs are ordered by activation (desc_act). */
  readonly isOrdered: boolean
  /** Inputs to a block of `weight_block_size`. */
  readonly block: number | undefined
}

const mostHeaderBytes = 100_000_000

/** Undefined where the folder has no weights. Throws EngineError `bad-checkpoint` for headers that cannot be read. */
export async function readTensorTypes(folder: string, config: unknown): Promise<TensorTypes | undefined> {
  const files = await weightFiles(folder)
  if (files.length === 0) return undefined
  const tensors = new Map<string, TensorType>()
  for (const file of files) {
    for (const [name, type] of Object.entries(await readHeader(join(folder, file)))) {
      if (name !== "__metadata__" && isTensorType(type)) tensors.set(name, type)
    }
  }
  const quantization = (config as { readonly quantization_config?: Readonly<Record<string, unknown>> })
    .quantization_config
  const blocks = quantization?.weight_block_size
  return {
    get: (name) => tensors.get(name),
    isOrdered: quantization?.desc_act === true || quantization?.actorder === "group",
    block: Array.isArray(blocks) && typeof blocks[1] === "number" ? blocks[1] : undefined,
  }
}

async function weightFiles(folder: string): Promise<readonly string[]> {
  const index = join(folder, "model.safetensors.index.json")
  if (!existsSync(index)) return existsSync(join(folder, "model.safetensors")) ? ["model.safetensors"] : []
  const parsed = JSON.parse(await readFile(index, "utf8")) as {
    readonly weight_map?: Readonly<Record<string, unknown>>
  }
  const names = [...new Set(Object.values(parsed.weight_map ?? {}))].filter((name) => typeof name === "string")
  const outside = names.find((name) => name.includes("/") || name.includes("\\"))
  if (outside === undefined) return names
  throw bad(index, `names a file outside the folder, ${JSON.stringify(outside)}`)
}

async function readHeader(path: string): Promise<Readonly<Record<string, unknown>>> {
  const file = await open(path).catch(() => undefined)
  if (file === undefined) throw bad(path, "cannot be opened")
  try {
    const head = Buffer.alloc(8)
    await file.read(head, 0, 8, 0)
    const length = head.readBigUInt64LE()
    if (length > mostHeaderBytes || length > (await file.stat()).size) throw bad(path, "has no safetensors header")
    const text = Buffer.alloc(Number(length))
    await file.read(text, 0, text.length, 8)
    const header: unknown = JSON.parse(text.toString("utf8"))
    if (typeof header === "object" && header !== null) return header as Readonly<Record<string, unknown>>
    throw bad(path, "has no safetensors header")
  } catch (cause) {
    throw cause instanceof EngineError ? cause : bad(path, "has a header that is not JSON")
  } finally {
    await file.close()
  }
}

function isTensorType(value: unknown): value is TensorType {
  const { dtype, shape } = (value ?? {}) as Partial<TensorType>
  return typeof dtype === "string" && Array.isArray(shape) && shape.every((extent) => Number.isSafeInteger(extent))
}

function bad(path: string, what: string): EngineError {
  return new EngineError({
    reason: "bad-checkpoint",
    detail: `${path} ${what}.`,
    fix: "Download the checkpoint again.",
  })
}
