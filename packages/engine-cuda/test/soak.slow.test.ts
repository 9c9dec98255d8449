import { monitorEventLoopDelay } from "node:perf_hooks"
import { setTimeout as sleep } from "node:timers/promises"
import { getHeapStatistics, setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Worker } from "node:worker_threads"
import { TokenLog } from "@chasqui/core"
import type { LlamaEngine } from "@chasqui/engine-cuda"
import { expect, it, vi } from "vitest"
import { loadTiny } from "./tiny.ts"

const seconds = 60
const concurrent = 200

/** A seeded generator, so that a failure can be repeated as far as timing allows. */
const randomFrom = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const delayMs = (histogram: { percentile(p: number): number }): number => histogram.percentile(99) / 1e6 - 1

setFlagsFromString("--expose-gc")
const collectGarbage = runInNewContext("gc") as () => void

/**
 * What is in use, in bytes, once garbage is gone: JavaScript's objects and buffers, which is exact, and everything outside
 * its heap, which is so to some MiB. (Resident memory as such grows for minutes: the young generation of the heap takes
 * what it may have under such a load. Native allocations are counted to the byte in native/test/growth_test.cc.)
 */
const memoryInUse = (): { readonly heap: number; readonly outside: number } => {
  collectGarbage()
  const { rss, heapUsed, external } = process.memoryUsage()
  return { heap: heapUsed + external, outside: rss - getHeapStatistics().total_physical_size }
}

const least = (readings: readonly { readonly heap: number; readonly outside: number }[]) => ({
  heap: Math.min(...readings.map((reading) => reading.heap)),
  outside: Math.min(...readings.map((reading) => reading.outside)),
})

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`

/** An event loop with nothing to do, in a thread of its own: its delays are the machine's, and not ours. */
const idleLoop = () => {
  const worker = new Worker(
    `const { parentPort } = require("node:worker_threads")
     const delay = require("node:perf_hooks").monitorEventLoopDelay({ resolution: 1 })
     delay.enable()
     parentPort.once("message", () => parentPort.postMessage(delay.percentile(99)))`,
    { eval: true },
  )
  const stop = async (): Promise<number> => {
    const answer = new Promise<number>((resolve) => worker.once("message", resolve))
    worker.postMessage("stop")
    const nanoseconds = await answer
    await worker.terminate()
    return nanoseconds / 1e6 - 1
  }
  return { stop }
}

const totals = { ended: 0, aborted: 0, wrong: 0 }

/** One client: requests one after the other, a third of them cancelled after some tokens. */
const client = async (engine: LlamaEngine, seed: number, until: number): Promise<void> => {
  const random = randomFrom(seed)
  while (performance.now() < until) {
    const log = new TokenLog(
      Array.from({ length: 10 + random(120) }, (_, i) => (i < 40 ? 300 + (seed % 8) * 50 + i : 300 + random(1500))),
    )
    const maxTokens = 1 + random(60)
    const cancelAfter = random(3) === 0 ? 1 + random(maxTokens) : Number.POSITIVE_INFINITY
    const controller = new AbortController()
    const generation = engine.generate(log, {
      maxTokens,
      stopTokens: [],
      sampling: { temperature: 1, seed: random(1 << 30) },
      cache: { namespace: `client ${seed % 16}` },
      signal: controller.signal,
    })
    let received = 0
    for await (const batch of generation) {
      received += batch.length
      if (received >= cancelAfter) controller.abort()
    }
    const { reason, usage } = await generation.end
    totals.ended++
    if (reason === "aborted") totals.aborted++
    const whole = reason === "aborted" ? received >= cancelAfter : received === maxTokens
    if (!whole || usage.generated !== received || usage.prompt !== log.length) totals.wrong++
  }
}

it(`${concurrent} concurrent requests with random cancels for ${seconds} s: nothing lost, memory flat, event loop free`, async () => {
  const engine = await loadTiny({ threads: 1 })
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const until = performance.now() + seconds * 1000
  const clients = Array.from({ length: concurrent }, (_, seed) => client(engine, seed, until))
  await sleep(12_000)
  const idle = idleLoop()
  const readings: { heap: number; outside: number }[] = []
  const endedAt: number[] = []
  while (performance.now() < until - 8_000) {
    delay.enable()
    await sleep(4_000)
    // Collecting holds up the event loop, and is no part of the load.
    delay.disable()
    readings.push(memoryInUse())
    endedAt.push(totals.ended)
  }
  const idleMs = await idle.stop()
  const early = least(readings.slice(0, 3))
  const late = least(readings.slice(-3))
  await Promise.all(clients)

  await vi.waitFor(() => expect(engine.metrics()?.requests.ended).toBe(totals.ended))
  const metrics = engine.metrics()
  await engine.close()
  console.log(
    `${totals.ended} requests ended, ${totals.aborted} of them cancelled; event loop delay p99 ${delayMs(delay).toFixed(1)} ms ` +
      `(an idle thread beside it ${idleMs.toFixed(1)} ms); after ${endedAt[2]} requests ${mebibytes(early.heap)} of objects and buffers, ` +
      `${mebibytes(early.outside)} outside the heap, after ${endedAt.at(-1)} ${mebibytes(late.heap)} and ` +
      `${mebibytes(late.outside)}; ${metrics?.decode.tokens} tokens`,
  )
  expect(totals.wrong).toBe(0)
  expect(totals.ended).toBeGreaterThan(concurrent)
  expect(totals.aborted).toBeGreaterThan(concurrent / 10)
  expect(metrics?.pages.used).toBe(0)
  expect(metrics?.queue).toEqual({ requests: 0, tokens: 0 })
  expect(late.heap - early.heap).toBeLessThan(4 * 2 ** 20)
  expect(late.outside - early.outside).toBeLessThan(16 * 2 ** 20)
  // Where other work keeps the processors busy, the idle thread says how much of the delay is not ours.
  expect(delayMs(delay)).toBeLessThan(10 + idleMs)
})
