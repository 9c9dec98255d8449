import { Worker } from "node:worker_threads"
import { TokenLog } from "@chasqui/core"
import type { LlamaEngine, TokenBatch } from "@chasqui/engine-cuda"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import { collect, loadTiny, promptOf, random, tinyFolder, tinyTokenizer } from "./tiny.ts"

const tokenizer = tinyTokenizer()
let engine: LlamaEngine

beforeAll(async () => {
  engine = await loadTiny({ batchIndependent: true })
})
afterAll(() => engine.close())

const prompt = (text: string) => promptOf(tokenizer, text)
describe("what an engine is", () => {
  it("publishes vocabulary, context, stop tokens, device and fingerprint", () => {
    expect(engine.info).toMatchObject({ vocabularySize: 2048, contextLength: 2048, sampling: { temperature: 0 } })
    expect([...engine.info.stopTokens].sort()).toEqual([2041, 2044, 2045])
    expect(engine.info.device).toContain("cpu")
    expect(engine.info.fingerprint).toMatch(/^[0-9a-f]{16}$/)
  })

  it("gives the same fingerprint for the same weights", async () => {
    await using other = await loadTiny({ contextLength: 100, threads: 1 })
    expect(other.info.fingerprint).toBe(engine.info.fingerprint)
    expect(other.info.contextLength).toBe(100)
  })
})

describe("generation", () => {
  it("answers a question of the tiny model greedily, ends with a stop token and counts exactly", async () => {
    const log = prompt("hello")
    const generation = engine.generate(log, { maxTokens: 200, cache: { namespace: "greedy" } })
    const tokens = await collect(generation)
    const end = await generation.end
    expect(end.reason).toBe("stop-token")
    expect(engine.info.stopTokens).toContain(tokens.at(-1))
    expect(tokenizer.decode(tokens.slice(0, -1)).trim()).not.toBe("")
    expect(end.usage).toEqual({ prompt: log.length, cached: 0, generated: tokens.length, forced: 0, discarded: 0 })
    expect(end.timing.firstTokenMs).toBeGreaterThan(0)
  })

  it("finds the whole earlier conversation but its last token in the cache on the second turn", async () => {
    const log = prompt("hello there")
    const cache = { namespace: "second turn" }
    const first = await collect(engine.generate(log, { maxTokens: 200, cache }))
    log.append(first)
    const earlier = log.length
    log.append(random(12, 1))
    const second = engine.generate(log, { maxTokens: 20, cache })
    const tokens = await collect(second)
    expect((await second.end).usage).toMatchObject({ prompt: log.length, cached: earlier - 1 })
    const cold = engine.generate(new TokenLog(log.view()), { maxTokens: 20, cache: { namespace: "cold" } })
    expect(await collect(cold)).toEqual(tokens)
    expect((await cold.end).usage.cached).toBe(0)
  })

  it("gives each request of a batch the tokens that it gives alone", async () => {
    const options = (i: number) => ({
      maxTokens: 24,
      stopTokens: [],
      sampling: { temperature: 1, seed: i },
      cache: { namespace: `batch ${i}` },
    })
    const prompts = Array.from({ length: 12 }, (_, i) => new TokenLog(random(5 + ((i * 37) % 90), i)))
    const alone: number[][] = []
    for (const [i, log] of prompts.entries()) alone.push(await collect(engine.generate(log, options(i))))
    const together = await Promise.all(
      prompts.map((log, i) => collect(engine.generate(log, { ...options(i), cache: { namespace: `again ${i}` } }))),
    )
    expect(together).toEqual(alone)
  })

  it("gives the same tokens chunked as whole", async () => {
    await using chunked = await loadTiny({ batchIndependent: true, limits: { stepTokens: 7 } })
    const log = new TokenLog(random(150, 3))
    const options = { maxTokens: 12, stopTokens: [], cache: { namespace: "whole" } }
    expect(await collect(chunked.generate(log, options))).toEqual(await collect(engine.generate(log, options)))
  })

  it("repeats itself for a seed and differs for another", async () => {
    const log = new TokenLog(random(30, 4))
    const run = (seed: bigint | number) =>
      collect(engine.generate(log, { maxTokens: 30, stopTokens: [], sampling: { temperature: 2, seed } }))
    expect(await run(5)).toEqual(await run(5n))
    expect(await run(5)).not.toEqual(await run(6))
    expect(await run(2n ** 64n - 1n)).toHaveLength(30)
  })

  it("samples no special token that is not listed", async () => {
    const special = [...tokenizer.specialTokens.values()]
    const sampling = { temperature: 3, seed: 1, logitBias: new Map(special.map((token) => [token, 50])) }
    const tokens = await collect(
      engine.generate(prompt("hi"), { maxTokens: 60, stopTokens: [], allowedSpecialTokens: [], sampling }),
    )
    expect(tokens.filter((token) => special.includes(token))).toEqual([])
    const only = await collect(
      engine.generate(prompt("hi"), { maxTokens: 3, stopTokens: [], allowedSpecialTokens: [2043], sampling }),
    )
    expect(only).toEqual([2043, 2043, 2043])
  })

  it("keeps to an allowed set and to literal choices", async () => {
    const allowed = [400, 500, 600]
    const few = await collect(
      engine.generate(prompt("hi"), {
        maxTokens: 9,
        stopTokens: [],
        sampling: { temperature: 2, seed: 2 },
        constraint: { kind: "allowed-tokens", tokens: allowed },
      }),
    )
    expect(few.every((token) => allowed.includes(token))).toBe(true)
    const choices = ["get_weather", "get_time", "search the web"]
    for (let seed = 0; seed < 8; seed++) {
      const generation = engine.generate(prompt("which tool?"), {
        maxTokens: 60,
        sampling: { temperature: 3, seed },
        constraint: { kind: "choices", choices },
      })
      const tokens = await collect(generation)
      expect(choices).toContain(tokenizer.decode(tokens.slice(0, -1)))
      const end = await generation.end
      expect(end.reason).toBe("stop-token")
      expect(end.usage.forced).toBeGreaterThan(0)
    }
  })

  it("gives log-probabilities that agree with score", async () => {
    const log = new TokenLog(random(20, 6))
    const generation = engine.generate(log, { maxTokens: 6, stopTokens: [], logprobs: 3 })
    const rows: NonNullable<TokenBatch["logprobs"]>[number][] = []
    const tokens: number[] = []
    for await (const batch of generation) {
      tokens.push(...Array.from(batch))
      rows.push(...(batch.logprobs ?? []))
    }
    expect(rows.map((row) => row.token)).toEqual(tokens)
    const scores = await engine.score([...log.view(), ...tokens])
    expect(scores[0]).toBe(0)
    for (const [i, row] of rows.entries()) {
      expect(row.top[0]).toEqual({ token: row.token, logprob: row.logprob })
      expect(row.top).toHaveLength(3)
      expect(scores[log.length + i]).toBeCloseTo(row.logprob, 2)
    }
  })

  it("lets whoever waits for the end alone have it, however many tokens there are", async () => {
    await using small = await loadTiny({ limits: { undeliveredTokens: 8 } })
    const end = await small.generate(new TokenLog(random(10, 7)), { maxTokens: 300, stopTokens: [] }).end
    expect(end.usage.generated).toBe(300)
  })

  it("pauses a request whose consumer lags, and no other", async () => {
    await using small = await loadTiny({ limits: { undeliveredTokens: 100 } })
    const lagging = small.generate(new TokenLog(random(10, 8)), { maxTokens: 400, stopTokens: [] })
    const iterator = lagging[Symbol.asyncIterator]()
    let seen = (await iterator.next()).value?.length ?? 0
    const other = await small.generate(new TokenLog(random(10, 9)), { maxTokens: 300, stopTokens: [] }).end
    expect(other.usage.generated).toBe(300)
    expect(small.metrics()).toMatchObject({ parked: 1, running: 0 })
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) seen += next.value.length
    expect(seen).toBe(400)
  })
})

describe("cancelling", () => {
  it("ends as aborted with exact usage on cancel, abort, and a loop that is left", async () => {
    const options = { maxTokens: 1500, stopTokens: [] }
    const cancelled = engine.generate(new TokenLog(random(40, 10)), options)
    let tokens = 0
    for await (const batch of cancelled) {
      tokens += batch.length
      if (tokens > 5) cancelled.cancel()
    }
    expect(await cancelled.end).toMatchObject({ reason: "aborted", usage: { prompt: 40, generated: tokens } })

    const controller = new AbortController()
    const aborted = engine.generate(new TokenLog(random(40, 11)), { ...options, signal: controller.signal })
    for await (const _ of aborted) controller.abort()
    expect((await aborted.end).reason).toBe("aborted")

    const left = engine.generate(new TokenLog(random(40, 12)), options)
    for await (const _ of left) break
    expect((await left.end).reason).toBe("aborted")
    await vi.waitFor(() => expect(engine.metrics()?.pages.used).toBe(0), 60_000)
  })

  it("computes nothing for a signal that was aborted before", async () => {
    const generation = engine.generate(new TokenLog(random(40, 13)), { maxTokens: 10, signal: AbortSignal.abort() })
    expect(await collect(generation)).toEqual([])
    expect(await generation.end).toMatchObject({ reason: "aborted", usage: { prompt: 40, cached: 0, generated: 0 } })
    const reason = new Error("enough")
    await expect(engine.score([1, 2], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })

  it("resumes where it was cut off", async () => {
    const options = { maxTokens: 40, stopTokens: [], cache: { namespace: "resume" } }
    const whole = await collect(
      engine.generate(new TokenLog(random(33, 14)), { ...options, cache: { namespace: "whole run" } }),
    )
    const log = new TokenLog(random(33, 14))
    const first = engine.generate(log, options)
    const begun: number[] = []
    for await (const batch of first) {
      begun.push(...Array.from(batch))
      if (begun.length >= 15) first.cancel()
    }
    log.append(begun)
    const rest = engine.generate(log, { ...options, maxTokens: 40 - begun.length })
    expect([...begun, ...(await collect(rest))]).toEqual(whole)
    expect((await rest.end).usage.cached).toBe(33 + begun.length - 1)
  })
})

describe("the cache", () => {
  it("shares pages within a namespace only", async () => {
    const log = new TokenLog(random(100, 15))
    const cachedIn = async (namespace: string) =>
      (await engine.generate(log, { maxTokens: 1, cache: { namespace } }).end).usage.cached
    expect(await cachedIn("mine")).toBe(0)
    expect(await cachedIn("yours")).toBe(0)
    expect(await cachedIn("mine")).toBe(99)
  })

  it("holds retained pages until they are continued or released", async () => {
    await using small = await loadTiny({ contextLength: 256, cacheBytes: 24 * 16 * 6 * 2 * 128 * 2 })
    const log = new TokenLog(random(60, 16))
    const held = { maxTokens: 4, stopTokens: [], cache: { namespace: "held", retain: true } }
    log.append(await collect(small.generate(log, held)))
    const flood = async () => {
      for (let i = 0; i < 8; i++)
        await small.generate(new TokenLog(random(200, 100 + i)), { maxTokens: 2, stopTokens: [] }).end
    }
    await flood()
    log.append([700])
    const continued = small.generate(log, held)
    log.append(await collect(continued))
    expect((await continued.end).usage.cached).toBe(63)
    expect(small.metrics()?.prefixCache.retained).toBe(1)
    small.release("held")
    await flood()
    expect(small.metrics()?.prefixCache).toMatchObject({ retained: 0, retainedDropped: 0 })
    expect((await small.generate(log, held).end).usage.cached).toBe(0)
  })

  it("sends only the tail of a log that grew", async () => {
    const log = new TokenLog()
    for (let turn = 0; turn < 5; turn++) {
      log.append(random(20, 200 + turn))
      const before = log.length
      const generation = engine.generate(log, { maxTokens: 3, stopTokens: [], cache: { namespace: "tail" } })
      log.append(await collect(generation))
      expect((await generation.end).usage.prompt).toBe(before)
    }
    const copy = engine.generate(new TokenLog(log.view()), {
      maxTokens: 3,
      stopTokens: [],
      cache: { namespace: "other" },
    })
    const again = engine.generate(log, { maxTokens: 3, stopTokens: [], cache: { namespace: "tail" } })
    expect(await collect(copy)).toEqual(await collect(again))
  })
})

describe("scores", () => {
  it("are the same whole and in parts of a batch", async () => {
    const tokens = random(120, 17)
    const scores = await engine.score(tokens)
    expect(scores).toHaveLength(120)
    expect(scores.slice(1).every((score) => score < 0 && Number.isFinite(score))).toBe(true)
    const [again] = await Promise.all([
      engine.score(tokens),
      engine.generate(new TokenLog(tokens), { maxTokens: 20, stopTokens: [] }).end,
    ])
    expect(again).toEqual(scores)
  })
})

describe("several engines", () => {
  it("run side by side in one process", async () => {
    const engines = await Promise.all([loadTiny(), loadTiny(), loadTiny()])
    const log = new TokenLog(random(30, 20))
    const outputs = await Promise.all(
      engines.map((each) => collect(each.generate(log, { maxTokens: 20, stopTokens: [] }))),
    )
    expect(outputs[1]).toEqual(outputs[0])
    expect(outputs[2]).toEqual(outputs[0])
    await Promise.all(engines.map((each) => each.close()))
  })

  it("run in worker threads, also when the worker is ended in the middle", async () => {
    const work = `
      const { parentPort, workerData } = require("node:worker_threads")
      const main = async () => {
        const { loadEngine } = await import(workerData.engine)
        const { TokenLog } = await import(workerData.core)
        const engine = await loadEngine(workerData.folder, { threads: 1 })
        const generation = engine.generate(new TokenLog([1, 2, 3, 4]), { maxTokens: workerData.maxTokens, stopTokens: [] })
        const tokens = []
        for await (const batch of generation) {
          tokens.push(...batch)
          if (workerData.maxTokens > 100) parentPort.postMessage("running")
        }
        await engine.close()
        parentPort.postMessage(tokens)
      }
      main()`
    const data = {
      engine: import.meta.resolve("@chasqui/engine-cuda"),
      core: import.meta.resolve("@chasqui/core"),
      folder: tinyFolder,
    }
    const start = (maxTokens: number) => new Worker(work, { eval: true, workerData: { ...data, maxTokens } })
    const message = (worker: Worker) =>
      new Promise<unknown>((resolve, reject) => {
        worker.once("message", resolve)
        worker.once("error", reject)
      })
    const expected = await collect(engine.generate(new TokenLog([1, 2, 3, 4]), { maxTokens: 10, stopTokens: [] }))
    expect(await Promise.all([message(start(10)), message(start(10))])).toEqual([expected, expected])
    const ended = start(2000)
    expect(await message(ended)).toBe("running")
    await ended.terminate()
  })
})
