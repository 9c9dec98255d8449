/** What every larger example takes from the command line: `--model DIR`, or `--server URL --model NAME`; neither: the tiny model. */
import { parseArgs } from "node:util"
import { type AgentOptions, llama, remoteChat } from "chasqui"

export function modelFromFlags(): NonNullable<AgentOptions["model"]> {
  const { values } = parseArgs({
    options: { model: { type: "string" }, server: { type: "string" }, out: { type: "string" } },
    strict: true,
  })
  if (values.server === undefined) return llama(values.model)
  const apiKey = process.env.CHASQUI_API_KEY
  return remoteChat({ baseUrl: values.server, model: values.model ?? "llama", ...(apiKey && { apiKey }) })
}
