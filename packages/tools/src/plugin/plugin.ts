/**
 * Loads a plugin: a folder or an npm package with a manifest of tools. The manifest is checked as a whole before anything of it
 * is used; configuration is checked against the plugin's own schema. A plugin proposes `readOnly` and `needsApproval`; they
 * take effect only as far as the host grants them.
 */
import { existsSync } from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { defineTool, type JsonObject, jsonSchemaCheck, type Tool } from "@chasqui/core"
import { ToolSetupError } from "../error.ts"
import type { RemoteOptions } from "../http/remote.ts"
import { describePluginProblem, pluginCheck } from "./check.ts"
import type { Manifest, ManifestTool } from "./manifest.ts"
import { commandRunner } from "./run-command.ts"
import { httpRunner } from "./run-http.ts"
import { moduleRunner } from "./run-module.ts"
import type { Runner } from "./runner.ts"

/** What the host gives a plugin and allows it. */
export interface PluginOptions {
  /** What the plugin's `config` schema asks for. */
  readonly config?: JsonObject
  /** What the host allows each tool; `as-proposed` grants whatever the plugin proposes. Default: nothing. */
  readonly grants?: "as-proposed" | { readonly [tool: string]: Grant }
  /** Put before each tool's name, such as `weather_`. */
  readonly prefix?: string
  /** Where the search for a package begins; default: the current folder. */
  readonly from?: string
  /** For HTTP tools: limits and addresses; see RemoteOptions. */
  readonly http?: RemoteOptions
}

/** What a plugin or a server proposes for a tool, and the host grants. */
export interface Grant {
  readonly readOnly?: boolean
  readonly needsApproval?: boolean
}

/** A loaded plugin and its tools. */
export interface Plugin {
  readonly name: string
  readonly tools: readonly Tool[]
  /** What the plugin proposes for each tool, by the tool's name. */
  readonly proposals: { readonly [tool: string]: Grant }
  readonly close: () => Promise<void>
}

/**
 * `source` is a folder (a path with a slash, or a file URL) or the name of an installed package. Throws ToolSetupError: not
 * found, a manifest with errors (the first one with file and line), a configuration that does not fit.
 */
export async function plugin(source: string | URL, options: PluginOptions = {}): Promise<Plugin> {
  const folder = folderOf(source, options.from ?? process.cwd())
  const manifest = checkedManifest(folder)
  const config = await checkedConfig(manifest, options.config ?? {})
  const { prefix = "" } = options
  const runners = await Promise.all(manifest.tools.map((tool) => runnerOf(tool, folder, config, options.http)))
  const tools = manifest.tools.map((tool, index) =>
    toolOf(tool, prefix, runners[index]!, grantFor(tool, prefix, options.grants)),
  )
  return {
    name: manifest.name,
    tools,
    proposals: Object.fromEntries(manifest.tools.map((tool) => [prefix + tool.name, proposalOf(tool)])),
    close: async () => void (await Promise.all(runners.map((runner) => runner.close?.()))),
  }
}

function folderOf(source: string | URL, from: string): string {
  if (source instanceof URL) return fileURLToPath(source)
  if (/[\\/]/.test(source.replace(/^@[^/]+\//, ""))) return resolve(from, source)
  for (let folder = resolve(from); ; folder = dirname(folder)) {
    const candidate = join(folder, "node_modules", source)
    if (existsSync(join(candidate, "package.json"))) return candidate
    if (folder === dirname(folder)) break
  }
  throw new ToolSetupError({
    reason: "not-found",
    detail: `The package ${JSON.stringify(source)} is not installed where ${JSON.stringify(from)} could use it.`,
    fix: "Install it, or give a folder as a path that begins with ./ or /.",
  })
}

function checkedManifest(folder: string): Manifest {
  const { manifest, problems } = pluginCheck(folder)
  if (manifest) return manifest
  const errors = problems.filter(({ severity }) => severity === "error")
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : ""
  throw new ToolSetupError({
    reason: "bad-manifest",
    detail: `The plugin ${basename(folder)} cannot be used: ${describePluginProblem(errors[0]!)}${more}.`,
    fix: "Run `chasqui plugin check` on its folder for the whole list.",
  })
}

async function checkedConfig(manifest: Manifest, config: JsonObject): Promise<JsonObject> {
  const schema = { type: "object", additionalProperties: false, ...manifest.config }
  const result = await jsonSchemaCheck(`${manifest.name} config`, schema).check(config)
  if (result.ok) return result.input as JsonObject
  // A problem may quote a value, and a value may be a key: only the places are named.
  const places = [...new Set(result.problems.map((problem) => problem.split(":")[0]))].join(", ")
  throw new ToolSetupError({
    reason: "bad-config",
    detail: `The configuration of the plugin ${manifest.name} does not fit its schema at: ${places}.`,
    fix: "Pass `config` as the plugin's README describes it.",
  })
}

function runnerOf(
  tool: ManifestTool,
  folder: string,
  config: JsonObject,
  http: RemoteOptions | undefined,
): Promise<Runner> | Runner {
  const { run } = tool
  if ("module" in run) return moduleRunner(run.module, tool.name, folder, config)
  if ("http" in run) return httpRunner(run.http, config, http)
  return commandRunner(run.command, folder, config)
}

const proposalOf = ({ readOnly = false, needsApproval = false }: ManifestTool): Grant => ({ readOnly, needsApproval })

function grantFor(tool: ManifestTool, prefix: string, grants: PluginOptions["grants"]): Grant {
  return grants === "as-proposed" ? proposalOf(tool) : (grants?.[prefix + tool.name] ?? {})
}

function toolOf(tool: ManifestTool, prefix: string, runner: Runner, grant: Grant): Tool {
  return defineTool(prefix + tool.name, {
    description: tool.description,
    input: tool.input as JsonObject & { type: "object" },
    ...(tool.timeoutMs !== undefined && { timeoutMs: tool.timeoutMs }),
    ...(grant.readOnly && { readOnly: true }),
    ...(grant.needsApproval && { needsApproval: true }),
    ...(runner.close && { close: () => runner.close!() }),
    execute: (input, context) => runner.run(input as JsonObject, context),
  })
}
