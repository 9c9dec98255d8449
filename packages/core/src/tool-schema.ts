/**
 * Reads a JSON Schema that somebody else wrote: a plain copy of it, or every fault with its path. Knows the shape of the
 * keywords of drafts 2020-12 and 07, sets limits to what a stranger may send, and finds out whether checking an input could
 * take more than a bounded number of steps. Loads no validator, so that defining a tool costs microseconds.
 */
import { createRequire } from "node:module"
import type { JsonObject, JsonValue } from "./turn.ts"

const schemaLimits = {
  /** Characters of the schema as JSON. */
  characters: 131_072,
  /** Objects and arrays inside each other. */
  depth: 64,
  /** Characters of one `pattern`. */
  pattern: 1_000,
  /** Subschemas that one input value can be held against before the check gets a time limit. */
  expansion: 10_000,
} as const

/** Why a schema cannot be used. */
export interface SchemaFault {
  /** Where in the schema, such as `["properties", "unit", "enum"]`. */
  readonly path: readonly string[]
  readonly reason: string
  readonly kind: "bad-schema" | "unsupported-schema" | "too-large"
}

export interface SchemaReading {
  readonly schema: JsonObject
  readonly faults: readonly SchemaFault[]
  readonly draft: "2020-12" | "07"
  /** True when the work of a check is not bounded by the size of schema and input: it then runs under a time limit. */
  readonly unbounded: boolean
  /** It names parts of itself (`$id`, `$anchor`), so it must not share a registry with other schemas. */
  readonly named: boolean
}

/** Never throws: whatever `value` is, the faults say what is wrong with it. */
export function readToolSchema(value: unknown): SchemaReading {
  const faults: SchemaFault[] = []
  const fault: Report = (path, reason, kind = "bad-schema") => {
    faults.push({ path, reason, kind })
    return undefined
  }
  const schema = plainCopy(value, fault)
  if (schema === null) return { schema: {}, faults, draft: "2020-12", unbounded: false, named: false }
  const draft = draftOf(schema, fault)
  if (schema.type !== "object") fault(["type"], 'must be "object": the input of a tool is an object')
  const walk: Walk = { draft, root: schema, anchors: new Map(), references: [], named: false, fault }
  checkSubschema(schema, [], walk)
  for (const reference of walk.references) checkTarget(reference, walk)
  const unbounded = faults.length === 0 && expansionOf(schema, walk) > schemaLimits.expansion
  return { schema, faults, draft, unbounded, named: walk.named }
}

/** `properties.unit.enum: must be a list` */
export const describeFault = ({ path, reason }: SchemaFault): string =>
  path.length === 0 ? `The schema ${reason}` : `${path.join(".")}: ${reason}`

type Report = (path: readonly string[], reason: string, kind?: SchemaFault["kind"]) => undefined

interface Walk {
  readonly draft: "2020-12" | "07"
  readonly root: JsonObject
  readonly anchors: Map<string, JsonValue>
  readonly references: { path: readonly string[]; target: string }[]
  named: boolean
  readonly fault: Report
}

/** A copy that holds nothing but JSON, or null. Cycles, functions and class instances end here. */
function plainCopy(value: unknown, fault: Report): JsonObject | null {
  let budget: number = schemaLimits.characters
  let failed = false
  const fail = (path: readonly string[], reason: string, kind?: SchemaFault["kind"]): null => {
    if (!failed) fault(path, reason, kind)
    failed = true
    return null
  }
  const copy = (node: unknown, path: readonly string[]): JsonValue => {
    if (failed) return null
    budget -= typeof node === "string" ? node.length + 2 : 8
    if (budget < 0) return fail([], `is larger than ${schemaLimits.characters} characters`, "too-large")
    if (path.length > schemaLimits.depth)
      return fail(path, `is nested more than ${schemaLimits.depth} deep`, "too-large")
    if (node === null || typeof node === "string" || typeof node === "boolean") return node
    if (typeof node === "number") return Number.isFinite(node) ? node : fail(path, "must be a finite number")
    if (Array.isArray(node)) return node.map((item, index) => copy(item, [...path, String(index)]))
    if (typeof node !== "object") return fail(path, `must be JSON, not a ${typeof node}`)
    const prototype = Object.getPrototypeOf(node)
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return fail(path, "must be a plain object")
    const result: { [key: string]: JsonValue } = {}
    for (const [key, entry] of Object.entries(node)) {
      if (key === "__proto__") return fail([...path, key], "is a name that no schema may use")
      budget -= key.length + 4
      if (entry !== undefined) result[key] = copy(entry, [...path, key])
    }
    return result
  }
  if (!isObject(value)) return fail([], "must be an object")
  const result = copy(value, [])
  return failed ? null : (result as JsonObject)
}

function draftOf(schema: JsonObject, fault: Report): "2020-12" | "07" {
  const dialect = schema.$schema
  if (dialect === undefined || typeof dialect !== "string" || dialect.includes("/draft/2020-12/")) return "2020-12"
  if (dialect.includes("/draft-07/")) return "07"
  fault(["$schema"], `is ${JSON.stringify(dialect)}; drafts 2020-12 and 07 are understood`, "unsupported-schema")
  return "2020-12"
}

type Kind = "schema" | "schemas" | "schema-map" | "items" | "dependencies" | ValueKind
type ValueKind =
  | "number"
  | "positive"
  | "count"
  | "text"
  | "flag"
  | "names"
  | "name-lists"
  | "type"
  | "choices"
  | "regex"
  | "ref"

/** Every keyword with a fixed form, by form. Others are annotations and may hold anything (JSON Schema core, section 6.5). */
const keywordsOfKind: { readonly [K in Kind]: readonly string[] } = {
  schema: [
    ...["additionalProperties", "propertyNames", "contains", "not", "if", "then", "else"],
    ...["unevaluatedProperties", "unevaluatedItems", "additionalItems", "contentSchema"],
  ],
  schemas: ["allOf", "anyOf", "oneOf", "prefixItems"],
  "schema-map": ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"],
  items: ["items"],
  dependencies: ["dependencies"],
  number: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
  positive: ["multipleOf"],
  count: [
    ...["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"],
    ...["minContains", "maxContains"],
  ],
  text: ["title", "description", "format", "$id", "$anchor", "$dynamicAnchor", "$comment"],
  flag: ["uniqueItems", "readOnly", "writeOnly", "deprecated"],
  names: ["required"],
  "name-lists": ["dependentRequired"],
  type: ["type"],
  choices: ["enum"],
  regex: ["pattern"],
  ref: ["$ref", "$dynamicRef"],
}
const kindOfKeyword: ReadonlyMap<string, Kind> = new Map(
  Object.entries(keywordsOfKind).flatMap(([kind, names]) => names.map((name) => [name, kind as Kind] as const)),
)
const types = ["string", "number", "integer", "boolean", "object", "array", "null"]

/** Whether a keyword is one of the drafts 2020-12 and 07. */
export const isKnownKeyword = (keyword: string): boolean => kindOfKeyword.has(keyword) || annotations.has(keyword)
const annotations = new Set([
  "$schema",
  "$vocabulary",
  "const",
  "default",
  "examples",
  "contentMediaType",
  "contentEncoding",
])

function checkSubschema(node: JsonValue, path: readonly string[], walk: Walk): undefined {
  if (typeof node === "boolean") return
  if (!isObject(node)) return walk.fault(path, "must be a schema: an object, true or false")
  for (const [keyword, value] of Object.entries(node)) {
    const kind = kindOfKeyword.get(keyword)
    if (kind === undefined) continue
    const at = [...path, keyword]
    if (keyword === "$id" || keyword === "$anchor" || keyword === "$dynamicAnchor") {
      walk.named = true
      if (keyword !== "$id" && typeof value === "string") walk.anchors.set(value, node)
    }
    if (kind === "schema") checkSubschema(value, at, walk)
    else if (kind === "schemas") checkSchemas(value, at, walk)
    else if (kind === "schema-map") checkSchemaMap(value, at, walk, keyword === "patternProperties")
    else if (kind === "items") checkItems(value, at, walk)
    else if (kind === "dependencies") checkDependencies(value, at, walk)
    else checkValue(kind, value, at, walk)
  }
}

function checkSchemas(value: JsonValue, path: readonly string[], walk: Walk): undefined {
  if (!isList(value) || value.length === 0) return walk.fault(path, "must be a list of at least one schema")
  for (const [index, entry] of value.entries()) checkSubschema(entry, [...path, String(index)], walk)
}

function checkSchemaMap(value: JsonValue, path: readonly string[], walk: Walk, namesArePatterns: boolean): undefined {
  if (!isObject(value)) return walk.fault(path, "must be an object that gives each name a schema")
  for (const [name, entry] of Object.entries(value)) {
    if (namesArePatterns) checkValue("regex", name, [...path, name], walk)
    checkSubschema(entry, [...path, name], walk)
  }
}

function checkItems(value: JsonValue, path: readonly string[], walk: Walk): undefined {
  if (!isList(value)) return checkSubschema(value, path, walk)
  if (walk.draft === "07") return checkSchemas(value, path, walk)
  walk.fault(
    path,
    'must be one schema; for a list with fixed places use "prefixItems", or declare "$schema" of draft-07',
  )
}

function checkDependencies(value: JsonValue, path: readonly string[], walk: Walk): undefined {
  if (!isObject(value)) return walk.fault(path, "must be an object")
  for (const [name, entry] of Object.entries(value)) {
    if (isList(entry)) checkValue("names", entry, [...path, name], walk)
    else checkSubschema(entry, [...path, name], walk)
  }
}

function checkValue(kind: ValueKind, value: JsonValue, path: readonly string[], walk: Walk): undefined {
  const { fault } = walk
  switch (kind) {
    case "number":
      if (typeof value !== "number") fault(path, "must be a number")
      return undefined
    case "positive":
      if (typeof value !== "number" || value <= 0) fault(path, "must be a number greater than 0")
      return undefined
    case "count":
      if (!Number.isSafeInteger(value) || (value as number) < 0) fault(path, "must be a whole number, 0 or more")
      return undefined
    case "text":
      if (typeof value !== "string") fault(path, "must be a string")
      return undefined
    case "flag":
      if (typeof value !== "boolean") fault(path, "must be true or false")
      return undefined
    case "names":
      if (!isList(value) || !value.every((name) => typeof name === "string")) fault(path, "must be a list of names")
      else if (new Set(value).size !== value.length) fault(path, "must not name anything twice")
      return undefined
    case "name-lists":
      if (!isObject(value)) return fault(path, "must be an object")
      for (const [name, entry] of Object.entries(value)) checkValue("names", entry, [...path, name], walk)
      return undefined
    case "type":
      return checkType(value, path, fault)
    case "choices":
      if (!isList(value) || value.length === 0) fault(path, "must be a list of at least one value")
      return undefined
    case "regex":
      return checkPattern(value, path, fault)
    case "ref":
      return checkReference(value, path, walk)
  }
}

function checkType(value: JsonValue, path: readonly string[], fault: Report): undefined {
  const names = isList(value) ? value : [value]
  const wrong = names.find((name) => !types.includes(name as string))
  if (wrong !== undefined) fault(path, `${JSON.stringify(wrong)} is no type; the types are ${types.join(", ")}`)
  else if (names.length === 0) fault(path, "must name at least one type")
  else if (new Set(names).size !== names.length) fault(path, "must not name a type twice")
}

function checkPattern(value: JsonValue, path: readonly string[], fault: Report): undefined {
  if (typeof value !== "string") return fault(path, "must be a string")
  if (value.length > schemaLimits.pattern) {
    return fault(path, `is longer than ${schemaLimits.pattern} characters`, "too-large")
  }
  const problem = linearPatternProblem(value)
  if (problem) fault(path, problem, "unsupported-schema")
}

function checkReference(value: JsonValue, path: readonly string[], walk: Walk): undefined {
  if (typeof value !== "string") return walk.fault(path, "must be a string")
  if (!value.startsWith("#")) {
    return walk.fault(
      path,
      `points outside the schema (${JSON.stringify(value)}); only "#/…" is followed`,
      "unsupported-schema",
    )
  }
  walk.references.push({ path, target: value })
}

/** A reference must lead somewhere, and not only to further references that lead back to it. */
function checkTarget({ path, target }: Walk["references"][number], walk: Walk): undefined {
  let next = target
  for (const _step of walk.references) {
    const found = resolve(next, walk)
    if (found === undefined) return walk.fault(path, `points to ${JSON.stringify(next)}, which is not in this schema`)
    if (!isObject(found) || typeof found.$ref !== "string") return undefined
    next = found.$ref
  }
  return walk.fault(path, `points to ${JSON.stringify(target)}, which leads back to itself`)
}

function resolve(target: string, walk: Walk): JsonValue | undefined {
  let pointer: string
  try {
    pointer = decodeURIComponent(target.slice(1))
  } catch {
    return undefined
  }
  if (pointer !== "" && !pointer.startsWith("/")) return walk.anchors.get(pointer)
  let node: JsonValue | undefined = walk.root
  for (const part of pointer.split("/").slice(1)) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~")
    if (isList(node)) node = node[Number(key)]
    else if (isObject(node) && Object.hasOwn(node, key)) node = node[key]
    else return undefined
  }
  return node
}

/**
 * How many subschemas one input can be held against, all `$ref` written out; infinite when they go round in a circle. A tree
 * of subschemas costs its size; references that each name the next one twice cost two to the power of their number.
 */
function expansionOf(root: JsonObject, walk: Walk): number {
  const known = new Map<JsonValue, number>()
  const size = (node: JsonValue): number => {
    if (typeof node !== "object" || node === null) return 1
    const before = known.get(node)
    if (before !== undefined) return before
    known.set(node, Number.POSITIVE_INFINITY) // what is met again while it is being measured is a circle
    let sum = 1
    for (const [key, entry] of Object.entries(node)) {
      const target =
        (key === "$ref" || key === "$dynamicRef") && typeof entry === "string" ? resolve(entry, walk) : undefined
      if (key !== "$defs" && key !== "definitions") sum += size(target ?? (entry as JsonValue))
    }
    known.set(node, sum)
    return sum
  }
  return walk.references.length === 0 ? 0 : size(root)
}

interface LinearPattern {
  test(text: string): boolean
}

/**
 * Compiles a pattern for an engine whose time is linear in the text (RE2's automata), so that no pattern can hang the host.
 * Throws an Error for syntax that such an engine cannot have, such as look-ahead and back-references.
 */
export function linearPattern(pattern: string): LinearPattern & { toString(): string } {
  const { RE2JS } = require("re2js") as typeof import("re2js")
  const compiled = RE2JS.compile(RE2JS.translateRegExp(pattern))
  return { test: (text) => compiled.matcher(text).find(), toString: () => pattern }
}

function linearPatternProblem(pattern: string): string | null {
  try {
    linearPattern(pattern)
    return null
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^error parsing regexp: /, "") : "malformed"
    return `${JSON.stringify(pattern)} is not usable (${reason}); look-around and back-references are not supported`
  }
}

const require = createRequire(import.meta.url)
const isList = (value: unknown): value is readonly JsonValue[] => Array.isArray(value)
const isObject = (value: unknown): value is { readonly [key: string]: JsonValue } =>
  typeof value === "object" && value !== null && !Array.isArray(value)
