/** The options of commands that run an agent, and the agent that they describe. */
import type { Tool } from "@chasqui/core"
import { kvFormats, weightFormats } from "@chasqui/engine-cuda"
import { remoteChat } from "@chasqui/engine-remote"
import { type AgentOptions, agent } from "../agent.ts"
import { llama } from "../llama.ts"
import { numberOption, oneOf } from "./options.ts"
import { UsageError } from "./usage-error.ts"

export const agentOptions = {
  model: { type: "string" },
  server: { type: "string" },
  system: { type: "string" },
  date: { type: "string" },
  "max-steps": { type: "string" },
  "max-tokens": { type: "string" },
  temperature: { type: "string" },
  seed: { type: "string" },
  threads: { type: "string" },
  weights: { type: "string" },
  kv: { type: "string" },
  adapter: { type: "string" },
  device: { type: "string" },
} as const

type Values = { readonly [Name in keyof typeof agentOptions]?: string | undefined }

export const agentHelp = `  --model DIR        a Llama checkpoint in Hugging Face layout (default: the built-in tiny model)
  --server URL       an OpenAI-compatible server instead, such as http://localhost:8000/v1; --model then names its model,
                     and CHASQUI_API_KEY holds the key where it wants one
  --system TEXT      the system text (default: You are a helpful assistant.)
  --date TEXT        today's date as the prompt shows it (default: 26 Jul 2024, as in the model's own template)
  --max-steps N      stop after N steps (default 8)
  --max-tokens N     stop after N generated tokens
  --temperature T    0 always takes the likeliest token (default: the checkpoint's)
  --seed N           makes sampling repeatable
  --threads N        CPU threads
  --weights FORMAT   quantise the weights on load: ${weightFormats.join(", ")}
  --kv FORMAT        how the cache is kept: ${kvFormats.join(", ")} (default: bf16; fp8 takes half of its memory)
  --adapter DIR      a LoRA adapter in PEFT's layout
  --device NAME      cuda, cpu, or auto: a GPU where there is one (default: auto)`

/** Under what name the adapter of --adapter is loaded. */
const adapterName = "adapter"

export function agentFrom(values: Values, tools: readonly Tool[], more: Partial<AgentOptions> = {}) {
  const temperature = numberOption("temperature", values.temperature, 0)
  const seed = numberOption("seed", values.seed, 0)
  const maxTokens = numberOption("max-tokens", values["max-tokens"], 1)
  return agent({
    model: modelFrom(values),
    tools,
    system: values.system ?? "You are a helpful assistant.",
    maxSteps: numberOption("max-steps", values["max-steps"], 1) ?? 8,
    ...(values.adapter !== undefined && { adapter: adapterName }),
    ...(values.date !== undefined && { prompt: { date: values.date } }),
    ...(maxTokens !== undefined && { maxTokens }),
    sampling: { ...(temperature !== undefined && { temperature }), ...(seed !== undefined && { seed }) },
    ...more,
  })
}

function modelFrom(values: Values): NonNullable<AgentOptions["model"]> {
  const threads = numberOption("threads", values.threads, 1)
  const device = deviceOption(values.device)
  const weights = oneOf("weights", values.weights, weightFormats)
  const kvType = oneOf("kv", values.kv, kvFormats)
  if (values.server === undefined) {
    return llama(values.model, {
      ...(threads !== undefined && { threads }),
      ...(device !== undefined && { device }),
      ...(weights !== undefined && { weights }),
      ...(kvType !== undefined && { kvType }),
      ...(values.adapter !== undefined && { adapters: { [adapterName]: values.adapter } }),
    })
  }
  for (const option of ["weights", "kv", "adapter"] as const) {
    if (values[option] !== undefined)
      throw new UsageError(`--${option} is for the engine here; --server chooses its own.`)
  }
  if (values.model === undefined) throw new UsageError("--server needs --model, the name of the model there.")
  if (!URL.canParse(values.server)) throw new UsageError(`--server takes a URL, not ${JSON.stringify(values.server)}.`)
  const apiKey = process.env.CHASQUI_API_KEY
  return remoteChat({ baseUrl: values.server, model: values.model, ...(apiKey && { apiKey }) })
}

function deviceOption(value: string | undefined): "auto" | "cpu" | "cuda" | undefined {
  if (value === undefined || value === "auto" || value === "cpu" || value === "cuda") return value
  throw new UsageError(`--device takes cuda, cpu or auto, not ${JSON.stringify(value)}.`)
}
