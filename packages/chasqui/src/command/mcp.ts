/** `chasqui mcp serve`: the tools of this machine for any client of the Model Context Protocol. */
import { mcpServeHttp, mcpServeStdio } from "@chasqui/tools"
import type { Command, ExitCode } from "./command.ts"
import { numberOption, readOptions } from "./options.ts"
import type { Terminal } from "./terminal.ts"
import { chosenTools, toolHelp, toolOptions } from "./tools.ts"
import { UsageError } from "./usage-error.ts"

const help = `Usage: chasqui mcp serve [options]

Serves brave_search, code_interpreter and plugins over standard input and output, or over HTTP.

${toolHelp}
  --http PORT        serve streamable HTTP on 127.0.0.1 instead; CHASQUI_MCP_TOKEN holds the token that clients have to send
`

export const command: Command = { help, run }

async function run(args: readonly string[], { err }: Terminal): Promise<ExitCode> {
  const { values, positionals } = readOptions(args, { ...toolOptions, http: { type: "string" } })
  if (positionals[0] !== "serve" || positionals.length > 1)
    throw new UsageError(`chasqui mcp takes the verb serve.\n\n${help}`)
  const tools = await chosenTools({ documents: values.documents, plugins: values.plugin ?? [] })
  try {
    const port = numberOption("http", values.http, 0)
    if (port === undefined) await mcpServeStdio(tools)
    else {
      const token = process.env.CHASQUI_MCP_TOKEN
      const server = await mcpServeHttp(tools, { port, ...(token && { token }) })
      err(`${server.url}\n`)
      await new Promise<void>((resolve) => process.once("SIGINT", resolve))
      await server.close()
    }
    return 0
  } finally {
    await Promise.all(tools.map((tool) => tool.close?.()))
  }
}
