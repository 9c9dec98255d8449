/** The same agent for programs written with Effect: model and agent are layers, a run is an Effect, its events are a Stream. */
import { defineTool } from "chasqui"
import { Agent, llamaLayer } from "chasqui/effect"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { z } from "zod"

const conditions = defineTool("get_current_conditions", {
  description: "Get the current weather conditions for a specific location",
  input: z.object({
    location: z.string().describe("The city and state, e.g., San Francisco, CA"),
    unit: z
      .enum(["Celsius", "Fahrenheit"])
      .describe("The temperature unit to use. Infer this from the user's location."),
  }),
  // A tool may be an Effect: it is interrupted when the run is.
  execute: ({ unit }) => Effect.succeed({ output: `Clouds giving way to sun Hi: ${unit === "Celsius" ? 24 : 75}°` }),
})

const program = Effect.gen(function* () {
  const bot = yield* Agent
  yield* bot.stream("What is the weather like in Menlo Park?").pipe(
    Stream.filter((event) => event.type === "tool-call-end"),
    Stream.runForEach(({ call }) => Console.log(call.name, call.input)),
  )
  return yield* bot.run("Who are you?")
}).pipe(
  // Typed errors: an engine that fails is a value here.
  Effect.catchTag("EngineError", ({ reason }) => Effect.die(`the engine failed: ${reason}`)),
)

const layer = Agent.layer({ system: "You are a helpful assistant.", tools: [conditions] }).pipe(
  Layer.provide(llamaLayer()),
)
const { text, stopReason } = await Effect.runPromise(program.pipe(Effect.provide(layer)))
console.log(text)
if (stopReason !== "end-of-turn") process.exitCode = 1
