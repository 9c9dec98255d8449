/**
 * Reads a question of mathematics in the words that people and models use (`solve 2x + 3 = 9`, `convert 5 miles to
 * kilometers`), and answers it with mathjs. What it cannot read or cannot do gets null, never a guess.
 */
import type { MathJsInstance } from "mathjs"
import { solveEquation } from "./equation.ts"
import { expressionText, numberText, valueText } from "./expression-text.ts"
import { definiteIntegral, indefiniteIntegral } from "./integral.ts"
import type { Pod } from "./maths-provider.ts"

export interface Libraries {
  /** Decimals of many digits, for values. */
  readonly math: MathJsInstance
  /** Doubles, for algebra. */
  readonly numeric: MathJsInstance
}

type Reader = (match: RegExpExecArray, libraries: Libraries) => string | null

/** Tried in order; the first whose words fit decides. */
const readers: readonly (readonly [RegExp, Reader])[] = [
  [/^(?:solve|find) (?<equation>.+=.+?)(?: for (?<variable>[a-z]))?$/i, solve],
  [/^solve for (?<variable>[a-z])\s*[:,]? (?<equation>.+=.+)$/i, solve],
  [/^(?<equation>[^=]*[a-z][^=]*=[^=]+)$/i, solve],
  [
    /^(?:derivative of|differentiate|d\/d[a-z]) (?<expression>.+?)(?: (?:with respect to|wrt|by) (?<variable>[a-z]))?$/i,
    derive,
  ],
  [
    /^(?:integral of|integrate|antiderivative of) (?<expression>.+?)(?: d[a-z])? from (?<from>.+?) to (?<to>.+?)$/i,
    integrateBetween,
  ],
  [
    /^(?:integral of|integrate|antiderivative of) (?<expression>.+?)(?: d[a-z]| (?:with respect to|wrt|by) [a-z])?$/i,
    integrate,
  ],
  [/^(?:factor|factorise|factorize|prime factors? of|prime factori[sz]ation of) (?<number>\d+)$/i, factor],
  [/^(?:is )?(?<number>\d+)(?: is)?(?: a)? prime(?: number)?$/i, prime],
  [/^(?<name>gcd|lcm|greatest common divisor|least common multiple)(?: of)? \(?(?<numbers>[\d\s,and]+)\)?$/i, divisors],
  [
    /^log(?:arithm)? base (?<base>\S+) of (?<value>\S+)$/i,
    ({ groups }, { math }) => evaluate(`log(${groups?.value}, ${groups?.base})`, math),
  ],
  [/^square root of (?<value>.+)$/i, ({ groups }, { math }) => evaluate(`sqrt(${groups?.value})`, math)],
  [/^cube root of (?<value>.+)$/i, ({ groups }, { math }) => evaluate(`cbrt(${groups?.value})`, math)],
  [
    /^(?<share>[\d.]+)\s?(?:%|percent) of (?<value>.+)$/i,
    ({ groups }, { math }) => evaluate(`(${groups?.share} / 100) * (${groups?.value})`, math),
  ],
  [/^(?:convert )?(?<amount>-?[\d.,]+) ?(?<from>[a-z°][\w/^° ]*?) (?:to|in|into|as) (?<to>[a-z°][\w/^° ]*)$/i, convert],
  [/^(?<expression>.+)$/, ({ groups }, { math }) => evaluate(groups?.expression ?? "", math)],
]

/** The pods of the answer, or null. */
export function answerQuery(query: string, libraries: Libraries): readonly Pod[] | null {
  const asked = normalise(query)
  for (const [words, read] of readers) {
    const match = words.exec(asked)
    if (!match) continue
    const result = attempt(() => read(match, libraries))
    if (result === null) return null
    return [
      { title: "Input interpretation", lines: [query.trim()] },
      { title: "Result", lines: [result], primary: true },
    ]
  }
  return null
}

/** Politeness, question words and typographic signs say nothing about what to compute. */
const normalise = (query: string): string =>
  query
    .trim()
    .replace(
      /^(?:please |can you |could you )?(?:what is|what's|what are|compute|calculate|evaluate|find|give me|work out|how much is)\s+/i,
      "",
    )
    .replace(/^the /i, "")
    .replace(/[?=.\s]+$/, "")
    .replace(/(?<=\d),(?=\d{3}\b)/g, "")
    .replaceAll("×", "*")
    .replaceAll("÷", "/")
    .replaceAll("−", "-")
    .replaceAll("**", "^")
    .replaceAll("²", "^2")
    .replaceAll("³", "^3")
    .replaceAll("√", "sqrt")
    .replace(/\bln\b/g, "log")

/** mathjs throws for what it cannot read; here that is an answer, too. */
function attempt(compute: () => string | null): string | null {
  try {
    return compute()
  } catch {
    return null
  }
}

function solve({ groups }: RegExpExecArray, { numeric }: Libraries): string | null {
  return solveEquation(groups?.equation ?? "", groups?.variable, numeric)
}

function derive({ groups, 0: whole }: RegExpExecArray, { numeric }: Libraries): string | null {
  const node = numeric.parse(groups?.expression ?? "")
  const variable = groups?.variable ?? /^d\/d([a-z])/i.exec(whole)?.[1] ?? variableOf(groups?.expression ?? "", numeric)
  return variable === null ? null : expressionText(numeric.derivative(node, variable))
}

function integrate({ groups }: RegExpExecArray, { numeric }: Libraries): string | null {
  const variable = variableOf(groups?.expression ?? "", numeric)
  return variable === null ? null : indefiniteIntegral(groups?.expression ?? "", variable, numeric)
}

function integrateBetween({ groups }: RegExpExecArray, { numeric }: Libraries): string | null {
  const variable = variableOf(groups?.expression ?? "", numeric)
  if (variable === null) return null
  const [from, to] = [groups?.from, groups?.to].map((bound) => Number(numeric.evaluate(bound ?? "")))
  const value = definiteIntegral(groups?.expression ?? "", variable, [from!, to!], numeric)
  return value === null ? null : numberText(value)
}

/** The one letter that an expression is about, or null when there are several or none. */
function variableOf(expression: string, { parse }: MathJsInstance): string | null {
  const names = new Set<string>()
  parse(expression).traverse((node, path) => {
    const name = "name" in node && node.type === "SymbolNode" && path !== "fn" ? String(node.name) : null
    if (name !== null && name !== "e" && name !== "pi") names.add(name)
  })
  return names.size === 1 ? [...names][0]! : null
}

function factor({ groups }: RegExpExecArray): string | null {
  const factors = primeFactors(Number(groups?.number))
  return factors === null ? null : factors.join(" * ")
}

function prime({ groups }: RegExpExecArray): string | null {
  const number = Number(groups?.number)
  const factors = primeFactors(number)
  if (factors === null && number > 1) return null
  return `${number} is ${factors?.length === 1 ? "" : "not "}a prime number`
}

/** In ascending order, by trial division; null below 2 and beyond what a double holds exactly. */
function primeFactors(number: number): number[] | null {
  if (!Number.isSafeInteger(number) || number < 2) return null
  const factors: number[] = []
  let rest = number
  for (let divisor = 2; divisor * divisor <= rest; divisor += divisor === 2 ? 1 : 2) {
    while (rest % divisor === 0) {
      factors.push(divisor)
      rest /= divisor
    }
  }
  return rest > 1 ? [...factors, rest] : factors
}

function divisors({ groups }: RegExpExecArray, { math }: Libraries): string | null {
  const numbers = (groups?.numbers ?? "").match(/\d+/g) ?? []
  const name = /^(?:gcd|greatest)/i.test(groups?.name ?? "") ? "gcd" : "lcm"
  return numbers.length < 2 ? null : evaluate(`${name}(${numbers.join(", ")})`, math)
}

const unitNames: { readonly [name: string]: string } = {
  celsius: "degC",
  fahrenheit: "degF",
  kelvin: "K",
  "degrees celsius": "degC",
  "degrees fahrenheit": "degF",
  "°c": "degC",
  "°f": "degF",
  kilometres: "kilometers",
  kilometre: "kilometer",
  metres: "meters",
  metre: "meter",
  centimetres: "centimeters",
  litres: "liters",
  litre: "liter",
  mph: "mile/hour",
  kph: "km/hour",
  "km/h": "km/hour",
  "miles per hour": "mile/hour",
  "kilometers per hour": "km/hour",
}

function convert({ groups }: RegExpExecArray, { math }: Libraries): string | null {
  const unit = (name: string | undefined) => unitNames[(name ?? "").trim().toLowerCase()] ?? (name ?? "").trim()
  const value: unknown = math.evaluate(`(${groups?.amount}) ${unit(groups?.from)} to ${unit(groups?.to)}`)
  if (math.typeOf(value) !== "Unit") return null
  const amount = (value as { toNumber: (unit: string) => number }).toNumber(unit(groups?.to))
  return `${numberText(Number(amount))} ${groups?.to}`
}

function evaluate(expression: string, math: MathJsInstance): string | null {
  return valueText(math.evaluate(expression), math)
}
