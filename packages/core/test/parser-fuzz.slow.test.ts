import { expect, it } from "vitest"
import { randomNumbers } from "./answers.ts"
import { checkAnswer, damagedAnswer, randomScraps, randomText } from "./parser-check.ts"

it.each([
  ["random scraps of calls", 12, 150_000, randomScraps],
  ["damaged answers", 13, 150_000, damagedAnswer],
  ["random text of all planes", 14, 50_000, randomText],
] as const)("stands %s for long", (_, seed, rounds, make) => {
  const random = randomNumbers(seed)
  for (let round = 0; round < rounds; round++) checkAnswer(make(random), random(2) === 0 ? "stop" : "length", random)
  expect.hasAssertions()
})
