/** Our client against servers of the official SDK, over both transports and both revisions. */
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Readable } from "node:stream"
import { fileURLToPath } from "node:url"
import type { JsonObject } from "@chasqui/core"
import { createMcpHandler } from "@modelcontextprotocol/server"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { type McpOptions, type McpSource, mcp } from "../../src/index.ts"
import { toolContext } from "../tool-context.ts"
import { happenings } from "./happenings.ts"
import { sdkServer } from "./sdk-tools.ts"

const program = fileURLToPath(new URL("sdk-server.ts", import.meta.url))
let http: Server
let url: string
let folder: string
const open: McpSource[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "mcp-"))
  const handler = createMcpHandler(sdkServer)
  http = createServer(async (incoming, outgoing) => {
    const gone = new AbortController()
    outgoing.once("close", () => gone.abort())
    const headers = Object.entries(incoming.headers).map(([name, value]): [string, string] => [name, String(value)])
    const body = incoming.method === "POST" ? { body: Readable.toWeb(incoming), duplex: "half" } : {}
    const request = new Request(`http://localhost${incoming.url}`, {
      method: incoming.method,
      headers,
      signal: gone.signal,
      ...body,
    } as RequestInit)
    const response = await handler.fetch(request)
    outgoing.writeHead(response.status, Object.fromEntries(response.headers))
    if (response.body) Readable.fromWeb(response.body as never).pipe(outgoing)
    else outgoing.end()
  })
  await new Promise<void>((done) => http.listen(0, "127.0.0.1", done))
  url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((source) => source.close()))
})
afterAll(async () => {
  rmSync(folder, { recursive: true })
  http.closeAllConnections()
  await new Promise((done) => http.close(done))
})

const transports = {
  stdio: (options: McpOptions & { env?: Record<string, string> } = {}) =>
    mcp.stdio(process.execPath, [program], options),
  http: (options: McpOptions & { env?: Record<string, string> } = {}) =>
    mcp.http(url, { addresses: "any", ...options }),
}
async function connected(
  transport: keyof typeof transports,
  options: McpOptions & { env?: Record<string, string> } = {},
) {
  const source = await transports[transport](options)
  open.push(source)
  return source
}
const call = async (source: McpSource, name: string, input: JsonObject = {}, signal?: AbortSignal) => {
  const tool = source.tools.find((one) => one.name === name)
  const checked = await tool!.check(input)
  return checked.ok ? tool!.execute(checked.input as never, toolContext(signal)) : checked.problems
}

const cases = (["stdio", "http"] as const).flatMap((transport) =>
  (["2026-07-28", "2025-11-25"] as const).map((revision) => ({ transport, revision })),
)

describe.each(cases)("a server of the official SDK over $transport, revision $revision", ({ transport, revision }) => {
  let source: McpSource
  let log: string
  beforeAll(async () => {
    log = join(folder, `log-${transport}-${revision}`)
    process.env.MCP_TEST_LOG = log
    source = await transports[transport]({ revision, env: { MCP_TEST_LOG: log } })
  })
  afterAll(async () => {
    delete process.env.MCP_TEST_LOG
    await source.close()
  })

  it("gives its tools: named, sorted, fingerprinted, with their schemas", async () => {
    expect(source).toMatchObject({
      name: "sdk_server",
      revision,
      refused: [],
      fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
    })
    expect(source.tools.map(({ name }) => name)).toEqual(
      ["add", "add_structured", "dies", "environment", "fails", "picture", "slow"].map((name) => `sdk_server__${name}`),
    )
    expect(source.tools[0]).toMatchObject({
      provider: "mcp:sdk_server",
      readOnly: false,
      parameters: {
        type: "object",
        properties: { a: { type: "number", description: "First" }, b: { type: "number" } },
        required: ["a", "b"],
      },
    })
    expect(source.proposals.sdk_server__add).toEqual({ readOnly: true })
  })

  it("answers calls with text, structure, descriptions of other content, and failures in words", async () => {
    expect(await call(source, "sdk_server__add", { a: 2, b: 3 })).toBe("5")
    expect(await call(source, "sdk_server__add_structured", { a: 2, b: 3 })).toEqual({ sum: 5 })
    expect(await call(source, "sdk_server__picture")).toBe("Here:\n[image (image/png, 5 bytes)]\na note")
    await expect(call(source, "sdk_server__fails")).rejects.toThrow(
      expect.objectContaining({ _tag: "ToolFailed", message: "the disk is full" }),
    )
    expect(await call(source, "sdk_server__add", { a: "two" })).toEqual([
      "b: is required",
      'a: must be a number, not a string ("two")',
    ])
  })

  it("is told when a call is aborted, and serves the next one", async () => {
    const controller = new AbortController()
    const input = { steps: 100, stepMs: 50, report: false }
    const slow = call(source, "sdk_server__slow", input, controller.signal)
    await happenings(log, 1)
    controller.abort()
    await expect(slow).rejects.toThrow(expect.objectContaining({ name: "AbortError" }))
    expect(await happenings(log, 2)).toEqual(["started", "cancelled"])
    expect(await call(source, "sdk_server__add", { a: 1, b: 1 })).toBe("2")
  })

  it("may take longer than its time while it reports progress, and no longer when it does not", async () => {
    const impatient = await connected(transport, { revision, timeoutMs: 2_000 })
    expect(await call(impatient, "sdk_server__slow", { steps: 6, stepMs: 400, report: true })).toBe("done")
    await expect(call(impatient, "sdk_server__slow", { steps: 6, stepMs: 400, report: false })).rejects.toThrow(
      "the server sdk_server gave no sign for 2000 ms",
    )
    expect(await call(impatient, "sdk_server__add", { a: 1, b: 1 })).toBe("2")
  })
})

describe("a server over standard input and output", () => {
  let source: McpSource
  beforeAll(async () => {
    process.env.CHASQUI_TEST_SECRET = "x"
    source = await transports.stdio({ name: "s", env: { GIVEN: "1" } })
    delete process.env.CHASQUI_TEST_SECRET
  })

  it("keeps its tools listed when it dies, fails in words, and is started again for the next call", async () => {
    const listed = source.tools.length
    await expect(call(source, "s__dies")).rejects.toThrow(
      expect.objectContaining({ _tag: "ToolFailed", message: "the server s is not reachable" }),
    )
    expect(source.tools).toHaveLength(listed)
    expect(await call(source, "s__add", { a: 1, b: 2 })).toBe("3")
  })

  it("sees the variables that it is given and nothing else of the host's", async () => {
    const names = String(await call(source, "s__environment")).split(" ")
    expect(names).toContain("GIVEN")
    expect(names).toContain("PATH")
    expect(names).not.toContain("CHASQUI_TEST_SECRET")
  })

  it("answers no more once it is closed", async () => {
    await source.close()
    await expect(call(source, "s__add", { a: 1, b: 2 })).rejects.toThrow("the connection to the server is closed")
  })
})

describe("what is told at load", () => {
  it("a server that cannot be started, or is none", async () => {
    await expect(mcp.stdio("no-such-program-anywhere")).rejects.toThrow(
      expect.objectContaining({ _tag: "ToolSetupError", reason: "unreachable" }),
    )
    await expect(mcp.stdio(process.execPath, ["-e", ""], { connectTimeoutMs: 3_000 })).rejects.toThrow(
      expect.objectContaining({ reason: "unreachable" }),
    )
    await expect(mcp.http("http://127.0.0.1:1/mcp", { addresses: "any", connectTimeoutMs: 1_000 })).rejects.toThrow(
      expect.objectContaining({ reason: "unreachable" }),
    )
  })

  it("tools that are not those that were agreed on", async () => {
    const { fingerprint } = await connected("http")
    expect(await connected("http", { fingerprint })).toMatchObject({ fingerprint })
    await expect(transports.http({ fingerprint: "0".repeat(64) })).rejects.toThrow(
      expect.objectContaining({ reason: "schema-drift" }),
    )
  })

  it("a tool that is asked for and not there", async () => {
    await expect(transports.http({ only: ["add", "substract"] })).rejects.toThrow(/has no tool substract/)
  })

  it("an inner address, unless it is allowed", async () => {
    await expect(mcp.http(url)).rejects.toThrow(expect.objectContaining({ reason: "bad-address" }))
    await expect(
      mcp.http("https://service.example/mcp", {
        connectTimeoutMs: 2_000,
        resolve: (_name, _options, done) => done(null, [{ address: "127.0.0.1", family: 4 }]),
      }),
    ).rejects.toThrow(expect.objectContaining({ reason: "unreachable" }))
  })

  it("grants come from the host", async () => {
    const source = await connected("http", { name: "s", only: ["add", "fails"], grants: "as-proposed" })
    expect(source.tools.map(({ name, readOnly }) => [name, readOnly])).toEqual([
      ["s__add", true],
      ["s__fails", false],
    ])
  })
})
