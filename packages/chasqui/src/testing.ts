/** Scripted models and engines for tests, from @chasqui/core/testing. */
export {
  type SchemaModelOptions,
  type ScriptedEngine,
  type ScriptedEngineOptions,
  type ScriptedModel,
  type ScriptedReply,
  schemaModel,
  scriptedEngine,
  scriptedModel,
} from "@chasqui/core/testing"
