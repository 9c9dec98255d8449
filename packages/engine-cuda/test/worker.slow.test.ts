import { Worker } from "node:worker_threads"
import { expect, it } from "vitest"
import { tinyFolder } from "./tiny.ts"

const work = `
  const { parentPort, workerData } = require("node:worker_threads")
  const main = async () => {
    const { loadEngine } = await import(workerData.engine)
    const { TokenLog } = await import(workerData.core)
    parentPort.postMessage("loading")
    const engine = await loadEngine(workerData.folder, { threads: 1 })
    const generation = engine.generate(new TokenLog([1, 2, 3, 4]), { maxTokens: 2000, stopTokens: [] })
    parentPort.postMessage("loaded")
    for await (const batch of generation) parentPort.postMessage("running")
  }
  main()`

it("a worker thread can be ended at any moment: while it loads, right after, in the middle of a generation", async () => {
  const workerData = {
    engine: import.meta.resolve("@chasqui/engine-cuda"),
    core: import.meta.resolve("@chasqui/core"),
    folder: tinyFolder,
  }
  const moments = Array.from({ length: 40 }, (_, i) => 1 + (i % 5))
  for (const messages of moments) {
    const worker = new Worker(work, { eval: true, workerData })
    let seen = 0
    await new Promise<void>((resolve, reject) => {
      worker.on("error", reject)
      worker.on("message", () => {
        if (++seen === messages) resolve()
      })
    })
    await worker.terminate()
    expect(seen).toBeGreaterThanOrEqual(messages)
  }
})
