/** Scripted models and engines for tests, from @chasqui/core/testing. */
export {
  type ScriptedEngine,
  type ScriptedEngineOptions,
  type ScriptedModel,
  type ScriptedReply,
  scriptedEngine,
  scriptedModel,
} from "@chasqui/core/testing"
