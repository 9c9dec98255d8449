/** The public API of @chasqui/core: what an agent is made of. Adding a name here is a decision about the public API. */
export { type Agent, agent } from "./agent.ts"
export type {
  AgentOptions,
  Decisions,
  HandoffOptions,
  OutputOptions,
  OutputResult,
  RunOptions,
} from "./agent-options.ts"
export { type AgentToolOptions, agentTool } from "./agent-tool.ts"
export type { ApprovalKey, Decision, PendingRun } from "./approval.ts"
export { type ContextPolicy, dropToolResults, type PolicyMeans, summarise } from "./context-policy.ts"
export { createDetokenizer, type Detokenizer } from "./detokenizer.ts"
export {
  type Constraint,
  type Engine,
  type EngineInfo,
  type GenerateOptions,
  type Generation,
  type GenerationEnd,
  type GenerationStopReason,
  type Sampling,
  TokenLog,
} from "./engine.ts"
export {
  AgentError,
  EngineError,
  PromptError,
  SessionError,
  TemplateError,
  TokenizerError,
  ToolDefinitionError,
} from "./error.ts"
export type {
  AgentEvent,
  GuardStop,
  NestedEvent,
  OutputInvalid,
  ParserEvent,
  RunEnd,
  RunFailed,
  RunStart,
  RunStopReason,
  StepEnd,
  StepStart,
  TextDelta,
  TextEnd,
  TextStart,
  ToolCallDelta,
  ToolCallEnd,
  ToolCallInvalid,
  ToolCallStart,
  ToolFailure,
  ToolResult,
  TranscriptReplaced,
  Usage,
} from "./event.ts"
export {
  type CompletingModel,
  type Guard,
  guardCategories,
  type LlamaGuardOptions,
  llamaGuard,
  type Verdict,
} from "./guard.ts"
export type { Guards } from "./guard-check.ts"
export { traceHeader } from "./kept-session.ts"
export { type CompleteOptions, type Completion, type LlamaModel, llamaModel } from "./llama-model.ts"
export type { Model, ModelEnd, ModelGeneration, ModelInfo, ModelOptions } from "./model.ts"
export type { InferOutput, OutputSchema } from "./output.ts"
export { type ParsedTurn, type Parser, type ParserInput, type ParserOptions, parser } from "./parser.ts"
export { type ParseReply, type ParseRequest, ParseRequestError, parseRequest } from "./parser-request.ts"
export { continuePrompt, type PromptPosition, promptStart, promptText, renderPrompt } from "./prompt.ts"
export type { PromptOptions } from "./prompt-options.ts"
export type { PromptPart } from "./prompt-part.ts"
export { type RenderedPrompt, type RenderRequestOptions, renderRequest, tokenizeRequest } from "./render.ts"
export type { RunResult } from "./run.ts"
export type { Budget } from "./run-budget.ts"
export type { RunLimits } from "./run-limits.ts"
export type { RunStream } from "./run-stream.ts"
export { loadSession, type SessionDocument, saveSession } from "./session.ts"
export { type SpecialToken, sampledSpecialTokens, specialTokens, stopTokens } from "./special-tokens.ts"
export type { Store, StoreLog } from "./store.ts"
export { folderStore } from "./store-folder.ts"
export { memoryStore } from "./store-memory.ts"
export { sqliteStore } from "./store-sqlite.ts"
export { type Listener, type TelemetryLabels, type TelemetryOptions, telemetry } from "./telemetry.ts"
export { type ChatTemplate, type ChatTemplateOptions, openTemplate, type TemplatePrompt } from "./template.ts"
export { loadTokenizer, type Tokenizer } from "./tokenizer.ts"
export {
  builtinToolNames,
  defineTool,
  type EffectOf,
  type InferJson,
  type Tool,
  type ToolContext,
  type ToolDefinition,
  ToolFailed,
  type ToolOutput,
  type ToolRetry,
  type ToolSchema,
} from "./tool.ts"
export {
  type Coercion,
  type InputCheck,
  type InputCheckResult,
  jsonSchemaCheck,
  standardSchemaCheck,
} from "./tool-input.ts"
export type { InputProblem } from "./tool-problem.ts"
export { describeFault, isKnownKeyword, linearPattern, readToolSchema, type SchemaFault } from "./tool-schema.ts"
export {
  type ForkPoint,
  forkTrace,
  readTrace,
  replay,
  type Trace,
  type TraceEvent,
  type TraceHeader,
  type TraceLine,
  traceLine,
} from "./trace.ts"
export { Transcript } from "./transcript.ts"
export type {
  AssistantTurn,
  CallSyntax,
  IpythonTurn,
  JsonObject,
  JsonValue,
  Role,
  SystemTurn,
  ToolCall,
  Turn,
  TurnEnd,
  UnreadCall,
  UserTurn,
} from "./turn.ts"
