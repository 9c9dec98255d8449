import { expect, it } from "vitest"
import { killedRun } from "./killed-run.ts"

it("a session goes on after its process was killed between steps, in a tool and while the model wrote", async () => {
  let kills = 0
  for (let seed = 0; seed < 3; seed++) kills += await killedRun(seed)
  expect(kills).toBeGreaterThan(3)
})
