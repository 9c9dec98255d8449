/**
 * Mathematics on this machine, for use without a key. The work is done in a child process that has no environment, no files to
 * read but its own, and a memory limit.
 *
 * Covered: expressions that never end, that fill memory, or that take the JavaScript engine down with them (an array of 10^9
 * numbers does): the child dies, the host goes on, the next question starts a new child. Not covered: load on the machine.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createRequire } from "node:module"
import { dirname, extname, resolve } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { ToolFailed } from "@chasqui/core"
import type { MathsProvider, Pod } from "./maths-provider.ts"

/** What one question may take. */
export interface LocalMathsOptions {
  /** Milliseconds for one question. Default 5 000. */
  readonly timeoutMs?: number
  /** Mebibytes of heap of the child process. Default 128. */
  readonly memoryMb?: number
}

/** What one answer may hold, in characters. */
const mostCharacters = 4_000
/** Milliseconds until a new child must have loaded its library; most take a fifth of a second. */
const startTimeoutMs = 20_000

/** A provider for `wolframAlpha` that needs no key and no network. Its child process starts with the first question. */
export function localMaths({ timeoutMs = 5_000, memoryMb = 128 }: LocalMathsOptions = {}): MathsProvider {
  let child: ChildProcess | undefined
  let last: Promise<unknown> = Promise.resolve()

  const ask = async (query: string, signal: AbortSignal): Promise<readonly Pod[] | null> => {
    signal.throwIfAborted()
    const reply = await exchange(JSON.stringify({ query }), signal)
    if (reply.kind === "line") return readAnswer(reply.text)
    child?.kill("SIGKILL")
    child = undefined
    signal.throwIfAborted()
    throw new ToolFailed(reply.kind === "stopped" ? "timeout" : reply.reason)
  }

  const exchange = async (line: string, signal: AbortSignal): Promise<Reply> => {
    if (!child || !isRunning(child)) {
      child = startChild(memoryMb, timeoutMs)
      const started = await nextLine(child, AbortSignal.any([signal, AbortSignal.timeout(startTimeoutMs)]))
      if (started.kind !== "line") return started
    }
    child.stdin?.write(`${line}\n`)
    return nextLine(child, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]))
  }

  return {
    name: "local-maths",
    answer: (query, signal) => {
      const answer = last.then(() => ask(query, signal))
      last = answer.catch(() => undefined)
      return answer
    },
    close: async () => {
      await last
      child?.kill("SIGKILL")
      child = undefined
    },
  }
}

/** Started at the first question; does not keep the host alive. */
function startChild(memoryMb: number, timeoutMs: number): ChildProcess {
  const library = createRequire(import.meta.url).resolve("mathjs/lib/browser/math.js")
  const program = fileURLToPath(new URL(`./maths-process${extname(import.meta.url)}`, import.meta.url))
  const readable = [resolve(dirname(program), "../.."), dirname(library)]
  const child = spawn(
    process.execPath,
    [
      "--permission",
      ...readable.map((folder) => `--allow-fs-read=${folder}`),
      `--max-old-space-size=${memoryMb}`,
      program,
      library,
      String(timeoutMs * 2),
    ],
    { env: {}, cwd: dirname(program), stdio: ["pipe", "pipe", "ignore"] },
  )
  child.on("error", () => undefined) // it could not be started: `nextLine` sees it end
  child.stdin?.on("error", () => undefined)
  child.unref()
  for (const stream of [child.stdin, child.stdout]) (stream as { unref?: () => void } | null)?.unref?.()
  return child
}

type Reply =
  | { readonly kind: "line"; readonly text: string }
  | { readonly kind: "stopped" }
  | { readonly kind: "died"; readonly reason: string }

const isRunning = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null

/** The child's next line, its death, or that it took too long; keeps the host alive while it waits. */
async function nextLine(child: ChildProcess, stop: AbortSignal): Promise<Reply> {
  if (!isRunning(child) || !child.stdout) return died(child.signalCode)
  const finished = new AbortController()
  const signal = AbortSignal.any([stop, finished.signal])
  const lines = createInterface({ input: child.stdout })
  child.ref()
  try {
    return await Promise.race([
      once(lines, "line", { signal }).then(([text]): Reply => ({ kind: "line", text: String(text) })),
      once(child, "exit", { signal }).then(([_code, ended]): Reply => died(ended)),
    ])
  } catch {
    return stop.aborted ? { kind: "stopped" } : died(child.signalCode)
  } finally {
    finished.abort()
    lines.close()
    child.unref()
  }
}

/** The JavaScript engine aborts when it runs out of heap. */
const died = (signal: NodeJS.Signals | null): Reply => ({
  kind: "died",
  reason:
    signal === "SIGABRT" || signal === "SIGTRAP"
      ? "the computation needs more memory than it may use"
      : "the computation broke off",
})

function readAnswer(text: string): readonly Pod[] | null {
  const { pods } = JSON.parse(text) as { pods: Pod[] | null }
  if (text.length > mostCharacters) throw new ToolFailed("the result is too long to show")
  return pods
}
