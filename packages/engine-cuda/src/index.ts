/** The native Llama engine: a checkpoint folder in, the Engine seam of @chasqui/core out. */
export { type EngineMemory, type LlamaEngine, loadEngine, type ScoreOptions } from "./engine.ts"
export type { EngineMetrics } from "./metrics.ts"
export { type LoadOptions, type NativeGenerateOptions, type WeightFormat, weightFormats } from "./options.ts"
export type { NativeGeneration, NativeGenerationEnd, TokenBatch, TokenLogprob } from "./stream.ts"
