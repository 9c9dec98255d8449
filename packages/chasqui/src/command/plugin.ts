/** `chasqui plugin`: makes a plugin that works, and says of one what is wrong at which line. */
import { describePluginProblem, pluginCheck, pluginNew } from "@chasqui/tools"
import type { Command, ExitCode } from "./command.ts"
import { readOptions } from "./options.ts"
import { type Terminal, visible } from "./terminal.ts"
import { UsageError } from "./usage-error.ts"

const help = `Usage: chasqui plugin check DIR [--json]
       chasqui plugin new NAME [--in DIR]

check   reads the manifest and every schema of a plugin and says what is wrong, with file and line
new     writes a plugin that works, with a test

Exit code of check: 0 where there is no error, 1 otherwise.
`

export const command: Command = { help, run }

async function run(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { values, positionals } = readOptions(args, { json: { type: "boolean" }, in: { type: "string" } })
  const [verb, name] = positionals
  if (name === undefined || positionals.length > 2)
    throw new UsageError(`chasqui plugin takes a verb and a name.\n\n${help}`)
  if (verb === "check") return check(name, values.json ?? false, terminal)
  if (verb === "new") {
    for (const file of pluginNew(name, values.in)) terminal.out(`${visible(file)}\n`)
    return 0
  }
  throw new UsageError(`There is no verb ${JSON.stringify(verb)}.\n\n${help}`)
}

function check(folder: string, json: boolean, { out }: Terminal): ExitCode {
  const { problems } = pluginCheck(folder)
  for (const problem of problems)
    out(json ? `${JSON.stringify(problem)}\n` : `${visible(describePluginProblem(problem))}\n`)
  const errors = problems.filter(({ severity }) => severity === "error").length
  if (!json) out(errors === 0 ? "The plugin can be used.\n" : `${errors} ${errors === 1 ? "error" : "errors"}.\n`)
  return errors === 0 ? 0 : 1
}
