/** Tools of an MCP server: started as a child process, listed once, called by the model like any other tool. */
import { fileURLToPath } from "node:url"
import { agent, mcp } from "chasqui"

const program = fileURLToPath(new URL("server.ts", import.meta.url))
const weather = await mcp.stdio(process.execPath, [program], { grants: "as-proposed" })
for (const { name, readOnly, provider } of weather.tools) console.log(name, { readOnly, provider })
console.log("fingerprint", weather.fingerprint, "over revision", weather.revision)

await using bot = await agent({ system: "You are a helpful assistant.", tools: weather.tools })
const calls: unknown[] = []
const stream = bot.stream("Get the current conditions of Menlo Park.")
for await (const event of stream) {
  if (event.type === "tool-call-end") calls.push(event.call.name, event.call.input)
  if (event.type === "tool-result") console.log(event.name, "→", event.output, `${event.durationMs} ms`)
}
const { text } = await stream.result
console.log(calls, text)
await weather.close()

if (!text.includes("75") || calls[0] !== "weather__get_current_conditions") process.exitCode = 1
