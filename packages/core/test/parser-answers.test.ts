import { expect, it } from "vitest"
import { parseRequest } from "../src/parser-request.ts"
import { answers, parsePieces, toolSets } from "./answers.ts"

it("has at least 200 answers, each with where its expectation comes from", () => {
  expect(answers.length).toBeGreaterThanOrEqual(200)
  expect(new Set(answers.map(({ id }) => id)).size).toBe(answers.length)
  expect(answers.filter(({ from }) => from === "")).toEqual([])
})

it.each(answers)("$id: $from", (answer) => {
  const { tools, builtinTools } = toolSets[answer.tools ?? "all"]
  const { finish } = answer
  const reply = parseRequest({ raw: answer.raw, tools, builtin_tools: builtinTools, ...(finish && { finish }) })
  expect({
    text: reply.text,
    calls: reply.toolCalls.map((call) => [call.name, call.arguments]),
    stop: reply.stop,
    complete: reply.complete,
    ...(reply.invalid && { invalid: reply.invalid.map(({ name }) => name) }),
  }).toEqual({
    text: answer.text,
    calls: answer.calls,
    stop: answer.stop,
    complete: answer.complete,
    ...(answer.invalid && { invalid: answer.invalid }),
  })
})

it("gives the same events and the same turn for every cut in two of every answer, and for single characters", () => {
  const differing: string[] = []
  for (const { id, raw, tools, finish } of answers) {
    const options = toolSets[tools ?? "all"]
    const whole = parsePieces([raw], options, finish)
    const inText = JSON.stringify(whole)
    const cuts = Array.from({ length: raw.length }, (_, cut) => [raw.slice(0, cut), raw.slice(cut)])
    for (const pieces of [...cuts, [...raw], raw.split("")]) {
      if (JSON.stringify(parsePieces(pieces, options, finish)) !== inText) differing.push(`${id}: ${pieces.join("┊")}`)
    }
  }
  expect(differing).toEqual([])
})
