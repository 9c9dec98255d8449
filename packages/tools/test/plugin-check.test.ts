import { execFileSync } from "node:child_process"
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import fc from "fast-check"
import { afterAll, describe, expect, it } from "vitest"
import { describePluginProblem, plugin, pluginCheck, pluginNew } from "../src/index.ts"
import { call, city, folderWith, manifestWith, removeAll, root } from "./plugin-folder.ts"

afterAll(removeAll)
const problemsOf = (manifest: object | string, files: { readonly [name: string]: string } = {}) =>
  pluginCheck(folderWith({ "chasqui.json": manifest, ...files })).problems.map(describePluginProblem)

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
