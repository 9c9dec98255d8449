/** What tests of tools, loops and agents use: scripted models and engines that need no weights. Part of the public API. */
export { type ScriptedEngine, type ScriptedEngineOptions, scriptedEngine } from "./testing-engine.ts"
export { type ScriptedModel, type ScriptedReply, scriptedModel } from "./testing-model.ts"
export { type SchemaModelOptions, schemaModel } from "./testing-schema.ts"
