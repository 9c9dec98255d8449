/** `chasqui trace`: shows a recorded trace in the terminal, or writes it as one HTML page. */
import { readFile, writeFile } from "node:fs/promises"
import { readTrace, replay, type Trace } from "@chasqui/core"
import { tracePage } from "../trace-page.ts"
import type { Command, ExitCode } from "./command.ts"
import { readOptions } from "./options.ts"
import { type Terminal, visible } from "./terminal.ts"
import { transcriptView } from "./transcript-view.ts"
import { UsageError } from "./usage-error.ts"

const help = `Usage: chasqui trace show FILE [--json]
       chasqui trace view FILE [--out PAGE.html]
       chasqui trace replay FILE

show    the runs of a trace, as they were shown while they ran; with --json, one object per run
view    the trace as one HTML page: timeline, tokens, calls, results, prompts (default: FILE.html)
replay  the events of the trace, one JSON object per line, without times

A trace comes from \`chasqui run --json\`, or from a session that is kept in a folder.

Examples:
  chasqui run --json > answer.jsonl && chasqui trace view answer.jsonl
  chasqui trace show answer.jsonl --json | jq .usage
`

export const command: Command = { help, run }

async function run(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { values, positionals } = readOptions(args, { out: { type: "string" }, json: { type: "boolean" } })
  const [verb, file] = positionals
  if (file === undefined || positionals.length > 2)
    throw new UsageError(`chasqui trace takes a verb and a file.\n\n${help}`)
  const text = await readFile(file, "utf8")
  switch (verb) {
    case "show":
      if (values.json) for (const run of summaries(readTrace(text))) terminal.out(`${JSON.stringify(run)}\n`)
      else show(readTrace(text), terminal)
      return 0
    case "view": {
      const page = values.out ?? `${file}.html`
      await writeFile(page, tracePage(readTrace(text)))
      if (values.json) terminal.out(`${JSON.stringify({ page })}\n`)
      else terminal.err(`${visible(page)}\n`)
      return 0
    }
    case "replay":
      for (const event of replay(text)) terminal.out(`${JSON.stringify(event)}\n`)
      return 0
    default:
      throw new UsageError(`There is no verb ${JSON.stringify(verb)}.\n\n${help}`)
  }
}

/** Each run in a few fields; one that was cut off or failed has no stop reason. */
function summaries({ header, events }: Trace): readonly object[] {
  const runs: { input: string | null; steps: number; calls: object[]; end: object }[] = []
  for (const event of events) {
    const run = runs.at(-1)
    if (event.type === "run-start") runs.push({ input: event.input ?? null, steps: 0, calls: [], end: {} })
    else if (run === undefined) continue
    else if (event.type === "step-end") run.steps++
    else if (event.type === "tool-result") {
      const { callId, name, isError, failure, durationMs } = event
      run.calls.push({ callId, name, isError, ...(failure && { failure }), durationMs })
    } else if (event.type === "run-end") {
      run.end = { stopReason: event.stopReason, text: event.text, usage: event.usage }
    } else if (event.type === "run-failed") run.end = { error: event.message, usage: event.usage }
  }
  return runs.map(({ end, ...run }) => ({ session: header.sessionId, model: header.model, ...run, ...end }))
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
