/** A problem of a plugin and its place, and the one question about files that more than one check asks. */
import { existsSync, realpathSync } from "node:fs"
import { resolve, sep } from "node:path"

/** One thing that is wrong with a plugin, and where. */
export interface PluginProblem {
  /** An error keeps the plugin from loading; a warning does not. */
  readonly severity: "error" | "warning"
  /** Relative to the plugin's folder. */
  readonly file: string
  /** Both count from 1. */
  readonly line: number
  readonly column: number
  readonly message: string
}

/** Adds a problem at a place of the manifest, named by keys and indices. */
export type Report = (path: readonly (string | number)[], message: string, severity?: PluginProblem["severity"]) => void

/** True for a file below the folder, links followed; a missing one is judged by its name. */
export function isInside(folder: string, path: string): boolean {
  const follow = existsSync(path) ? realpathSync : resolve
  return follow(path).startsWith(follow(folder) + sep)
}
