/** The `chasqui` command: finds the subcommand and turns whatever happens into output and an exit code. */
import type { Command, ExitCode } from "./command.ts"
import { processTerminal, type Terminal, visible } from "./terminal.ts"
import { UsageError } from "./usage-error.ts"

interface CommandEntry {
  readonly summary: string
  readonly load: () => Promise<{ readonly command: Command }>
}

const commands: Readonly<Record<string, CommandEntry>> = {
  run: {
    summary: "answer one question with tools, on the built-in model or a checkpoint",
    load: () => import("./run.ts"),
  },
  chat: { summary: "a conversation with tools at the terminal", load: () => import("./chat.ts") },
  plan: { summary: "what a model takes in memory, and where it fits", load: () => import("./plan.ts") },
  pull: { summary: "download a checkpoint from the Hugging Face hub", load: () => import("./pull.ts") },
  trace: { summary: "show a recorded run, or write it as an HTML page", load: () => import("./trace.ts") },
  python: { summary: "Python in the sandbox, as a prompt or as a batch runner", load: () => import("./python.ts") },
  plugin: { summary: "check a plugin, or start a new one", load: () => import("./plugin.ts") },
  mcp: { summary: "serve tools to clients of the Model Context Protocol", load: () => import("./mcp.ts") },
  render: { summary: "the exact prompt of a conversation; JSON lines in and out", load: () => import("./render.ts") },
  parse: {
    summary: "read a model's answer as text and tool calls; JSON lines in and out",
    load: () => import("./parse.ts"),
  },
  tokenize: {
    summary: "the tokens of a text, the text of tokens; JSON lines in and out",
    load: () => import("./tokenize.ts"),
  },
}

/** Runs the command line `args` (without program name) and gives the exit code. Never throws. */
export async function main(args: readonly string[], terminal: Terminal = processTerminal()): Promise<ExitCode> {
  const [name = "help", ...rest] = args
  try {
    if (["help", "--help", "-h"].includes(name)) {
      terminal.out(await help(rest[0]))
      return 0
    }
    const entry = Object.hasOwn(commands, name) ? commands[name] : undefined
    if (entry === undefined) throw new UsageError(`There is no command ${JSON.stringify(name)}.\n\n${overview()}`)
    const { command } = await entry.load()
    if (rest.includes("--help") || rest.includes("-h")) {
      terminal.out(command.help)
      return 0
    }
    return await command.run(rest, terminal)
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    terminal.err(rest.includes("--json") ? jsonError(thrown, message) : `chasqui ${name}: ${visible(message)}\n`)
    if (process.env.CHASQUI_DEBUG && thrown instanceof Error) terminal.err(`${thrown.stack}\n`)
    return thrown instanceof UsageError ? 2 : 1
  }
}

/** For the program that asked for JSON: the same failure as one line. */
function jsonError(thrown: unknown, message: string): string {
  const { reason } = (thrown ?? {}) as { reason?: unknown }
  const code = thrown instanceof UsageError ? "usage" : typeof reason === "string" ? reason : "failed"
  return `${JSON.stringify({ error: { code, message } })}\n`
}

async function help(name: string | undefined): Promise<string> {
  const entry = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined
  return entry === undefined ? overview() : (await entry.load()).command.help
}

function overview(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length))
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`)
  return `Usage: chasqui <command> [options]

Commands:
${lines.join("\n")}

chasqui help <command> shows its options. With --json a command answers, and fails, in JSON lines.
`
}
