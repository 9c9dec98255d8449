import { cpSync, mkdtempSync, rmSync, truncateSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type EngineError, TokenLog } from "@chasqui/core"
import { type LlamaEngine, loadEngine } from "@chasqui/engine-cuda"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { collect, failure, loadTiny, random, tinyFolder } from "./tiny.ts"

let engine: LlamaEngine

beforeAll(async () => {
  engine = await loadTiny()
})
afterAll(() => engine.close())

describe("what cannot be done", () => {
  it("names a folder that does not exist", async () => {
    const error = await failure(loadEngine("/no/such/folder"))
    expect(error).toMatchObject({ _tag: "EngineError", reason: "not-found" })
    expect(error.message).toContain("/no/such/folder")
    expect(error.fix).not.toBe("")
  })

  it("names a truncated weight file", async () => {
    const folder = mkdtempSync(join(tmpdir(), "chasqui-"))
    cpSync(tinyFolder, folder, { recursive: true })
    truncateSync(join(folder, "model.safetensors"), 100_000)
    const error = await failure(loadEngine(folder))
    expect(error.reason).toBe("bad-checkpoint")
    expect(error.message).toContain("model.safetensors")
    rmSync(folder, { recursive: true })
  })

  it("refuses a request that the model cannot serve", async () => {
    const refused = (tokens: number[], options: object = {}) =>
      failure(engine.generate(new TokenLog(tokens), { maxTokens: 5, ...options }).end).then((error) => error.reason)
    expect(await refused(random(2048, 18))).toBe("context-full")
    expect(await refused([])).toBe("bad-request")
    expect(await refused([2048])).toBe("bad-request")
    expect(await refused([-1])).toBe("bad-request")
    expect(await refused([1], { maxTokens: 0 })).toBe("bad-request")
    expect(await refused([1], { maxTokens: 1.5 })).toBe("bad-request")
    expect(await refused([1], { stopTokens: [5000] })).toBe("bad-request")
    expect(await refused([1], { stopTokens: [1.5] })).toBe("bad-request")
    expect(await refused([1], { sampling: { topP: 2 } })).toBe("bad-request")
    expect(await refused([1], { sampling: { temperature: Number.NaN } })).toBe("bad-request")
    expect(await refused([1], { sampling: { seed: -1 } })).toBe("bad-request")
    expect(await refused([1], { constraint: { kind: "choices", choices: [] } })).toBe("bad-request")
    expect(await refused([1], { constraint: { kind: "allowed-tokens", tokens: [9999] } })).toBe("bad-request")
    expect((await failure(engine.score([1, 4000]))).reason).toBe("bad-request")
  })

  it("rejects iterating a refused request with the same error", async () => {
    const generation = engine.generate(new TokenLog([1, 4000]), { maxTokens: 5 })
    const error = await failure(collect(generation))
    expect(error.message).toContain("4000")
    expect(await failure(generation.end)).toBe(error)
  })

  it("refuses bad options at load", async () => {
    expect((await failure(loadTiny({ threads: 0 }))).reason).toBe("bad-request")
    expect((await failure(loadTiny({ contextLength: 4096 }))).reason).toBe("bad-request")
    expect((await failure(loadTiny({ cacheBytes: -1 }))).reason).toBe("bad-request")
    expect((await failure(loadTiny({ device: "gpu" as "cpu" }))).reason).toBe("bad-request")
  })

  it("says busy when the queue is full", async () => {
    await using small = await loadTiny({ limits: { runningRequests: 1, queuedRequests: 2 } })
    const generations = Array.from({ length: 6 }, (_, i) =>
      small.generate(new TokenLog(random(20, 300 + i)), { maxTokens: 50, stopTokens: [] }),
    )
    const ends = await Promise.allSettled(generations.map((generation) => generation.end))
    const reasons = ends.map((end) =>
      end.status === "fulfilled" ? end.value.reason : (end.reason as EngineError).reason,
    )
    expect(reasons.filter((reason) => reason === "busy").length).toBeGreaterThan(0)
    expect(reasons.filter((reason) => reason === "max-tokens").length).toBeGreaterThanOrEqual(2)
  })

  it("closes while busy, and answers `closed` from then on", async () => {
    const other = await loadTiny()
    const running = Array.from({ length: 5 }, (_, i) =>
      other.generate(new TokenLog(random(20, i)), { maxTokens: 2000, stopTokens: [] }),
    )
    const ends = Promise.all(running.map((generation) => failure(generation.end)))
    const scoring = other.score(random(50, 1)).then(
      () => "scored",
      (error: EngineError) => error.reason,
    )
    await running[0]![Symbol.asyncIterator]().next()
    await Promise.all([other.close(), other.close()])
    expect((await ends).map((error) => error.reason)).toEqual(Array(5).fill("closed"))
    expect(["scored", "closed"]).toContain(await scoring)
    expect((await failure(other.generate(new TokenLog([1]), { maxTokens: 1 }).end)).reason).toBe("closed")
    expect((await failure(other.score([1, 2]))).reason).toBe("closed")
    expect(other.metrics()).toBeNull()
  })
})
