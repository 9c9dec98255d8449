/** `chasqui run`: answers one question with tools, and shows every step of the way or writes the trace. */
import type { AgentEvent, RunResult, Tool } from "@chasqui/core"
import { traceHeader, traceLine } from "@chasqui/core"
import type { Agent } from "../agent.ts"
import { agentFrom, agentHelp, agentOptions } from "./agent-options.ts"
import type { Command, ExitCode } from "./command.ts"
import { defaultQuestion } from "./default-question.ts"
import { readOptions } from "./options.ts"
import { type Terminal, visible } from "./terminal.ts"
import { chosenTools, describeTools, toolHelp, toolOptions } from "./tools.ts"
import { transcriptView } from "./transcript-view.ts"

const help = `Usage: chasqui run [options] [question]

Answers one question with tools: brave_search and code_interpreter. Without a question it asks itself one.

${agentHelp}
${toolHelp}
  --json             write the trace to standard output, one event per line, and nothing else

Exit codes: 0 answered, 1 failed, 2 wrong usage, 3 a limit ended the run, 130 interrupted.

Examples:
  chasqui run "How tall is Mount Fuji?"
  chasqui run --json | jq 'select(.type == "tool-result")'
  chasqui run --model ./Llama-3.1-8B-Instruct --documents ./notes "What did we decide about the roof?"
`

const options = { ...agentOptions, ...toolOptions, json: { type: "boolean" } } as const

export const command: Command = { help, run: runQuestion }

async function runQuestion(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { values, positionals } = readOptions(args, options)
  const question = positionals.length > 0 ? positionals.join(" ") : defaultQuestion
  const tools = await chosenTools({ documents: values.documents, plugins: values.plugin ?? [] })
  await using bot = await agentFrom(values, tools)
  const result = values.json ? await writeTrace(bot, question, terminal) : await show(bot, question, tools, terminal)
  return result.stopReason === "end-of-turn" ? 0 : result.stopReason === "aborted" ? 130 : 3
}

async function show(bot: Agent, question: string, tools: readonly Tool[], terminal: Terminal): Promise<RunResult> {
  const { out, style } = terminal
  out(style.dim(`model   ${visible(bot.model.info.name)}\n`))
  out(style.dim(`tools   ${visible(describeTools(tools))}\n\n`))
  out(style.bold(`? ${visible(question)}\n\n`))
  return follow(bot, question, transcriptView(terminal))
}

async function writeTrace(bot: Agent, question: string, { out }: Terminal): Promise<RunResult> {
  out(traceLine(traceHeader(bot.session, bot.model)))
  const start = performance.now()
  return follow(bot, question, (event) => out(traceLine({ ...event, atMs: Math.round(performance.now() - start) })))
}

/** Runs to the end; an interrupt from the keyboard ends the run and not the program. */
async function follow(bot: Agent, question: string, listen: (event: AgentEvent) => void): Promise<RunResult> {
  const stream = bot.stream(question)
  const interrupt = () => stream.cancel()
  process.once("SIGINT", interrupt)
  try {
    for await (const event of stream) listen(event)
    return await stream.result
  } finally {
    process.off("SIGINT", interrupt)
  }
}
