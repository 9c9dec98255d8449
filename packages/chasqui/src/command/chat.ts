/**
 * `chasqui chat`: a conversation at the terminal. Shows calls and results, asks before calls that need approval, and keeps the
 * session in a folder where it is told to. Ctrl-C stops the step under way and not the program.
 */
import { createInterface, type Interface } from "node:readline"
import {
  type Decision,
  folderStore,
  type PendingRun,
  type RunOptions,
  type RunResult,
  type RunStream,
} from "@chasqui/core"
import type { Agent } from "../agent.ts"
import { agentFrom, agentHelp, agentOptions, runOptionsFrom } from "./agent-options.ts"
import type { Command, ExitCode } from "./command.ts"
import { readOptions } from "./options.ts"
import { type Terminal, visible } from "./terminal.ts"
import { chosenTools, describeTools, toolHelp, toolOptions } from "./tools.ts"
import { transcriptView } from "./transcript-view.ts"

const help = `Usage: chasqui chat [options]

A conversation with tools. An empty line or Ctrl-D ends it; Ctrl-C stops what is under way.

${agentHelp}
${toolHelp}
  --sessions DIR     keep the session in this folder, and go on with it the next time
  --session NAME     its name there (default: session-0)
  --approve          ask before each call of a tool that may change something

Example:
  chasqui chat --sessions ./sessions --session holiday
`

const options = {
  ...agentOptions,
  ...toolOptions,
  sessions: { type: "string" },
  session: { type: "string" },
  approve: { type: "boolean" },
} as const

export const command: Command = { help, run: chat }

async function chat(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { values } = readOptions(args, options)
  const plain = await chosenTools({ documents: values.documents, plugins: values.plugin ?? [] })
  const tools = values.approve ? plain.map((tool) => (tool.readOnly ? tool : { ...tool, needsApproval: true })) : plain
  const store = values.sessions === undefined ? undefined : await folderStore(values.sessions)
  await using bot = await agentFrom(values, tools, {
    ...(store && { store, now: Date.now }),
    ...(values.session !== undefined && { sessionId: values.session }),
    // The pending run never leaves this process, so a key for its lifetime serves.
    ...(values.approve && { approvalKey: crypto.getRandomValues(new Uint8Array(32)) }),
  })
  const { out, style } = terminal
  out(style.dim(`model   ${visible(bot.model.info.name)}\ntools   ${visible(describeTools(tools))}\n`))
  if (bot.session.turns.length > 1)
    out(style.dim(`session ${bot.session.id}, ${bot.session.turns.length} turns so far\n`))
  using lines = createInterface({ input: process.stdin, output: process.stdout, historySize: 1000 })
  // Awaited here: the session and the terminal close when this function is left.
  return await converse(bot, runOptionsFrom(values), lines, terminal)
}

async function converse(bot: Agent, options: RunOptions, lines: Interface, terminal: Terminal): Promise<ExitCode> {
  const ask = asker(lines)
  let stream: RunStream | undefined
  lines.on("SIGINT", () => (stream === undefined ? lines.close() : stream.cancel()))
  for (let question = await ask("\n? "); question; question = await ask("\n? ")) {
    stream = bot.stream(question, options)
    let result = await shown(stream, terminal)
    while (result?.pending !== undefined) {
      stream = bot.resume(result.pending, await decide(result.pending, ask, terminal), options)
      result = await shown(stream, terminal)
    }
    stream = undefined
  }
  return 0
}

/** The result, or nothing where the run failed: the error is shown and the conversation goes on. */
async function shown(stream: RunStream, terminal: Terminal): Promise<RunResult | undefined> {
  const view = transcriptView(terminal)
  try {
    for await (const event of stream) view(event)
    return await stream.result
  } catch (error) {
    terminal.err(`${visible(error instanceof Error ? error.message : String(error))}\n`)
    return undefined
  }
}

async function decide(pending: PendingRun, ask: Ask, { out }: Terminal): Promise<Record<string, Decision>> {
  const decisions: Record<string, Decision> = {}
  for (const { id, name, input } of pending.calls) {
    out(`${visible(name)} ${visible(JSON.stringify(input))}\n`)
    const answer = (await ask("run it? [y]es, [n]o, or a reason why not: ")) ?? "no"
    const yes = /^y(es)?$/i.test(answer)
    const bare = /^n?o?$/i.test(answer)
    decisions[id] = yes ? { kind: "approve" } : { kind: "refuse", ...(bare ? {} : { reason: answer }) }
  }
  return decisions
}

/** Asks for the next line; undefined at the end of the input. Lines that came early, as from a pipe, are kept in order. */
type Ask = (prompt: string) => Promise<string | undefined>

function asker(lines: Interface): Ask {
  const iterator = lines[Symbol.asyncIterator]()
  let open = true
  lines.once("close", () => {
    open = false
  })
  return async (prompt) => {
    lines.setPrompt(prompt)
    if (open) lines.prompt()
    const { done, value } = await iterator.next()
    return done === true ? undefined : value.trim()
  }
}
