/**
 * Starts the jailed process: which program, with which rights. Gives a running child with four pipes: requests (0),
 * what V8 has to say (1, 2), replies (3).
 *
 * Covered, everywhere: an empty environment, no arguments but its own flags, no handle of the host but four pipes (on Linux also none
 *   that the host itself was started with); Node's permission
 *   model (it reads its own program, Pyodide and the snapshot; it writes no file, starts no process, worker or inspector).
 * Covered, with a POSIX shell: kernel limits on data memory (not on macOS), open files, file size and core dumps.
 * Covered, on Linux with user namespaces: a root of its own, read-only, that holds nothing but Node, its libraries, the program,
 *   Pyodide and the snapshot; no network, no other process, no System V memory; no capability, and no way to gain one.
 * Not covered: a bug in the kernel, system call filters (Node offers none), CPU and disk shares (no cgroup is made), and what native
 *   code in the child could do without namespaces: the permission model is enforced by the very process that it holds.
 *   Within the namespaces the process is, for the system outside, still the same user: only the walls above part them.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, realpathSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, extname, join } from "node:path"
import { fileURLToPath } from "node:url"
import type { ResidentLimit } from "./resident-memory.ts"
import { SandboxError } from "./sandbox-error.ts"

/** How many walls stand: `namespaces` is all of them, `limits` lacks the namespaces, `process` lacks the kernel's limits as well. */
export type JailKind = "namespaces" | "limits" | "process"

export interface JailOptions {
  readonly kind: JailKind
  /** Holds the snapshot, which the child may read; an empty folder in it becomes the child's root. */
  readonly cacheFolder: string
  /** The most data memory that the kernel lets the process map, in MiB. Most of it is never touched: V8 maps generously. */
  readonly mappedMb: number
  readonly resident: ResidentLimit
}

/** The program runs as it lies here: TypeScript from src, JavaScript from dist. */
const program = fileURLToPath(new URL(`./jailed${extname(import.meta.url)}`, import.meta.url))
const packageFolder = fileURLToPath(new URL("../../", import.meta.url))
const requireHere = createRequire(import.meta.url)

export const pyodideFolder = dirname(realpathSync(requireHere.resolve("pyodide/package.json")))

/** The strictest kind that this system may have; starting it shows whether it does. */
export function strictestJail(): JailKind {
  if (process.platform === "linux" && tool("unshare") && tool("setpriv") && tool("mount")) return "namespaces"
  return process.platform === "win32" ? "process" : "limits"
}

/** The next weaker kind after one that could not be set up. */
export function weakerJail(kind: JailKind): JailKind | undefined {
  return kind === "namespaces" ? "limits" : kind === "limits" ? "process" : undefined
}

/** Whether what a child wrote before it ended comes from the tools that build its walls, and not from the child. */
export function isJailComplaint(stderr: string): boolean {
  return /^(\S*\/)?(unshare|setpriv|mount|env|sh|ldd)\b.*:/m.test(stderr)
}

export function startJail({ kind, cacheFolder, mappedMb }: JailOptions): ChildProcess {
  const addon = isolatedVmAddon()
  const readable = [
    join(packageFolder, "package.json"),
    join(packageFolder, "src", "python"),
    dirname(program),
    pyodideFolder,
    addon,
    cacheFolder,
  ]
  const node = [
    realpathSync(process.execPath),
    "--no-node-snapshot", // isolated-vm cannot work from Node's own start-up snapshot
    "--permission",
    "--allow-addons", // isolated-vm is one
    ...readable.map((path) => `--allow-fs-read=${path}`),
    "--max-old-space-size=128",
    "--initial-old-space-size=48", // in MiB: booting an interpreter then needs fewer collections
    "--no-warnings",
    program,
    addon,
  ]
  const [command, ...rest] = wrap(kind, { node, readable, addon, cacheFolder, mappedMb }) as [string, ...string[]]
  const emptied = inheritedHandles()
  const nothing = emptied.length > 0 ? openSync("/dev/null", "r+") : undefined
  const handles = Array.from({ length: Math.max(3, ...emptied) + 1 }, (_, handle) =>
    handle <= 3 ? "pipe" : emptied.includes(handle) ? nothing! : "ignore",
  )
  try {
    return spawn(command, rest, { cwd: "/", env: {}, stdio: handles, windowsHide: true })
  } finally {
    if (nothing !== undefined) closeSync(nothing)
  }
}

/**
 * Handles beyond the first four that this process was itself started with, and that would go on to its children: there, each becomes
 * the empty device. What this process opened by itself stays with it anyway. Linux tells which; elsewhere none is known.
 */
function inheritedHandles(): number[] {
  const closesOnExec = 0o2000000
  const folder = "/proc/self/fdinfo"
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .map(Number)
    .filter((handle) => {
      if (handle <= 3) return false
      const flags = /^flags:\s*([0-7]+)/m.exec(readIfThere(join(folder, String(handle))))?.[1]
      return flags !== undefined && (Number.parseInt(flags, 8) & closesOnExec) === 0
    })
}

/** The handle that read the folder is gone by then. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}

interface Wrapping {
  readonly node: readonly string[]
  readonly readable: readonly string[]
  readonly addon: string
  readonly cacheFolder: string
  readonly mappedMb: number
}

function wrap(kind: JailKind, { node, readable, addon, cacheFolder, mappedMb }: Wrapping): readonly string[] {
  const kilobytes = String(mappedMb * 1024)
  if (kind === "process") return node
  if (kind === "limits") return ["/bin/sh", "-c", `${limitScript}; exec "$@"`, "sh", kilobytes, ...node]
  const root = join(cacheFolder, "root")
  mkdirSync(root, { recursive: true, mode: 0o700 })
  const namespaces = ["--user", "--map-root-user", "--mount", "--net", "--pid", "--ipc", "--uts", "--cgroup"]
  return [
    requireTool("unshare"),
    ...namespaces,
    "--fork",
    "--kill-child",
    ...["/bin/sh", "-c", namespaceScript, "sh", kilobytes, root, requireTool("setpriv"), requireTool("unshare")],
    ...new Set([...sharedLibraries([node[0]!, addon]), node[0]!, ...readable]),
    "--",
    ...node,
  ]
}

/** Takes the memory limit in KiB off the arguments. Where a system lacks a limit, the others still count. */
const limitScript = `limit=$1; shift
ulimit -c 0
for each in "-d $limit" "-n 64" "-f 0"; do ulimit $each 2>/dev/null || :; done`

/**
 * Runs as root of new namespaces: builds a root folder of read-only binds, then enters a second user namespace, in which the program
 * is nobody: it has no capability there, and being in a changed root it can make no further namespace.
 * Arguments: memory limit, root, setpriv, unshare, paths to bind, --, program with its arguments.
 */
const namespaceScript = `set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
${limitScript}
root=$1 setpriv=$2 unshare=$3; shift 3
mount -t tmpfs -o size=256k,mode=755,nosuid,nodev none "$root"
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir -p "$root$1"; else mkdir -p "$root\${1%/*}"; [ -e "$root$1" ] || : > "$root$1"; fi
  mount --bind "$1" "$root$1"
  mount -o remount,bind,ro,nosuid,nodev "$root$1"
  shift
done
shift
mount -o remount,ro "$root"
exec env -i "$setpriv" --no-new-privs "$unshare" --user --map-user=65534 --map-group=65534 --root="$root" --wd=/ -- "$@"`

/** isolated-vm's binary for this system, found without loading it. */
function isolatedVmAddon(): string {
  const folder = dirname(realpathSync(requireHere.resolve("isolated-vm/package.json")))
  const gypBuild = createRequire(join(folder, "package.json"))("node-gyp-build") as { path(folder: string): string }
  return realpathSync(gypBuild.path(folder))
}

/** The files that the dynamic loader opens for these programs, under the names by which it opens them. */
function sharedLibraries(files: readonly string[]): string[] {
  const listing = execFileSync(requireTool("ldd"), files, {
    encoding: "utf8",
    env: {},
    stdio: ["ignore", "pipe", "ignore"],
  })
  return [...listing.matchAll(/(?:=>\s*|^\s+)(\/\S+)\s+\(0x/gm)].map((match) => match[1]!)
}

function tool(name: string): string | undefined {
  return ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map((folder) => join(folder, name)).find((path) => existsSync(path))
}

function requireTool(name: string): string {
  const path = tool(name)
  if (path) return path
  throw new SandboxError({
    reason: "no-namespaces",
    detail: `The sandbox's namespaces need the program ${name}, which this system lacks.`,
    fix: 'Install util-linux, or make the sandbox with `namespaces: "auto"`.',
  })
}
