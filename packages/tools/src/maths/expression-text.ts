/** Writes values and expressions the way people do: `3x^2 + sin(2x)`, `1.4142135624`. Knows nothing of questions. */
import type { FunctionNode, MathJsInstance, MathNode, OperatorNode, SymbolNode } from "mathjs"

/** Ten significant digits, no trailing zeros; whole numbers in full. */
export function numberText(value: number): string {
  if (Number.isSafeInteger(value)) return String(value)
  return String(Number(value.toPrecision(10)))
}

const mostDigits = 400

/** A value that mathjs computed, or null for what is no value (functions, nothing). */
export function valueText(value: unknown, math: MathJsInstance): string | null {
  const type = math.typeOf(value)
  if (type === "number") return Number.isFinite(value) ? numberText(value as number) : null
  if (type === "BigNumber") return bigText(value as Big, math)
  if (type === "boolean" || type === "string") return String(value)
  if (["Complex", "Unit", "Fraction", "DenseMatrix", "Array"].includes(type))
    return math.format(value, { precision: 10 })
  return null
}

interface Big {
  isFinite(): boolean
  isInteger(): boolean
  toFixed(): string
}

function bigText(value: Big, math: MathJsInstance): string | null {
  if (!value.isFinite()) return null
  const whole = value.isInteger() ? value.toFixed() : null
  if (whole !== null && whole.length <= mostDigits) return whole
  return math.format(value, { precision: 10, lowerExp: -6, upperExp: 12 })
}

/** An expression with powers and products as written by hand. */
export function expressionText(node: MathNode): string {
  const handler = (part: MathNode): string | undefined => {
    if (part.type === "OperatorNode") return operatorText(part as OperatorNode, handler)
    if (part.type === "ConstantNode") return numberText(Number((part as unknown as { value: unknown }).value))
    return undefined
  }
  return node.toString({ handler, parenthesis: "auto" })
}

type Handler = (part: MathNode) => string | undefined

function operatorText({ op, args }: OperatorNode, handler: Handler): string | undefined {
  const text = (node: MathNode) => node.toString({ handler, parenthesis: "auto" })
  const [left, right] = args as readonly MathNode[]
  if (!left || !right) return undefined
  const wrapped = (node: MathNode) =>
    isSum(node) || (op === "^" && node.type === "OperatorNode") ? `(${text(node)})` : text(node)
  if (op === "^") return `${wrapped(left)}^${wrapped(right)}`
  if (op === "*") return `${wrapped(left)}${joint(left, right)}${wrapped(right)}`
  if (op === "/") return `${wrapped(left)}/${right.type === "OperatorNode" ? `(${text(right)})` : text(right)}`
  return undefined
}

const isSum = (node: MathNode): boolean =>
  node.type === "OperatorNode" && ["+", "-"].includes((node as OperatorNode).op)

/** `3x`, `3 sin(x)`, `x * 2` */
function joint(left: MathNode, right: MathNode): string {
  const startsWith = leftmost(right)
  if (startsWith.type === "ConstantNode") return " * "
  if (left.type !== "ConstantNode") return " "
  const name = startsWith.type === "FunctionNode" ? (startsWith as FunctionNode).fn : startsWith
  return (name as SymbolNode).name === undefined || (name as SymbolNode).name.length > 1 ? " " : ""
}

function leftmost(node: MathNode): MathNode {
  const first = node.type === "OperatorNode" ? (node as OperatorNode).args[0] : undefined
  return first ? leftmost(first as MathNode) : node
}
