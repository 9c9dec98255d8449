/** What a subcommand is: its help, and how it runs. */
import type { Terminal } from "./terminal.ts"

/** 0: done. 1: failed. 2: called wrongly. 3: a limit ended the run. 130: interrupted. */
export type ExitCode = 0 | 1 | 2 | 3 | 130

export interface Command {
  readonly help: string
  readonly run: (args: readonly string[], terminal: Terminal) => Promise<ExitCode>
}
