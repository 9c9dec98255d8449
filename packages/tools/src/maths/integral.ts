/**
 * Integrates sums of polynomials, and of sin, cos, exp, sqrt, powers and reciprocals of linear terms. Every antiderivative is
 * differentiated and compared with the integrand before it is shown; what no rule covers gets null.
 */
import type { FunctionNode, MathJsInstance, MathNode, OperatorNode } from "mathjs"
import { expressionText, numberText } from "./expression-text.ts"

/** `x^3/3 + 2x + C`, or null. */
export function indefiniteIntegral(expression: string, variable: string, math: MathJsInstance): string | null {
  const antiderivative = verified(expression, variable, math)
  return antiderivative === null ? null : `${antiderivative} + C`
}

/** The value, where the antiderivative is known and agrees with a numerical sum over the interval; null otherwise. */
export function definiteIntegral(
  expression: string,
  variable: string,
  [from, to]: readonly [number, number],
  math: MathJsInstance,
): number | null {
  const antiderivative = verified(expression, variable, math)
  if (antiderivative === null || !Number.isFinite(from) || !Number.isFinite(to)) return null
  const at = valueAt(antiderivative, variable, math)
  const value = at(to) - at(from)
  const sum = simpson(valueAt(expression, variable, math), from, to)
  return Math.abs(value - sum) <= 1e-6 * (1 + Math.abs(value)) ? value : null
}

function verified(expression: string, variable: string, math: MathJsInstance): string | null {
  const terms = integrate(math.parse(expression), { variable, math })
  if (terms === null) return null
  const text = joined(terms)
  const slope = valueAt(math.derivative(math.parse(text), variable).toString(), variable, math)
  const integrand = valueAt(expression, variable, math)
  const close = (x: number) => Math.abs(slope(x) - integrand(x)) <= 1e-7 * (1 + Math.abs(integrand(x)))
  return [0.37, 1.21, 2.83].every(close) ? text : null
}

const valueAt = (expression: string, variable: string, math: MathJsInstance): ((x: number) => number) => {
  const compiled = math.parse(expression).compile()
  return (x) => Number(compiled.evaluate({ [variable]: x }))
}

function simpson(f: (x: number) => number, from: number, to: number): number {
  const steps = 2_000
  const width = (to - from) / steps
  let sum = f(from) + f(to)
  for (let step = 1; step < steps; step++) sum += f(from + step * width) * (step % 2 === 0 ? 2 : 4)
  return (sum * width) / 3
}

/** A factor times a text: `{ factor: 1/3, text: "x^3" }`. An empty text is a constant. */
interface Term {
  readonly factor: number
  readonly text: string
}
interface Problem {
  readonly variable: string
  readonly math: MathJsInstance
}

function integrate(node: MathNode, problem: Problem): readonly Term[] | null {
  const inner = withoutParentheses(node)
  const polynomial = polynomialOf(inner, problem)
  if (polynomial) {
    const terms = polynomial.map((factor, power) => ({
      factor: factor / (power + 1),
      text: powerText(problem.variable, power + 1),
    }))
    return terms.filter(({ factor }) => factor !== 0).toReversed()
  }
  if (inner.type === "FunctionNode") return integrateFunction(inner as FunctionNode, problem)
  if (inner.type === "OperatorNode") return integrateOperator(inner as OperatorNode, problem)
  return null
}

function integrateOperator({ op, args }: OperatorNode, problem: Problem): readonly Term[] | null {
  const [left, right] = args as readonly MathNode[]
  if (!left) return null
  if (!right) return op === "-" ? scaled(integrate(left, problem), -1) : op === "+" ? integrate(left, problem) : null
  if (op === "+" || op === "-") {
    const [first, second] = [integrate(left, problem), scaled(integrate(right, problem), op === "+" ? 1 : -1)]
    return first && second && [...first, ...second]
  }
  const [leftValue, rightValue] = [constantOf(left, problem), constantOf(right, problem)]
  if (op === "*" && leftValue !== null) return scaled(integrate(right, problem), leftValue)
  if (op === "*" && rightValue !== null) return scaled(integrate(left, problem), rightValue)
  if (op === "/" && rightValue !== null) return scaled(integrate(left, problem), 1 / rightValue)
  if (op === "/" && leftValue !== null) return scaled(integratePower(right, -1, problem), leftValue)
  if (op === "^" && rightValue !== null) return integratePower(left, rightValue, problem)
  if (op === "^" && leftValue !== null && leftValue > 0 && leftValue !== 1)
    return integrateExponential(left, leftValue, right, problem)
  return null
}

/** (ax + b)^n */
function integratePower(base: MathNode, power: number, problem: Problem): readonly Term[] | null {
  const inner = withoutParentheses(base)
  if (inner.type === "OperatorNode" && (inner as OperatorNode).op === "^") {
    const [root, exponent] = (inner as OperatorNode).args as readonly MathNode[]
    const value = exponent && constantOf(exponent, problem)
    if (root && typeof value === "number") return integratePower(root, value * power, problem)
  }
  const linear = linearOf(inner, problem)
  if (!linear) return null
  if (power === -1) return [{ factor: 1 / linear.slope, text: `log(abs(${linear.text}))` }]
  const wrapped = linear.text === problem.variable ? linear.text : `(${linear.text})`
  return [{ factor: 1 / (linear.slope * (power + 1)), text: `${wrapped}^${bracketed(numberText(power + 1))}` }]
}

/** base^(ax + b) */
function integrateExponential(
  base: MathNode,
  value: number,
  exponent: MathNode,
  problem: Problem,
): readonly Term[] | null {
  const linear = linearOf(exponent, problem)
  if (!linear) return null
  return [{ factor: 1 / (linear.slope * Math.log(value)), text: `${base.toString()}^(${linear.text})` }]
}

const functionRules: { readonly [name: string]: (inner: string) => Term } = {
  sin: (inner) => ({ factor: -1, text: `cos(${inner})` }),
  cos: (inner) => ({ factor: 1, text: `sin(${inner})` }),
  exp: (inner) => ({ factor: 1, text: `e^(${inner})` }),
  sqrt: (inner) => ({ factor: 2 / 3, text: `(${inner})^(3/2)` }),
  sinh: (inner) => ({ factor: 1, text: `cosh(${inner})` }),
  cosh: (inner) => ({ factor: 1, text: `sinh(${inner})` }),
}

function integrateFunction({ fn, args }: FunctionNode, problem: Problem): readonly Term[] | null {
  const rule = functionRules[String(fn)]
  const linear = args[0] && linearOf(args[0] as MathNode, problem)
  return rule && linear ? scaled([rule(linear.text)], 1 / linear.slope) : null
}

function linearOf(node: MathNode, problem: Problem): { slope: number; text: string } | null {
  const polynomial = polynomialOf(withoutParentheses(node), problem)
  if (polynomial?.length !== 2 || !polynomial[1]) return null
  return { slope: polynomial[1], text: expressionText(withoutParentheses(node)) }
}

/** Coefficients, constant term first; null for what is no polynomial in the variable. */
function polynomialOf(node: MathNode, { variable, math }: Problem): number[] | null {
  const constant = constantOf(node, { variable, math })
  if (constant !== null) return [constant]
  try {
    const { coefficients, variables, denominator } = math.rationalize(node, {}, true) as unknown as {
      coefficients: unknown[]
      variables: string[]
      denominator: MathNode | null
    }
    if (denominator || variables.length !== 1 || variables[0] !== variable) return null
    const numbers = coefficients.map(Number)
    return numbers.every(Number.isFinite) ? numbers : null
  } catch {
    return null
  }
}

function constantOf(node: MathNode, { variable }: Problem): number | null {
  const uses = node.filter(
    (part) => part.type === "SymbolNode" && (part as unknown as { name: string }).name === variable,
  )
  if (uses.length > 0) return null
  const value: unknown = node.compile().evaluate({})
  return typeof value === "number" && Number.isFinite(value) ? value : null
}

const withoutParentheses = (node: MathNode): MathNode =>
  node.type === "ParenthesisNode" ? withoutParentheses((node as unknown as { content: MathNode }).content) : node

const scaled = (terms: readonly Term[] | null, by: number): readonly Term[] | null =>
  terms?.map(({ factor, text }) => ({ factor: factor * by, text })) ?? null

const powerText = (variable: string, power: number): string => (power === 1 ? variable : `${variable}^${power}`)
const bracketed = (text: string): string => (/^\d+$/.test(text) ? text : `(${text})`)

function joined(terms: readonly Term[]): string {
  const parts = terms.map(({ factor, text }, index) => {
    const sign = factor < 0 ? (index === 0 ? "-" : " - ") : index === 0 ? "" : " + "
    return sign + termText(Math.abs(factor), text)
  })
  return parts.join("") || "0"
}

/** `x^3/3`, `3x^2/2`, `5 sin(x)` */
function termText(factor: number, text: string): string {
  const [numerator, denominator] = fractionOf(factor)
  const product = numerator === "1" ? text : `${numerator}${/^[a-z](?![a-z])/.test(text) ? "" : " "}${text}`
  return denominator === 1 ? product : `${product}/${denominator}`
}

function fractionOf(value: number): readonly [string, number] {
  for (let denominator = 1; denominator <= 1_000; denominator++) {
    const numerator = Math.round(value * denominator)
    if (numerator !== 0 && Math.abs(numerator / denominator - value) <= 1e-12 * value)
      return [String(numerator), denominator]
  }
  return [numberText(value), 1]
}
