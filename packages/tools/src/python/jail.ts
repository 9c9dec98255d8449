/**
 * Starts the jailed process: which program, with which rights. Gives a running child with two pipes, and says which walls stand.
 *
 * Covered: the child gets an empty environment, an empty argument list beyond its own flags, three pipes and no other handle; Node's
 *   permission model lets it read its own program, Pyodide and the snapshot folder, and lets it write no file and start no process,
 *   worker or inspector; heap of its main isolate bounded.
 * Not covered by these alone: native code that runs in the child after a V8 bug is not held by the permission model.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { realpathSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, extname, join } from "node:path"
import { fileURLToPath } from "node:url"

export interface JailOptions {
  /** Folders that the child may read beside its program: the snapshot's. */
  readonly readableFolders: readonly string[]
}

/** The program runs as it lies here: TypeScript from src, JavaScript from dist. */
const program = fileURLToPath(new URL(`./jailed${extname(import.meta.url)}`, import.meta.url))
const packageFolder = fileURLToPath(new URL("../../", import.meta.url))
const requireHere = createRequire(import.meta.url)

export const pyodideFolder = dirname(realpathSync(requireHere.resolve("pyodide/package.json")))

/** isolated-vm's binary for this system, found without loading it. */
function isolatedVmAddon(): string {
  const folder = dirname(realpathSync(requireHere.resolve("isolated-vm/package.json")))
  const gypBuild = createRequire(join(folder, "package.json"))("node-gyp-build") as { path(folder: string): string }
  return realpathSync(gypBuild.path(folder))
}

export function startJail({ readableFolders }: JailOptions): ChildProcess {
  const addon = isolatedVmAddon()
  const readable = [
    join(packageFolder, "package.json"),
    join(packageFolder, "src", "python"),
    join(packageFolder, "dist", "python"),
    pyodideFolder,
    addon,
    ...readableFolders,
  ]
  const flags = [
    "--no-node-snapshot", // isolated-vm cannot work from Node's own start-up snapshot
    "--permission",
    "--allow-addons", // isolated-vm is one
    ...readable.map((path) => `--allow-fs-read=${path}`),
    "--max-old-space-size=128",
    "--no-warnings",
  ]
  return spawn(process.execPath, [...flags, program, addon], {
    cwd: "/",
    env: {},
    stdio: ["pipe", "pipe", "pipe"],
    windowsHide: true,
  })
}
