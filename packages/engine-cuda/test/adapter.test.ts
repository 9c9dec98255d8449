import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { TokenLog } from "@chasqui/core"
import type { LlamaEngine } from "@chasqui/engine-cuda"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { writeAdapter } from "./adapter-folder.ts"
import { collect, failure, loadTiny, promptOf, random, tinyTokenizer } from "./tiny.ts"

const tokenizer = tinyTokenizer()
const folder = mkdtempSync(join(tmpdir(), "chasqui-adapters-"))
const at = (name: string) => join(folder, name)
let engine: LlamaEngine

beforeAll(async () => {
  writeAdapter(at("first"), { seed: 1 })
  writeAdapter(at("second"), { seed: 2, rank: 9, projections: ["self_attn.q_proj", "mlp.down_proj"] })
  engine = await loadTiny({ batchIndependent: true, adapters: { first: at("first"), second: at("second") } })
})
afterAll(async () => {
  await engine.close()
  rmSync(folder, { recursive: true })
})

const answer = (adapter: string | undefined, namespace: string) =>
  collect(
    engine.generate(promptOf(tokenizer, "hello there"), {
      maxTokens: 24,
      stopTokens: [],
      cache: { namespace },
      ...(adapter !== undefined && { adapter }),
    }),
  )

describe("adapters", () => {
  it("change what a request says, each in its own way, and leave others as they were", async () => {
    await using plain = await loadTiny({ batchIndependent: true })
    const base = await collect(
      plain.generate(promptOf(tokenizer, "hello there"), {
        maxTokens: 24,
        stopTokens: [],
        cache: { namespace: "base" },
      }),
    )
    const alone = [await answer(undefined, "a"), await answer("first", "a"), await answer("second", "a")]
    expect(alone[0]).toEqual(base)
    expect(new Set(alone.map(String)).size).toBe(3)
  })

  it("are mixed in one pass without a change to any request", async () => {
    const names = [undefined, "first", "second", "first", undefined, "second"]
    const alone = []
    for (const [i, name] of names.entries()) alone.push(await answer(name, `alone ${i}`))
    expect(await Promise.all(names.map((name, i) => answer(name, `mixed ${i}`)))).toEqual(alone)
  })

  it("are part of the key of the prefix cache", async () => {
    const tokens = random(64, 3)
    const cached = async (adapter?: string) => {
      const generation = engine.generate(new TokenLog(tokens), { maxTokens: 1, ...(adapter && { adapter }) })
      await collect(generation)
      return (await generation.end).usage.cached
    }
    expect([await cached(), await cached("first"), await cached("second")]).toEqual([0, 0, 0])
    expect([await cached(), await cached("first"), await cached("second")]).toEqual([63, 63, 63])
  })

  it("score with the adapter that is named", async () => {
    const tokens = random(20, 4)
    const base = await engine.score(tokens)
    expect(await engine.score(tokens, { adapter: "first" })).not.toEqual(base)
    expect(await engine.score(tokens)).toEqual(base)
  })
})

describe("loading and unloading", () => {
  it("takes a name in and gives it up, and refuses requests for names that it does not know", async () => {
    await engine.loadAdapter("third", at("first"))
    const once = await answer("third", "load")
    expect(once).toEqual(await answer("first", "load"))
    await engine.unloadAdapter("third")
    const refused = await failure(collect(engine.generate(new TokenLog([1]), { maxTokens: 1, adapter: "third" })))
    expect(refused).toMatchObject({ reason: "not-found", fix: "Loaded are first, second." })
    expect(await failure(engine.unloadAdapter("third"))).toMatchObject({ reason: "not-found" })
    expect(await failure(engine.score([1, 2], { adapter: "third" }))).toMatchObject({ reason: "not-found" })
  })

  it("does not unload what a request uses", async () => {
    const generation = engine.generate(promptOf(tokenizer, "hello"), {
      maxTokens: 1500,
      stopTokens: [],
      adapter: "second",
    })
    const iterator = generation[Symbol.asyncIterator]()
    await iterator.next()
    expect(await failure(engine.unloadAdapter("second"))).toMatchObject({ reason: "busy" })
    generation.cancel()
    await generation.end
    await engine.unloadAdapter("second")
    await engine.loadAdapter("second", at("second"))
  })

  it("refuses a name twice, a folder without an adapter, and what would change the result, by name", async () => {
    writeAdapter(at("dora"), { seed: 5, config: { use_dora: true } })
    writeAdapter(at("other rank"), { seed: 5, config: { r: 7 } })
    expect(await failure(engine.loadAdapter("first", at("second")))).toMatchObject({ reason: "bad-request" })
    expect(await failure(engine.loadAdapter("", at("second")))).toMatchObject({ reason: "bad-request" })
    expect(await failure(engine.loadAdapter("none", at("none")))).toMatchObject({ reason: "not-found" })
    expect(await failure(engine.loadAdapter("dora", at("dora")))).toMatchObject({ reason: "unsupported" })
    expect(await failure(engine.loadAdapter("rank", at("other rank")))).toMatchObject({ reason: "bad-checkpoint" })
    const closed = await failure(loadTiny({ adapters: { dora: at("dora") } }))
    expect(closed).toMatchObject({ reason: "unsupported" })
  })

  it("fails as closed when the engine closes meanwhile", async () => {
    const other = await loadTiny()
    const loading = failure(other.loadAdapter("first", at("first")).then(() => other.loadAdapter("again", at("first"))))
    await other.close()
    expect(await loading).toMatchObject({ reason: "closed" })
  })
})
