/** The Effect entry: the nouns of @chasqui/core/effect, with the embedded model as a layer. */
import { Model } from "@chasqui/core/effect"
import { type LlamaOptions, llama } from "./llama.ts"

export { Agent, type AgentOptions, type AgentService, agent, Model } from "@chasqui/core/effect"

/** A checkpoint as the Model of the context; without a folder, the tiny model. */
export const llamaLayer = (folder?: string, options?: LlamaOptions) => Model.layer(llama(folder, options))
