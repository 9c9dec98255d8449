/** The public API of @chasqui/tools. Adding a name here is a decision about the public API. */
export { type CodeInterpreterOptions, codeInterpreter } from "./code-interpreter.ts"
export { ToolSetupError } from "./error.ts"
export { type LocalMathsOptions, localMaths } from "./maths/local-maths.ts"
export type { MathsProvider, Pod } from "./maths/maths-provider.ts"
export { type WolframAlphaOptions, wolframAlpha } from "./maths/wolfram-alpha.ts"
export type { McpOptions, McpSource } from "./mcp/client.ts"
export { type McpHttpOptions, type McpStdioOptions, mcp } from "./mcp/mcp.ts"
export {
  type McpHttpServer,
  type McpServeHttpOptions,
  type McpServeOptions,
  mcpServeHttp,
  mcpServeStdio,
} from "./mcp/serve.ts"
export { describePluginProblem, type PluginCheck, pluginCheck } from "./plugin/check.ts"
export type { Manifest, ManifestTool } from "./plugin/manifest.ts"
export { pluginNew } from "./plugin/new.ts"
export { type Grant, type Plugin, type PluginOptions, plugin } from "./plugin/plugin.ts"
export type { PluginProblem } from "./plugin/problem.ts"
export type { PluginContext, PluginFunction } from "./plugin/runner.ts"
export type { Artifact } from "./python/artifact.ts"
export { type BatchAnswer, type BatchOptions, type BatchRequest, pythonBatch } from "./python/batch.ts"
export type { SandboxLimits } from "./python/limits.ts"
export type { PackageOptions } from "./python/packages.ts"
export { pythonRepl, type ReplOptions } from "./python/repl.ts"
export {
  type PythonOutcome,
  type PythonSandbox,
  pythonSandbox,
  type RunOptions,
  type SandboxOptions,
} from "./python/sandbox.ts"
export { SandboxError } from "./python/sandbox-error.ts"
export { type BraveSearchOptions, braveSearch } from "./search/brave-search.ts"
export { type DocumentSource, localDocuments, sampleDocuments } from "./search/local-documents.ts"
export type { SearchProvider, SearchResult } from "./search/search-provider.ts"
