import { execFileSync } from "node:child_process"
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import {
  type KvFormat,
  knownShapes,
  loadEngine,
  memoryPlan,
  readTensorTypes,
  shapeOfConfig,
  trainingPlan,
  weightFormats,
} from "@chasqui/engine-cuda"
import { afterAll, describe, expect, it } from "vitest"
import { tinyFolder } from "./tiny.ts"

const program = fileURLToPath(new URL("../build/native/make_packed", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "chasqui-plan-"))
afterAll(() => rmSync(folder, { recursive: true }))
const configOf = (path: string): unknown => JSON.parse(readFileSync(join(path, "config.json"), "utf8"))
const giga = 1e9
const gibi = 2 ** 30

/** What the plan says of a folder, and what the engine claims for it. */
async function planned(path: string, options: { weights?: (typeof weightFormats)[number]; kv?: KvFormat }) {
  const config = configOf(path)
  const tensors = await readTensorTypes(path, config)
  const shape = shapeOfConfig("tiny", config)
  const { context } = shape
  const plan = memoryPlan(shape, { ...options, context, batch: 2, threads: 2, ...(tensors && { tensors }) })
  await using engine = await loadEngine(path, {
    threads: 2,
    cacheBytes: plan.kvCache,
    ...(options.weights && { weights: options.weights }),
    ...(options.kv && { kvType: options.kv }),
  })
  const { weights, embedding, kvCache, workspace } = plan
  return { plan: { weights, embedding, cache: kvCache, workspace }, engine: engine.memory }
}

describe("a plan equals what the engine claims", () => {
  it.each(weightFormats)("for plain weights that are loaded as %s", async (weights) => {
    const { plan, engine } = await planned(tinyFolder, { weights })
    expect(plan).toEqual(engine)
  })

  it("for every kind of cache, each of half the bytes of the one before", async () => {
    const caches: number[] = []
    for (const kv of ["f32", "bf16", "fp8"] as const) {
      const { plan, engine } = await planned(tinyFolder, { kv })
      expect(plan).toEqual(engine)
      caches.push(engine.cache)
    }
    expect(caches).toEqual([4, 2, 1].map((bytes) => caches[2]! * bytes))
  })

  const formats = execFileSync(program, { encoding: "utf8" }).trim().split("\n")
  it.each(formats)("for a checkpoint in %s", async (format) => {
    const path = join(folder, format)
    mkdirSync(path)
    execFileSync(program, [tinyFolder, format, path])
    copyFileSync(join(tinyFolder, "tokenizer.json"), join(path, "tokenizer.json"))
    const { plan, engine } = await planned(path, {})
    expect(plan).toEqual(engine)
    const withHead = await planned(path, { weights: "int8" })
    expect(withHead.plan).toEqual(withHead.engine)
    expect(withHead.engine.weights).toBeLessThan(engine.weights)
  })
})

describe("known shapes", () => {
  const plan = (name: string, options = {}) => {
    const shape = knownShapes[name]
    if (shape === undefined) throw new Error(`no shape ${name}`)
    return memoryPlan(shape, { context: 1024, batch: 1, ...options })
  }

  it("have the parameters that they are named for", () => {
    const billions = Object.keys(knownShapes).map((name) => Number((plan(name).parameters / giga).toFixed(2)))
    expect(billions).toEqual([1.24, 3.21, 8.03, 70.55, 405.85])
  })

  it("take the cache of 1,024 tokens that is well known, and half of what is often printed for 405B", () => {
    const cache = (name: string, kv?: "fp8") => Number((plan(name, kv && { kv }).kvCache / gibi).toFixed(4))
    expect([cache("8B"), cache("70B"), cache("405B"), cache("8B", "fp8")]).toEqual([0.125, 0.3125, 0.4922, 0.0625])
  })

  it("take more than the rule of thumb in four bits: scales, embedding and head are not in it", () => {
    const { weights, embedding } = plan("8B", { weights: "int4" })
    expect(Number(((weights + embedding) / giga).toFixed(2))).toBe(5.29)
  })

  it("need 16 bytes a weight for training all, and little more than the model for adapters", () => {
    const shape = knownShapes["8B"]
    if (shape === undefined) throw new Error("no shape 8B")
    const { full, lora, qlora } = trainingPlan(shape)
    expect([full, lora, qlora].map((bytes) => Number((bytes / giga).toFixed(1)))).toEqual([128.5, 16.7, 6.4])
  })
})

describe("what cannot be planned is refused by name", () => {
  it.each<[string, unknown, string]>([
    ["another model type", { model_type: "mistral" }, "unsupported"],
    ["no object", 3, "unsupported"],
    ["a size that is none", { ...(configOf(tinyFolder) as object), hidden_size: -1 }, "bad-checkpoint"],
    ["a size that is missing", { model_type: "llama" }, "bad-checkpoint"],
  ])("%s", (_, config, reason) => {
    expect(() => shapeOfConfig("m", config)).toThrow(expect.objectContaining({ reason }))
  })
})
