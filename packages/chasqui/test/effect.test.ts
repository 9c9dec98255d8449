import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { describe, expect, it } from "vitest"
import { z } from "zod"
import { Agent, llamaLayer } from "../src/effect.ts"
import {
  type AgentEvent,
  agent,
  braveSearch,
  codeInterpreter,
  defineTool,
  sampleDocuments,
  type Tool,
} from "../src/index.ts"

const system = "You are a helpful assistant."
const conditions = () =>
  defineTool("get_current_conditions", {
    description: "Get the current weather conditions for a specific location",
    input: z.object({
      location: z.string().describe("The city and state, e.g., San Francisco, CA"),
      unit: z
        .enum(["Celsius", "Fahrenheit"])
        .describe("The temperature unit to use. Infer this from the user's location."),
    }),
    execute: ({ unit }) => ({ output: `Clouds giving way to sun Hi: ${unit === "Celsius" ? 24 : 75}°` }),
  })
const stories: readonly [string, string, () => readonly Tool[]][] = [
  ["hello", "Who are you?", () => []],
  [
    "built-in tools",
    "What is the difference between the heights of Mount Everest and Mount Fuji?",
    () => [braveSearch({ documents: sampleDocuments }), codeInterpreter()],
  ],
  ["custom function", "What is the weather like in Menlo Park?", () => [conditions()]],
]

describe("each example's story", () => {
  it.each(stories)(
    "%s gives the same events through the plain entry and through Effect",
    async (_, question, tools) => {
      const plain: AgentEvent[] = []
      await using bot = await agent({ system, tools: tools() })
      for await (const event of bot.stream(question)) plain.push(event)

      const program = Effect.gen(function* () {
        const service = yield* Agent
        return yield* Stream.runCollect(service.stream(question))
      })
      const layer = Agent.layer({ system, tools: tools() }).pipe(Layer.provide(llamaLayer()))
      const effect = await Effect.runPromise(program.pipe(Effect.provide(layer)))
      expect(plain.length).toBeGreaterThan(5)
      expect(withoutTimes(effect)).toEqual(withoutTimes(plain))
    },
  )
})

/** How the tokens came in batches is no part of the story: neighbouring deltas are joined. */
function withoutTimes(events: readonly AgentEvent[]): unknown[] {
  const joined: Record<string, unknown>[] = []
  for (const event of events) {
    const { durationMs: _, timing: __, ...rest } = event as unknown as Record<string, unknown>
    const last = joined.at(-1)
    if (last !== undefined && "delta" in rest && last.type === rest.type && last.id === rest.id)
      last.delta = `${last.delta}${rest.delta}`
    else joined.push(rest)
  }
  return joined
}
