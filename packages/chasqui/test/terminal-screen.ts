/** `chasqui` at a pseudo-terminal of its own, which `script` of util-linux gives: keys in, what is on the screen out. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const program = fileURLToPath(new URL("../bin/chasqui.mjs", import.meta.url))
const mostWaitMs = 60_000

/** `script` runs a command with the user's shell, which may be any. */
const environment = () => ({ ...process.env, SHELL: "/bin/sh", TERM: "xterm" })
const script = (command: string) => ["/usr/bin/script", ["-qefc", command, "/dev/null"]] as const

export const hasTerminal = spawnSync(...script("exit 7"), { env: environment() }).status === 7
if (!hasTerminal) console.warn("SKIPPED: a pseudo-terminal needs /usr/bin/script of util-linux")

export class Screen {
  text = ""
  /** The exit code. */
  readonly ended: Promise<number | null>
  readonly #child: ChildProcess
  #read = 0

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    // `exec`: a shell that waited would get the Ctrl-C too and, as dash does, end with 130 whatever its child said.
    const command = ["exec", ...[process.execPath, program, ...args].map(quoted)].join(" ")
    this.#child = spawn(...script(command), { env: { ...environment(), ...env } })
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.text += text
    })
    this.ended = new Promise((resolve) => this.#child.once("close", resolve))
  }

  type(keys: string): void {
    this.#child.stdin?.write(keys)
  }

  /** Waits until this stands behind what was waited for before. */
  async shows(what: string): Promise<void> {
    const deadline = performance.now() + mostWaitMs
    for (;;) {
      const at = this.text.indexOf(what, this.#read)
      if (at !== -1) {
        this.#read = at + what.length
        return
      }
      if (performance.now() > deadline) break
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    throw new Error(`${JSON.stringify(what)} never came:\n${JSON.stringify(this.text.slice(this.#read))}`)
  }

  kill(): void {
    this.#child.kill("SIGKILL")
  }
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}
