import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import type { JsonObject } from "@chasqui/core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { plugin } from "../src/index.ts"
import { answerJson, type FaultServer, faultServer } from "./fault-server.ts"
import { call, city, folderWith, manifestWith, removeAll } from "./plugin-folder.ts"

afterAll(removeAll)

describe("a command", () => {
  const script = "import { writeFileSync } from 'node:fs'\n"
  const commandPlugin = async (argv: readonly string[], code: string, rest: object = {}, config: JsonObject = {}) => {
    const run = { command: { argv: ["node", "run.mjs", ...argv], ...rest } }
    const settings = { token: { type: "string" } }
    const folder = folderWith({ "run.mjs": script + code, "chasqui.json": manifestWith(run, {}, settings) })
    const { tools } = await plugin(folder, { config })
    return { tool: tools[0], folder }
  }

  it.each([
    "$(touch owned)",
    "; touch owned",
    "`touch owned`",
    "--help",
    "-e=process.exit(3)",
    "a\nb",
    "' OR 1",
    "{config.token}",
    "",
    "ÅØ 🌍",
  ])("gets what the model writes as one argument: %j", async (value) => {
    const { tool, folder } = await commandPlugin(
      ["--", "{city}"],
      "console.log(JSON.stringify(process.argv.slice(2)))",
      { stdin: "none" },
      { token: "SECRET" },
    )
    expect(await call(tool, { city: value })).toEqual(["--", value])
    expect(existsSync(join(folder, "owned"))).toBe(false)
  })

  it("gets the input on standard input, and only the variables that it is given", async () => {
    process.env.CHASQUI_TEST_SECRET = "host secret"
    const code =
      "let text = ''\nfor await (const piece of process.stdin) text += piece\nconsole.log(JSON.stringify({ input: JSON.parse(text), env: Object.keys(process.env).filter((name) => !name.startsWith('__')).sort(), token: process.env.TOKEN }))"
    const { tool } = await commandPlugin([], code, { env: { TOKEN: "t-{config.token}" } }, { token: "1" })
    expect(await call(tool, { city: "Oslo" })).toEqual({
      input: { city: "Oslo" },
      env: ["PATH", "TOKEN"],
      token: "t-1",
    })
    delete process.env.CHASQUI_TEST_SECRET
  })

  it("tells the model what it wrote as its error", async () => {
    const { tool } = await commandPlugin(
      [],
      "console.error('no such city: ' + 'x'.repeat(1000) + ' END'); process.exitCode = 2",
    )
    const error = await call(tool, { city: "x" }).catch((reason: Error) => reason)
    expect(error).toMatchObject({ _tag: "ToolFailed", message: expect.stringMatching(/^x+ END$/) })
    expect((error as Error).message).toHaveLength(500)
  })

  it.each([
    ["output that is no JSON", "console.log('hello')", "the command's output is not JSON"],
    [
      "endless output",
      "const piece = 'x'.repeat(65536); for (;;) writeFileSync(1, piece)",
      "the command wrote more than 1048576 bytes",
    ],
    ["a death", "process.kill(process.pid, 'SIGTERM'); setTimeout(() => {}, 10000)", "the command failed (SIGTERM)"],
  ])("fails with few words after %s", async (_name, code, message) => {
    const { tool } = await commandPlugin([], code)
    await expect(call(tool, { city: "x" })).rejects.toThrow(message)
  })

  it("fails with few words when there is no such program", async () => {
    const { tools } = await plugin(
      folderWith({ "chasqui.json": manifestWith({ command: { argv: ["no-such-program-anywhere"] } }) }),
    )
    await expect(call(tools[0], { city: "x" })).rejects.toThrow("the command could not be started")
  })

  it("ends with everything that it started when the call is aborted", async () => {
    const code = `
      const { spawn } = await import('node:child_process')
      const child = spawn(process.execPath, ['-e', 'setInterval(() => require("fs").appendFileSync("alive", "."), 20)'], { stdio: 'ignore' })
      setInterval(() => {}, 1000)`
    const { tool, folder } = await commandPlugin([], code)
    const controller = new AbortController()
    const running = call(tool, { city: "x" }, controller.signal)
    while (!existsSync(join(folder, "alive"))) await pause(20)
    controller.abort()
    await expect(running).rejects.toThrow(expect.objectContaining({ name: "AbortError" }))
    const written = readFileSync(join(folder, "alive")).length
    await pause(150)
    expect(readFileSync(join(folder, "alive")).length).toBe(written)
    expect(readdirSync(folder)).toContain("alive")
  })

  it("leaves nothing running behind its back", async () => {
    const code = `
      const { spawn } = await import('node:child_process')
      spawn(process.execPath, ['-e', 'setInterval(() => require("fs").appendFileSync("alive", "."), 20)'], { stdio: 'inherit' }).unref()
      setTimeout(() => { console.log('"done"'); process.exit() }, 300)`
    const { tool, folder } = await commandPlugin([], code)
    expect(await call(tool, { city: "x" })).toBe("done")
    const size = () => (existsSync(join(folder, "alive")) ? readFileSync(join(folder, "alive")).length : 0)
    const written = size()
    await pause(150)
    expect(size()).toBe(written)
  })
})

describe("an HTTP endpoint", () => {
  let server: FaultServer
  beforeAll(async () => {
    server = await faultServer()
  })
  afterAll(() => server.close())

  const httpPlugin = async (run: object, input: object = city) => {
    const folder = folderWith({
      "chasqui.json": manifestWith(
        { http: { origin: "{config.origin}", ...run } },
        { input },
        { origin: { type: "string" }, token: { type: "string" } },
      ),
    })
    const { tools } = await plugin(folder, {
      config: { origin: server.origin, token: "SECRET" },
      http: { addresses: "any", sleep: async () => undefined, timeoutMs: 20_000 },
    })
    server.answerWith(answerJson({ ok: true }))
    return tools[0]
  }

  it.each([
    ["Oslo", "/city/Oslo"],
    ["a/../../admin?x=1#y", "/city/a%2F..%2F..%2Fadmin%3Fx%3D1%23y"],
    ["//evil.example", "/city/%2F%2Fevil.example"],
    ["@evil.example", "/city/%40evil.example"],
    ["a\r\nhost: evil", "/city/a%0D%0Ahost%3A%20evil"],
  ])("gets %j as one segment of its path, on its own origin", async (value, path) => {
    const tool = await httpPlugin({ path: "/city/{city}" })
    expect(await call(tool, { city: value })).toEqual({ ok: true })
    expect(server.received[0]?.url).toBe(path)
    expect(server.received[0]?.headers.host).toBe(new URL(server.origin).host)
  })

  it.each(["..", "."])("is not asked when a value would climb out of its path: %j", async (value) => {
    const tool = await httpPlugin({ path: "/city/{city}/current" })
    await expect(call(tool, { city: value })).rejects.toThrow('"." and ".." cannot be part of an address')
    expect(server.received).toHaveLength(0)
  })

  it("gets parameters, headers and the rest of the input as its body", async () => {
    const input = {
      type: "object",
      properties: {
        city: { type: "string" },
        tags: { type: "array", items: { type: "string" } },
        note: { type: "string" },
        deep: { type: "object" },
      },
      required: ["city"],
    }
    const run = {
      method: "POST",
      path: "/{city}",
      query: { tag: "{tags}", note: "{note}", fixed: "1" },
      headers: { Authorization: "Bearer {config.token}" },
    }
    const tool = await httpPlugin(run, input)
    await call(tool, { city: "Oslo", tags: ["a", "b&c"], deep: { x: [1] } })
    const { method, url, body, headers } = server.received[0]!
    expect([method, url, JSON.parse(body), headers.authorization]).toEqual([
      "POST",
      "/Oslo?tag=a&tag=b%26c&fixed=1",
      { deep: { x: [1] } },
      "Bearer SECRET",
    ])
  })

  it("is asked once when asking twice could do harm", async () => {
    const tool = await httpPlugin({ method: "POST", path: "/" })
    server.answerWith(answerJson({}, 503))
    await expect(call(tool, { city: "x" })).rejects.toThrow("service unavailable (status 503)")
    expect(server.received).toHaveLength(1)
  })

  it("is refused on an inner address unless the host allows it", async () => {
    const folder = folderWith({
      "chasqui.json": manifestWith(
        { http: { origin: "{config.origin}", path: "/" } },
        {},
        { origin: { type: "string" } },
      ),
    })
    await expect(plugin(folder, { config: { origin: "https://169.254.169.254" } })).rejects.toThrow(
      expect.objectContaining({ reason: "bad-address" }),
    )
  })
})
