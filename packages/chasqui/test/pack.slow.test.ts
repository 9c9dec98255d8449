import { execFileSync } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, expect, it } from "vitest"

// The published packages, tried as a user has them: packed, installed into an empty project, and run there.
const packages = fileURLToPath(new URL("../..", import.meta.url))
const names = ["core", "tools", "engine-cuda", "engine-remote", "tiny-llama", "chasqui"]
let project: string

const run = (program: string, given: readonly string[], cwd: string): string =>
  execFileSync(program, given, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], timeout: 240_000 })
const pnpm = (given: readonly string[], cwd: string): string => run("npx", ["-y", "pnpm@12.21.0", ...given], cwd)

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), "chasqui-pack-"))
  for (const name of names) pnpm(["pack", "--pack-destination", project], join(packages, name))
  const tarballs = readdirSync(project)
  const nameOf = (file: string): string => {
    const name = file.replace(/-\d+\.\d+\.\d+\.tgz$/, "")
    return name === "chasqui" ? name : name.replace("chasqui-", "@chasqui/")
  }
  const overrides = tarballs.map((file) => `  "${nameOf(file)}": "file:./${file}"`)
  writeFileSync(
    join(project, "pnpm-workspace.yaml"),
    `allowBuilds:\n  isolated-vm: false\noverrides:\n${overrides.join("\n")}\n`,
  )
  writeFileSync(
    join(project, "package.json"),
    JSON.stringify({ private: true, type: "module", dependencies: { chasqui: "*", "@chasqui/engine-cuda": "*" } }),
  )
  pnpm(["install", "--prefer-offline"], project)
}, 300_000)

afterAll(() => rmSync(project, { recursive: true, force: true }))

it("an installed agent answers with its own engine", { timeout: 120_000 }, () => {
  writeFileSync(
    join(project, "main.ts"),
    `import { agent } from "chasqui"
await using bot = await agent({ maxSteps: 2, maxTokens: 40, sampling: { temperature: 0 } })
const answer = await bot.run("Hello")
console.log(JSON.stringify({ text: answer.text, stopReason: answer.stopReason, generated: answer.usage.generated }))
`,
  )
  const said = JSON.parse(run(process.execPath, ["main.ts"], project)) as { text: string; generated: number }
  expect(said.text.length).toBeGreaterThan(0)
  expect(said.generated).toBeGreaterThan(0)
})

it("the installed command runs a question with tools", { timeout: 120_000 }, () => {
  const lines = run(
    process.execPath,
    [
      join("node_modules", "chasqui", "bin", "chasqui.mjs"),
      "run",
      "--device",
      "cpu",
      "--json",
      "How tall is Mount Fuji?",
    ],
    project,
  )
  expect(lines).toContain('"type":"tool-result"')
})

it("the package carries no sources of the native part and one module for each device of this build", () => {
  const inside = run(
    "tar",
    ["-tzf", readdirSync(project).find((file) => file.startsWith("chasqui-engine-cuda")) ?? ""],
    project,
  )
  expect(inside).toMatch(new RegExp(`prebuilt/${process.platform}-${process.arch}/chasqui\\.node`))
  expect(inside).not.toMatch(/\.(cc|cu|cuh)\n/)
})
