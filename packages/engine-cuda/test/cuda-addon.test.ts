import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import { failure, loadTiny } from "./tiny.ts"

// The module with CUDA, where `pnpm build:cuda` has made one: nvcc is not on every machine, and a GPU on few.
const module = fileURLToPath(new URL("../build/cuda/chasqui.node", import.meta.url))
const hasDriver = existsSync("/proc/driver/nvidia/version") || existsSync("/dev/nvidiactl")

describe.skipIf(!existsSync(module))("the module with CUDA", () => {
  it("loads, with or without a driver", () => {
    expect(createRequire(import.meta.url)(module)).toHaveProperty("load")
  })

  it.skipIf(hasDriver)("says cpu for auto on a machine without a driver", async () => {
    const engine = await loadTiny({ device: "auto" })
    expect(engine.info.device).toMatch(/^cpu/)
    engine.close()
  })

  it.skipIf(hasDriver)("refuses cuda on a machine without a driver, and says why", async () => {
    const error = await failure(loadTiny({ device: "cuda" }))
    expect(error.reason).toBe("unsupported")
    expect(error.detail).toContain("driver")
  })
})

describe.skipIf(existsSync(module))("the module without CUDA", () => {
  it("refuses cuda and says how to build it", async () => {
    const error = await failure(loadTiny({ device: "cuda" }))
    expect(error.reason).toBe("unsupported")
    expect(error.fix).toContain("build:cuda")
  })
})
