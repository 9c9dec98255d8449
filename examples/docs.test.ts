/**
 * The code of the documentation holds: each block marked `ts run` is a program that has to end well, and each block marked `ts`
 * has to compile. What a block takes for granted stands before it, in a comment that begins with `given`.
 */
import { spawnSync } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"

const root = join(import.meta.dirname, "..")
const pages = ["README.md", ...readdirSync(join(root, "docs")).map((name) => join("docs", name))]

interface Block {
  /** `docs-agents-5`: the page and the line. */
  readonly name: string
  readonly runs: boolean
  readonly given: string
  readonly code: string
}

const blocks: readonly Block[] = pages
  .filter((page) => page.endsWith(".md"))
  .flatMap((page) => {
    const text = readFileSync(join(root, page), "utf8")
    return [...text.matchAll(/(?:^<!-- given\n([\s\S]*?)^-->\n)?^```ts( run)?\n([\s\S]*?)^```$/gm)].map((match) => ({
      name: `${page.replace(/\.md$/, "").replace(/\W+/g, "-")}-${text.slice(0, match.index).split("\n").length}`,
      runs: match[2] !== undefined,
      given: match[1] ?? "",
      code: match[3] ?? "",
    }))
  })

describe("the code of the documentation", () => {
  it("compiles", { timeout: 120_000 }, () => {
    const folder = join(import.meta.dirname, ".docs")
    mkdirSync(folder, { recursive: true })
    try {
      for (const { name, given, code } of blocks)
        writeFileSync(join(folder, `${name}.ts`), `${given}${code}export {}\n`)
      const options = { composite: false, noEmit: true, rewriteRelativeImportExtensions: false }
      const project = { extends: "../../tsconfig.base.json", compilerOptions: options, include: ["*.ts"] }
      writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(project))
      const tsc = join(root, "node_modules", "typescript", "bin", "tsc")
      const run = spawnSync(process.execPath, [tsc, "-p", folder], { cwd: folder, encoding: "utf8" })
      expect(run.stdout + run.stderr).toBe("")
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
  it.each(blocks.filter(({ runs }) => runs))("runs: $name", { timeout: 120_000 }, ({ name, code }) => {
    const file = join(import.meta.dirname, `.docs-${name}.ts`)
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
