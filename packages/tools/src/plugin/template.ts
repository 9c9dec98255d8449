/**
 * Texts with places to fill: `{city}` from the input of a call, `{config.token}` from the host's configuration. A filled value
 * is never read as a template again.
 */
import type { JsonObject, JsonValue } from "@chasqui/core"

export interface Values {
  readonly input: JsonObject
  readonly config: JsonObject
}

export interface Place {
  readonly from: "input" | "config"
  readonly name: string
}

const placePattern = /\{(?:(config)\.)?([A-Za-z_][\w-]*)\}/g

/** The places of a template, in order. */
export const placesIn = (template: string): Place[] =>
  [...template.matchAll(placePattern)].map(([, config, name = ""]) => ({ from: config ? "config" : "input", name }))

/** True for a template that is one place and nothing else. */
export const isOnePlace = (template: string): boolean =>
  placesIn(template).length === 1 && /^\{[^{}]*\}$/.test(template)

/**
 * The template with its places filled; undefined when one of them has no value. `encode` is applied to each value, so that it
 * cannot end the part that it stands in.
 */
export function fill(template: string, values: Values, encode: (text: string) => string = String): string | undefined {
  let missing = false
  const text = template.replace(placePattern, (_place, config: string | undefined, name: string) => {
    const value = scalarText(valueAt({ from: config ? "config" : "input", name }, values))
    missing ||= value === undefined
    return value === undefined ? "" : encode(value)
  })
  return missing ? undefined : text
}

export function valueAt({ from, name }: Place, values: Values): JsonValue | undefined {
  const source = values[from]
  return Object.hasOwn(source, name) ? source[name] : undefined
}

/** A string, number or boolean as text; anything else has no place in a text. */
export function scalarText(value: JsonValue | undefined): string | undefined {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? String(value)
    : undefined
}
