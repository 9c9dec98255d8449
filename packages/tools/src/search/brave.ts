/**
 * The Brave Search API as a provider. Source of the format: Brave's "Web Search API" reference (GET /res/v1/web/search, header
 * X-Subscription-Token, results under web.results).
 */
import { type JsonObject, type JsonValue, ToolFailed } from "@chasqui/core"
import { apiKey } from "../http/api-key.ts"
import { type RemoteOptions, remote } from "../http/remote.ts"
import type { SearchProvider, SearchResult } from "./search-provider.ts"

export interface BraveOptions extends RemoteOptions {
  /** Default: the environment variable BRAVE_API_KEY. */
  readonly apiKey?: string
  /** Default: https://api.search.brave.com */
  readonly baseUrl?: string
  /** Two letters, such as `US`: where the searcher is. */
  readonly country?: string
}

/** Throws ToolSetupError without a key. */
export function brave(options: BraveOptions = {}): SearchProvider {
  const key = apiKey("braveSearch", options.apiKey, "BRAVE_API_KEY")
  const api = remote(options.baseUrl ?? "https://api.search.brave.com", options)
  return {
    name: "brave",
    search: async (query, signal) => {
      const parameters = new URLSearchParams({
        q: query,
        count: "5",
        ...(options.country && { country: options.country }),
      })
      const headers = { accept: "application/json", "x-subscription-token": key }
      const answer = await api.json({ path: `/res/v1/web/search?${parameters}`, headers, signal })
      return resultsOf(answer)
    },
    close: api.close,
  }
}

function resultsOf(answer: JsonValue): SearchResult[] {
  if (!isObject(answer)) throw new ToolFailed("the service answered in an unknown form")
  const results = isObject(answer.web) ? answer.web.results : []
  if (!Array.isArray(results)) throw new ToolFailed("the service answered in an unknown form")
  return results.filter(isObject).flatMap(({ title, url, description, type }) =>
    typeof title === "string" && typeof url === "string"
      ? [
          {
            title: plainText(title),
            url,
            description: plainText(String(description ?? "")),
            ...(typeof type === "string" && { type }),
          },
        ]
      : [],
  )
}

const entities = new Map(
  Object.entries({
    amp: "&",
    lt: "<",
    gt: ">",
    quot: '"',
    apos: "'",
    nbsp: " ",
    "#39": "'",
    "#x27": "'",
  }),
)

/** Brave marks the searched words with `<strong>` and escapes the rest. */
const plainText = (html: string): string =>
  html
    .replace(/<\/?[a-z][^<>]*>/gi, "")
    .replace(/&(#?\w{1,8});/g, (whole, name: string) => entities.get(name) ?? whole)
    .replace(/\s+/g, " ")
    .trim()

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)
