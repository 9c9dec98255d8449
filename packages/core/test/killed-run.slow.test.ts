import { expect, it } from "vitest"
import { killedRun } from "./killed-run.ts"

it("forty sessions go on after two kills each, and replay to what was told", async () => {
  let kills = 0
  for (let seed = 100; seed < 140; seed++) kills += await killedRun(seed)
  expect(kills).toBeGreaterThan(50)
})
