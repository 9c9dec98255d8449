/** The code of the documentation runs: each block marked `ts run` is a program that has to end well. */
import { spawnSync } from "node:child_process"
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"

const root = join(import.meta.dirname, "..")
const blocks = readdirSync(join(root, "docs"))
  .filter((name) => name.endsWith(".md"))
  .flatMap((name) => {
    const text = readFileSync(join(root, "docs", name), "utf8")
    return [...text.matchAll(/^```ts run\n([\s\S]*?)^```$/gm)].map((match, index) => ({
      name: `${name} ${index + 1}`,
      code: match[1] ?? "",
    }))
  })

describe("the code of the documentation", () => {
  it.each(blocks)("runs: $name", ({ name, code }) => {
    const file = join(import.meta.dirname, `.docs-${name.replace(/\W+/g, "-")}.ts`)
    writeFileSync(file, code)
    try {
      const run = spawnSync(process.execPath, [file], { cwd: root, encoding: "utf8", timeout: 60_000 })
      expect(run.status, `${run.stdout}\n${run.stderr}`).toBe(0)
      for (const [, shown] of code.matchAll(/^console\.log.*\/\/ (.+)$/gm))
        expect(flat(run.stdout)).toContain(flat(shown ?? ""))
    } finally {
      rmSync(file)
    }
  })
})

/** Output without the quotes and line breaks that printing chooses. */
const flat = (text: string): string => text.replace(/[\s'"]+/g, "")
