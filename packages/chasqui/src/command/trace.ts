/** `chasqui trace`: shows a recorded trace in the terminal, or writes it as one HTML page. */
import { readFile, writeFile } from "node:fs/promises"
import { readTrace, replay, type Trace } from "@chasqui/core"
import { tracePage } from "../trace-page.ts"
import type { Command, ExitCode } from "./command.ts"
import { readOptions } from "./options.ts"
import { type Terminal, visible } from "./terminal.ts"
import { transcriptView } from "./transcript-view.ts"
import { UsageError } from "./usage-error.ts"

const help = `Usage: chasqui trace show FILE
       chasqui trace view FILE [--out PAGE.html]
       chasqui trace replay FILE

show    the runs of a trace, as they were shown while they ran
view    the trace as one HTML page: timeline, tokens, calls, results, prompts (default: FILE.html)
replay  the events of the trace, one JSON object per line, without times

A trace comes from \`chasqui run --json\`, or from a session that is kept in a folder.

Example:
  chasqui run --json > answer.jsonl && chasqui trace view answer.jsonl
`

export const command: Command = { help, run }

async function run(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { values, positionals } = readOptions(args, { out: { type: "string" } })
  const [verb, file] = positionals
  if (file === undefined || positionals.length > 2)
    throw new UsageError(`chasqui trace takes a verb and a file.\n\n${help}`)
  const text = await readFile(file, "utf8")
  switch (verb) {
    case "show":
      show(readTrace(text), terminal)
      return 0
    case "view": {
      const page = values.out ?? `${file}.html`
      await writeFile(page, tracePage(readTrace(text)))
      terminal.err(`${visible(page)}\n`)
      return 0
    }
    case "replay":
      for (const event of replay(text)) terminal.out(`${JSON.stringify(event)}\n`)
      return 0
    default:
      throw new UsageError(`There is no verb ${JSON.stringify(verb)}.\n\n${help}`)
  }
}

function show({ header, events }: Trace, terminal: Terminal): void {
  const { out, style } = terminal
  out(style.dim(`model   ${visible(header.model)}\nsession ${visible(header.sessionId)}\n`))
  let view = transcriptView(terminal)
  for (const event of events) {
    if (event.type === "run-start") {
      out(style.bold(`\n? ${visible(event.input ?? "(resumed)")}\n\n`))
      view = transcriptView(terminal)
    }
    view(event)
  }
}
