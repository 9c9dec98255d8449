import { spawnSync } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"

const folder = import.meta.dirname
const stories = readdirSync(folder).filter((name) => existsSync(join(folder, name, "main.ts")))

describe("each example", () => {
  it.each(stories)("%s ends with exit code 0", { timeout: 130_000 }, (name) => {
    const run = spawnSync(process.execPath, [join(folder, name, "main.ts")], { encoding: "utf8", timeout: 120_000 })
    expect(run.status, `${run.stdout}\n${run.stderr}`).toBe(0)
  })
})
