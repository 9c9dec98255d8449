/** Checks how a plugin's tool is carried out: files, fixed origin, and that no model-written value can act as anything but a value. */
import { existsSync } from "node:fs"
import { resolve } from "node:path"
import type { JsonObject } from "@chasqui/core"
import type { CommandRun, HttpRun, Manifest, ManifestTool, ModuleRun } from "./manifest.ts"
import { isInside, type Report } from "./problem.ts"
import { isOnePlace, placesIn } from "./template.ts"

/** Paths are relative to the tool's `run`. */
export function checkRun(tool: ManifestTool, manifest: Manifest, folder: string, report: Report): void {
  const fields: Fields = {
    input: (tool.input.properties ?? {}) as JsonObject,
    config: (manifest.config?.properties ?? {}) as JsonObject,
    required: Array.isArray(tool.input.required) ? tool.input.required.map(String) : [],
  }
  const { run } = tool
  if ("module" in run) checkModule(run.module, folder, report)
  else if ("http" in run) checkHttp(run.http, fields, report)
  else checkCommand(run.command, fields, folder, report)
}

interface Fields {
  readonly input: JsonObject
  readonly config: JsonObject
  readonly required: readonly string[]
}

function checkModule({ file }: ModuleRun, folder: string, report: Report): void {
  const path = resolve(folder, file)
  if (!isInside(folder, path)) report(["module", "file"], "leads out of the plugin")
  else if (!existsSync(path)) report(["module", "file"], `is ${JSON.stringify(file)}, which does not exist`)
}

function checkHttp({ origin, path, query = {}, headers = {} }: HttpRun, fields: Fields, report: Report): void {
  const places = placesIn(origin)
  const fixed = places.length === 0
  if (fixed && !(URL.canParse(origin) && new URL(origin).origin === origin.replace(/\/$/, ""))) {
    report(["http", "origin"], "must be an origin and nothing more, such as https://api.example.org")
  }
  if (fixed && !origin.startsWith("https:"))
    report(["http", "origin"], "must be https, or {config.name} for one that the host sets")
  if (!fixed && !(isOnePlace(origin) && places[0]?.from === "config")) {
    report(["http", "origin"], "must be fixed, or one {config.name} and nothing more: a model must not choose the host")
  }
  checkPlaces(origin, ["http", "origin"], fields, report)
  checkPlaces(path, ["http", "path"], fields, report)
  for (const { from, name } of placesIn(path)) {
    if (from === "input" && !fields.required.includes(name))
      report(["http", "path"], `holds {${name}}, so ${name} has to be required`)
  }
  for (const [name, value] of Object.entries(query)) checkPlaces(value, ["http", "query", name], fields, report)
  for (const [name, value] of Object.entries(headers)) checkHostOnly(value, ["http", "headers", name], fields, report)
}

function checkCommand({ argv, env = {} }: CommandRun, fields: Fields, folder: string, report: Report): void {
  const [program = ""] = argv
  if (placesIn(program).length > 0) report(["command", "argv", 0], "must not hold a place: the program is fixed")
  if (program.startsWith("./") || program.startsWith("../")) {
    const path = resolve(folder, program)
    if (!isInside(folder, path)) report(["command", "argv", 0], "leads out of the plugin")
    else if (!existsSync(path)) report(["command", "argv", 0], `is ${JSON.stringify(program)}, which does not exist`)
  }
  const separator = argv.indexOf("--")
  for (const [index, argument] of argv.entries()) {
    checkPlaces(argument, ["command", "argv", index], fields, report)
    const modelWritten = placesIn(argument).some(({ from }) => from === "input")
    if (!modelWritten || (separator !== -1 && index > separator) || /^--?[A-Za-z][\w-]*=/.test(argument)) continue
    report(
      ["command", "argv", index],
      'must stand after "--" or as --name={field}: the model could write an option there',
    )
  }
  for (const [name, value] of Object.entries(env)) checkHostOnly(value, ["command", "env", name], fields, report)
}

function checkPlaces(template: string, path: readonly (string | number)[], fields: Fields, report: Report): void {
  for (const { from, name } of placesIn(template)) {
    if (!Object.hasOwn(fields[from], name)) {
      const shown = from === "config" ? `config.${name}` : name
      report(path, `holds {${shown}}, which the ${from === "config" ? "config" : "input"} schema does not have`)
    }
  }
}

function checkHostOnly(template: string, path: readonly (string | number)[], fields: Fields, report: Report): void {
  checkPlaces(template, path, fields, report)
  if (placesIn(template).some(({ from }) => from === "input"))
    report(path, "must not hold a value that the model writes")
}
