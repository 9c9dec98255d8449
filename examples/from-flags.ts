/** The model that the larger examples take from the command line: `--model DIR`, or `--server URL --model NAME`; neither: the tiny model. */
import { llama, type Model, remoteChat } from "chasqui"

export const modelFlags = { model: { type: "string" }, server: { type: "string" } } as const

/** A loaded model, for several agents to share; whoever asked for it closes it. */
export async function openModel(name: string | undefined, server: string | undefined): Promise<Model> {
  if (server === undefined) return llama(name)()
  const apiKey = process.env.CHASQUI_API_KEY
  return remoteChat({ baseUrl: server, model: name ?? "llama", ...(apiKey && { apiKey }) })
}

/** The tiny model knows only what it was trained on; the examples ask more of any other. */
export function isTiny(model: Model): boolean {
  return model.info.name === "tiny-llama"
}
