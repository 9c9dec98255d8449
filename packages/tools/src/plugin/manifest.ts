/** What a plugin says of itself, as plain data. The form is published as `data/plugin.schema.json`. */
import { readFileSync } from "node:fs"
import type { JsonObject } from "@chasqui/core"

/** A manifest that passed its check. */
export interface Manifest {
  readonly manifest: 1
  readonly name: string
  readonly description?: string
  /** JSON Schema of what the host configures. */
  readonly config?: JsonObject
  readonly tools: readonly ManifestTool[]
}

/** One tool, and what runs it: a function of a module, an HTTP request, or a command. */
export interface ManifestTool {
  readonly name: string
  readonly description: string
  readonly input: JsonObject
  readonly timeoutMs?: number
  readonly readOnly?: boolean
  readonly needsApproval?: boolean
  readonly run: { readonly module: ModuleRun } | { readonly http: HttpRun } | { readonly command: CommandRun }
}

export interface ModuleRun {
  /** Begins with `./`, inside the plugin. */
  readonly file: string
  readonly export?: string
}

export interface HttpRun {
  readonly origin: string
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE"
  readonly path: string
  readonly query?: { readonly [name: string]: string }
  readonly headers?: { readonly [name: string]: string }
  readonly result?: "json" | "text"
}

export interface CommandRun {
  readonly argv: readonly string[]
  readonly stdin?: "json" | "none"
  readonly inheritEnv?: readonly string[]
  readonly env?: { readonly [name: string]: string }
  readonly result?: "json" | "text"
}

/** The published schema. */
export const manifestSchema = (): JsonObject =>
  JSON.parse(readFileSync(new URL("../../data/plugin.schema.json", import.meta.url), "utf8")) as JsonObject
