import { execFileSync } from "node:child_process"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import type { JsonObject, Tool } from "@chasqui/core"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { describePluginProblem, plugin, pluginCheck, pluginNew } from "../src/index.ts"
import { answerJson, type FaultServer, faultServer } from "./fault-server.ts"
import { toolContext } from "./tool-context.ts"

let root: string
let count = 0
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "plugins-"))
})
afterAll(() => rmSync(root, { recursive: true }))

/** A folder with these files; objects are written as JSON. */
function folderWith(files: { readonly [name: string]: string | object }): string {
  const folder = join(root, `plugin-${count++}`)
  mkdirSync(folder)
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content, null, 2))
  }
  return folder
}

const city = { type: "object", properties: { city: { type: "string", description: "City" } }, required: ["city"] }
const manifestWith = (run: object, rest: object = {}, config?: object) => ({
  manifest: 1,
  name: "sample",
  ...(config && { config: { type: "object", properties: config } }),
  tools: [{ name: "look_up", description: "Looks up", input: city, ...rest, run }],
})
const problemsOf = (manifest: object | string, files: { readonly [name: string]: string } = {}) =>
  pluginCheck(folderWith({ "chasqui.json": manifest, ...files })).problems.map(describePluginProblem)
const call = async (tool: Tool | undefined, input: JsonObject, signal?: AbortSignal) =>
  tool!.execute(input as never, toolContext(signal))

describe("the check of a plugin", () => {
  it("gives the line and column of each problem", () => {
    const text = `{
  "manifest": 1,
  "name": "Sample Plugin",
  "tools": [
    {
      "name": "look up",
      "description": "",
      "input": { "type": "object", "properties": { "city": { "type": "strnig" } } },
      "run": { "module": { "file": "./a.js" }, "command": { "argv": [] } },
      "extra": 1
    }
  ]
}`
    expect(problemsOf(text)).toEqual([
      'chasqui.json:3:3: error: name must match the pattern ^[a-z][a-z0-9-]{0,62}$, not "Sample Plugin"',
      'chasqui.json:6:7: error: tools.0.name must match the pattern ^[A-Za-z0-9_.-]{1,64}$, not "look up"',
      "chasqui.json:7:7: error: tools.0.description must not be empty",
      "chasqui.json:9:7: error: tools.0.run must have at most 1 field",
      "chasqui.json:9:61: error: tools.0.run.command.argv must not be empty",
      "chasqui.json:10:7: error: tools.0.extra is not a known field; the fields are name, description, input, timeoutMs, readOnly, needsApproval, run",
    ])
  })

  it("gives the place of a syntax error", () => {
    expect(problemsOf('{\n  "manifest": 1,\n  "name" "x"\n}')).toEqual([
      "chasqui.json:3:10: error: is not valid JSON: ColonExpected",
    ])
  })

  it.each<[string, object, RegExp]>([
    [
      "an unusable schema",
      manifestWith({ command: { argv: ["x"] } }, { input: { ...city, required: true } }),
      /:16:9: error: tools\.0\.input\.required must be a list of names/,
    ],
    [
      "an unknown keyword",
      manifestWith({ command: { argv: ["x"] } }, { input: { ...city, requried: ["city"] } }),
      /warning: tools\.0\.input\.requried is no keyword/,
    ],
    [
      "a missing module",
      manifestWith({ module: { file: "./gone.js" } }),
      /module\.file is "\.\/gone\.js", which does not exist/,
    ],
    [
      "a module outside",
      manifestWith({ module: { file: "./../../../etc/passwd" } }),
      /module\.file leads out of the plugin/,
    ],
    ["a program outside", manifestWith({ command: { argv: ["../../bin/sh"] } }), /argv\.0 leads out of the plugin/],
    [
      "a program that the model chooses",
      manifestWith({ command: { argv: ["{city}"] } }),
      /argv\.0 must not hold a place/,
    ],
    [
      "a value that could be an option",
      manifestWith({ command: { argv: ["x", "{city}"] } }),
      /argv\.1 must stand after "--" or as --name=\{field\}/,
    ],
    [
      "a value before the separator",
      manifestWith({ command: { argv: ["x", "{city}", "--"] } }),
      /argv\.1 must stand after/,
    ],
    [
      "an unknown field",
      manifestWith({ command: { argv: ["x", "--", "{town}"] } }),
      /holds \{town\}, which the input schema does not have/,
    ],
    [
      "an unknown configuration",
      manifestWith({ http: { origin: "{config.url}", path: "/" } }),
      /holds \{config\.url\}, which the config schema does not have/,
    ],
    [
      "a host that the model chooses",
      manifestWith({ http: { origin: "https://{city}.example.org", path: "/" } }),
      /a model must not choose the host/,
    ],
    [
      "a path in the origin",
      manifestWith({ http: { origin: "https://example.org/api", path: "/" } }),
      /origin and nothing more/,
    ],
    ["plain HTTP", manifestWith({ http: { origin: "http://example.org", path: "/" } }), /must be https/],
    [
      "an optional field in a path",
      manifestWith({ http: { origin: "https://example.org", path: "/{city}" } }, { input: { ...city, required: [] } }),
      /so city has to be required/,
    ],
    [
      "a header that the model writes",
      manifestWith({ http: { origin: "https://example.org", path: "/", headers: { "x-a": "{city}" } } }),
      /must not hold a value that the model writes/,
    ],
    [
      "a variable that the model writes",
      manifestWith({ command: { argv: ["x"], env: { A: "{city}" } } }),
      /must not hold a value that the model writes/,
    ],
    [
      "a built-in tool's name",
      manifestWith({ command: { argv: ["x"] } }, { name: "brave_search" }),
      /reserved for a built-in tool/,
    ],
    [
      "two tools of one name",
      {
        ...manifestWith({ command: { argv: ["x"] } }),
        tools: [0, 1].map(() => manifestWith({ command: { argv: ["x"] } }).tools[0]),
      },
      /which another tool is called/,
    ],
  ])("finds %s", (_name, manifest, problem) => {
    expect(problemsOf(manifest)).toContainEqual(expect.stringMatching(problem))
  })

  it("finds a key that stands twice", () => {
    expect(problemsOf('{"manifest": 1, "name": "a", "name": "b", "tools": []}').join("\n")).toMatch(
      /name stands here twice/,
    )
  })

  it("follows a link out of the plugin", () => {
    const folder = folderWith({ "chasqui.json": manifestWith({ module: { file: "./link.js" } }) })
    symlinkSync("/etc/hostname", join(folder, "link.js"))
    expect(pluginCheck(folder).problems.map(describePluginProblem).join()).toMatch(/leads out of the plugin/)
  })

  it("says so when there is no plugin", () => {
    expect(pluginCheck(join(root, "nowhere")).problems[0]?.message).toBe("is not a folder")
    expect(pluginCheck(folderWith({})).problems.map(describePluginProblem)).toEqual([
      "chasqui.json:1:1: error: is missing; a plugin has a chasqui.json, or a package.json that names one",
    ])
    expect(pluginCheck(folderWith({ "package.json": { chasqui: "../../x.json" } })).problems[0]?.message).toMatch(
      /outside the plugin/,
    )
  })

  it("never throws, whatever the manifest holds", () => {
    const folder = folderWith({})
    const valid = JSON.stringify(
      manifestWith(
        { http: { origin: "{config.url}", path: "/{city}", query: { a: "{city}" } } },
        {},
        { url: { type: "string" } },
      ),
    )
    const edit = fc.tuple(
      fc.nat(valid.length),
      fc.nat(6),
      fc.constantFrom("", "{", "}", "[", '"', "1", "null", "\\", ",", "type", "\u0000"),
    )
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        const text = edits.reduce(
          (whole, [at, length, piece]) => whole.slice(0, at) + piece + whole.slice(at + length),
          valid,
        )
        writeFileSync(join(folder, "chasqui.json"), text)
        const { problems, manifest } = pluginCheck(folder)
        expect(manifest !== undefined || problems.some(({ severity }) => severity === "error")).toBe(true)
      }),
      { seed: 20261124, numRuns: 300 },
    )
  })
})

describe("a new plugin", () => {
  it("passes its own test and the check, and its tool runs", async () => {
    const files = pluginNew("fresh-plugin", root)
    const folder = join(root, "fresh-plugin")
    expect(files.map((file) => file.slice(folder.length + 1)).toSorted()).toEqual([
      "README.md",
      "chasqui.json",
      "index.js",
      "index.test.js",
      "package.json",
    ])
    expect(pluginCheck(folder).problems).toEqual([])
    execFileSync(process.execPath, ["--test"], { cwd: folder, env: { PATH: process.env.PATH ?? "" } })
    const { tools, proposals } = await plugin(folder, { config: { greeting: "Good day" } })
    expect(await call(tools[0], { person: "Ada", times: 1 })).toEqual({ greeting: "Good day, Ada!" })
    expect(proposals).toEqual({ greet: { readOnly: true, needsApproval: false } })
    expect(() => pluginNew("fresh-plugin", root)).toThrow(expect.objectContaining({ _tag: "ToolSetupError" }))
    expect(() => pluginNew("../escape", root)).toThrow(/cannot be a plugin's name/)
  })
})

describe("loading a plugin", () => {
  const module = {
    "index.js": "export const look_up = ({ city }, { config }) => ({ city, config })\nexport const nothing = 1\n",
  }

  it("names the first problem with file and line", async () => {
    const folder = folderWith({ "chasqui.json": manifestWith({ module: { file: "./gone.js" } }) })
    await expect(plugin(folder)).rejects.toThrow(
      /chasqui\.json:\d+:\d+: error: tools\.0\.run\.module\.file is "\.\/gone\.js"/,
    )
  })

  it("finds a package by its name, from where it is asked for", async () => {
    const project = join(root, "project", "deep")
    mkdirSync(join(project, "..", "node_modules", "@scope", "tools"), { recursive: true })
    mkdirSync(project, { recursive: true })
    const folder = join(project, "..", "node_modules", "@scope", "tools")
    writeFileSync(
      join(folder, "package.json"),
      JSON.stringify({ name: "@scope/tools", type: "module", chasqui: "./chasqui.json" }),
    )
    writeFileSync(join(folder, "chasqui.json"), JSON.stringify(manifestWith({ module: { file: "./index.js" } })))
    writeFileSync(join(folder, "index.js"), module["index.js"])
    const { tools } = await plugin("@scope/tools", { from: project, prefix: "s_" })
    expect(tools.map(({ name }) => name)).toEqual(["s_look_up"])
    await expect(plugin("not-installed", { from: project })).rejects.toThrow(
      expect.objectContaining({ reason: "not-found" }),
    )
  })

  it("checks the configuration without showing what is in it", async () => {
    const config = { token: { type: "string", minLength: 40 }, place: { type: "string", default: "here" } }
    const folder = folderWith({
      "package.json": { type: "module" },
      "chasqui.json": manifestWith({ module: { file: "./index.js" } }, {}, config),
      ...module,
    })
    await expect(plugin(folder, { config: { token: "SECRET" } })).rejects.toThrow(
      expect.objectContaining({ reason: "bad-config", message: expect.not.stringContaining("SECRET") }),
    )
    await expect(plugin(folder, { config: { tokn: "x" } })).rejects.toThrow(/at: tokn/)
    const { tools } = await plugin(folder, { config: { token: "x".repeat(40) } })
    expect(await call(tools[0], { city: "Oslo" })).toEqual({
      city: "Oslo",
      config: { token: "x".repeat(40), place: "here" },
    })
  })

  it("grants what the host grants and nothing that the plugin merely proposes", async () => {
    const files = {
      "package.json": { type: "module" },
      "chasqui.json": manifestWith({ module: { file: "./index.js" } }, { readOnly: true, needsApproval: true }),
      ...module,
    }
    const granted = async (grants?: NonNullable<Parameters<typeof plugin>[1]>["grants"]) => {
      const { tools } = await plugin(folderWith(files), { ...(grants && { grants }) })
      return [tools[0]?.readOnly, tools[0]?.needsApproval ?? false]
    }
    expect(await granted()).toEqual([false, false])
    expect(await granted({ look_up: { needsApproval: true } })).toEqual([false, true])
    expect(await granted("as-proposed")).toEqual([true, true])
  })

  it("says which function a module lacks", async () => {
    const folder = folderWith({
      "package.json": { type: "module" },
      "chasqui.json": manifestWith({ module: { file: "./index.js", export: "nothing" } }),
      ...module,
    })
    await expect(plugin(folder)).rejects.toThrow(/has no function "nothing"; it exports look_up, nothing/)
  })
})

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
      http: { addresses: "any", sleep: async () => undefined, timeoutMs: 500 },
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
