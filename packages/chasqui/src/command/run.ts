/** `chasqui run`: answers one question with tools, and shows every step of the way or writes the trace. */
import type { AgentEvent, RunResult, Tool } from "@chasqui/core"
import { traceHeader, traceLine } from "@chasqui/core"
import { braveSearch, codeInterpreter, sampleDocuments } from "@chasqui/tools"
import { type Agent, agent } from "../agent.ts"
import { llama } from "../llama.ts"
import { defaultQuestion } from "./default-question.ts"
import type { Command, ExitCode } from "./main.ts"
import { numberOption, readOptions } from "./options.ts"
import type { Terminal } from "./terminal.ts"
import { visible } from "./terminal.ts"
import { transcriptView } from "./transcript-view.ts"

const help = `Usage: chasqui run [options] [question]

Answers one question with tools: brave_search and code_interpreter. Without a question it asks itself one.

  --model DIR        a Llama checkpoint in Hugging Face layout (default: the built-in tiny model)
  --documents DIR    let brave_search answer from these texts (default: BRAVE_API_KEY's web search, else sample documents)
  --system TEXT      the system text (default: You are a helpful assistant.)
  --date TEXT        today's date as the prompt shows it (default: 26 Jul 2024, as in the model's own template)
  --max-steps N      stop after N steps (default 8)
  --max-tokens N     stop after N generated tokens
  --temperature T    0 always takes the likeliest token (default: the checkpoint's)
  --seed N           makes sampling repeatable
  --threads N        CPU threads
  --json             write the trace to standard output, one event per line, and nothing else

Exit codes: 0 answered, 1 failed, 2 wrong usage, 3 a limit ended the run, 130 interrupted.

Examples:
  chasqui run "How many people live in Oslo?"
  chasqui run --json | jq 'select(.type == "tool-result")'
`

const options = {
  model: { type: "string" },
  documents: { type: "string" },
  system: { type: "string" },
  date: { type: "string" },
  "max-steps": { type: "string" },
  "max-tokens": { type: "string" },
  temperature: { type: "string" },
  seed: { type: "string" },
  threads: { type: "string" },
  json: { type: "boolean" },
} as const

export const command: Command = { help, run: runQuestion }

async function runQuestion(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { values, positionals } = readOptions(args, options)
  const question = positionals.length > 0 ? positionals.join(" ") : defaultQuestion
  const threads = numberOption("threads", values.threads, 1)
  const temperature = numberOption("temperature", values.temperature, 0)
  const seed = numberOption("seed", values.seed, 0)
  const maxTokens = numberOption("max-tokens", values["max-tokens"], 1)
  const search = searchTool(values.documents)

  await using bot = await agent({
    model: llama(values.model, threads === undefined ? {} : { threads }),
    tools: [search, codeInterpreter({ start: "now" })],
    maxSteps: numberOption("max-steps", values["max-steps"], 1) ?? 8,
    system: values.system ?? "You are a helpful assistant.",
    ...(values.date !== undefined && { prompt: { date: values.date } }),
    ...(maxTokens !== undefined && { maxTokens }),
    sampling: { ...(temperature !== undefined && { temperature }), ...(seed !== undefined && { seed }) },
  })
  const result = values.json ? await writeTrace(bot, question, terminal) : await show(bot, question, search, terminal)
  return result.stopReason === "end-of-turn" ? 0 : result.stopReason === "aborted" ? 130 : 3
}

function searchTool(folder: string | undefined): Tool {
  if (folder !== undefined) return braveSearch({ documents: folder })
  return process.env.BRAVE_API_KEY ? braveSearch() : braveSearch({ documents: sampleDocuments })
}

async function show(bot: Agent, question: string, search: Tool, terminal: Terminal): Promise<RunResult> {
  const { out, style } = terminal
  const { name } = bot.model.info
  out(style.dim(`model   ${visible(name)}\n`))
  out(style.dim(`tools   brave_search (${search.provider}), code_interpreter (CPython in a sandbox)\n\n`))
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
