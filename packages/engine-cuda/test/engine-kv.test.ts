/** A cache in eight bits through the whole engine: what is cached, shared, copied or taken back gives the tokens of what is not. */
import { TokenLog } from "@chasqui/core"
import { describe, expect, it } from "vitest"
import { collect, loadTiny, random } from "./tiny.ts"

const page = 16 * 6 * 2 * 128 // bytes: positions, layers, keys and values, what heads hold together
const options = { maxTokens: 24, stopTokens: [], sampling: { temperature: 0 } }

describe("an fp8 cache", () => {
  it("takes a byte for each value", async () => {
    await using engine = await loadTiny({ kvType: "fp8", contextLength: 256, cacheBytes: 40 * page })
    expect(engine.memory.cache).toBe(40 * page)
  })

  it("gives a second turn, and a fork in the middle of a page, the tokens of a cold prompt", async () => {
    await using engine = await loadTiny({ kvType: "fp8", contextLength: 512 })
    const answer = async (tokens: readonly number[], namespace: string) => {
      const generation = engine.generate(new TokenLog(tokens), { ...options, cache: { namespace } })
      const got = await collect(generation)
      return { got, cached: (await generation.end).usage.cached }
    }
    const first = random(77, 1)
    const { got } = await answer(first, "a")
    const second = [...first, ...got, ...random(9, 2)]
    const warm = await answer(second, "a")
    const fork = [...first.slice(0, 70), ...random(9, 3)]
    const forked = await answer(fork, "a")
    expect([warm.cached, forked.cached]).toEqual([77 + 23, 70])
    expect(warm.got).toEqual((await answer(second, "b")).got)
    expect(forked.got).toEqual((await answer(fork, "c")).got)
  })

  it("gives requests that were pre-empted the tokens that they have alone", async () => {
    const prompts = Array.from({ length: 6 }, (_, i) => random(60, 20 + i))
    await using wide = await loadTiny({ kvType: "fp8", contextLength: 256 })
    const alone = []
    for (const prompt of prompts) alone.push(await collect(wide.generate(new TokenLog(prompt), options)))
    await using narrow = await loadTiny({ kvType: "fp8", contextLength: 256, cacheBytes: 16 * page })
    const together = await Promise.all(prompts.map((prompt) => collect(narrow.generate(new TokenLog(prompt), options))))
    expect(narrow.metrics()?.requests.preempted).toBeGreaterThan(0)
    expect(together).toEqual(alone)
  })
})
