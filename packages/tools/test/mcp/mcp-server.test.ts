/** The official SDK's client against our server, over both transports and both revisions. */
import { mkdtempSync, rmSync } from "node:fs"
import { request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { type McpHttpServer, mcp, mcpServeHttp } from "../../src/index.ts"
import { happenings } from "./happenings.ts"
import { ourTools } from "./our-tools.ts"

const program = fileURLToPath(new URL("our-server.ts", import.meta.url))
let server: McpHttpServer
let folder: string
let log: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "mcp-"))
  log = join(folder, "log")
  process.env.MCP_TEST_LOG = log
  server = await mcpServeHttp(ourTools, { name: "ours", instructions: "Tools for a test." })
})
afterEach(() => {
  rmSync(log, { force: true })
})
afterAll(async () => {
  await server.close()
  rmSync(folder, { recursive: true })
})

const modes = { "2026-07-28": { pin: "2026-07-28" }, "2025-11-25": "legacy" } as const
async function connected(transport: "stdio" | "http", revision: keyof typeof modes) {
  const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode: modes[revision] } })
  const env = { PATH: process.env.PATH ?? "", MCP_TEST_LOG: log }
  const stdio = () => new StdioClientTransport({ command: process.execPath, args: [program], env })
  await client.connect(transport === "stdio" ? stdio() : new StreamableHTTPClientTransport(new URL(server.url)))
  return client
}

const cases = (["stdio", "http"] as const).flatMap((transport) =>
  (["2026-07-28", "2025-11-25"] as const).map((revision) => ({ transport, revision })),
)

describe.each(cases)("our server over $transport, revision $revision", ({ transport, revision }) => {
  let client: Client
  beforeAll(async () => {
    client = await connected(transport, revision)
  })
  afterAll(() => client.close())

  it("introduces itself and lists its tools in order, with their schemas", async () => {
    expect(client.getServerVersion()).toMatchObject({ name: "ours" })
    expect(client.getInstructions()).toBe("Tools for a test.")
    const { tools } = await client.listTools()
    expect(tools.map(({ name }) => name)).toEqual([
      "asks",
      "crashes",
      "fails",
      "shout",
      "slow",
      "too_slow",
      "unit_price",
    ])
    expect(tools.at(-1)).toMatchObject({
      description: "Price of one item",
      annotations: { readOnlyHint: true },
      inputSchema: {
        type: "object",
        properties: { item: { type: "string" }, currency: { enum: ["EUR", "NOK"], default: "EUR" } },
        required: ["item"],
      },
    })
  })

  it("answers with text and structure, defaults filled in", async () => {
    const expected = { item: "map", price: 12.5, currency: "EUR" }
    expect(await client.callTool({ name: "unit_price", arguments: { item: "map" } })).toMatchObject({
      structuredContent: expected,
      content: [{ type: "text", text: JSON.stringify(expected) }],
    })
    expect(await client.callTool({ name: "shout", arguments: { text: "hé" } })).toMatchObject({
      content: [{ type: "text", text: "HÉ" }],
    })
  })

  it.each([
    ["unit_price", { item: 5 }, "The input of unit_price is not valid: item: must be a string, not a number (5)."],
    ["fails", {}, "there is no such item"],
    ["crashes", {}, "The tool crashes failed."],
    ["too_slow", {}, "The tool too_slow did not answer in time."],
    ["asks", {}, "The tool asks needs a person's approval, which cannot be asked for here."],
  ])("gives a failure of %s as a result that says what was wrong", async (name, input, text) => {
    const result = (await client.callTool({ name, arguments: input })) as {
      isError?: boolean
      content: { text: string }[]
    }
    expect(result.isError).toBe(true)
    expect(result.content[0]!.text).toBe(text)
  })

  it("stops a tool when the client cancels", async () => {
    const controller = new AbortController()
    const slow = client.callTool({ name: "slow", arguments: {} }, { signal: controller.signal })
    await happenings(log, 1)
    controller.abort()
    await expect(slow).rejects.toThrow()
    expect(await happenings(log, 2)).toEqual(["started", "cancelled"])
  })
})

// A client that has asked for nothing yet gives this request the id 0.
it.each(cases)("stops even a client's very first call, over $transport, revision $revision", async (each) => {
  const client = await connected(each.transport, each.revision)
  const controller = new AbortController()
  const slow = client.callTool({ name: "slow", arguments: {} }, { signal: controller.signal })
  await happenings(log, 1)
  controller.abort()
  await expect(slow).rejects.toThrow()
  expect(await happenings(log, 2)).toEqual(["started", "cancelled"])
  await client.close()
})

it("does not run a tool whose call was cancelled while its input was checked", async () => {
  const [checking, cancelled] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const calls: string[] = []
  const tool = ourTools.find(({ name }) => name === "shout")!
  const check: typeof tool.check = async (input) => {
    checking.resolve()
    await cancelled.promise
    calls.push("checked")
    return tool.check(input)
  }
  const execute: typeof tool.execute = () => {
    calls.push("run")
    return ""
  }
  const slow = await mcpServeHttp([{ ...tool, check, execute }])
  const client = new Client({ name: "test", version: "1" })
  await client.connect(new StreamableHTTPClientTransport(new URL(slow.url)))
  const controller = new AbortController()
  const call = client.callTool({ name: "shout", arguments: { text: "x" } }, { signal: controller.signal })
  await checking.promise
  controller.abort()
  await expect(call).rejects.toThrow()
  await client.listTools() // the server has read the cancellation by then
  cancelled.resolve()
  while (calls.length === 0) await pause(5)
  await client.close()
  await slow.close()
  expect(calls).toEqual(["checked"])
})

describe("our server over HTTP", () => {
  const status = (headers: Record<string, string>, target = server.url) =>
    new Promise<number | undefined>((done, fail) => {
      const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} })
      const accept = { accept: "application/json, text/event-stream", "content-type": "application/json" }
      const sent = request(target, { method: "POST", headers: { ...accept, ...headers } }, (response) => {
        response.resume()
        done(response.statusCode)
      })
      sent.once("error", fail)
      sent.end(body)
    })

  it("refuses a foreign host name and a page's origin", async () => {
    expect(await status({ host: "evil.example" })).toBe(421)
    expect(await status({ origin: "https://evil.example" })).toBe(403)
  })

  it("asks for its token", async () => {
    const guarded = await mcpServeHttp(ourTools, { token: "token-1" })
    expect(await status({}, guarded.url)).toBe(401)
    expect(await status({ authorization: "Bearer token-2" }, guarded.url)).toBe(401)
    const source = await mcp.http(guarded.url, { addresses: "any", headers: { authorization: "Bearer token-1" } })
    expect(source.tools).toHaveLength(ourTools.length)
    await source.close()
    await guarded.close()
  })

  it("says so when its port is taken or two tools share a name", async () => {
    const port = Number(new URL(server.url).port)
    await expect(mcpServeHttp(ourTools, { port })).rejects.toThrow(expect.objectContaining({ reason: "unreachable" }))
    await expect(mcpServeHttp([...ourTools, ourTools[0]!])).rejects.toThrow(
      expect.objectContaining({ reason: "name-clash" }),
    )
  })
})
