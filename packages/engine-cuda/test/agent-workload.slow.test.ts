import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { TokenLog } from "@chasqui/core"
import { loadEngine } from "@chasqui/engine-cuda"
import { expect, it } from "vitest"

const makeCheckpoint = fileURLToPath(new URL("../build/native/make_checkpoint", import.meta.url))

const tokens = (count: number, seed: number): number[] => {
  let state = seed
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state % 4000
  })
}

it("an agent of ten steps on a 4k prompt waits for a first token at most 5 % of a cold prefill from step 2 on", async () => {
  const folder = mkdtempSync(join(tmpdir(), "chasqui-"))
  const shape =
    "--layers 8 --dim 512 --ffn 1408 --heads 8 --kv-heads 2 --head-dim 64 --vocab 4096 --context 8192 --tied --seed 1"
  execFileSync(makeCheckpoint, [folder, ...shape.split(" ")])
  const engine = await loadEngine(folder, { threads: 1 })
  try {
    const log = new TokenLog(tokens(4096, 1))
    const waits: number[] = []
    for (let step = 0; step < 10; step++) {
      const generation = engine.generate(log, { maxTokens: 20, stopTokens: [], cache: { retain: true } })
      const before = log.length
      for await (const batch of generation) log.append(batch)
      const end = await generation.end
      waits.push(end.timing.firstTokenMs)
      expect(end.usage.generated).toBe(20)
      expect(end.usage.cached).toBe(step === 0 ? 0 : before - 41)
      log.append(tokens(40, 2 + step))
    }
    const [cold = 0, ...later] = waits
    console.log(
      `cold ${cold.toFixed(0)} ms, then ${later.map((wait) => wait.toFixed(1)).join(", ")} ms (${((100 * Math.max(...later)) / cold).toFixed(1)} % at most)`,
    )
    expect(Math.max(...later)).toBeLessThan(0.05 * cold)
  } finally {
    await engine.close()
    rmSync(folder, { recursive: true })
  }
})
