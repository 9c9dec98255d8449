/** The native Llama engine: a checkpoint folder in, the Engine seam of @chasqui/core out. */
export { type EngineMemory, type LlamaEngine, loadEngine, type ScoreOptions } from "./engine.ts"
export { type MemoryPlan, memoryPlan, type PlanOptions, type TrainingPlan, trainingPlan } from "./memory-plan.ts"
export type { EngineMetrics } from "./metrics.ts"
export { knownShapes, type ModelShape, parametersOf, shapeOfConfig } from "./model-shape.ts"
export {
  type KvFormat,
  kvFormats,
  type LoadOptions,
  type NativeGenerateOptions,
  type WeightFormat,
  weightFormats,
} from "./options.ts"
export type { NativeGeneration, NativeGenerationEnd, TokenBatch, TokenLogprob } from "./stream.ts"
export { readTensorTypes, type TensorType, type TensorTypes } from "./tensor-types.ts"
