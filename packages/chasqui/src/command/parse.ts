/** `chasqui parse`: what a model wrote, read as text and tool calls. For debugging, and as a batch tool. */
import { parseRequest } from "@chasqui/core"
import type { Command, ExitCode } from "./command.ts"
import { answerLines } from "./json-lines.ts"
import { readOptions } from "./options.ts"
import { type Terminal, visible } from "./terminal.ts"

const help = `Usage: chasqui parse [options] [text]

Reads a model's answer as text and tool calls. With a text, shows how it is read; without one, reads JSON lines from
standard input and writes one JSON line each.

  --tools A,B      names of the offered functions
  --builtin A,B    names of the built-in tools
  --cut            the answer was cut off by the token limit

Line in:   {"raw": "…", "tools"?: ["name" or schema…], "builtin_tools"?: […], "finish"?: "stop"|"length", "chunks"?: ["…"], "events"?: true}
Line out:  {"text": "…", "toolCalls": [{"name", "arguments"}…], "stop": "eot"|"eom"|"eos"|null, "complete": true|false}

Examples:
  chasqui parse --builtin brave_search '<|python_tag|>brave_search.call(query="Oslo")<|eom_id|>'
  echo '{"raw": "{\\"name\\": \\"f\\", \\"parameters\\": {}}", "tools": ["f"]}' | chasqui parse
`

const options = { tools: { type: "string" }, builtin: { type: "string" }, cut: { type: "boolean" } } as const

export const command: Command = { help, run }

async function run(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { values, positionals } = readOptions(args, options)
  if (positionals.length === 0) {
    await answerLines(process.stdin, terminal, parseRequest)
    return 0
  }
  const names = (list: string | undefined) => (list === undefined ? [] : list.split(",").map((name) => name.trim()))
  const reply = parseRequest({
    raw: positionals.join(" "),
    tools: names(values.tools),
    builtin_tools: names(values.builtin),
    finish: values.cut ? "length" : "stop",
  })
  terminal.out(`${visible(JSON.stringify(reply, null, 2))}\n`)
  return 0
}
