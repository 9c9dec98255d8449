/**
 * Turns what a validator found into sentences that a model can act on: where (`items[2].unit`), and what would be right.
 * Knows ajv's error objects; decides nothing about validity.
 */
import type { ErrorObject } from "ajv/dist/2020.js"

/** More problems than this help nobody; the rest is counted. */
const mostProblems = 8
const mostCharacters = 200

/** One fault of a value, and where it is. */
export interface InputProblem {
  readonly path: readonly PropertyKey[]
  /** `must be a string, not null` */
  readonly reason: string
}

/** One line for each problem, none twice, the rest counted. */
export function describeProblems(problems: readonly InputProblem[]): string[] {
  const lines = [...new Set(problems.map(({ path, reason }) => `${pathText(path)}: ${reason}`))]
  if (lines.length <= mostProblems) return lines
  return [...lines.slice(0, mostProblems), `and ${lines.length - mostProblems} more problems`]
}

export function findProblems(errors: readonly ErrorObject[], input: unknown): InputProblem[] {
  return withoutBranches(errors).map((error) => problemOf(error, input))
}

/** `items[2].unit` from the names and indices on the way; `input` for the whole. */
export function pathText(segments: readonly PropertyKey[]): string {
  const text = segments.map((key) =>
    typeof key === "number" ? `[${key}]` : /^[\w-]+$/.test(String(key)) ? `.${String(key)}` : `[${short(String(key))}]`,
  )
  return text.join("").replace(/^\./, "") || "input"
}

/**
 * A failed `anyOf` reports every error of every branch. Kept is the branch that came closest: the one whose errors lie
 * deepest in the input, then the one with the fewest. Branches that differ in type only become one sentence.
 */
function withoutBranches(errors: readonly ErrorObject[]): ErrorObject[] {
  let kept = errors.filter(({ keyword }) => keyword !== "if" && keyword !== "propertyNames")
  for (const union of errors) {
    if (union.keyword !== "anyOf" && union.keyword !== "oneOf") continue
    const inside = kept.filter((error) => error.schemaPath.startsWith(`${union.schemaPath}/`) && error !== union)
    if (inside.length === 0) continue
    const outside = kept.filter((error) => error !== union && !inside.includes(error))
    kept = [...outside, ...closestBranch(inside, union)]
  }
  return kept
}

function closestBranch(errors: readonly ErrorObject[], union: ErrorObject): readonly ErrorObject[] {
  const branches = Map.groupBy(errors, ({ schemaPath }) => schemaPath.slice(union.schemaPath.length + 1).split("/")[0])
  const all = [...branches.values()]
  if (
    all.every((branch) =>
      branch.every(({ keyword, instancePath }) => keyword === "type" && instancePath === union.instancePath),
    )
  ) {
    const names = all.flatMap((branch) => branch.flatMap(({ params }) => params.type as string | string[]))
    return [{ ...all[0]![0]!, params: { type: [...new Set(names)] } }]
  }
  const misses = (branch: readonly ErrorObject[]) =>
    branch.filter(({ instancePath }) => instancePath === union.instancePath).length
  return all.toSorted((left, right) => misses(left) - misses(right) || left.length - right.length)[0] ?? []
}

function problemOf(error: ErrorObject, input: unknown): InputProblem {
  const path = segmentsOf(error.instancePath, input)
  const missing = error.params.missingProperty as string | undefined
  if (missing !== undefined) return { path: [...path, missing], reason: `is required${because(error)}` }
  const unknown = (error.params.additionalProperty ?? error.params.unevaluatedProperty) as string | undefined
  if (unknown !== undefined) return { path: [...path, unknown], reason: `is not a known field${fieldList(error)}` }
  return { path, reason: sentence(error, valueAt(path, input)) }
}

const because = ({ keyword, params }: ErrorObject): string =>
  keyword === "dependentRequired" || keyword === "dependencies" ? ` because ${params.property} is given` : ""

function fieldList({ parentSchema }: ErrorObject): string {
  const names = Object.keys((parentSchema?.properties as object | undefined) ?? {})
  if (names.length === 0) return "; it takes none"
  return `; the fields are ${names.slice(0, 20).join(", ")}${names.length > 20 ? ", …" : ""}`
}

function sentence({ keyword, params, message, parentSchema }: ErrorObject, value: unknown): string {
  switch (keyword) {
    case "type":
      return `must be ${typeNames(params.type as string | string[])}, not ${kindOf(value)}`
    case "enum":
      return `must be one of ${short((params.allowedValues as unknown[]).map((one) => JSON.stringify(one)).join(", "))}${butWas(value)}`
    case "const":
      return `must be ${short(JSON.stringify(params.allowedValue))}${butWas(value)}`
    case "minimum":
    case "maximum":
    case "exclusiveMinimum":
    case "exclusiveMaximum":
      return `must be ${comparison[params.comparison as string]} ${params.limit}${butWas(value)}`
    case "multipleOf":
      return `must be a multiple of ${params.multipleOf}${butWas(value)}`
    case "minLength":
      return params.limit === 1 ? "must not be empty" : `must have at least ${counted(params.limit, "character")}`
    case "maxLength":
      return `must have at most ${counted(params.limit, "character")}`
    case "minItems":
      return params.limit === 1 ? "must not be empty" : `must have at least ${counted(params.limit, "item")}`
    case "maxItems":
      return `must have at most ${counted(params.limit, "item")}`
    case "minProperties":
      return `must have at least ${counted(params.limit, "field")}`
    case "maxProperties":
      return `must have at most ${counted(params.limit, "field")}`
    case "uniqueItems":
      return "must not hold the same item twice"
    case "pattern":
      return `must match the pattern ${short(params.pattern as string)}${butWas(value)}`
    case "format":
      return `must be ${formats[params.format as string] ?? `in the format "${params.format}"`}${butWas(value)}`
    case "oneOf":
      return "fits more than one of the allowed forms; give the fields of exactly one"
    case "anyOf":
      return "fits none of the allowed forms"
    case "not":
      return `must not be of a form that is ruled out${parentSchema?.description ? ` (${short(String(parentSchema.description))})` : ""}`
    case "false schema":
      return "must not be given"
    default:
      return message ?? "is not valid"
  }
}

const comparison: { readonly [sign: string]: string } = {
  ">=": "at least",
  "<=": "at most",
  ">": "more than",
  "<": "less than",
}
const formats: { readonly [format: string]: string } = {
  date: "a date such as 2026-03-31",
  time: "a time with zone such as 14:05:00Z",
  "date-time": "a date and time with zone such as 2026-03-31T14:05:00Z",
  duration: "a duration such as PT2H30M",
  email: "an e-mail address",
  uri: "a full URL such as https://example.org/page",
  uuid: "a UUID",
  ipv4: "an IPv4 address",
  ipv6: "an IPv6 address",
}

const article = (name: string): string => (/^[aeiou]/.test(name) ? `an ${name}` : name === "null" ? name : `a ${name}`)
const typeNames = (type: string | readonly string[]): string => [type].flat().map(article).join(" or ")
const kindOf = (value: unknown): string =>
  value === null
    ? "null"
    : Array.isArray(value)
      ? "an array"
      : typeof value === "object"
        ? "an object"
        : `${article(typeof value)} (${short(JSON.stringify(value))})`
const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`
const butWas = (value: unknown): string =>
  value !== null && typeof value === "object" ? "" : value === undefined ? "" : `, not ${short(JSON.stringify(value))}`
const short = (text: string): string => (text.length <= mostCharacters ? text : `${text.slice(0, mostCharacters)}…`)

/** A JSON pointer as names and indices; which is which depends on what lies there. */
function segmentsOf(pointer: string, input: unknown): PropertyKey[] {
  const path: PropertyKey[] = []
  let node = input
  for (const part of pointer.split("/").slice(1)) {
    const name = part.replaceAll("~1", "/").replaceAll("~0", "~")
    const key = Array.isArray(node) ? Number(name) : name
    path.push(key)
    node = valueAt([key], node)
  }
  return path
}

function valueAt(path: readonly PropertyKey[], input: unknown): unknown {
  let node = input
  for (const key of path) {
    if (node === null || typeof node !== "object" || !Object.hasOwn(node, key)) return undefined
    node = (node as Record<PropertyKey, unknown>)[key]
  }
  return node
}
