import { expect, it } from "vitest"
import { answers, randomNumbers } from "./answers.ts"
import { checkAnswer, damagedAnswer, randomScraps, randomText } from "./parser-check.ts"

it("reads every answer alike in random batches, loses no text, and keeps its events in order", () => {
  const random = randomNumbers(1)
  for (const { raw, finish } of answers) {
    for (let round = 0; round < 5; round++) checkAnswer(raw, finish ?? "stop", random)
  }
  expect.hasAssertions()
})

it.each([
  ["random scraps of calls", 2, 3_000, randomScraps],
  ["damaged answers", 3, 3_000, damagedAnswer],
  ["random text of all planes", 4, 1_000, randomText],
] as const)("stands %s", (_, seed, rounds, make) => {
  const random = randomNumbers(seed)
  for (let round = 0; round < rounds; round++) checkAnswer(make(random), random(2) === 0 ? "stop" : "length", random)
  expect.hasAssertions()
})
