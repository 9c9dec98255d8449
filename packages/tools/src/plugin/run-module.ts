/** Runs a tool that is a function of the plugin's own module. It is code in this process, and trusted as such. */
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { type JsonObject, type JsonValue, type ToolContext, ToolFailed } from "@chasqui/core"
import { ToolSetupError } from "../error.ts"
import type { ModuleRun } from "./manifest.ts"
import type { PluginContext, Runner } from "./runner.ts"

/** Throws ToolSetupError when the module cannot be loaded or has no such function. */
export async function moduleRunner(run: ModuleRun, tool: string, folder: string, config: JsonObject): Promise<Runner> {
  const name = run.export ?? tool
  const module = await load(resolve(folder, run.file), run.file)
  const call = module[name]
  if (typeof call !== "function") {
    throw new ToolSetupError({
      reason: "bad-manifest",
      detail: `The module ${run.file} has no function ${JSON.stringify(name)}; it exports ${Object.keys(module).join(", ") || "nothing"}.`,
      fix: 'Export it, or name another one under "export".',
    })
  }
  return { run: (input, context) => callFunction(call as PluginCall, input, { ...context, config }) }
}

type PluginCall = (input: JsonObject, context: PluginContext) => JsonValue | Promise<JsonValue>

async function load(path: string, file: string): Promise<Record<string, unknown>> {
  try {
    return (await import(pathToFileURL(path).href)) as Record<string, unknown>
  } catch (cause) {
    throw new ToolSetupError({
      reason: "unreadable",
      detail: `The module ${file} cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}.`,
      fix: "Build the plugin, or install what it depends on.",
      cause,
    })
  }
}

async function callFunction(
  call: PluginCall,
  input: JsonObject,
  context: ToolContext & { config: JsonObject },
): Promise<JsonValue> {
  try {
    return await call(input, context)
  } catch (error) {
    // A plugin may bring its own copy of this project, whose class is another one.
    const tagged = error instanceof Error && (error as { _tag?: unknown })._tag === "ToolFailed"
    throw tagged && !(error instanceof ToolFailed) ? new ToolFailed(error.message, { cause: error }) : error
  }
}
