/**
 * The built-in tool `brave_search`: a query in, up to three results out, in the JSON shape of the training data. Who answers is
 * decided once, when the tool is made, and visible as `tool.provider`; one provider never stands in for another.
 */
import { defineTool, type Tool } from "@chasqui/core"
import { ToolSetupError } from "../error.ts"
import { type BraveOptions, brave } from "./brave.ts"
import { type DocumentSource, localDocuments } from "./local-documents.ts"
import type { SearchProvider, SearchResult } from "./search-provider.ts"

/** Who answers; the options of the API, documents, or a provider. */
export interface BraveSearchOptions extends BraveOptions {
  /** Answer from these documents instead of from the web: a folder, or titles with texts. */
  readonly documents?: DocumentSource
  /** Answer from something else altogether. */
  readonly provider?: SearchProvider
}

/** Results that the model is shown. */
const mostResults = 3

/**
 * With `documents` the provider is `local-documents`; with `provider` it is that one; otherwise it is the Brave Search API with
 * `apiKey` or the environment variable BRAVE_API_KEY. Throws ToolSetupError where there is no key, or more than one answerer.
 */
export function braveSearch(options: BraveSearchOptions = {}): Tool<"brave_search"> {
  const provider = providerOf(options)
  return defineTool("brave_search", {
    description: "Search the web",
    builtin: true,
    readOnly: true,
    provider: provider.name,
    timeoutMs: 30_000,
    ...(provider.close && { close: provider.close }),
    input: {
      type: "object",
      properties: { query: { type: "string", minLength: 1, maxLength: 400, description: "What to search for" } },
      required: ["query"],
      additionalProperties: false,
    },
    execute: async ({ query }, { signal }) => {
      const results = await provider.search(query, signal)
      return { query, top_k: results.slice(0, mostResults).map(trainedShape) }
    },
  })
}

function providerOf({ documents, provider, ...web }: BraveSearchOptions): SearchProvider {
  const given = [documents !== undefined && "documents", provider && "provider", web.apiKey !== undefined && "apiKey"]
  const names = given.filter((name) => typeof name === "string")
  if (names.length > 1) {
    throw new ToolSetupError({
      reason: "ambiguous-provider",
      detail: `braveSearch was given ${names.join(" and ")}, and only one of them can answer.`,
      fix: "Pass exactly one.",
    })
  }
  if (provider) return provider
  return documents === undefined ? brave(web) : localDocuments(documents)
}

/** The keys in the order of the training data, and nothing else. */
const trainedShape = ({ title, url, description, type }: SearchResult) => ({
  title,
  url,
  description,
  ...(type !== undefined && { type }),
})
