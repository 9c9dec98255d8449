/**
 * Reads a plugin's folder and says everything that is wrong with it, with file, line and column. Reads only: no code of the
 * plugin is run. What it passes can be loaded, but for what only running it shows (a module without the function it names).
 */
import { existsSync, readFileSync, statSync } from "node:fs"
import { createRequire } from "node:module"
import { join, resolve } from "node:path"
import {
  builtinToolNames,
  isKnownKeyword,
  type JsonObject,
  type JsonValue,
  jsonSchemaCheck,
  readToolSchema,
} from "@chasqui/core"
import type { Node, ParseError } from "jsonc-parser"
import { checkRun } from "./check-run.ts"
import { type Manifest, type ManifestTool, manifestSchema } from "./manifest.ts"
import { isInside, type PluginProblem, type Report } from "./problem.ts"

/** What was found in the folder. */
export interface PluginCheck {
  readonly problems: readonly PluginProblem[]
  /** Present when there is no error. */
  readonly manifest?: Manifest
}

/** Never throws for what is in the folder; a folder that is not there is a problem, too. */
export function pluginCheck(folder: string): PluginCheck {
  const found = findManifest(folder)
  if ("message" in found) return { problems: [{ severity: "error", line: 1, column: 1, ...found }] }
  const { file, text } = found
  const { parseTree, printParseErrorCode } = jsonParser()
  const errors: ParseError[] = []
  const tree = parseTree(text, errors, { disallowComments: true, allowTrailingComma: false })
  const problems: PluginProblem[] = errors.slice(0, 3).map(({ error, offset }) => ({
    severity: "error",
    file,
    ...position(text, offset),
    message: `is not valid JSON: ${printParseErrorCode(error)}`,
  }))
  if (!tree || problems.length > 0) return { problems }
  const report: Report = (path, message, severity = "error") => {
    const place = { file, ...position(text, nearestNode(tree, path).offset) }
    problems.push({ severity, ...place, message: path.length === 0 ? message : `${path.join(".")} ${message}` })
  }
  duplicateKeys(tree, report)
  const value = JSON.parse(text) as JsonValue
  for (const { path, reason } of formOfManifest().problemsIn(value)) {
    report(
      path.map((key) => (typeof key === "number" ? key : String(key))),
      reason,
    )
  }
  if (problems.some(({ severity }) => severity === "error")) return { problems: sorted(problems) }
  const manifest = value as unknown as Manifest
  checkManifest(manifest, folder, report)
  const failed = problems.some(({ severity }) => severity === "error")
  return { problems: sorted(problems), ...(!failed && { manifest }) }
}

/** `chasqui.json:12:5: error: tools.0.name …` */
export const describePluginProblem = ({ file, line, column, severity, message }: PluginProblem): string =>
  `${file}:${line}:${column}: ${severity}: ${message}`

let form: ReturnType<typeof jsonSchemaCheck> | undefined
const formOfManifest = () => {
  form ??= jsonSchemaCheck("manifest", manifestSchema())
  return form
}

const sorted = (problems: readonly PluginProblem[]): PluginProblem[] =>
  problems.toSorted((left, right) => left.line - right.line || left.column - right.column)

type Found = { readonly file: string; readonly text: string } | { readonly file: string; readonly message: string }

/** The manifest is `chasqui.json`, or the file that package.json names under "chasqui". */
function findManifest(folder: string): Found {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return { file: folder, message: "is not a folder" }
  const file = manifestName(folder)
  const path = resolve(folder, file)
  if (!isInside(folder, path)) return { file: "package.json", message: `names a manifest outside the plugin: ${file}` }
  if (!existsSync(path))
    return { file, message: "is missing; a plugin has a chasqui.json, or a package.json that names one" }
  return { file, text: readFileSync(path, "utf8") }
}

function manifestName(folder: string): string {
  try {
    const { chasqui } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { chasqui?: unknown }
    if (typeof chasqui === "string") return chasqui
  } catch {
    // no package.json, or one that is not ours to judge
  }
  return "chasqui.json"
}

function checkManifest(manifest: Manifest, folder: string, report: Report): void {
  if (manifest.config) checkSchema({ type: "object", ...manifest.config }, ["config"], report)
  const names = new Set<string>()
  for (const [index, tool] of manifest.tools.entries()) {
    const at = ["tools", index] as const
    if (names.has(tool.name)) report([...at, "name"], `is ${JSON.stringify(tool.name)}, which another tool is called`)
    if ((builtinToolNames as readonly string[]).includes(tool.name))
      report([...at, "name"], "is reserved for a built-in tool")
    names.add(tool.name)
    checkSchema(tool.input, [...at, "input"], report)
    checkDescriptions(tool, at, report)
    checkRun(tool, manifest, folder, (path, message, severity) => report([...at, "run", ...path], message, severity))
  }
}

function checkSchema(schema: JsonObject, at: readonly (string | number)[], report: Report): void {
  for (const { path, reason } of readToolSchema(schema).faults) report([...at, ...path], reason)
  reportUnknownKeywords(schema, at, report)
}

/** An unknown keyword is allowed and has no effect; most are spelling mistakes. */
function reportUnknownKeywords(node: JsonValue, at: readonly (string | number)[], report: Report): void {
  if (typeof node !== "object" || node === null || Array.isArray(node)) return
  for (const [keyword, value] of Object.entries(node)) {
    if (!isKnownKeyword(keyword) && !keyword.startsWith("x-"))
      report([...at, keyword], "is no keyword of JSON Schema and has no effect", "warning")
    const maps = ["properties", "$defs", "definitions", "patternProperties"]
    if (maps.includes(keyword))
      for (const [name, entry] of Object.entries(value ?? {}))
        reportUnknownKeywords(entry as JsonValue, [...at, keyword, name], report)
    if (keyword === "items" || keyword === "additionalProperties")
      reportUnknownKeywords(value, [...at, keyword], report)
  }
}

function checkDescriptions({ input }: ManifestTool, at: readonly (string | number)[], report: Report): void {
  for (const [name, field] of Object.entries((input.properties ?? {}) as JsonObject)) {
    if (typeof field === "object" && field !== null && !("description" in field)) {
      report([...at, "input", "properties", name], "has no description; the model sees nothing but its name", "warning")
    }
  }
}

/** JSON.parse keeps the last of two equal keys without a word. */
function duplicateKeys(node: Node, report: Report, path: readonly (string | number)[] = []): void {
  const seen = new Set<string>()
  for (const [index, child] of (node.children ?? []).entries()) {
    if (node.type !== "object") {
      duplicateKeys(child, report, [...path, index])
      continue
    }
    const [key, value] = child.children ?? []
    const name = String(key?.value)
    if (seen.has(name)) report([...path, name], "stands here twice")
    seen.add(name)
    if (value) duplicateKeys(value, report, [...path, name])
  }
}

/** The place itself, or the innermost one around it that is there. */
function nearestNode(tree: Node, path: readonly (string | number)[]): Node {
  const { findNodeAtLocation } = jsonParser()
  for (let length = path.length; length > 0; length--) {
    const node = findNodeAtLocation(tree, path.slice(0, length) as (string | number)[])
    if (node) return node.parent?.type === "property" ? node.parent : node
  }
  return tree
}

function position(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset).split("\n")
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 }
}

/** Loaded with the first plugin: most agents have none. */
const jsonParser = () => createRequire(import.meta.url)("jsonc-parser") as typeof import("jsonc-parser")
