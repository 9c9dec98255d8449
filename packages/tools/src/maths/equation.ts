/**
 * Solves a polynomial equation in one variable (also one that becomes a polynomial when multiplied by a denominator). Each root
 * is put back into the equation before it is shown. Other equations get null.
 */
import type { MathJsInstance, MathNode } from "mathjs"
import { numberText } from "./expression-text.ts"

interface Complex {
  readonly re: number
  readonly im: number
}

const mostDegree = 20

/** `x = 2 and x = 3`, ascending, real roots before complex ones; null where this cannot be solved. */
export function solveEquation(equation: string, variable: string | undefined, math: MathJsInstance): string | null {
  const [left, right, ...more] = equation.split("=")
  if (left === undefined || right === undefined || more.length > 0) return null
  const difference = math.parse(`(${left}) - (${right})`)
  const { coefficients, variables, denominator } = math.rationalize(difference, {}, true) as unknown as Rational
  const name = variable ?? variables[0]
  if (variables.length > 1 || (variables.length === 1 && variables[0] !== name)) return null
  const polynomial = trimmed(coefficients.map(Number))
  if (name === undefined) return null
  if (polynomial.length === 0) return `true for every ${name}`
  if (polynomial.length === 1) return "no solution"
  if (polynomial.length > mostDegree + 1 || !polynomial.every(Number.isFinite)) return null
  const poles = denominator ? denominator.compile() : null
  const roots = rootsOf(polynomial).filter(
    (root) => !poles || root.im !== 0 || Math.abs(Number(poles.evaluate({ [name]: root.re }))) > 1e-9,
  )
  if (roots.some((root) => !isRoot(polynomial, root))) return null
  if (roots.length === 0) return "no solution"
  return roots.map((root) => `${name} = ${complexText(root)}`).join(" and ")
}

interface Rational {
  /** Constant term first. */
  readonly coefficients: readonly unknown[]
  readonly variables: readonly string[]
  readonly denominator: MathNode | null
}

function trimmed(coefficients: readonly number[]): number[] {
  const last = coefficients.findLastIndex((value) => value !== 0)
  return coefficients.slice(0, last + 1)
}

/** Distinct roots. Rational ones are split off exactly, so that double roots stay sharp. */
function rootsOf(polynomial: readonly number[]): Complex[] {
  const { roots, rest } = splitRational(polynomial)
  const all = [...roots.map((re) => ({ re, im: 0 })), ...remaining(rest)]
  const distinct: Complex[] = []
  for (const root of all.toSorted((a, b) => Number(a.im !== 0) - Number(b.im !== 0) || a.re - b.re || a.im - b.im)) {
    if (!distinct.some((one) => Math.hypot(one.re - root.re, one.im - root.im) < 1e-6 * (1 + Math.abs(root.re))))
      distinct.push(root)
  }
  return distinct
}

function remaining(polynomial: readonly number[]): Complex[] {
  const degree = polynomial.length - 1
  if (degree < 1) return []
  if (degree === 1) return [{ re: -polynomial[0]! / polynomial[1]!, im: 0 }]
  if (degree === 2) return quadraticRoots(polynomial[2]!, polynomial[1]!, polynomial[0]!)
  return durandKerner(polynomial)
}

function quadraticRoots(a: number, b: number, c: number): Complex[] {
  const discriminant = b * b - 4 * a * c
  if (discriminant < 0) {
    const [re, im] = [-b / (2 * a), Math.abs(Math.sqrt(-discriminant) / (2 * a))]
    return [
      { re, im: -im },
      { re, im },
    ]
  }
  // The larger root by the formula, the other from their product: no cancellation.
  const q = -(b + (b < 0 ? -1 : 1) * Math.sqrt(discriminant)) / 2
  return q === 0
    ? [{ re: 0, im: 0 }]
    : [
        { re: q / a, im: 0 },
        { re: c / q, im: 0 },
      ]
}

/** Rational root theorem, for whole coefficients of moderate size. */
function splitRational(polynomial: readonly number[]): { roots: number[]; rest: readonly number[] } {
  const roots: number[] = []
  let rest = polynomial
  while (rest.length > 2 && rest[0] === 0) {
    roots.push(0)
    rest = rest.slice(1)
  }
  if (!rest.every((value) => Number.isSafeInteger(value) && Math.abs(value) <= 1e9)) return { roots, rest }
  for (const root of rationalCandidates(rest[0]!, rest.at(-1)!)) {
    while (rest.length > 2 && evaluateAt(rest, { re: root, im: 0 }).re === 0) {
      roots.push(root)
      rest = deflated(rest, root)
    }
  }
  return { roots, rest }
}

function* rationalCandidates(constant: number, leading: number): Iterable<number> {
  const divisorsOf = (value: number) => {
    const small: number[] = []
    for (let divisor = 1; divisor * divisor <= Math.abs(value); divisor++)
      if (value % divisor === 0) small.push(divisor)
    return [...small, ...small.map((divisor) => Math.abs(value) / divisor)]
  }
  const denominators = divisorsOf(leading)
  for (const numerator of divisorsOf(constant))
    for (const denominator of denominators) yield* [numerator / denominator, -numerator / denominator]
}

function deflated(polynomial: readonly number[], root: number): number[] {
  const quotient = Array<number>(polynomial.length - 1).fill(0)
  let carry = 0
  for (let power = polynomial.length - 1; power > 0; power--) {
    carry = polynomial[power]! + carry * root
    quotient[power - 1] = carry
  }
  return quotient
}

/** All roots at once (Weierstrass iteration). */
function durandKerner(polynomial: readonly number[]): Complex[] {
  const leading = polynomial.at(-1)!
  const monic = polynomial.map((value) => value / leading)
  const radius = 1 + Math.max(...monic.slice(0, -1).map(Math.abs))
  let roots: Complex[] = monic.slice(1).map((_, index) => {
    const angle = (2 * Math.PI * index) / (monic.length - 1) + 0.4
    return { re: radius * 0.7 * Math.cos(angle), im: radius * 0.7 * Math.sin(angle) }
  })
  for (let round = 0; round < 1_000; round++) {
    roots = roots.map((root, index) => {
      const others = roots.reduce(
        (product, other, at) => (at === index ? product : times(product, minus(root, other))),
        { re: 1, im: 0 },
      )
      return minus(root, divided(evaluateAt(monic, root), others))
    })
  }
  return roots.map(({ re, im }) => (Math.abs(im) < 1e-9 * (1 + Math.abs(re)) ? { re, im: 0 } : { re, im }))
}

function evaluateAt(polynomial: readonly number[], at: Complex): Complex {
  return polynomial.reduceRight<Complex>((sum, value) => ({ ...times(sum, at), re: times(sum, at).re + value }), {
    re: 0,
    im: 0,
  })
}

function isRoot(polynomial: readonly number[], root: Complex): boolean {
  const { re, im } = evaluateAt(polynomial, root)
  const size = polynomial.reduce(
    (sum, value, power) => sum + Math.abs(value) * Math.hypot(root.re, root.im) ** power,
    0,
  )
  return Math.hypot(re, im) <= 1e-7 * size
}

const minus = (a: Complex, b: Complex): Complex => ({ re: a.re - b.re, im: a.im - b.im })
const times = (a: Complex, b: Complex): Complex => ({ re: a.re * b.re - a.im * b.im, im: a.re * b.im + a.im * b.re })
const divided = (a: Complex, b: Complex): Complex => {
  const size = b.re * b.re + b.im * b.im
  return { re: (a.re * b.re + a.im * b.im) / size, im: (a.im * b.re - a.re * b.im) / size }
}

function complexText({ re, im }: Complex): string {
  if (im === 0) return numberText(re + 0)
  const size = Math.abs(im)
  const imaginary = size === 1 ? "i" : `${numberText(size)}i`
  if (Math.abs(re) < 1e-12) return im < 0 ? `-${imaginary}` : imaginary
  return `${numberText(re)} ${im < 0 ? "-" : "+"} ${imaginary}`
}
