/** A server made with the official SDK: what its tools do, for both of its transports. Imported by tests and by `sdk-server.ts`. */
import { setTimeout as pause } from "node:timers/promises"
import { McpServer } from "@modelcontextprotocol/server"
import { z } from "zod"
import { note } from "./happenings.ts"

export function sdkServer(): McpServer {
  const server = new McpServer({ name: "sdk server", version: "1.0.0" })
  const text = (value: string) => ({ content: [{ type: "text" as const, text: value }] })
  const add = z.object({ a: z.number().describe("First"), b: z.number() })
  server.registerTool(
    "add",
    { description: "Adds", inputSchema: add, annotations: { readOnlyHint: true } },
    ({ a, b }) => text(String(a + b)),
  )
  const outputSchema = z.object({ sum: z.number() })
  server.registerTool("add_structured", { description: "Adds", inputSchema: add, outputSchema }, ({ a, b }) => ({
    ...text("a sum"),
    structuredContent: { sum: a + b },
  }))
  server.registerTool("fails", { description: "Fails", inputSchema: z.object({}) }, () => ({
    ...text("the disk is full"),
    isError: true,
  }))
  server.registerTool("picture", { description: "Draws", inputSchema: z.object({}) }, () => ({
    content: [
      { type: "text", text: "Here:" },
      { type: "image", data: Buffer.from("12345").toString("base64"), mimeType: "image/png" },
      { type: "resource", resource: { uri: "file:///note.txt", text: "a note" } },
    ],
  }))
  server.registerTool("dies", { description: "Ends the server", inputSchema: z.object({}) }, () => process.exit(1))
  server.registerTool("environment", { description: "Names of variables", inputSchema: z.object({}) }, () =>
    text(Object.keys(process.env).sort().join(" ")),
  )
  const slow = z.object({ steps: z.number(), stepMs: z.number(), report: z.boolean() })
  server.registerTool(
    "slow",
    { description: "Takes time", inputSchema: slow },
    async ({ steps, stepMs, report }, { mcpReq }) => {
      mcpReq.signal.addEventListener("abort", () => note("cancelled"))
      note("started")
      for (let step = 0; step < steps && !mcpReq.signal.aborted; step++) {
        await pause(stepMs)
        const progressToken = mcpReq._meta?.progressToken
        if (report && progressToken !== undefined) {
          await mcpReq.notify({
            method: "notifications/progress",
            params: { progressToken, progress: step + 1, total: steps },
          })
        }
      }
      return text("done")
    },
  )
  return server
}
