/**
 * A tool is something that a model may call: a name, a description, a schema of its input, and a function.
 * `defineTool` takes the schema as a JSON Schema literal or as any Standard Schema (zod, ArkType, Effect Schema)
 * and types `execute` from it. Inputs are checked before `execute` sees them.
 */
import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec"
import { ToolDefinitionError } from "./error.ts"
import type { NestedEvent, Usage } from "./event.ts"
import type { Budget } from "./run-budget.ts"
import { type Coercion, type InputCheck, jsonSchemaCheck, standardSchemaCheck } from "./tool-input.ts"
import type { JsonObject, JsonValue } from "./turn.ts"

/** The built-in tools that Llama 3.1 was trained on; everything else is a custom function. */
export const builtinToolNames = ["brave_search", "wolfram_alpha", "code_interpreter"] as const

/** What the model is shown of a tool. */
export interface ToolDefinition {
  readonly name: string
  readonly description: string
  /** JSON Schema of the input: `{ type: "object", properties, … }`. */
  readonly parameters: JsonObject
}

/** What `execute` may return: a value that JSON can carry, a Promise of one, or an Effect of one without requirements. */
export type ToolOutput = JsonValue | Promise<JsonValue> | EffectOf<JsonValue>

/** An Effect, known by its brand: this entry names no type of Effect's. */
export interface EffectOf<Value> {
  readonly "~effect/Effect": { readonly _A: (_: never) => Value; readonly _R: (_: never) => never }
}

/** What a running call knows and may do. */
export interface ToolContext {
  readonly callId: string
  /** Aborted when the run is cancelled or the tool's time is up. */
  readonly signal: AbortSignal
  /** The session that the call belongs to; tools with state (a Python interpreter) keep it per session. */
  readonly sessionId: string
  /** Tokens that the run may still generate, now: what a tool that runs a model itself has to keep to. */
  readonly tokensLeft: number
  /** What the run may still spend, for a run inside this call: `bot.run(task, { signal, budget })`. Absent outside of runs. */
  readonly budget?: Budget
  /** Passes on an event of a sub-agent. */
  readonly report: (event: NestedEvent) => void
  /** Counts tokens that the tool spent on a model in the run's usage. */
  readonly spend: (usage: Usage) => void
}

/** A tool with everything that the loop needs of it; `defineTool` makes one. */
export interface Tool<Name extends string = string> extends ToolDefinition {
  readonly name: Name
  /** Offered as a trained built-in (`Tools:` line, `.call(…)` syntax) instead of as a JSON function. */
  readonly builtin: boolean
  /** No side effects: may run early and again. The host grants this, a plugin only proposes it. */
  readonly readOnly: boolean
  /** Runs alone: calls before it finish first, calls after it wait. */
  readonly sequential: boolean
  readonly timeoutMs: number
  /** Tries again after a throw; default no. What the tool says with ToolFailed is final. */
  readonly retry?: ToolRetry
  /** Whether a person has to agree before this input is run; the run pauses until then. The host's to grant. */
  readonly needsApproval?: boolean | ((input: never) => boolean)
  /** Who answers, where the same tool can have several behind it, such as `brave` or `local-documents`. */
  readonly provider?: string
  /** Called once when the agent closes. */
  readonly close?: () => Promise<void>
  /**
   * Ends by itself, at most one decode step after its signal, as a run of a sub-agent does. An aborted run waits for it, so that
   * what it spent is counted to the last token.
   */
  readonly settles?: true
  /** Ok with the typed input (defaults applied), or the problems with their paths. */
  readonly check: InputCheck
  readonly execute: (input: never, context: ToolContext) => ToolOutput
}

/** How often and when a failed call is tried again. */
export interface ToolRetry {
  /** How often more after the first time. */
  readonly times: number
  /** Milliseconds before the first of them; doubled each time. */
  readonly backoffMs: number
}

/** Throw this from `execute` to tell the model what went wrong; any other throw reaches it only as a neutral sentence. */
export class ToolFailed extends Error {
  readonly _tag = "ToolFailed"
}

interface ToolOptions<Input> {
  readonly description: string
  readonly builtin?: boolean
  readonly readOnly?: boolean
  readonly sequential?: boolean
  /** For all attempts together; default 60 000. */
  readonly timeoutMs?: number
  readonly retry?: ToolRetry
  readonly needsApproval?: boolean | ((input: Input) => boolean)
  readonly provider?: string
  /** For a JSON Schema: whether "3" passes for a number. Default `off`; a Standard Schema says so itself. */
  readonly coercion?: Coercion
  readonly close?: () => Promise<void>
  readonly execute: (input: Input, context: ToolContext) => ToolOutput
}

/** A Standard Schema that can also print itself as JSON Schema: zod ≥ 4.2, ArkType ≥ 2.1.28, Effect Schema. */
export type ToolSchema<Input = unknown, Output = Input> = StandardSchemaV1<Input, Output> &
  StandardJSONSchemaV1<Input, Output>

export interface ObjectSchema {
  readonly type: "object"
  readonly properties?: object
  readonly [keyword: string]: unknown
}

/**
 * Makes a tool. Throws ToolDefinitionError for a name outside `[A-Za-z0-9_.-]{1,64}` or a schema that ajv cannot compile.
 */
export function defineTool<const Name extends string, const Schema extends ObjectSchema>(
  name: Name,
  options: { readonly input: Schema } & ToolOptions<InferJson<Schema>>,
): Tool<Name>
export function defineTool<const Name extends string, Schema extends ToolSchema>(
  name: Name,
  options: { readonly input: Schema } & ToolOptions<StandardSchemaV1.InferOutput<Schema>>,
): Tool<Name>
export function defineTool(
  name: string,
  options: { readonly input: ObjectSchema | ToolSchema } & ToolOptions<never>,
): Tool {
  if (!/^[\w.-]{1,64}$/.test(name)) {
    throw new ToolDefinitionError({
      reason: "bad-name",
      detail: `The tool name ${JSON.stringify(name.slice(0, 80))} is not usable.`,
      fix: "Use 1 to 64 letters, digits, underscores, dots or hyphens.",
    })
  }
  const { check, parameters } =
    "~standard" in options.input
      ? standardSchemaCheck(name, options.input as ToolSchema)
      : jsonSchemaCheck(name, options.input, options.coercion)
  return {
    name,
    description: options.description,
    parameters,
    builtin: options.builtin ?? false,
    readOnly: options.readOnly ?? false,
    sequential: options.sequential ?? false,
    timeoutMs: options.timeoutMs ?? 60_000,
    ...(options.retry && { retry: options.retry }),
    ...(options.needsApproval !== undefined && { needsApproval: options.needsApproval }),
    ...(options.provider !== undefined && { provider: options.provider }),
    ...(options.close && { close: options.close }),
    check,
    execute: options.execute,
  }
}

type Primitive = { string: string; number: number; integer: number; boolean: boolean; null: null }
type Flat<T> = { [Key in keyof T]: T[Key] }
type ObjectOf<Properties, Required> = Flat<
  { -readonly [Key in keyof Properties as Key extends Required ? Key : never]: InferJson<Properties[Key]> } & {
    -readonly [Key in keyof Properties as Key extends Required ? never : Key]?: InferJson<Properties[Key]>
  }
>

/** The type of the values that a literal JSON Schema accepts. `$ref`, tuples and `allOf` infer as unknown. */
export type InferJson<Schema> = Schema extends { readonly const: infer Value }
  ? Value
  : Schema extends { readonly enum: readonly (infer Value)[] }
    ? Value
    : Schema extends { readonly anyOf: readonly (infer Choice)[] }
      ? InferJson<Choice>
      : Schema extends { readonly oneOf: readonly (infer Choice)[] }
        ? InferJson<Choice>
        : Schema extends { readonly type: infer Type }
          ? Type extends readonly (infer Choice)[]
            ? InferJson<Omit<Schema, "type"> & { readonly type: Choice }>
            : Type extends keyof Primitive
              ? Primitive[Type]
              : Type extends "array"
                ? Schema extends { readonly items: infer Item }
                  ? InferJson<Item>[]
                  : unknown[]
                : Type extends "object"
                  ? Schema extends { readonly properties: infer Properties }
                    ? ObjectOf<Properties, Schema extends { readonly required: readonly (infer Key)[] } ? Key : never>
                    : Record<string, unknown>
                  : unknown
          : unknown
