/**
 * The sandbox as a prompt for people: lines in, text out, until the lines end or the code says `exit()`. It knows nothing of terminals;
 * the command line gives it lines and shows what it writes.
 */
import { type PythonOutcome, type PythonSandbox, pythonSandbox, type SandboxOptions } from "./sandbox.ts"

/** Where lines come from and text goes to. */
export interface ReplOptions {
  readonly lines: AsyncIterable<string>
  /** Prompts, what code prints while it runs, values, and tracebacks. */
  readonly write: (text: string) => void
  /** A sandbox to use; it is left open. Default: one of the prompt's own, made from `options`. */
  readonly sandbox?: PythonSandbox
  readonly options?: SandboxOptions
  /** Called with what stops the running code (for Ctrl-C), and with undefined when it has ended. */
  readonly onRunning?: (stop: (() => void) | undefined) => void
}

const session = "repl"
/** Asked whether lines are complete, so that the people's own namespace (and `_`) stays as it is. */
const helper = "repl-helper"

/** Reads, runs and prints until the end. Throws SandboxError when the sandbox cannot start. */
export async function pythonRepl(repl: ReplOptions): Promise<void> {
  const sandbox = repl.sandbox ?? pythonSandbox(repl.options)
  try {
    await readRunPrint(sandbox, repl)
  } finally {
    if (repl.sandbox) for (const name of [session, helper]) repl.sandbox.endSession(name)
    else await sandbox.close()
  }
}

async function readRunPrint(sandbox: PythonSandbox, { lines, write, onRunning }: ReplOptions): Promise<void> {
  let source = ""
  write(">>> ")
  for await (const line of lines) {
    source += source === "" ? line : `\n${line}`
    if (source.trim() !== "" && (await isUnfinished(sandbox, source))) {
      write("... ")
      continue
    }
    if (source.trim() !== "") {
      const outcome = await runStoppable(sandbox, source, write, onRunning)
      if (outcome?.error?.message.startsWith("SystemExit")) return
      write(report(outcome))
    }
    source = ""
    write(">>> ")
  }
  write("\n")
}

/** As the interactive interpreter of CPython decides it: a block ends with an empty line. */
async function isUnfinished(sandbox: PythonSandbox, source: string): Promise<boolean> {
  const literal = JSON.stringify(source) // a JSON string is a Python string as well, but for half characters
  const check = `import codeop\ncodeop.compile_command(${literal}, "<stdin>", "single") is None`
  const { result } = await sandbox.run(check, { session: helper })
  return result === "True"
}

async function runStoppable(
  sandbox: PythonSandbox,
  source: string,
  write: (text: string) => void,
  onRunning: ReplOptions["onRunning"],
): Promise<PythonOutcome | undefined> {
  const abort = new AbortController()
  onRunning?.(() => abort.abort())
  try {
    return await sandbox.run(source, { session, signal: abort.signal, onOutput: (_, text) => write(text) })
  } catch (error) {
    if (abort.signal.aborted) return undefined
    throw error
  } finally {
    onRunning?.(undefined)
  }
}

function report(outcome: PythonOutcome | undefined): string {
  if (!outcome) return "KeyboardInterrupt\n"
  const { status, stdout, result, error } = outcome
  const gap = stdout === "" || stdout.endsWith("\n") ? "" : "\n"
  if (status === "completed") return result === null ? gap : `${gap}${result}\n`
  const restart = status === "died" ? "Python was started anew: variables and files are gone.\n" : ""
  return `${gap}${(error?.traceback ?? "").trimEnd()}\n${restart}`
}
