/**
 * Runs a tool that is an HTTP endpoint. The origin is fixed when the plugin is loaded; a value that the model writes can end up
 * in one segment of the path, one parameter, or the JSON body, and nowhere else.
 */
import { type JsonObject, type JsonValue, ToolFailed } from "@chasqui/core"
import { type RemoteOptions, remote } from "../http/remote.ts"
import type { HttpRun } from "./manifest.ts"
import type { Runner } from "./runner.ts"
import { fill, isOnePlace, placesIn, scalarText, type Values, valueAt } from "./template.ts"

/** Throws ToolSetupError for an origin that may not be reached under `options`. */
export function httpRunner(run: HttpRun, config: JsonObject, options: RemoteOptions = {}): Runner {
  const { method = "GET", headers = {}, result = "json" } = run
  const api = remote(fill(run.origin, { input: {}, config }) ?? "", options)
  const withBody = method === "POST" || method === "PUT" || method === "PATCH"
  return {
    run: async (input, { signal }) => {
      const values = { input, config }
      const request = {
        method,
        path: pathOf(run, values),
        headers: {
          accept: result === "json" ? "application/json" : "text/*",
          ...(withBody && { "content-type": "application/json" }),
          ...filled(headers, values),
        },
        ...(withBody && { body: JSON.stringify(bodyOf(run, input)) }),
        signal,
      }
      return result === "json" ? await api.json(request) : (await api.send(request)).text
    },
    close: api.close,
  }
}

function pathOf({ path, query = {} }: HttpRun, values: Values): string {
  const filledPath = fill(path, values, encodeURIComponent)
  if (filledPath === undefined) throw new ToolFailed("a value that belongs into the address is missing")
  // Dots are not escaped by any encoding, and two of them would climb out of the path.
  const [segments] = filledPath.split("?")
  if (/(?:^|\/)\.{1,2}(?:\/|$)/.test(segments ?? "")) throw new ToolFailed('"." and ".." cannot be part of an address')
  const parameters = new URLSearchParams()
  for (const [name, template] of Object.entries(query)) appendParameter(parameters, name, template, values)
  const separator = filledPath.includes("?") ? "&" : "?"
  return parameters.size === 0 ? filledPath : `${filledPath}${separator}${parameters}`
}

/** A list under a place of its own gives one parameter for each entry. */
function appendParameter(parameters: URLSearchParams, name: string, template: string, values: Values): void {
  const value = isOnePlace(template) ? valueAt(placesIn(template)[0]!, values) : undefined
  const texts = Array.isArray(value) ? value.map((entry: JsonValue) => scalarText(entry)) : [fill(template, values)]
  for (const text of texts) if (text !== undefined) parameters.append(name, text)
}

/** The fields that stand neither in the path nor in the query. */
function bodyOf({ path, query = {} }: HttpRun, input: JsonObject): JsonObject {
  const used = new Set([path, ...Object.values(query)].flatMap(placesIn).map(({ name }) => name))
  return Object.fromEntries(Object.entries(input).filter(([name]) => !used.has(name)))
}

function filled(templates: { readonly [name: string]: string }, values: Values): Record<string, string> {
  const pairs = Object.entries(templates).map(
    ([name, template]) => [name.toLowerCase(), fill(template, values)] as const,
  )
  return Object.fromEntries(pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined))
}
