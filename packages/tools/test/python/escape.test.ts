import { afterAll, describe, expect, it } from "vitest"
import { attackRange } from "./attack-run.ts"
import {
  attacks,
  endAttacks,
  fileAttacks,
  hostAttacks,
  javascriptAttacks,
  memoryAttacks,
  runnerAttacks,
  timeAttacks,
} from "./attacks.ts"
import { engineAttacks } from "./engine-attacks.ts"

const range = attackRange()
afterAll(() => range.sandbox.close())

describe.each([
  ["time", timeAttacks],
  ["memory", memoryAttacks],
  ["files", fileAttacks],
  ["JavaScript", javascriptAttacks],
  ["the host", hostAttacks],
  ["ends and depth", endAttacks],
  ["the runner", runnerAttacks],
  ["the engine", engineAttacks],
] as const)("holds against attacks on %s", (_, group) => {
  it.each(group)("$name", async (attack) => {
    await range.attack(attack)
  })
})

it("lists at least 60 attacks, each under its own name", () => {
  expect(new Set(attacks.map(({ name }) => name)).size).toBe(attacks.length)
  expect(attacks.length).toBeGreaterThanOrEqual(60)
})
