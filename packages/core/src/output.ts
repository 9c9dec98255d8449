/**
 * Structured answers: a schema in, the words that ask for it, and a check of what comes back. The answer may stand alone or in
 * one fenced block; what does not fit is said with path and reason, for the model to try again.
 */
import type { StandardSchemaV1 } from "@standard-schema/spec"
import type { OutputCheck } from "./run-context.ts"
import type { InferJson, ObjectSchema, ToolSchema } from "./tool.ts"
import { jsonSchemaCheck, standardSchemaCheck } from "./tool-input.ts"
import type { JsonObject } from "./turn.ts"

/** A JSON Schema literal of type `object`, or a Standard Schema that prints itself as one. */
export type OutputSchema = ObjectSchema | ToolSchema

/** The type of the values that an output schema accepts. */
export type InferOutput<Schema> = Schema extends StandardSchemaV1<unknown, infer Value> ? Value : InferJson<Schema>

export interface OutputFormat {
  /** Stands behind the user's text. */
  readonly instruction: string
  readonly check: OutputCheck
}

/** Throws ToolDefinitionError for a schema that cannot be used. */
export function outputFormat(schema: OutputSchema): OutputFormat {
  const { check, parameters } =
    "~standard" in schema
      ? standardSchemaCheck("output", schema as ToolSchema)
      : jsonSchemaCheck("output", schema as ObjectSchema)
  return {
    instruction: `\n\nGive the final answer as one JSON object that fits this JSON Schema, and nothing else:\n${JSON.stringify(parameters)}`,
    check: async (text) => {
      const read = readObject(text)
      if (!read.ok) return read
      const checked = await check(read.value)
      return checked.ok ? { ok: true, value: checked.input } : { ok: false, problem: `${checked.problems.join("; ")}.` }
    },
  }
}

function readObject(
  text: string,
): { readonly ok: true; readonly value: JsonObject } | { readonly ok: false; readonly problem: string } {
  const fenced = /^\s*```(?:json)?\s*\n([\s\S]*?)\n?```\s*$/.exec(text)
  let value: unknown
  try {
    value = JSON.parse(fenced?.[1] ?? text)
  } catch (thrown) {
    return { ok: false, problem: `it is not JSON (${(thrown as Error).message}).` }
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return { ok: true, value: value as JsonObject }
  return { ok: false, problem: "it is not a JSON object." }
}
