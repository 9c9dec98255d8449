import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { expect, it } from "vitest"

// What nvcc said of each kernel when the module with CUDA was built; without that build there is nothing to hold it to.
const built = existsSync(fileURLToPath(new URL("../build/cuda/chasqui.node", import.meta.url)))
const script = fileURLToPath(new URL("../scripts/check-ptxas.mjs", import.meta.url))

it.skipIf(!built)(
  "every kernel keeps to its budget of registers, shared memory and spills",
  { timeout: 60_000 },
  () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: "utf8" })
    expect(status, `${stdout}${stderr}`).toBe(0)
  },
)
