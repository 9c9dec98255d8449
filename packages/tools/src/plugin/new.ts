/** Writes a plugin that works: a manifest, a module with one function, a test that needs nothing but Node, a README. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { ToolSetupError } from "../error.ts"

/**
 * Makes the folder `name` in `parent` and gives the paths of its files. Throws ToolSetupError for a name that no plugin may have,
 * or when the folder exists already.
 */
export function pluginNew(name: string, parent = "."): string[] {
  if (!/^[a-z][a-z0-9-]{0,62}$/.test(name)) {
    throw new ToolSetupError({
      reason: "bad-manifest",
      detail: `${JSON.stringify(name)} cannot be a plugin's name.`,
      fix: "Use lower-case letters, digits and hyphens, a letter first.",
    })
  }
  const folder = resolve(parent, name)
  try {
    mkdirSync(folder, { recursive: false })
  } catch (cause) {
    throw new ToolSetupError({
      reason: "unreadable",
      detail: `The folder ${folder} cannot be made: ${(cause as NodeJS.ErrnoException).code}.`,
      fix: "Choose another name, or another place.",
      cause,
    })
  }
  return readdirSync(template).map((file) => {
    const path = join(folder, file)
    const content = readFileSync(new URL(file, template), "utf8").replaceAll("plugin-name", name)
    writeFileSync(path, content, { flag: "wx" })
    return path
  })
}

/** A plugin in itself, called `plugin-name`. */
const template = new URL("../../data/plugin-template/", import.meta.url)
