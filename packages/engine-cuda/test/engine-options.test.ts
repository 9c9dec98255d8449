import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type EngineError, type Sampling, TokenLog } from "@chasqui/core"
import { type LlamaEngine, loadEngine, type NativeGenerationEnd } from "@chasqui/engine-cuda"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import { collect, loadTiny, random, tinyFolder, tinyTokenizer } from "./tiny.ts"

let engine: LlamaEngine

beforeAll(async () => {
  engine = await loadTiny({ batchIndependent: true })
})
afterAll(() => engine.close())

const sampled = (sampling: Sampling, maxTokens = 30): Promise<number[]> =>
  collect(engine.generate(new TokenLog(random(20, 5)), { maxTokens, stopTokens: [], sampling }))

describe("sampling", () => {
  it("takes each option to the sampler", async () => {
    const greedy = await sampled({ temperature: 0 })
    expect(await sampled({ temperature: 2, seed: 1 })).not.toEqual(greedy)
    expect(await sampled({ temperature: 2, seed: 1, topK: 1 })).toEqual(greedy)
    expect(await sampled({ temperature: 2, seed: 1, topP: 1e-6 })).toEqual(greedy)
    expect(await sampled({ temperature: 2, seed: 1, minP: 0.999 })).toEqual(greedy)
    expect(await sampled({ temperature: 1e-6, seed: 1 })).toEqual(greedy)
    expect(await sampled({ logitBias: new Map([[777, 1000]]) })).toEqual(Array(30).fill(777))
  })

  it("penalises what was there before", async () => {
    const biased = new Map([1900, 1901, 1902, 1903, 1904].map((token, i) => [token, 200 - 20 * i]))
    const first = (sampling: Sampling) => sampled({ logitBias: biased, ...sampling }, 5)
    expect(new Set(await first({}))).toEqual(new Set([1900]))
    for (const penalty of [{ presencePenalty: 500 }, { frequencyPenalty: 500 }, { repetitionPenalty: 1e6 }])
      expect((await first(penalty)).toSorted()).toEqual([1900, 1901, 1902, 1903, 1904])
  })

  it("has its defaults from generation_config.json", async () => {
    const folder = mkdtempSync(join(tmpdir(), "chasqui-"))
    cpSync(tinyFolder, folder, { recursive: true })
    const defaults = { do_sample: true, temperature: 1.7, top_p: 0.95, top_k: 40, eos_token_id: [2041] }
    writeFileSync(join(folder, "generation_config.json"), JSON.stringify(defaults))
    const specialTokens = { ids: [...tinyTokenizer().specialTokens.values()] } // never sampled, as in `engine`
    const lively = await loadEngine(folder, { threads: 1, batchIndependent: true, specialTokens })
    try {
      const sampling = { temperature: 1.7, topP: 0.95, topK: 40 }
      expect(lively.info.sampling).toEqual(sampling)
      expect(lively.info.stopTokens).toContain(2041)
      const options = { maxTokens: 30, stopTokens: [] }
      const log = new TokenLog(random(20, 5))
      const tokens = await collect(lively.generate(log, options))
      expect(tokens).toEqual(await sampled(sampling))
      expect(tokens).not.toEqual(await sampled({}))
      // What a request names replaces a default, and no other.
      const seeded = await collect(lively.generate(log, { ...options, sampling: { seed: 9 } }))
      expect(seeded).toEqual(await sampled({ ...sampling, seed: 9 }))
    } finally {
      await lively.close()
      rmSync(folder, { recursive: true })
    }
  })
})

describe("samples of one prompt", () => {
  it("compute it once, share its pages and are what separate requests give", async () => {
    await using fresh = await loadTiny({ batchIndependent: true })
    const prompt = random(203, 30)
    const options = (seed: number) => ({ maxTokens: 24, stopTokens: [], sampling: { temperature: 4, seed } })
    const generations = [1, 2, 3, 4].map((seed) => fresh.generate(new TokenLog(prompt), options(seed)))
    const outputs = await Promise.all(generations.map(collect))
    const cached = await Promise.all(generations.map(async (generation) => (await generation.end).usage.cached))
    expect(cached).toEqual([0, 202, 202, 202])
    // 12 pages of the prompt once; of the rest, 11 positions and 23 behind them, three for each.
    expect(fresh.metrics()?.pages).toMatchObject({ used: 0, cached: 12 + 4 * 3 })
    const alone: number[][] = []
    for (const seed of [1, 2, 3, 4]) {
      const cache = { namespace: `alone ${seed}` }
      alone.push(await collect(engine.generate(new TokenLog(prompt), { ...options(seed), cache })))
    }
    expect(outputs).toEqual(alone)
  })
})

describe("metrics", () => {
  it("add up to what each request says of itself", async () => {
    await using fresh = await loadTiny()
    const before = fresh.metrics()
    const prompts = [random(50, 1), random(90, 2), random(50, 1)]
    const ends: NativeGenerationEnd[] = []
    for (const prompt of prompts)
      ends.push(await fresh.generate(new TokenLog(prompt), { maxTokens: 7, stopTokens: [] }).end)
    const sum = (of: (end: (typeof ends)[number]) => number) => ends.reduce((total, end) => total + of(end), 0)
    await vi.waitFor(() => expect(fresh.metrics()?.requests.ended).toBe(3), 60_000)
    const metrics = fresh.metrics()!
    expect(ends.map((end) => end.usage.cached)).toEqual([0, 0, 49])
    expect(metrics.prefixCache).toMatchObject({ promptTokens: 190, cachedTokens: 49, hitRate: 49 / 190 })
    expect(metrics.prefill.tokens).toBe(190 - 49)
    expect(metrics.decode.tokens).toBe(21)
    expect(metrics.firstToken.requests).toBe(3)
    expect(metrics.firstToken.meanMs).toBeCloseTo(sum((end) => end.timing.firstTokenMs) / 3, 3)
    expect(metrics.firstToken.lastMs).toBeCloseTo(ends[2]!.timing.firstTokenMs, 3)
    expect(metrics.steps).toBe(21)
    expect(metrics.batch).toEqual({ sequences: 1, tokens: 1 })
    expect(metrics.pages.used + metrics.pages.cached + metrics.pages.free).toBe(before?.pages.free)
    expect(metrics.decode.tokensPerSecond).toBeCloseTo(21 / metrics.decode.seconds, 3)
    for (const { timing } of ends) {
      expect(timing.queueMs + timing.prefillMs).toBeCloseTo(timing.firstTokenMs, 3)
      expect(timing.decodeMs).toBeGreaterThan(0)
    }
  })
})

describe("limits", () => {
  it("says busy when too many tokens wait, and takes one long prompt all the same", async () => {
    await using small = await loadTiny({ limits: { runningRequests: 1, queuedTokens: 100 } })
    const generate = (length: number) =>
      small.generate(new TokenLog(random(length, length)), { maxTokens: 400, stopTokens: [] })
    const running = generate(10)
    await running[Symbol.asyncIterator]().next()
    const waiting = [generate(500), generate(20)]
    const reason = await waiting[1]!.end.then(
      () => "served",
      (error: EngineError) => error.reason,
    )
    expect(reason).toBe("busy")
    running.cancel()
    expect((await waiting[0]!.end).usage.prompt).toBe(500)
  })

  it("gives up a score that is aborted", async () => {
    const controller = new AbortController()
    const scoring = engine.score(random(1500, 3), { signal: controller.signal })
    controller.abort(new Error("no longer wanted"))
    await expect(scoring).rejects.toThrow("no longer wanted")
    await vi.waitFor(() => expect(engine.metrics()).toMatchObject({ running: 0, queue: { requests: 0 } }), 60_000)
    expect(await engine.score(random(20, 3))).toHaveLength(20)
  })
})
