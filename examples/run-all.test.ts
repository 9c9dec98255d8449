import { spawn, spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "vitest"

const folder = import.meta.dirname
const stories = readdirSync(folder).filter((name) => existsSync(join(folder, name, "main.ts")))
const throughEffect = ["--import", join(folder, "through-effect.ts")]

describe("each example", () => {
  it.each(stories)("%s ends well, and alike through the Effect entry", { timeout: 250_000 }, (name) => {
    const plain = run(name)
    const effect = run(name, throughEffect)
    expect(plain.status, `${plain.stdout}\n${plain.stderr}`).toBe(0)
    expect(effect.status, `${effect.stdout}\n${effect.stderr}`).toBe(0)
    expect(told(effect.stdout)).toBe(told(plain.stdout))
    // The Effect example does not need the adapter.
    expect(effect.stderr.includes("an agent through Effect")).toBe(name !== "effect")
    expect(plain.stderr).not.toContain("an agent through Effect")
  })
})

describe("the preference-data example", () => {
  it("goes on where a kill stopped it", { timeout: 250_000 }, async () => {
    const out = mkdtempSync(join(tmpdir(), "chasqui-preference-"))
    const pairs = join(out, "pairs.jsonl")
    const program = join(folder, "preference-data", "main.ts")
    const child = spawn(process.execPath, [program, "--out", out], { stdio: "ignore" })
    const ended = new Promise((resolve) => child.once("close", (_, signal) => resolve(signal)))
    const written = () => (existsSync(pairs) ? readFileSync(pairs, "utf8").split("\n").length - 1 : 0)
    while (written() === 0 && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 2))
    child.kill("SIGKILL")
    await ended
    const before = readFileSync(pairs, "utf8")
    const again = run("preference-data", [], ["--out", out])
    expect(again.status, again.stderr).toBe(0)
    const after = readFileSync(pairs, "utf8")
    expect(after.startsWith(before.slice(0, before.lastIndexOf("\n") + 1))).toBe(true)
    const prompts = after
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).prompt[0].content)
    expect(new Set(prompts).size).toBe(prompts.length)
    rmSync(out, { recursive: true })
  })
})

function run(name: string, flags: readonly string[] = [], args: readonly string[] = []) {
  const program = [...flags, join(folder, name, "main.ts"), ...args]
  return spawnSync(process.execPath, program, { encoding: "utf8", timeout: 120_000 })
}

/** Output without what differs from run to run: times and temporary folders. */
function told(output: string): string {
  return output.replaceAll(/\d+(\.\d+)? ms/g, "… ms").replaceAll(/\/\S*\/chasqui-\w+-\w+/g, "…")
}
