/**
 * Compiled by tsc, never run: what `execute` is given is inferred from the schema, and a wrong use does not compile.
 * Ten tools, so that the cost of the inference shows in one figure (`tool-types.test.ts`).
 */
import { z } from "zod"
import { defineTool, type InferJson, type Tool } from "../src/tool.ts"

type Equal<Left, Right> = (<T>() => T extends Left ? 1 : 2) extends <T>() => T extends Right ? 1 : 2 ? true : false
const same = <Left, Right>(_proof: Equal<Left, Right>): void => undefined

export const forecast = defineTool("forecast", {
  description: "Forecast for up to 7 days",
  input: {
    type: "object",
    properties: { city: { type: "string" }, days: { type: "integer" }, unit: { enum: ["c", "f"] } },
    required: ["city"],
    additionalProperties: false,
  },
  execute: ({ city, days, unit }) => {
    same<typeof city, string>(true)
    same<typeof days, number | undefined>(true)
    same<typeof unit, "c" | "f" | undefined>(true)
    return city
  },
})
same<typeof forecast, Tool<"forecast">>(true)

export const order = defineTool("order", {
  description: "Orders items",
  input: {
    type: "object",
    properties: {
      items: {
        type: "array",
        items: {
          type: "object",
          properties: { id: { type: "string" }, count: { type: "number" } },
          required: ["id", "count"],
        },
      },
      note: { type: ["string", "null"] },
    },
    required: ["items", "note"],
  },
  execute: ({ items, note }) => {
    same<typeof items, { id: string; count: number }[]>(true)
    same<typeof note, string | null>(true)
    return items.length
  },
})

export const contact = defineTool("contact", {
  description: "Contacts somebody",
  input: {
    type: "object",
    properties: {
      to: {
        anyOf: [
          { type: "string" },
          {
            type: "object",
            properties: { kind: { const: "mail" }, address: { type: "string" } },
            required: ["kind", "address"],
          },
        ],
      },
    },
    required: ["to"],
  },
  execute: ({ to }) => {
    same<typeof to, string | { kind: "mail"; address: string }>(true)
    return null
  },
})

export const weather = defineTool("weather", {
  description: "Weather",
  input: z.object({ location: z.string(), unit: z.enum(["c", "f"]).default("c") }),
  execute: ({ location, unit }) => {
    same<typeof location, string>(true)
    same<typeof unit, "c" | "f">(true)
    return location
  },
})

export const nothing = defineTool("nothing", {
  description: "Takes no fields",
  input: { type: "object" },
  execute: (input) => {
    same<typeof input, Record<string, unknown>>(true)
    return null
  },
})

export const five = defineTool("five", {
  description: "",
  input: { type: "object", properties: { a: { type: "boolean" }, b: { type: "null" } }, required: ["a", "b"] },
  execute: ({ a, b }) => (a ? b : null),
})
export const six = defineTool("six", {
  description: "",
  input: { type: "object", properties: { list: { type: "array", items: { type: "string" } } } },
  execute: ({ list }) => (list ?? []).map((one) => one.trim()),
})
export const seven = defineTool("seven", {
  description: "",
  input: { type: "object", properties: { map: { type: "object" } }, required: ["map"] },
  execute: ({ map }) => Object.keys(map),
})
export const eight = defineTool("eight", {
  description: "",
  input: z.object({ list: z.array(z.object({ id: z.string(), at: z.string().optional() })) }),
  execute: async ({ list }) => list.map(({ id }) => id),
})
export const nine = defineTool("nine", {
  description: "",
  input: {
    type: "object",
    properties: {
      depth: { type: "object", properties: { more: { type: "object", properties: { end: { type: "integer" } } } } },
    },
  },
  execute: ({ depth }) => depth?.more?.end ?? 0,
})

same<InferJson<{ readonly $ref: "#" }>, unknown>(true)

defineTool("wrong", {
  description: "",
  input: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  // @ts-expect-error there is no such field
  execute: ({ town }) => town,
})
// @ts-expect-error the field is a string
defineTool("wrong", { description: "", input: z.object({ city: z.string() }), execute: ({ city }) => city * 2 })
// @ts-expect-error a schema of something else than an object
defineTool("wrong", { description: "", input: { type: "string" }, execute: () => null })
// @ts-expect-error a result that is no JSON
defineTool("wrong", { description: "", input: { type: "object" }, execute: () => new Map() })
