/** `chasqui plan`: what a model takes in memory before it is downloaded or loaded, and where it fits. */
import { existsSync, readFileSync } from "node:fs"
import { totalmem } from "node:os"
import { basename, join, resolve } from "node:path"
import {
  type KvFormat,
  knownShapes,
  kvFormats,
  type MemoryPlan,
  type ModelShape,
  memoryPlan,
  readTensorTypes,
  shapeOfConfig,
  type TensorTypes,
  trainingPlan,
  type WeightFormat,
  weightFormats,
} from "@chasqui/engine-cuda"
import type { Command, ExitCode } from "./command.ts"
import { numberOption, oneOf, readOptions } from "./options.ts"
import { type Terminal, visible } from "./terminal.ts"
import { UsageError } from "./usage-error.ts"

const help = `Usage: chasqui plan [options] MODEL

Shows what a model takes in memory: weights with their scales, KV cache, workspace; where that fits; what training would
take. MODEL is a checkpoint's folder, of which only config.json and the headers of the weights are read, or one of
${Object.keys(knownShapes).join(", ")}: the Llama of that size.

  --context N        tokens of each conversation (default 8192, or what the model was made for)
  --batch N          conversations at once (default 1)
  --weights FORMAT   ${weightFormats.join(", ")} (default as-stored: the files' formats, 16 bits for a name)
  --kv FORMAT        how the cache is kept: ${kvFormats.join(", ")} (default bf16)
  --json             all figures, in bytes, as JSON

Examples:
  chasqui plan 8B --context 131072 --weights int4
  chasqui plan ./Llama-3.1-8B-Instruct --batch 8
`

const options = {
  context: { type: "string" },
  batch: { type: "string" },
  weights: { type: "string" },
  kv: { type: "string" },
  json: { type: "boolean" },
} as const

export const command: Command = { help, run }

const gibi = 2 ** 30
const giga = 1e9

/** Memory as the driver reports it, in GiB. */
const devices: readonly (readonly [name: string, gib: number])[] = [
  ["RTX 3060, 12 GB", 12],
  ["RTX 4080, 16 GB", 16],
  ["RTX 4090, 24 GB", 24],
  ["RTX 5090, 32 GB", 31.8],
  ["L40S, 48 GB", 45],
  ["A100, 80 GB", 80],
  ["H100, 80 GB", 79.6],
  ["H200, 141 GB", 140.4],
]

async function run(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { values, positionals } = readOptions(args, options)
  const [model, ...rest] = positionals
  if (model === undefined || rest.length > 0) throw new UsageError("chasqui plan takes one model: a folder or a name.")
  const { shape, tensors } = await readModel(model)
  const context = whole("context", values.context) ?? Math.min(8192, shape.context)
  if (context > shape.context) throw new UsageError(`--context is at most ${shape.context} for ${visible(shape.name)}.`)
  const batch = whole("batch", values.batch) ?? 1
  const weights = oneOf("weights", values.weights, weightFormats) ?? "as-stored"
  const kv = oneOf("kv", values.kv, kvFormats) ?? "bf16"
  const plan = memoryPlan(shape, { context, batch, weights, kv, ...(tensors && { tensors }) })
  const training = trainingPlan(shape)
  const fits = devicesFor(plan)
  if (values.json)
    terminal.out(`${JSON.stringify({ model: shape, context, batch, weights, kv, plan, training, fits }, null, 2)}\n`)
  else
    terminal.out(
      `${describe({ shape, plan, context, batch, weights, kv })}${table(fits)}${thumb(shape)}${trained(shape)}`,
    )
  return 0
}

async function readModel(model: string): Promise<{ shape: ModelShape; tensors: TensorTypes | undefined }> {
  const known = Object.hasOwn(knownShapes, model.toUpperCase()) ? knownShapes[model.toUpperCase()] : undefined
  if (known !== undefined) return { shape: known, tensors: undefined }
  const folder = resolve(model)
  const file = join(folder, "config.json")
  if (!existsSync(file))
    throw new UsageError(
      `There is no ${visible(file)}, and no model named ${JSON.stringify(model)}. Names are ${Object.keys(knownShapes).join(", ")}.`,
    )
  const config = parsed(file)
  return { shape: shapeOfConfig(basename(folder), config), tensors: await readTensorTypes(folder, config) }
}

function parsed(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"))
  } catch {
    throw new UsageError(`${visible(file)} is not JSON.`)
  }
}

function whole(name: string, value: string | undefined): number | undefined {
  const number = numberOption(name, value, 1)
  if (number === undefined || (Number.isSafeInteger(number) && number < 2 ** 31)) return number
  throw new UsageError(`--${name} takes a whole number below 2^31.`)
}

interface Fit {
  readonly device: string
  readonly gib: number
  readonly fits: boolean
  /** Devices of this kind that would hold it together; this engine uses one. */
  readonly devices: number
}

/** A twentieth of each device is left to its driver, or to the rest of the machine. */
function devicesFor({ total }: MemoryPlan): readonly Fit[] {
  return [["this machine's memory", totalmem() / gibi] as const, ...devices].map(([device, gib]) => {
    const needed = Math.ceil(total / (0.95 * gib * gibi))
    return { device, gib: Number(gib.toFixed(1)), fits: needed <= 1, devices: needed }
  })
}

interface Described {
  readonly shape: ModelShape
  readonly plan: MemoryPlan
  readonly context: number
  readonly batch: number
  readonly weights: WeightFormat
  readonly kv: KvFormat
}

function describe({ shape, plan, context, batch, weights, kv }: Described): string {
  const row = (label: string, bytes: number, note = "") =>
    `  ${label.padEnd(12)}${size(bytes).padStart(12)}${note === "" ? "" : `   ${note}`}\n`
  const perWeight =
    ((plan.weights + plan.embedding) * 8) / (plan.parameters + (shape.tied ? shape.vocabulary * shape.dim : 0))
  return (
    `${visible(shape.name)}: ${parameters(plan.parameters)} weights, ${shape.layers} layers\n\n` +
    row(
      "weights",
      plan.weights,
      `${weights}, scales and head included; ${perWeight.toFixed(2)} bits a weight with the embedding`,
    ) +
    row("embedding", plan.embedding, "the CPU reads it from its file") +
    row(
      "KV cache",
      plan.kvCache,
      `${kv}, ${batch} x ${context} tokens, ${(plan.kvPerToken / 1024).toFixed(0)} KiB a token`,
    ) +
    row("workspace", plan.workspace, "512 tokens a pass") +
    row("together", plan.total)
  )
}

function parameters(count: number): string {
  return count >= giga ? `${(count / giga).toFixed(2)} billion` : `${(count / 1e6).toFixed(2)} million`
}

function table(fits: readonly Fit[]): string {
  const lines = fits.map(
    ({ device, gib, fits: alone, devices: needed }) =>
      `  ${device.padEnd(24)}${gib.toFixed(1).padStart(7)} GiB   ${alone ? "fits" : `no (${needed} together; this engine uses one)`}`,
  )
  return `\nWhere it fits\n${lines.join("\n")}\n`
}

/** The figures that are usually quoted, and how they come about. */
const ruleOfThumb: Readonly<Record<string, readonly [sixteen: number, eight: number, four: number, kv: number]>> = {
  "8B": [16, 8, 4, 0.125],
  "70B": [140, 70, 35, 0.313],
  "405B": [810, 405, 203, 0.49],
}

function thumb(shape: ModelShape): string {
  const quoted = ruleOfThumb[shape.name]
  if (quoted === undefined) return ""
  const [sixteen, eight, four, cache] = quoted
  const computed = (["as-stored", "fp8", "int4"] as const).map((weights) => {
    const plan = memoryPlan(shape, { context: 1024, batch: 1, weights })
    return ((plan.weights + plan.embedding) / giga).toFixed(1)
  })
  const twice = shape.name === "405B" ? " (0.98 is often printed: that is twice too much)" : ""
  return (
    "\nRule of thumb, and what this engine takes (GB; weights with embedding, head and scales)\n" +
    `  16 bits ${sixteen} (${computed[0]})   8 bits ${eight} (${computed[1]} in fp8)   4 bits ${four} (${computed[2]} in int4, its head in int8)\n` +
    `  KV cache of 1,024 tokens at 16 bits: ${cache} GiB${twice}\n`
  )
}

function trained(shape: ModelShape): string {
  const { full, lora, qlora } = trainingPlan(shape)
  return (
    "\nTraining, an estimate; activations come on top (this engine does not train)\n" +
    `  all weights ${size(full)}   LoRA, rank 16 ${size(lora)}   QLoRA ${size(qlora)}\n`
  )
}

function size(bytes: number): string {
  return bytes >= gibi / 10 ? `${(bytes / gibi).toFixed(2)} GiB` : `${(bytes / 2 ** 20).toFixed(2)} MiB`
}
