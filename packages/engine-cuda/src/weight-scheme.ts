/**
 * How many bytes a matrix takes on the device, by the way its weights are kept: the arithmetic of the CPU backend's panels,
 * scales, zeros and tables included. Plans are reckoned with it, and a test holds it to what the backend claims.
 */
import type { LinearShape } from "./model-shape.ts"
import type { WeightFormat } from "./options.ts"
import type { TensorTypes } from "./tensor-types.ts"

/** How the weights of one matrix are kept. */
export type WeightScheme =
  | { readonly kind: "plain"; readonly bytes: 2 | 4 }
  /** Quantised on load, with scales of 16 bits inside the panels. */
  | { readonly kind: "integers"; readonly bits: 4 | 8; readonly group: number }
  /** Quantised in its file, or NF4 and FP8 on load. `group` 0: one scale for each output. */
  | {
      readonly kind: "codes"
      readonly bits: 4 | 8
      readonly group: number
      readonly scaleBytes: 2 | 4
      readonly zeros: boolean
      readonly ordered: boolean
    }

const panel = 32
const line = 64
/** Steps that codes are filled up to. */
const codeSteps = 64
const upTo = (value: number, unit: number): number => Math.ceil(value / unit) * unit

export function matrixBytes(
  { outputs, inputs }: Pick<LinearShape, "outputs" | "inputs">,
  scheme: WeightScheme,
): number {
  const rows = upTo(outputs, panel)
  if (scheme.kind === "plain") return rows * inputs * scheme.bytes
  if (scheme.kind === "integers") {
    const { bits, group } = scheme
    return rows * Math.ceil(inputs / group) * ((group * bits) / 8 + 2)
  }
  const { bits, scaleBytes, zeros, ordered } = scheme
  const group = scheme.group === 0 ? inputs : scheme.group
  const groups = Math.ceil(inputs / group)
  const codes = upTo(inputs, codeSteps) * panel * (bits / 8)
  const zeroBytes = zeros ? upTo(groups * panel, line) : 0
  // Where a run of at least four steps with one scale does not exist, each step names its group.
  const stepwise = ordered || (groups > 1 && group % 4 !== 0)
  const shared = (bits === 4 ? line : 0) + (stepwise ? upTo(inputs * 4, line) : 0)
  return (rows / panel) * (codes + groups * panel * scaleBytes + zeroBytes) + shared
}

const plain16: WeightScheme = { kind: "plain", bytes: 2 }
const codes = { kind: "codes", zeros: false, ordered: false } as const

/** What `weights: format` makes of a plain matrix of 16 bits; the head keeps more than four bits. */
export function loadScheme(format: WeightFormat, isHead: boolean): WeightScheme {
  switch (format) {
    case "as-stored":
      return plain16
    case "int8":
      return { kind: "integers", bits: 8, group: 128 }
    case "int4":
      return isHead ? loadScheme("int8", true) : { kind: "integers", bits: 4, group: 64 }
    case "nf4":
      return isHead ? loadScheme("int8", true) : { ...codes, bits: 4, group: 64, scaleBytes: 4 }
    case "fp8":
      return { ...codes, bits: 8, group: 0, scaleBytes: 4 }
  }
}

/** What the tensors of a checkpoint say of a matrix; undefined where it has none of a form that the engine reads. */
export function storedScheme(tensors: TensorTypes, { module, inputs }: LinearShape): WeightScheme | undefined {
  const at = (suffix: string) => tensors.get(`${module}.${suffix}`)
  const weight = at("weight")
  if (at("weight.quant_map") !== undefined) {
    const absmax = at("weight.absmax")?.shape[0] ?? 1
    const count =
      (weight?.shape ?? []).reduce((product, extent) => product * extent, 1) * (typeBytes[weight?.dtype ?? ""] ?? 1)
    return { ...codes, bits: 4, group: (count * 2) / absmax, scaleBytes: 4 }
  }
  const packed = at("qweight") ?? at("weight_packed")
  if (packed !== undefined) return packedScheme(tensors, { module, inputs })
  if (weight === undefined) return undefined
  if (weight.dtype === "I8" || weight.dtype === "F8_E4M3") return byteScheme(tensors, module, inputs)
  return { kind: "plain", bytes: weight.dtype === "F32" ? 4 : 2 }
}

const typeBytes: Readonly<Record<string, number>> = { U8: 1, I8: 1, F16: 2, BF16: 2, F32: 4 }

function packedScheme(tensors: TensorTypes, { module, inputs }: Pick<LinearShape, "module" | "inputs">): WeightScheme {
  const at = (suffix: string) => tensors.get(`${module}.${suffix}`)
  const scale = at("scales") ?? at("weight_scale")
  const transposed = at("scales") !== undefined
  const groups = (transposed ? scale?.shape[0] : scale?.shape[1]) ?? 1
  const words = transposed ? at("qweight")?.shape[0] : at("weight_packed")?.shape[1]
  const bits = words === inputs / 4 ? 8 : 4
  return {
    kind: "codes",
    bits,
    group: inputs / groups,
    scaleBytes: scale?.dtype === "F32" ? 4 : 2,
    zeros: at("qzeros") !== undefined || at("weight_zero_point") !== undefined,
    ordered: tensors.isOrdered,
  }
}

function byteScheme(tensors: TensorTypes, module: string, inputs: number): WeightScheme {
  const at = (suffix: string) => tensors.get(`${module}.${suffix}`)
  const scale = at("weight_scale_inv") ?? at("weight_scale") ?? at("SCB")
  const isBlocks = tensors.block !== undefined && scale?.shape.length === 2 && scale.shape[1] !== 1
  const groups = scale?.shape.length === 2 ? (scale.shape[1] as number) : 1
  return {
    ...codes,
    bits: 8,
    group: isBlocks ? (tensors.block as number) : inputs / groups,
    scaleBytes: scale?.dtype === "F32" ? 4 : 2,
    zeros: at("weight_zero_point") !== undefined,
  }
}
