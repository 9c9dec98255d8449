/**
 * Runs a tool that is a command.
 *
 * Covered: no shell ever; the model's values are single arguments after `--` (or behind `--name=`), or JSON on standard input;
 * the environment holds what the manifest names and nothing else; time, output and everything that the command started end
 * with the call. Not covered: what the command itself may do on this machine; it has the rights of the host process.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { resolve } from "node:path"
import { type JsonObject, type JsonValue, ToolFailed } from "@chasqui/core"
import type { CommandRun } from "./manifest.ts"
import type { Runner } from "./runner.ts"
import { fill, isOnePlace, placesIn, scalarText, type Values, valueAt } from "./template.ts"

const mostOutputBytes = 1_048_576
const mostErrorCharacters = 500

export function commandRunner(run: CommandRun, folder: string, config: JsonObject): Runner {
  return {
    run: async (input, { signal }) => {
      signal.throwIfAborted()
      const values = { input, config }
      const [program = "", ...rest] = run.argv
      const child = spawn(program.startsWith(".") ? resolve(folder, program) : program, argumentsOf(rest, values), {
        cwd: folder,
        env: environmentOf(run, values),
        shell: false,
        detached: true, // a process group of its own, so that all of it can be ended
        windowsHide: true,
        stdio: ["pipe", "pipe", "pipe"],
      })
      return readResult(await outputOf(child, run.stdin === "none" ? "" : `${JSON.stringify(input)}\n`, signal), run)
    },
  }
}

function argumentsOf(templates: readonly string[], values: Values): string[] {
  const texts = templates.flatMap((template) => {
    const value = isOnePlace(template) ? valueAt(placesIn(template)[0]!, values) : undefined
    return Array.isArray(value) ? value.map((entry: JsonValue) => scalarText(entry)) : [fill(template, values)]
  })
  const given = texts.filter((text) => text !== undefined)
  if (given.some((text) => text.includes("\0")))
    throw new ToolFailed("a value holds a character that no argument can have")
  return given
}

function environmentOf({ inheritEnv = ["PATH"], env = {} }: CommandRun, values: Values): Record<string, string> {
  const inherited = inheritEnv.map((name) => [name, process.env[name]] as const)
  const own = Object.entries(env).map(([name, template]) => [name, fill(template, values)] as const)
  return Object.fromEntries(
    [...inherited, ...own].filter((pair): pair is readonly [string, string] => pair[1] !== undefined),
  )
}

/** Standard output, once the command has ended well. Throws ToolFailed with the end of its standard error otherwise. */
async function outputOf(child: ChildProcess, input: string, signal: AbortSignal): Promise<string> {
  const output = collector(mostOutputBytes, () => end(child))
  const errors = collector(mostOutputBytes, () => end(child))
  child.stdout?.on("data", output.add)
  child.stderr?.on("data", errors.add)
  child.stdin?.on("error", () => undefined) // it ended without reading: its exit says the rest
  child.stdin?.end(input)
  child.once("exit", () => end(child)) // whatever it left running ends now, too
  const abort = () => end(child)
  signal.addEventListener("abort", abort, { once: true })
  try {
    const [code, ended] = (await once(child, "close")) as [number | null, NodeJS.Signals | null]
    signal.throwIfAborted()
    if (output.isFull() || errors.isFull()) throw new ToolFailed(`the command wrote more than ${mostOutputBytes} bytes`)
    if (code === 0) return output.text()
    const last = errors.text().trim().slice(-mostErrorCharacters)
    throw new ToolFailed(last === "" ? `the command failed (${ended ?? `exit code ${code}`})` : last)
  } catch (error) {
    if (error instanceof ToolFailed || signal.aborted) throw error
    throw new ToolFailed("the command could not be started", { cause: error })
  } finally {
    signal.removeEventListener("abort", abort)
  }
}

function collector(mostBytes: number, onFull: () => void) {
  const pieces: Buffer[] = []
  let bytes = 0
  return {
    add: (piece: Buffer): void => {
      bytes += piece.length
      if (bytes <= mostBytes) pieces.push(piece)
      else onFull()
    },
    isFull: (): boolean => bytes > mostBytes,
    text: (): string => Buffer.concat(pieces).toString("utf8"),
  }
}

/** Ends the whole process group, where it still runs. */
function end(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, "SIGKILL")
  } catch {
    // it has ended already
  }
}

function readResult(output: string, { result = "json" }: CommandRun): JsonValue {
  if (result === "text") return output
  try {
    return JSON.parse(output) as JsonValue
  } catch {
    throw new ToolFailed("the command's output is not JSON")
  }
}
