/** The recipe's own tests, where a Python with torch is at hand. */
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"

const recipe = fileURLToPath(new URL("../recipe", import.meta.url))
const python = ["python3", "/usr/bin/python3"].find((name) => {
  try {
    execFileSync(name, ["-c", "import torch, numpy, regex"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})
if (python === undefined) {
  console.warn(
    "SKIPPED: the recipe's tests need `apt-get install python3-torch python3-numpy python3-regex libopenblas0-pthread gcc`.",
  )
}

describe.skipIf(python === undefined)("the training recipe", () => {
  it("passes its own tests", { timeout: 600_000 }, () => {
    const run = () =>
      execFileSync(python as string, ["-B", "-m", "unittest", "test_recipe"], {
        cwd: recipe,
        stdio: "pipe",
        env: { ...process.env, OMP_NUM_THREADS: "2", OPENBLAS_NUM_THREADS: "2" },
      })
    expect(run).not.toThrow()
  })
})
