/**
 * Checks a tool's input against its schema: JSON Schema through ajv (loaded and compiled on the first check, once), Standard
 * Schema through its own validator. Problems come back as path and reason, in words that a model can act on.
 *
 * Covered against schemas of strangers: size, depth, patterns that backtrack, remote references, endless or exploding
 * references (time limit), names shared between schemas. Not covered: a Standard Schema is code, and trusted as such.
 */
import { createRequire } from "node:module"
import { createContext, Script } from "node:vm"
import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec"
import type { Ajv2020, Options, ValidateFunction } from "ajv/dist/2020.js"
import { ToolDefinitionError } from "./error.ts"
import { describeProblems, findProblems, type InputProblem, pathText } from "./tool-problem.ts"
import { describeFault, linearPattern, readToolSchema, type SchemaReading } from "./tool-schema.ts"
import type { JsonObject, JsonValue } from "./turn.ts"

/** The input as `execute` gets it, or what is wrong with it. */
export type InputCheckResult =
  | { readonly ok: true; readonly input: unknown }
  | { readonly ok: false; readonly problems: readonly string[] }
/** Checks one input. Never rejects for what a model may write. */
export type InputCheck = (input: JsonObject) => InputCheckResult | Promise<InputCheckResult>

export interface CheckedSchema {
  readonly check: InputCheck
  /** What the model is shown. */
  readonly parameters: JsonObject
}

/** The check of a JSON Schema can also tell where each problem lies. */
export interface CheckedJsonSchema extends CheckedSchema {
  /** For any JSON value; none for a valid one. */
  readonly problemsIn: (value: JsonValue) => readonly InputProblem[]
}

/**
 * `scalars`: the string "3" passes for a number, 3 for a string, "true" for a boolean, and the input is changed to fit.
 * `off`: nothing is changed but defaults filled in.
 */
export type Coercion = "off" | "scalars"

/** Milliseconds that one check may take when its schema sets no bound to the work. */
const checkTimeoutMs = 1_000

/**
 * The check for a JSON Schema of draft 2020-12 or, where `$schema` says so, draft-07. `check` fills in defaults on a copy; the
 * caller's input stays as it is. Throws ToolDefinitionError for a schema that cannot be used, naming the place.
 */
export function jsonSchemaCheck(name: string, schema: unknown, coercion: Coercion = "off"): CheckedJsonSchema {
  const reading = readToolSchema(schema)
  const [fault] = reading.faults
  if (fault) throw unusable(name, fault.kind, describeFault(fault))
  let validate: ValidateFunction | undefined
  const tried = (value: JsonValue): { copy: JsonValue; problems: readonly InputProblem[] } => {
    validate ??= compile(name, reading, coercion)
    const copy = copyJson(value)
    if (copy === undefined) return { copy: value, problems: [tooInvolved] }
    const outcome = reading.unbounded ? runLimited(validate, copy) : run(validate, copy)
    if (outcome === "valid") return { copy, problems: [] }
    if (outcome === "invalid") return { copy, problems: findProblems(validate.errors ?? [], copy) }
    return { copy, problems: [tooInvolved] }
  }
  const check = (input: JsonObject): InputCheckResult => {
    const { copy, problems } = tried(input)
    return problems.length === 0 ? { ok: true, input: copy } : { ok: false, problems: describeProblems(problems) }
  }
  return { check, parameters: reading.schema, problemsIn: (value) => tried(value).problems }
}

/**
 * The check for a Standard Schema (zod, ArkType, Effect Schema). Its own validator decides, at once or later; the model is
 * shown its JSON Schema. Throws ToolDefinitionError when the schema cannot be written as JSON Schema of an object.
 */
export function standardSchemaCheck(
  name: string,
  schema: StandardSchemaV1<unknown, unknown> & StandardJSONSchemaV1<unknown, unknown>,
): CheckedSchema {
  const standard = schema["~standard"]
  const read = (result: StandardSchemaV1.Result<unknown>): InputCheckResult =>
    result.issues ? { ok: false, problems: result.issues.map(describeIssue) } : { ok: true, input: result.value }
  const check: InputCheck = (input) => {
    const result = standard.validate(input)
    return result instanceof Promise ? result.then(read) : read(result)
  }
  return { check, parameters: writtenSchema(name, standard) }
}

function writtenSchema(name: string, standard: StandardJSONSchemaV1.Props): JsonObject {
  let written: unknown
  try {
    written = standard.jsonSchema.input({ target: "draft-2020-12" })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw unusable(name, "unsupported-schema", `The schema has no form as JSON Schema: ${reason}`, cause)
  }
  const { faults, schema } = readToolSchema(written)
  // The model never sees these keywords' effect: the dialect is said once, for all tools, by this package.
  const { $schema: _dialect, ...parameters } = schema
  // Only the validator above ever runs, so a pattern that our own engine could not run is no fault here.
  const fault = faults.find(({ kind, path }) => !(kind === "unsupported-schema" && path.at(-1) === "pattern"))
  if (fault) throw unusable(name, fault.kind, describeFault(fault))
  return parameters
}

function describeIssue({ path, message }: StandardSchemaV1.Issue): string {
  const keys = (path ?? []).map((segment) => (typeof segment === "object" ? segment.key : segment))
  return `${pathText(keys)}: ${message}`
}

function unusable(
  name: string,
  reason: "bad-schema" | "unsupported-schema" | "too-large",
  problem: string,
  cause?: unknown,
) {
  return new ToolDefinitionError({
    reason,
    detail: `The input schema of the tool ${JSON.stringify(name)} is not usable: ${problem.replace(/\.$/, "")}.`,
    fix: "Correct the schema there; JSON Schema 2020-12 with an object at the top is expected.",
    ...(cause !== undefined && { cause }),
  })
}

const tooInvolved: InputProblem = {
  path: [],
  reason: "is too deep or too involved to check; send a simpler one",
}

/** A copy that the check and the tool may change; undefined where the value is nested too deep. A tenth of structuredClone's cost. */
function copyJson(value: JsonValue): JsonValue | undefined {
  try {
    return copyOf(value)
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function copyOf(value: JsonValue): JsonValue {
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map(copyOf)
  const copy: Record<string, JsonValue> = {}
  for (const key of Object.keys(value)) {
    const item = copyOf((value as JsonObject)[key] as JsonValue)
    // Plain assignment to this key would set the prototype instead of a field.
    if (key === "__proto__")
      Object.defineProperty(copy, key, { value: item, enumerable: true, writable: true, configurable: true })
    else copy[key] = item
  }
  return copy
}

type Outcome = "valid" | "invalid" | "gave-up"

function run(validate: ValidateFunction, input: unknown): Outcome {
  try {
    return validate(input) ? "valid" : "invalid"
  } catch (error) {
    if (error instanceof RangeError) return "gave-up" // the stack is full: the input is nested too deep
    throw error
  }
}

/** Runs the check under a timer that also stops synchronous code; costs about 0.3 ms, hence only where it is needed. */
function runLimited(validate: ValidateFunction, input: unknown): Outcome {
  let outcome: Outcome = "gave-up"
  const check = () => {
    outcome = run(validate, input)
  }
  try {
    limitedRun.runInContext(createContext({ check }), { timeout: checkTimeoutMs })
    return outcome
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_SCRIPT_EXECUTION_TIMEOUT") return "gave-up"
    throw error
  }
}
const limitedRun = new Script("check()")

function compile(name: string, reading: SchemaReading, coercion: Coercion): ValidateFunction {
  const { schema, draft, named } = reading
  const ajv = named ? newAjv(draft, coercion) : sharedAjv(draft, coercion)
  try {
    return ajv.compile(schema)
  } catch (cause) {
    throw unusable(name, "bad-schema", cause instanceof Error ? cause.message : String(cause), cause)
  } finally {
    ajv.removeSchema(schema)
  }
}

const validators = new Map<string, Ajv2020>()

function sharedAjv(draft: SchemaReading["draft"], coercion: Coercion): Ajv2020 {
  const key = `${draft} ${coercion}`
  const ajv = validators.get(key) ?? newAjv(draft, coercion)
  validators.set(key, ajv)
  return ajv
}

/** ajv is loaded here, at the first check: it costs about 80 ms, which importing this package must not. */
function newAjv(draft: SchemaReading["draft"], coercion: Coercion): Ajv2020 {
  const { Ajv2020: Latest } = require("ajv/dist/2020.js") as typeof import("ajv/dist/2020.js")
  const { Ajv: Draft07 } = require("ajv") as typeof import("ajv")
  const addFormats = (require("ajv-formats") as typeof import("ajv-formats")).default
  const options: Options = {
    allErrors: true,
    verbose: true, // gives each error its schema, from which the list of known fields is read
    useDefaults: true,
    coerceTypes: coercion === "scalars",
    ownProperties: true, // "constructor" is a missing field, not one that every object has
    strict: false, // unknown keywords are annotations
    meta: false, // the shape of the schema has been checked by `readToolSchema`, which is 30 times faster
    validateSchema: false,
    inlineRefs: false, // the compiled code stays as small as the schema
    logger: false,
    code: { regExp: Object.assign((pattern: string) => linearPattern(pattern), { code: "linearPattern" }) },
  }
  const ajv = draft === "07" ? new Draft07(options) : new Latest(options)
  return addFormats.default(ajv as never) as never
}

const require = createRequire(import.meta.url)
