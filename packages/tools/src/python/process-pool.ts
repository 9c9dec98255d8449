/**
 * Makes interpreters ("boxes") in jailed processes: all in one process, or each in its own. Starts a process when it is needed,
 * replaces one that is gone, and stores the memory snapshot that the first one made. Which session owns a box is decided elsewhere.
 */
import { accessSync, constants, mkdirSync, readFileSync } from "node:fs"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { type JailKind, pyodideFolder, strictestJail, weakerJail } from "./jail.ts"
import { JailedProcess, ProcessGone } from "./jailed-process.ts"
import type { SandboxLimits } from "./limits.ts"
import type { Packages } from "./packages.ts"
import { SandboxError } from "./sandbox-error.ts"
import { isPrivateFolder, snapshotKey, snapshotPath, writeSnapshot } from "./snapshot-file.ts"
import { snapshotSources } from "./snapshot-sources.ts"

export interface Box {
  readonly process: JailedProcess
  readonly number: number
}

export interface ProcessPoolOptions {
  readonly limits: SandboxLimits
  readonly processPer: "tool" | "session"
  readonly packages: Packages
  readonly namespaces: "auto" | "required" | "off"
  /** Interpreters that a shared process may hold at once. */
  readonly maxSandboxes: number
  /** Where the memory snapshot is kept; must belong to this user alone. */
  readonly cacheFolder: string | undefined
}

/** Booting without a snapshot takes about 2 s of CPU; a machine that is ten times slower is still waited for. */
const startDeadlineMs = 60_000

export class ProcessPool {
  readonly #options: ProcessPoolOptions
  readonly #processes = new Set<JailedProcess>()
  #shared: Promise<JailedProcess> | undefined
  #jail: JailKind | undefined
  #lastBox = 0

  constructor(options: ProcessPoolOptions) {
    this.#options = options
  }

  /** A new interpreter. Throws SandboxError "cannot-start" when no process can be brought to work. */
  async createBox(): Promise<Box> {
    const process = await (this.#options.processPer === "session" ? this.#startProcess() : this.#sharedProcess())
    const number = ++this.#lastBox
    const { reply } = await process
      .request({ type: "create", box: number }, { deadlineMs: startDeadlineMs })
      .catch((error: unknown) => Promise.reject(cannotStart(describe(error), error)))
    if (reply.type === "failed") throw cannotStart(`Python did not boot: ${reply.detail}`)
    return { process, number }
  }

  disposeBox({ process, number }: Box): void {
    if (this.#options.processPer === "tool") process.tell({ type: "dispose", box: number })
    else process.kill("is no longer needed")
  }

  async close(): Promise<void> {
    await Promise.all([...this.#processes].map((process) => process.close()))
  }

  /** Calls that come while it starts wait for the same process. */
  #sharedProcess(): Promise<JailedProcess> {
    const start = () => this.#startProcess()
    this.#shared = this.#shared ? this.#shared.then((shared) => (shared.gone ? start() : shared), start) : start()
    return this.#shared
  }

  /** Which walls stand around the processes; undefined before the first one has started. */
  get jail(): JailKind | undefined {
    return this.#jail
  }

  async #startProcess(): Promise<JailedProcess> {
    const { namespaces } = this.#options
    const strictest = strictestJail()
    const first = namespaces === "off" && strictest === "namespaces" ? "limits" : strictest
    if (namespaces === "required" && first !== "namespaces") throw noNamespaces(`${process.platform} has none`)
    for (let kind: JailKind | undefined = this.#jail ?? first; kind; kind = weakerJail(kind)) {
      const jailed = await this.#startIn(kind)
      if (!(jailed instanceof SandboxError)) {
        this.#jail = kind
        return jailed
      }
      if (namespaces === "required") throw noNamespaces(jailed.detail)
    }
    throw cannotStart("No kind of process could be started.")
  }

  /** The process, or the error of a system that does not allow such walls. */
  async #startIn(kind: JailKind): Promise<JailedProcess | SandboxError> {
    const { limits, processPer, maxSandboxes, packages } = this.#options
    for (const process of this.#processes) if (process.gone) this.#processes.delete(process)
    const folder = cacheFolder(this.#options.cacheFolder)
    const key = snapshotKey([readPyodideVersion(), ...snapshotSources()])
    const path = snapshotPath(folder, key)
    const memory = processMemory(limits, processPer === "session" ? 1 : maxSandboxes)
    const process = new JailedProcess(limits, { kind, cacheFolder: folder, ...memory })
    this.#processes.add(process)
    try {
      const { reply, attachment } = await process.start(
        {
          type: "start",
          pyodideFolder,
          limits,
          resident: memory.resident,
          snapshot: { path, key },
          wheels: packages.wheels.map(({ name, contents }) => ({ name, bytes: contents.byteLength })),
          imports: packages.imports,
        },
        { deadlineMs: startDeadlineMs, attachment: Buffer.concat(packages.wheels.map(({ contents }) => contents)) },
      )
      if (reply.type === "failed") throw new ProcessGone("the sandbox process could not prepare itself", reply.detail)
      // No user code has run yet: what the process sends now is what Pyodide's own files make.
      if (reply.type === "ready" && reply.snapshot === "made") writeSnapshot(path, key, attachment)
      return process
    } catch (error) {
      if (process.wallsRefused) return cannotStart(describe(error), error)
      throw cannotStart(describe(error), error)
    }
  }
}

/** As measured, rounded up: a process without interpreters maps 0.9 GB and holds 0.3 GB; an interpreter maps 0.6 GB and holds 0.05 GB. */
function processMemory({ memoryMb, heapMb }: SandboxLimits, sandboxes: number) {
  return {
    mappedMb: 1536 + sandboxes * (640 + memoryMb + heapMb),
    resident: { processMb: 640, interpreterMb: 64 + memoryMb + heapMb },
  }
}

function noNamespaces(detail: string): SandboxError {
  return new SandboxError({
    reason: "no-namespaces",
    detail: `The sandbox was told to require namespaces, and this system does not give them: ${detail}`,
    fix: 'Allow unprivileged user namespaces, or make the sandbox with `namespaces: "auto"`.',
  })
}

function readPyodideVersion(): string {
  return (JSON.parse(readFileSync(join(pyodideFolder, "package.json"), "utf8")) as { version: string }).version
}

/** The given folder, or one that this installation owns, or one in the user's cache folder. */
function cacheFolder(given: string | undefined): string {
  if (given !== undefined) {
    mkdirSync(given, { recursive: true, mode: 0o700 })
    if (isPrivateFolder(given)) return given
    throw notPrivate(given)
  }
  const own = fileURLToPath(new URL("../../dist/", import.meta.url))
  const installed = join(own, "python-snapshot")
  try {
    accessSync(dirname(own), constants.W_OK)
    mkdirSync(installed, { recursive: true, mode: 0o700 })
    if (isPrivateFolder(installed)) return installed
  } catch {
    // A read-only installation: the user's cache folder serves.
  }
  const personal = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "chasqui", "python-snapshot")
  mkdirSync(personal, { recursive: true, mode: 0o700 })
  if (isPrivateFolder(personal)) return personal
  throw notPrivate(personal)
}

function notPrivate(folder: string): SandboxError {
  return new SandboxError({
    reason: "bad-options",
    detail: `The cache folder ${folder} is not a folder that belongs to this user alone.`,
    fix: "Give another one as cacheFolder: whoever can write there could put foreign code into every sandbox.",
  })
}

function describe(error: unknown): string {
  if (!(error instanceof ProcessGone)) return String(error)
  return error.complaint === "" ? error.message : `${error.message}: ${error.complaint}`
}

function cannotStart(detail: string, cause?: unknown): SandboxError {
  return new SandboxError({
    reason: "cannot-start",
    detail: `The Python sandbox cannot start. ${detail}`,
    fix: "It needs Node 24 or later and an installed isolated-vm and pyodide; run `pnpm install` again.",
    cause,
  })
}
