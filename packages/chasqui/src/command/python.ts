/** `chasqui python`: the sandbox by itself, as a prompt for people and as a batch runner. */
import { createInterface } from "node:readline"
import { pythonBatch, pythonRepl } from "@chasqui/tools"
import type { Command, ExitCode } from "./command.ts"
import { readOptions } from "./options.ts"
import { type Terminal, visible } from "./terminal.ts"

const help = `Usage: chasqui python [--json]

Python in the sandbox that code_interpreter uses: no network, no files of this machine. Without options, a prompt.

  --json   JSON lines in, JSON lines out, one answer for each line whatever the code does

Line in:   {"code": "…", "timeoutMs"?: 1000, "memoryMb"?: 256, "session"?: "a"}
Line out:  {"status": "completed"|"error"|"timeout"|"died", "stdout", "stderr", "result", "error"?, "artifacts", "ms"}

Example:
  echo '{"code": "1 + 1"}' | chasqui python --json
`

export const command: Command = { help, run }

async function run(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { values } = readOptions(args, { json: { type: "boolean" } })
  const lines = createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })
  if (values.json) {
    for await (const answer of pythonBatch(lines)) terminal.out(`${answer}\n`)
    return 0
  }
  let stop: (() => void) | undefined
  const interrupt = () => (stop === undefined ? lines.close() : stop())
  process.on("SIGINT", interrupt)
  await pythonRepl({
    lines,
    write: (text) => terminal.out(visible(text)),
    onRunning: (running) => {
      stop = running
    },
  })
  process.off("SIGINT", interrupt)
  return 0
}
