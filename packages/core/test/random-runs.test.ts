import { describe, it } from "vitest"
import { randomRun } from "./random-run.ts"

const perBlock = 25

describe("random runs with failures, aborts, approvals and deaths of the process", () => {
  it.each(Array.from({ length: 4 }, (_, block) => block))(
    "end valid, replay and go on: block %d of 25 seeds",
    async (block) => {
      for (let seed = block * perBlock; seed < (block + 1) * perBlock; seed++) await randomRun(seed)
    },
  )
})
