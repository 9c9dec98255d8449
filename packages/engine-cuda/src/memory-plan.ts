/**
 * What a model takes before it is loaded: weights, KV cache and workspace as the engine will claim them, and training as an
 * estimate. Computed from shapes and schemes alone.
 */
import { availableParallelism } from "node:os"
import { type LinearShape, layerLinears, type ModelShape, parametersOf } from "./model-shape.ts"
import type { KvFormat, WeightFormat } from "./options.ts"
import type { TensorTypes } from "./tensor-types.ts"
import { loadScheme, matrixBytes, storedScheme, type WeightScheme } from "./weight-scheme.ts"

/** How the model would be loaded; what is absent is as in LoadOptions. */
export interface PlanOptions {
  /** Tokens of each conversation. */
  readonly context: number
  /** Conversations held at once. */
  readonly batch: number
  readonly weights?: WeightFormat
  readonly kv?: KvFormat
  /** What the checkpoint's files hold; absent: 16 bits everywhere. */
  readonly tensors?: TensorTypes
  readonly stepTokens?: number
  readonly threads?: number
}

/** Bytes. */
export interface MemoryPlan {
  readonly parameters: number
  /** The linear layers, the head among them, with their scales. */
  readonly weights: number
  readonly embedding: number
  readonly kvCache: number
  readonly kvPerToken: number
  readonly workspace: number
  readonly total: number
}

const kvBytes: Readonly<Record<KvFormat, number>> = { bf16: 2, f32: 4, fp8: 1 }
const pageTokens = 16

/** What the engine will claim; the workspace is that of the CPU backend. */
export function memoryPlan(shape: ModelShape, options: PlanOptions): MemoryPlan {
  const { context, batch, kv = "bf16" } = options
  const kvPerToken = shape.layers * 2 * shape.kvHeads * Math.ceil(shape.headDim / 16) * 16 * kvBytes[kv]
  const kvCache = batch * Math.ceil(context / pageTokens) * pageTokens * kvPerToken
  const weights = linearBytes(shape, options)
  const table = options.tensors?.get("model.embed_tokens.weight")?.dtype === "F32" ? 4 : 2
  const embedding = shape.vocabulary * shape.dim * table
  const workspace = workspaceBytes(shape, options)
  const total = weights + embedding + kvCache + workspace
  return { parameters: parametersOf(shape), weights, embedding, kvCache, kvPerToken, workspace, total }
}

function linearBytes(shape: ModelShape, options: PlanOptions): number {
  const head: LinearShape = {
    module: shape.tied ? "model.embed_tokens" : "lm_head",
    outputs: shape.vocabulary,
    inputs: shape.dim,
  }
  let bytes = matrixBytes(head, schemeOf(head, options, true))
  for (let layer = 0; layer < shape.layers; layer++) {
    for (const linear of layerLinears(shape, layer)) bytes += matrixBytes(linear, schemeOf(linear, options, false))
  }
  return bytes
}

function schemeOf(linear: LinearShape, { tensors, weights = "as-stored" }: PlanOptions, isHead: boolean): WeightScheme {
  const stored = tensors === undefined ? undefined : storedScheme(tensors, linear)
  if (stored?.kind === "codes") return stored
  return weights === "as-stored" && stored !== undefined ? stored : loadScheme(weights, isHead)
}

/** Activations of one pass in float, its inputs as the products want them, and each thread's sums and unpacked weights. */
function workspaceBytes(shape: ModelShape, { stepTokens = 512, threads = defaultThreads() }: PlanOptions): number {
  const { dim, ffn, heads, kvHeads, headDim, vocabulary, context } = shape
  const q = heads * headDim
  const rows = Math.min(stepTokens, context)
  const widest = Math.max(dim, ffn, q)
  const row = dim + (q + 2 * kvHeads * headDim) + q + ffn
  const inputs = rows * (widest + inputGroup)
  const scratch = rowsAtOnce * panelsAtOnce * panel + (panelsAtOnce * stretch * panel * 2) / 4
  return 4 * (rows * row + Math.min(rows, 64) * vocabulary + threads * (scratch + widest) + inputs)
}

// How the products of the CPU backend are cut (`native/src/backend/cpu/linear.h`).
const rowsAtOnce = 96
const panelsAtOnce = 4
const panel = 32
const stretch = 256
const inputGroup = 64

const defaultThreads = (): number => Math.min(availableParallelism(), 8)

/** Bytes that training takes besides activations, which depend on batch, length and recomputation. An estimate. */
export interface TrainingPlan {
  /** Every weight, with AdamW: weights and gradients in 16 bits, a 32-bit copy and two moments. */
  readonly full: number
  /** Rank 16 on all linear layers over a 16-bit model. */
  readonly lora: number
  /** The same over an NF4 model. */
  readonly qlora: number
}

const bytesPerTrained = 16
const rank = 16

/** What training the whole model, or an adapter for it, takes. */
export function trainingPlan(shape: ModelShape): TrainingPlan {
  const parameters = parametersOf(shape)
  const adapter = layerLinears(shape, 0).reduce((sum, { outputs, inputs }) => sum + rank * (outputs + inputs), 0)
  const trained = bytesPerTrained * shape.layers * adapter
  const tables = shape.vocabulary * shape.dim * (shape.tied ? 1 : 2)
  const nf4 = (parameters - tables) * (0.5 + 1 / 64 + 4 / (64 * 256)) + tables * 2
  return { full: bytesPerTrained * parameters, lora: 2 * parameters + trained, qlora: Math.round(nf4 + trained) }
}
