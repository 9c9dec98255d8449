/**
 * The Wolfram|Alpha Full Results API as a provider. Source of the format: "Full Results API Reference" (GET /v2/query with
 * appid, input, output=json, format=plaintext; pods with subpods). The key is part of the address, so no address is ever shown.
 */
import { type JsonObject, type JsonValue, ToolFailed } from "@chasqui/core"
import { apiKey } from "../http/api-key.ts"
import { type RemoteOptions, remote } from "../http/remote.ts"
import type { MathsProvider, Pod } from "./maths-provider.ts"

export interface WolframOptions extends RemoteOptions {
  /** The AppID. Default: the environment variable WOLFRAM_ALPHA_API_KEY. */
  readonly apiKey?: string
  /** Default: https://api.wolframalpha.com */
  readonly baseUrl?: string
}

/** Pods whose title says that they hold the result; what follows them is left out, as in the training data. */
const resultTitles = new Set([
  "Result",
  "Results",
  "Exact result",
  "Decimal approximation",
  "Solution",
  "Solutions",
  "Indefinite integral",
  "Definite integral",
  "Derivative",
])
const mostPods = 6

/** Throws ToolSetupError without a key. */
export function wolfram(options: WolframOptions = {}): MathsProvider {
  const key = apiKey("wolframAlpha", options.apiKey, "WOLFRAM_ALPHA_API_KEY")
  const api = remote(options.baseUrl ?? "https://api.wolframalpha.com", { timeoutMs: 20_000, ...options })
  return {
    name: "wolfram",
    answer: async (query, signal) => {
      const parameters = new URLSearchParams({ appid: key, input: query, output: "json", format: "plaintext" })
      return podsOf(await api.json({ path: `/v2/query?${parameters}`, signal }))
    },
    close: api.close,
  }
}

function podsOf(answer: JsonValue): Pod[] | null {
  const result = isObject(answer) ? answer.queryresult : undefined
  if (!isObject(result)) throw new ToolFailed("the service answered in an unknown form")
  // Source: "Errors" in the API reference; code 1 is an AppID that is not valid, 2 a missing one.
  if (isObject(result.error)) {
    const code = String(result.error.code)
    throw new ToolFailed(code === "1" || code === "2" ? "invalid key" : "the service could not read the question")
  }
  if (result.success !== true || !Array.isArray(result.pods)) return null
  const pods = result.pods
    .filter(isObject)
    .map(podOf)
    .filter(({ lines }) => lines.length > 0)
  const last = pods.findIndex(({ title, primary }) => primary || resultTitles.has(title))
  return pods.length === 0 ? null : pods.slice(0, last === -1 ? mostPods : last + 1)
}

function podOf({ title, subpods, primary }: JsonObject): Pod {
  const parts = Array.isArray(subpods) ? subpods.filter(isObject) : []
  const lines = parts.map(({ plaintext }) => plaintext).filter((text) => typeof text === "string" && text !== "")
  return { title: String(title), lines: lines as string[], ...(primary === true && { primary: true }) }
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)
