/** The native Llama engine: a checkpoint folder in, the Engine seam of @chasqui/core out. */
export { type LlamaEngine, loadEngine } from "./engine.ts"
export type { EngineMetrics } from "./metrics.ts"
export type { LoadOptions, NativeGenerateOptions } from "./options.ts"
export type { NativeGeneration, NativeGenerationEnd, TokenBatch, TokenLogprob } from "./stream.ts"
