/** What tests of tools, loops and agents use: scripted models that need no weights. Part of the public API. */
export { type ScriptedModel, type ScriptedReply, scriptedModel } from "./testing-model.ts"
