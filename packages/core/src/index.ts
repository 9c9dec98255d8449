/** What `@chasqui/core` offers. Adding a name here is a decision about the public interface. */
export { ToolDefinitionError } from "./error.ts"
export {
  builtinToolNames,
  defineTool,
  type InferJson,
  type Tool,
  type ToolContext,
  type ToolDefinition,
  ToolFailed,
  type ToolSchema,
} from "./tool.ts"
export {
  type Coercion,
  type InputCheck,
  type InputCheckResult,
  jsonSchemaCheck,
  standardSchemaCheck,
} from "./tool-input.ts"
export { describeFault, isKnownKeyword, linearPattern, readToolSchema, type SchemaFault } from "./tool-schema.ts"
export type { JsonObject, JsonValue } from "./turn.ts"
