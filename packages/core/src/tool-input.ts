/**
 * Checks a tool's input against its schema: JSON Schema through ajv (compiled once, on first use), Standard Schema through
 * its own validator. Problems come back as path and reason, in words that a model can act on.
 */

import { createRequire } from "node:module"
import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec"
import type { Ajv2020, ErrorObject, ValidateFunction } from "ajv/dist/2020.js"
import { ToolDefinitionError } from "./error.ts"
import type { JsonObject, JsonValue } from "./turn.ts"

export type InputCheckResult =
  | { readonly ok: true; readonly input: unknown }
  | { readonly ok: false; readonly problems: readonly string[] }
export type InputCheck = (input: JsonObject) => InputCheckResult | Promise<InputCheckResult>
