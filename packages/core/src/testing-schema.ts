/**
 * A model that calls every offered tool with inputs made from its schema, then says that it is done: for trying out all tools of
 * an agent at once. The same seed gives the same inputs. What a schema asks for beyond types, ranges, lengths, enums, formats and
 * nesting (patterns, conditions) is not attempted.
 */
import type { Model } from "./model.ts"
import { type ScriptedReply, scriptedModel } from "./testing-model.ts"
import type { Transcript } from "./transcript.ts"
import type { JsonObject, JsonValue } from "./turn.ts"

/** How the inputs are drawn. */
export interface SchemaModelOptions {
  /** Default 0. */
  readonly seed?: number
  /** How often each tool is called; default 1. */
  readonly rounds?: number
}

/** Calls all tools `rounds` times, then says that it is done. */
export function schemaModel({ seed = 0, rounds = 1 }: SchemaModelOptions = {}): Model {
  const dice = new Dice(seed)
  let step = 0
  return {
    info: { name: "schema", contextLength: 131_072, fingerprint: `schema-${seed}` },
    generate(transcript, options) {
      const reply: ScriptedReply = step++ < rounds ? { calls: callsOf(transcript, dice) } : { text: "Done." }
      return scriptedModel([reply]).generate(transcript, options)
    },
    close: () => Promise.resolve(),
  }
}

const builtinInputs: Readonly<Record<string, JsonObject>> = {
  brave_search: { query: "test" },
  wolfram_alpha: { query: "1 + 1" },
  code_interpreter: { code: "1 + 1" },
}

function callsOf({ options }: Transcript, dice: Dice): NonNullable<ScriptedReply["calls"]> {
  const builtins = (options.builtinTools ?? []).map((name) => ({ name, input: builtinInputs[name] ?? {} }))
  const custom = options.tools.map(({ name, parameters }) => ({
    name,
    input: sampleOf(parameters, dice) as JsonObject,
  }))
  return [...builtins, ...custom]
}

/** A value that fits the schema. */
function sampleOf(schema: JsonValue | undefined, dice: Dice): JsonValue {
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) return null
  const { const: fixed, enum: choices, anyOf, oneOf, type } = schema as JsonObject
  if (fixed !== undefined) return fixed
  if (isList(choices)) return dice.pick(choices)
  if (isList(anyOf)) return sampleOf(dice.pick(anyOf), dice)
  if (isList(oneOf)) return sampleOf(dice.pick(oneOf), dice)
  const kind = isList(type) ? dice.pick(type) : type
  switch (kind) {
    case "string":
      return text(schema as JsonObject, dice)
    case "integer":
    case "number":
      return number(schema as JsonObject, kind === "integer", dice)
    case "boolean":
      return dice.below(2) === 1
    case "array":
      return Array.from({ length: numberOf(schema as JsonObject, "minItems", 1) }, () =>
        sampleOf((schema as JsonObject).items, dice),
      )
    case "object":
      return object(schema as JsonObject, dice)
    default:
      return null
  }
}

function object({ properties, required }: JsonObject, dice: Dice): JsonObject {
  const known = (properties ?? {}) as JsonObject
  const needed = isList(required) ? required : []
  const names = Object.keys(known).filter((name) => needed.includes(name) || dice.below(2) === 1)
  return Object.fromEntries(names.map((name) => [name, sampleOf(known[name], dice)]))
}

const formats: Readonly<Record<string, string>> = {
  date: "2024-07-26",
  time: "12:30:00Z",
  "date-time": "2024-07-26T12:30:00Z",
  email: "someone@example.org",
  uri: "https://example.org/",
  uuid: "00000000-0000-4000-8000-000000000000",
  ipv4: "192.0.2.1",
}

function text(schema: JsonObject, dice: Dice): string {
  const { format } = schema
  if (typeof format === "string" && formats[format] !== undefined) return formats[format]
  const least = numberOf(schema, "minLength", 0)
  const most = numberOf(schema, "maxLength", least + 8)
  const word = `word${dice.below(1000)}`
  return word.padEnd(least, "x").slice(0, Math.max(least, most))
}

function number(schema: JsonObject, whole: boolean, dice: Dice): number {
  const step = numberOf(schema, "multipleOf", whole ? 1 : 0.5)
  const above = schema.exclusiveMinimum === undefined ? 0 : step
  const least = numberOf(schema, "minimum", numberOf(schema, "exclusiveMinimum", 0)) + above
  const below = schema.exclusiveMaximum === undefined ? 0 : step
  const most = numberOf(schema, "maximum", numberOf(schema, "exclusiveMaximum", least + 100 * step + below)) - below
  const from = Math.ceil(least / step)
  const to = Math.max(from, Math.floor(most / step))
  return (from + dice.below(Math.min(to - from, 1000) + 1)) * step
}

function numberOf(schema: JsonObject, name: string, absent: number): number {
  const value = schema[name]
  return typeof value === "number" ? value : absent
}

function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value)
}

/** A linear congruential generator (Numerical Recipes' constants): repeatable, and good enough to vary inputs. */
class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((this.#state / 2 ** 32) * limit)
  }

  pick(choices: readonly JsonValue[]): JsonValue {
    return choices[this.below(choices.length)] ?? null
  }
}
