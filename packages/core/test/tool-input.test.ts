import { execFileSync } from "node:child_process"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { z } from "zod"
import { ToolDefinitionError } from "../src/error.ts"
import { defineTool } from "../src/tool.ts"
import { type InputCheckResult, jsonSchemaCheck, standardSchemaCheck } from "../src/tool-input.ts"
import type { JsonObject } from "../src/turn.ts"

const weather = {
  type: "object",
  properties: {
    location: { type: "string", minLength: 1 },
    unit: { enum: ["Celsius", "Fahrenheit"], default: "Celsius" },
    days: { type: "integer", minimum: 1, maximum: 7 },
    when: { type: "string", format: "date" },
    stops: { type: "array", items: { type: "object", properties: { name: { type: "string" } }, required: ["name"] } },
  },
  required: ["location"],
  additionalProperties: false,
} as const

const problemsOf = (schema: object, input: JsonObject): readonly string[] => {
  const result = jsonSchemaCheck("weather", schema).check(input) as InputCheckResult
  return result.ok ? [] : result.problems
}
const objectOf = (properties: object, rest: object = {}) => ({ type: "object", properties, ...rest })

describe("problems of an input", () => {
  it.each<[string, object, JsonObject, readonly string[]]>([
    ["a missing field", weather, {}, ["location: is required"]],
    [
      "a value outside a list",
      weather,
      { location: "Oslo", unit: "Kelvin" },
      ['unit: must be one of "Celsius", "Fahrenheit", not "Kelvin"'],
    ],
    ["a wrong type", weather, { location: "Oslo", days: "3" }, ['days: must be an integer, not a string ("3")']],
    ["a number out of range", weather, { location: "Oslo", days: 9 }, ["days: must be at most 7, not 9"]],
    ["an empty string", weather, { location: "" }, ["location: must not be empty"]],
    [
      "a format",
      weather,
      { location: "Oslo", when: "tomorrow" },
      ['when: must be a date such as 2026-03-31, not "tomorrow"'],
    ],
    [
      "a field inside a list",
      weather,
      { location: "Oslo", stops: [{ name: "a" }, { name: null }, {}] },
      ["stops[1].name: must be a string, not null", "stops[2].name: is required"],
    ],
    [
      "an unknown field, with those that exist",
      weather,
      { location: "Oslo", city: "Oslo" },
      ["city: is not a known field; the fields are location, unit, days, when, stops"],
    ],
    [
      "a field that every JavaScript object seems to have",
      objectOf({}, { required: ["constructor"] }),
      {},
      ["constructor: is required"],
    ],
    [
      "types of which none fits",
      objectOf({ id: { anyOf: [{ type: "string" }, { type: "integer" }] } }),
      { id: true },
      ["id: must be a string or an integer, not a boolean (true)"],
    ],
    [
      "the branch that came closest",
      objectOf({
        to: {
          anyOf: [
            objectOf({ kind: { const: "mail" }, address: { type: "string" } }, { required: ["kind", "address"] }),
            { type: "string" },
          ],
        },
      }),
      { to: { kind: "mail", address: 5 } },
      ["to.address: must be a string, not a number (5)"],
    ],
    [
      "a pattern",
      objectOf({ id: { type: "string", pattern: "^[A-Z]{2}\\d+$" } }),
      { id: "x1" },
      ['id: must match the pattern ^[A-Z]{2}\\d+$, not "x1"'],
    ],
    [
      "a dependent field",
      objectOf({}, { dependentRequired: { card: ["month"] } }),
      { card: "1" },
      ["month: is required because card is given"],
    ],
  ])("names %s", (_case, schema, input, problems) => {
    expect(problemsOf(schema, input)).toEqual(problems)
  })

  it("counts what goes beyond eight problems", () => {
    const names = Array.from({ length: 12 }, (_, index) => `field${index}`)
    const problems = problemsOf(objectOf({}, { required: names }), {})
    expect(problems).toHaveLength(9)
    expect(problems[8]).toBe("and 4 more problems")
  })

  it("keeps a long value out of the text", () => {
    const [problem] = problemsOf(weather, { location: "Oslo", unit: "x".repeat(10_000) })
    expect(problem!.length).toBeLessThan(300)
  })
})

describe("a JSON Schema check", () => {
  it("fills in defaults on a copy and leaves the caller's input alone", () => {
    const input = { location: "Oslo" }
    const result = jsonSchemaCheck("weather", weather).check(input)
    expect(result).toEqual({ ok: true, input: { location: "Oslo", unit: "Celsius" } })
    expect(input).toEqual({ location: "Oslo" })
  })

  it("coerces only where asked to", () => {
    const schema = objectOf({ days: { type: "integer" } })
    expect(jsonSchemaCheck("t", schema).check({ days: "3" })).toMatchObject({ ok: false })
    expect(jsonSchemaCheck("t", schema, "scalars").check({ days: "3" })).toEqual({ ok: true, input: { days: 3 } })
    expect(jsonSchemaCheck("t", schema, "scalars").check({ days: "many" })).toMatchObject({ ok: false })
  })

  it("reads tuples the way the declared draft writes them", () => {
    const older = {
      $schema: "http://json-schema.org/draft-07/schema#",
      ...objectOf({ pair: { items: [{ type: "string" }, { type: "number" }] } }),
    }
    const newer = objectOf({ pair: { prefixItems: [{ type: "string" }, { type: "number" }] } })
    for (const schema of [older, newer]) {
      expect(problemsOf(schema, { pair: ["a", 1] })).toEqual([])
      expect(problemsOf(schema, { pair: ["a", "b"] })).toEqual(['pair[1]: must be a number, not a string ("b")'])
    }
  })

  it("keeps schemas with the same $id and anchors apart", () => {
    const named = (type: string) => ({
      $id: "https://example.org/tool",
      ...objectOf({ a: { $ref: "#part" } }),
      $defs: { part: { $anchor: "part", type } },
    })
    const [first, second] = [jsonSchemaCheck("a", named("string")), jsonSchemaCheck("b", named("number"))]
    expect(first.check({ a: "x" })).toMatchObject({ ok: true })
    expect(second.check({ a: 1 })).toMatchObject({ ok: true })
    expect(second.check({ a: "x" })).toMatchObject({ ok: false })
  })

  it("follows a schema that refers to itself", () => {
    const tree = {
      ...objectOf({ root: { $ref: "#/$defs/node" } }),
      $defs: {
        node: objectOf(
          { name: { type: "string" }, children: { type: "array", items: { $ref: "#/$defs/node" } } },
          { required: ["name"] },
        ),
      },
    }
    expect(problemsOf(tree, { root: { name: "a", children: [{ name: "b", children: [{}] }] } })).toEqual([
      "root.children[0].children[0].name: is required",
    ])
  })

  it("takes a key called __proto__ as a field like any other", () => {
    const input = JSON.parse('{"location":"Oslo","__proto__":{"days":99}}') as JsonObject
    expect(problemsOf(weather, input)).toEqual([
      "__proto__: is not a known field; the fields are location, unit, days, when, stops",
    ])
  })
})

describe("a schema from a stranger", () => {
  it.each<[string, unknown, string, RegExp]>([
    ["no object", "string", "bad-schema", /must be an object/],
    ["another type at the top", { type: "string" }, "bad-schema", /type: must be "object"/],
    [
      "an unknown type",
      objectOf({ a: { type: "strnig" } }),
      "bad-schema",
      /properties\.a\.type: "strnig" is no type; the types are string/,
    ],
    [
      "required as a flag",
      objectOf({ a: { type: "string", required: true } }),
      "bad-schema",
      /properties\.a\.required: must be a list of names/,
    ],
    [
      "an empty enum",
      objectOf({ a: { enum: [] } }),
      "bad-schema",
      /properties\.a\.enum: must be a list of at least one value/,
    ],
    ["a tuple of draft-07 undeclared", objectOf({ a: { items: [{}] } }), "bad-schema", /prefixItems/],
    [
      "a remote reference",
      objectOf({ a: { $ref: "https://example.org/x.json" } }),
      "unsupported-schema",
      /points outside the schema/,
    ],
    [
      "a reference to nothing",
      objectOf({ a: { $ref: "#/$defs/missing" } }),
      "bad-schema",
      /which is not in this schema/,
    ],
    ["look-ahead in a pattern", objectOf({ a: { pattern: "(?=x)" } }), "unsupported-schema", /look-around/],
    ["a malformed pattern", objectOf({ a: { pattern: "(" } }), "unsupported-schema", /pattern/],
    [
      "an old draft",
      { $schema: "http://json-schema.org/draft-04/schema#", ...objectOf({}) },
      "unsupported-schema",
      /drafts 2020-12 and 07/,
    ],
    ["a function", objectOf({ a: { default: () => 1 } }), "bad-schema", /must be JSON, not a function/],
    ["too much text", objectOf({ a: { description: "x".repeat(200_000) } }), "too-large", /larger than/],
    ["a very long pattern", objectOf({ a: { pattern: "a".repeat(1_001) } }), "too-large", /longer than 1000/],
    [
      "repetition inside repetition",
      objectOf({ a: { pattern: "((a{500}){500}){500}" } }),
      "unsupported-schema",
      /pattern/,
    ],
  ])("is refused for %s, with the place", (_case, schema, reason, message) => {
    const refused = () => jsonSchemaCheck("weather", schema)
    expect(refused).toThrow(ToolDefinitionError)
    expect(refused).toThrow(expect.objectContaining({ reason }))
    expect(refused).toThrow(message)
  })

  it("is refused when it is nested too deep or in a circle", () => {
    let deep: object = {}
    for (let level = 0; level < 100; level++) deep = { not: deep }
    expect(() => jsonSchemaCheck("t", objectOf({ a: deep }))).toThrow(/nested more than 64 deep/)
    const circle: Record<string, unknown> = { type: "object" }
    circle.properties = { self: circle }
    expect(() => jsonSchemaCheck("t", circle)).toThrow(/nested more than 64 deep/)
  })

  it("cannot hang the host with a pattern that backtracks elsewhere", () => {
    const schema = objectOf({ a: { type: "string", pattern: "^(a+)+$" } })
    expect(problemsOf(schema, { a: `${"a".repeat(5_000)}!` })).toHaveLength(1)
  })

  it("cannot hang the host with references that double at each step", () => {
    const $defs: Record<string, unknown> = { d0: { type: "string" } }
    for (let step = 1; step <= 40; step++)
      $defs[`d${step}`] = { allOf: [{ $ref: `#/$defs/d${step - 1}` }, { $ref: `#/$defs/d${step - 1}` }] }
    expect(problemsOf({ ...objectOf({ a: { $ref: "#/$defs/d40" } }), $defs }, { a: "x" })).toEqual([
      "input: is too deep or too involved to check; send a simpler one",
    ])
  })

  it("is refused when a reference leads back to itself", () => {
    const schema = { ...objectOf({ a: { $ref: "#/$defs/x" } }), $defs: { x: { $ref: "#/$defs/x" } } }
    expect(() => jsonSchemaCheck("t", schema)).toThrow(/leads back to itself/)
  })

  it("cannot overflow the stack by applying itself to the same value", () => {
    const schema = { ...objectOf({ a: { $ref: "#/$defs/x" } }), $defs: { x: { allOf: [{ $ref: "#/$defs/x" }] } } }
    expect(problemsOf(schema, { a: 1 })).toEqual(["input: is too deep or too involved to check; send a simpler one"])
  })

  it("never makes the reader throw anything but ToolDefinitionError", () => {
    const keyword = fc.constantFrom(
      "type",
      "properties",
      "items",
      "anyOf",
      "enum",
      "required",
      "$ref",
      "pattern",
      "minimum",
      "not",
      "$defs",
      "$id",
      "prefixItems",
    )
    const schema = fc.letrec((tie) => ({
      node: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom<unknown>("object", "string", "#", "#/$defs/a", "(", 1, -1, true, null, "^a$"),
        fc.dictionary(fc.oneof(keyword, fc.string({ maxLength: 4 })), tie("node"), { maxKeys: 4 }),
        fc.array(tie("node"), { maxLength: 3 }),
      ),
    })).node
    fc.assert(
      fc.property(fc.dictionary(keyword, schema, { maxKeys: 4 }), fc.jsonValue(), (rest, value) => {
        try {
          const { check } = jsonSchemaCheck("t", { ...rest, type: "object" })
          const result = check({ a: value } as JsonObject) as InputCheckResult
          expect(result.ok || result.problems.length > 0).toBe(true)
        } catch (error) {
          expect(error).toBeInstanceOf(ToolDefinitionError)
        }
      }),
      { seed: 20261124, numRuns: 1_500 },
    )
  })
})

describe("a Standard Schema check", () => {
  const schema = z.object({
    location: z.string(),
    unit: z.enum(["Celsius", "Fahrenheit"]).default("Celsius"),
    stops: z.array(z.object({ name: z.string() })).optional(),
  })

  it("gives the schema's output, defaults applied", async () => {
    expect(await standardSchemaCheck("weather", schema).check({ location: "Oslo" })).toEqual({
      ok: true,
      input: { location: "Oslo", unit: "Celsius" },
    })
  })

  it("names the path of each issue", async () => {
    const result = await standardSchemaCheck("weather", schema).check({ stops: [{ name: 1 }] })
    expect(result).toEqual({
      ok: false,
      problems: [
        "location: Invalid input: expected string, received undefined",
        "stops[0].name: Invalid input: expected string, received number",
      ],
    })
  })

  it("waits for a validator that answers later", async () => {
    const later = z.object({ id: z.string().refine(async (id) => id === "known", "no such id") })
    const { check } = standardSchemaCheck("t", later)
    expect(await check({ id: "other" })).toEqual({ ok: false, problems: ["id: no such id"] })
    expect(await check({ id: "known" })).toEqual({ ok: true, input: { id: "known" } })
  })

  it("shows the model plain JSON Schema", () => {
    expect(standardSchemaCheck("weather", schema).parameters).toEqual({
      type: "object",
      properties: {
        location: { type: "string" },
        unit: { default: "Celsius", type: "string", enum: ["Celsius", "Fahrenheit"] },
        stops: {
          type: "array",
          items: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
        },
      },
      required: ["location"],
    })
  })

  it("refuses what has no JSON Schema, and what is no object", () => {
    expect(() => standardSchemaCheck("t", z.object({ when: z.date() }))).toThrow(/no form as JSON Schema/)
    expect(() => standardSchemaCheck("t", z.string())).toThrow(/must be "object"/)
  })
})

describe("defineTool", () => {
  it("refuses a name that a prompt cannot carry", () => {
    expect(() => defineTool("two words", { description: "", input: { type: "object" }, execute: () => null })).toThrow(
      /not usable/,
    )
  })

  it("does not load the validator before a check needs it", () => {
    const program = `
      const { defineTool } = await import(${JSON.stringify(new URL("../src/tool.ts", import.meta.url).href)})
      const { check } = defineTool("t", { description: "", input: { type: "object", properties: { a: { type: "string" } } }, execute: () => null })
      const loaded = () => Object.keys(process.getBuiltinModule("module")._cache).some((file) => file.includes("/ajv/"))
      const before = loaded()
      check({})
      console.log(before, loaded())`
    const output = execFileSync(process.execPath, ["--input-type=module", "--eval", program], { encoding: "utf8" })
    expect(output.trim()).toBe("false true")
  })
})
