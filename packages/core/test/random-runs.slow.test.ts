import { describe, it } from "vitest"
import { randomRun } from "./random-run.ts"

const perBlock = 100

describe("random runs with failures, aborts, approvals and deaths of the process", () => {
  it.each(Array.from({ length: 10 }, (_, block) => block))(
    "end valid, replay and go on: block %d of 100 seeds",
    async (block) => {
      for (let seed = block * perBlock; seed < (block + 1) * perBlock; seed++) await randomRun(seed)
    },
  )
})
