import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { describe, expect, it } from "vitest"

describe("the types of defineTool", () => {
  it("infer inputs, reject wrong uses, and cost the compiler at most 20 000 instantiations for ten tools", async () => {
    const compiler = fileURLToPath(new URL("../../../node_modules/typescript/bin/tsc", import.meta.url))
    const project = fileURLToPath(new URL("tsconfig.json", import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [compiler, "-p", project, "--extendedDiagnostics"])
    const instantiations = Number(/Instantiations:\s+(\d+)/.exec(stdout)?.[1])
    expect(instantiations).toBeGreaterThan(1_000)
    expect(instantiations).toBeLessThanOrEqual(20_000)
  })
})
