/** `chasqui tokenize`: the tokens of a text, or the text of tokens. For debugging, and as a batch tool. */
import { tokenizeRequest } from "@chasqui/core"
import { readCheckpoint } from "../checkpoint.ts"
import { tinyLlamaFolder } from "../llama.ts"
import { answerLines } from "./json-lines.ts"
import type { Command, ExitCode } from "./main.ts"
import { readOptions } from "./options.ts"
import { type Terminal, visible } from "./terminal.ts"

const help = `Usage: chasqui tokenize [options] [text]

Shows the tokens of a text; what looks like a special token in it stays text. Without a text, reads JSON lines from standard
input and writes one JSON line each.

  --tokenizer DIR   a checkpoint folder (default: the tiny model)

Line in:   {"text": "…"}, {"parts": [{"special": "<|eot_id|>"}, {"text": "…"}]} or {"ids": […]}
Line out:  {"ids": […], "tokens": ["…"], "text": "…"} or {"error": {"code", "message"}}

Example:
  chasqui tokenize "Mount Fuji<|eot_id|>"
`

export const command: Command = { help, run }

async function run(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { values, positionals } = readOptions(args, { tokenizer: { type: "string" } })
  const { tokenizer } = await readCheckpoint(values.tokenizer ?? tinyLlamaFolder())
  if (positionals.length === 0) {
    await answerLines(process.stdin, terminal, (request) => tokenizeRequest(request, tokenizer))
    return 0
  }
  const answer = await tokenizeRequest({ text: positionals.join(" ") }, tokenizer)
  if ("error" in answer) {
    terminal.err(`${visible(answer.error.message)}\n`)
    return 1
  }
  for (const [index, id] of answer.ids.entries()) {
    terminal.out(`${String(id).padStart(7)}  ${visible(JSON.stringify(answer.tokens[index]))}\n`)
  }
  return 0
}
