import { monitorEventLoopDelay } from "node:perf_hooks"
import { setTimeout as sleep } from "node:timers/promises"
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
  const idle = monitorEventLoopDelay({ resolution: 1 })
  idle.enable()
  await sleep(5000)
  idle.disable()

  const engine = await loadTiny({ threads: 1 })
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const until = performance.now() + seconds * 1000
  const clients = Array.from({ length: concurrent }, (_, seed) => client(engine, seed, until))
  await sleep(15_000)
  delay.enable()
  const early = process.memoryUsage().rss
  await sleep(seconds * 1000 - 20_000)
  delay.disable()
  const late = process.memoryUsage().rss
  await Promise.all(clients)

  await vi.waitFor(() => expect(engine.metrics()?.requests.ended).toBe(totals.ended))
  const metrics = engine.metrics()
  await engine.close()
  console.log(
    `${totals.ended} requests ended, ${totals.aborted} of them cancelled; event loop delay p99 ${delayMs(delay).toFixed(1)} ms ` +
      `(idle machine ${delayMs(idle).toFixed(1)} ms); resident memory ${(early / 2 ** 20).toFixed(0)} MiB after 15 s, ` +
      `${(late / 2 ** 20).toFixed(0)} MiB at the end; ${metrics?.decode.tokens} tokens`,
  )
  expect(totals.wrong).toBe(0)
  expect(totals.ended).toBeGreaterThan(concurrent)
  expect(totals.aborted).toBeGreaterThan(concurrent / 10)
  expect(metrics?.pages.used).toBe(0)
  expect(metrics?.queue).toEqual({ requests: 0, tokens: 0 })
  expect(late - early).toBeLessThan(48 * 2 ** 20)
  // Where other work keeps the processors busy, the idle figure says how much of the delay is not ours.
  expect(delayMs(delay)).toBeLessThan(10 + delayMs(idle))
})
