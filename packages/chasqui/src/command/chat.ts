/**
 * `chasqui chat`: a conversation at the terminal. Shows calls and results, asks before calls that need approval, and keeps the
 * session in a folder where it is told to. Ctrl-C stops the step under way and not the program.
 */
import { createInterface, type Interface } from "node:readline"
import {
  type Decision,
  folderStore,
  type PendingRun,
  type RunResult,
  type RunStream,
  traceHeader,
  traceLine,
} from "@chasqui/core"
import type { Agent } from "../agent.ts"
import { agentFrom, agentHelp, agentOptions } from "./agent-options.ts"
import type { Command, ExitCode } from "./command.ts"
import { readOptions } from "./options.ts"
import { type Terminal, visible } from "./terminal.ts"
import { chosenTools, describeTools, toolHelp, toolOptions } from "./tools.ts"
import { transcriptView } from "./transcript-view.ts"

const help = `Usage: chasqui chat [options]

A conversation with tools. Ctrl-C stops what is under way, or clears the line; Ctrl-D, an empty line, or Ctrl-C twice at
an empty prompt ends it. The arrow keys bring earlier questions back, also those of a session that is kept.

${agentHelp}
${toolHelp}
  --sessions DIR     keep the session in this folder, and go on with it the next time
  --session NAME     its name there (default: session-0)
  --approve          ask before each call of a tool that may change something
  --json             lines in, the events of their runs out, one JSON object per line; where a run ends with
                     needs-approval the next line may be {"call-0": {"kind": "approve"}, …}

Examples:
  chasqui chat --sessions ./sessions --session holiday
  chasqui chat --approve --server http://localhost:8000/v1 --model llama
`

const options = {
  ...agentOptions,
  ...toolOptions,
  sessions: { type: "string" },
  session: { type: "string" },
  approve: { type: "boolean" },
  json: { type: "boolean" },
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
  if (values.json) return await pipe(bot, terminal)
  const { out, style } = terminal
  out(style.dim(`model   ${visible(bot.model.info.name)}\ntools   ${visible(describeTools(tools))}\n`))
  if (bot.session.turns.length > 1)
    out(style.dim(`session ${bot.session.id}, ${bot.session.turns.length} turns so far\n`))
  const asked = bot.session.turns.flatMap((turn) => (turn.role === "user" ? [turn.content] : []))
  const history = asked.filter((text) => !/[\r\n]/.test(text)).map(visible)
  using lines = createInterface({
    input: process.stdin,
    output: process.stdout,
    historySize: 1000,
    history: history.reverse(),
  })
  // Awaited here: the session and the terminal close when this function is left.
  return await converse(bot, new Prompt(lines, terminal), terminal)
}

async function converse(bot: Agent, prompt: Prompt, terminal: Terminal): Promise<ExitCode> {
  // A session that was left while it waited goes on with its question.
  if (bot.pending) await settle(bot, undefined, prompt, terminal)
  while (true) {
    terminal.out("\n")
    const question = await prompt.ask("? ")
    if (!question) break
    await settle(bot, question, prompt, terminal)
  }
  return prompt.interrupted ? 130 : 0
}

/** One question to its end, with what a person has to decide on the way. */
async function settle(bot: Agent, question: string | undefined, prompt: Prompt, terminal: Terminal): Promise<void> {
  if (question !== undefined) await shown(bot.stream(question), prompt, terminal)
  for (let { pending } = bot; pending !== undefined; { pending } = bot) {
    const decisions = await decide(pending, prompt, terminal)
    if ((await shown(bot.resume(pending, decisions), prompt, terminal)) === undefined) return
  }
}

/** The result, or nothing where the run failed: the error is shown and the conversation goes on. */
async function shown(stream: RunStream, prompt: Prompt, terminal: Terminal): Promise<RunResult | undefined> {
  const view = transcriptView(terminal)
  prompt.running = stream
  try {
    for await (const event of stream) view(event)
    return await stream.result
  } catch (error) {
    terminal.err(`${visible(error instanceof Error ? error.message : String(error))}\n`)
    return undefined
  } finally {
    prompt.running = undefined
  }
}

async function decide(pending: PendingRun, prompt: Prompt, { out }: Terminal): Promise<Record<string, Decision>> {
  const decisions: Record<string, Decision> = {}
  for (const { id, name, input } of pending.calls) {
    out(`${visible(name)} ${visible(JSON.stringify(input))}\n`)
    const answer = (await prompt.ask("run it? [y]es, [n]o, or a reason why not: ")) ?? "no"
    const yes = /^y(es)?$/i.test(answer)
    const bare = /^n?o?$/i.test(answer)
    decisions[id] = yes ? { kind: "approve" } : { kind: "refuse", ...(bare ? {} : { reason: answer }) }
  }
  return decisions
}

/** Lines in, events out, for programs. Whatever fails is a line too, and the conversation goes on. */
async function pipe(bot: Agent, { out }: Terminal): Promise<ExitCode> {
  let code: ExitCode = 0
  if (bot.session.turns.length <= 1) out(traceLine(traceHeader(bot.session, bot.model)))
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.trim() === "") continue
    try {
      const stream = bot.pending && line.startsWith("{") ? bot.resume(bot.pending, JSON.parse(line)) : bot.stream(line)
      for await (const event of stream) out(traceLine(event))
    } catch (error) {
      const { message, reason = "failed" } = error as { message: string; reason?: string }
      out(`${JSON.stringify({ error: { code: reason, message } })}\n`)
      code = 1
    }
  }
  return code
}

/** Asks for lines at the terminal. Lines that came early, as from a pipe, are kept in order. */
class Prompt {
  /** What an interrupt stops. */
  running: RunStream | undefined
  interrupted = false
  readonly #lines: Interface
  readonly #iterator: AsyncIterator<string>
  readonly #terminal: Terminal
  #open = true
  #warned = false

  constructor(lines: Interface, terminal: Terminal) {
    this.#lines = lines
    this.#terminal = terminal
    this.#iterator = lines[Symbol.asyncIterator]()
    lines.once("close", () => {
      this.#open = false
    })
    lines.on("SIGINT", () => this.#onInterrupt())
  }

  /** The next line; undefined at the end of the input. */
  async ask(prompt: string): Promise<string | undefined> {
    this.#lines.setPrompt(prompt)
    if (this.#open) this.#lines.prompt()
    const { done, value } = await this.#iterator.next()
    if (done === true) {
      if (process.stdin.isTTY) this.#terminal.out("\n")
      return undefined
    }
    this.#warned = false
    return value.trim()
  }

  #onInterrupt(): void {
    if (this.running !== undefined) this.running.cancel()
    else if (this.#lines.line !== "") this.#clearLine()
    else if (this.#warned) this.#leave()
    else this.#warn()
  }

  #clearLine(): void {
    this.#lines.write(null, { ctrl: true, name: "e" })
    this.#lines.write(null, { ctrl: true, name: "u" })
  }

  #warn(): void {
    this.#warned = true
    this.#terminal.out("(Ctrl-C again or Ctrl-D to leave)\n")
    this.#lines.prompt()
  }

  #leave(): void {
    this.interrupted = true
    this.#lines.close()
  }
}
