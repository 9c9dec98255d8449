/** `chasqui render`: the exact prompt of a conversation. For debugging, and as a batch tool. */
import { readFile } from "node:fs/promises"
import { openTemplate, type RenderRequestOptions, renderRequest } from "@chasqui/core"
import { readCheckpoint } from "../checkpoint.ts"
import { answerLines } from "./json-lines.ts"
import type { Command, ExitCode } from "./main.ts"
import { readOptions } from "./options.ts"
import { type Terminal, visible } from "./terminal.ts"
import { UsageError } from "./usage-error.ts"

const help = `Usage: chasqui render [options] [FILE]

Renders conversations as prompts. With a file, shows the prompt of the one conversation in it; without one, reads JSON lines
from standard input and writes one JSON line each.

  --tokenizer DIR   adds the token ids of the tokenizer in this checkpoint folder
  --template FILE   renders through this Jinja chat template instead of the built-in layouts
  --today TEXT      today's date for the 3.2 layout, such as "24 Nov 2026"

Line in:   {"messages": [{"role", "content", "tool_calls"?: [{"function": {"name", "arguments"}}]}…], "tools"?, "builtin_tools"?,
            "tools_in_user_message"?, "date_string"?, "add_generation_prompt"?, "dialect"?: "hf"|"hf-3.2"|"meta"}
Line out:  {"prompt": "…", "ids"?: […]} or {"error": {"code", "message"}}

Example:
  echo '{"messages": [{"role": "user", "content": "Hi"}], "add_generation_prompt": true}' | chasqui render
`

const options = { tokenizer: { type: "string" }, template: { type: "string" }, today: { type: "string" } } as const

export const command: Command = { help, run }

async function run(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { values, positionals } = readOptions(args, options)
  if (positionals.length > 1) throw new UsageError("chasqui render takes one file.")
  const checkpoint = values.tokenizer === undefined ? undefined : await readCheckpoint(values.tokenizer)
  const template = values.template === undefined ? undefined : openTemplate(await readFile(values.template, "utf8"))
  const settings: RenderRequestOptions = {
    ...(checkpoint && { tokenizer: checkpoint.tokenizer }),
    ...(template && { template }),
    ...(values.today !== undefined && { today: values.today }),
  }
  try {
    const [file] = positionals
    if (file !== undefined) return await show(file, settings, terminal)
    await answerLines(process.stdin, terminal, (request) => renderRequest(request, settings))
    return 0
  } finally {
    await template?.close()
  }
}

async function show(file: string, settings: RenderRequestOptions, { out, err }: Terminal): Promise<ExitCode> {
  const answer = await renderRequest(JSON.parse(await readFile(file, "utf8")), settings)
  if ("error" in answer) {
    err(`${visible(answer.error.message)}\n`)
    return 1
  }
  out(`${visible(answer.prompt)}\n`)
  if (answer.ids) out(`${answer.ids.join(" ")}\n`)
  return 0
}
