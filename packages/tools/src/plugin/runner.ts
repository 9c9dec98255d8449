/** The seam between a plugin's manifest and the three ways in which its tools are carried out. */
import type { InferJson, JsonObject, JsonValue, ToolContext } from "@chasqui/core"

/** Carries out calls of one tool. */
export interface Runner {
  run(input: JsonObject, context: ToolContext): Promise<JsonValue>
  close?(): Promise<void>
}

/** What a plugin's function is given besides its input. */
export interface PluginContext<Config = JsonObject> extends ToolContext {
  /** Checked against the plugin's `config` schema, defaults filled in. */
  readonly config: Config
}

/** The type of the function behind a module tool: `const input = {…} as const; const f: PluginFunction<typeof input> = …` */
export type PluginFunction<Schema, Config = JsonObject> = (
  input: InferJson<Schema>,
  context: PluginContext<Config>,
) => JsonValue | Promise<JsonValue>
