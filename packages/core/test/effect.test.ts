import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { describe, expect, it } from "vitest"
import { Agent, agent, Model } from "../src/effect.ts"
import { EngineError } from "../src/error.ts"
import { type ScriptedReply, scriptedModel } from "../src/testing.ts"
import { defineTool } from "../src/tool.ts"

const add = defineTool("add", {
  description: "Adds",
  input: { type: "object", properties: { a: { type: "number" }, b: { type: "number" } }, required: ["a", "b"] },
  execute: ({ a, b }) => Effect.runPromise(Effect.succeed(a + b)),
})
const script: readonly (string | ScriptedReply)[] = [{ calls: [{ name: "add", input: { a: 2, b: 3 } }] }, "5."]
const layer = (replies: readonly (string | ScriptedReply)[]) =>
  Agent.layer({ tools: [add] }).pipe(Layer.provide(Model.layer(async () => scriptedModel(replies))))

describe("the Effect entry", () => {
  it("runs an agent from layers", async () => {
    const program = Effect.gen(function* () {
      const bot = yield* Agent
      return yield* bot.run("What is 2 + 3?")
    })
    const result = await Effect.runPromise(program.pipe(Effect.provide(layer(script))))
    expect(result).toMatchObject({ text: "5.", stopReason: "end-of-turn", steps: 2 })
  })
  it("streams the same events as the plain entry", async () => {
    const program = Effect.gen(function* () {
      const bot = yield* Agent
      return yield* Stream.runCollect(bot.stream("What is 2 + 3?"))
    })
    const events = await Effect.runPromise(program.pipe(Effect.provide(layer(script))))
    expect(events.map(({ type }) => type)).toEqual([
      "run-start",
      "step-start",
      "tool-call-start",
      "tool-call-delta",
      "tool-call-end",
      "tool-result",
      "step-end",
      "step-start",
      "text-start",
      "text-delta",
      "text-end",
      "step-end",
      "run-end",
    ])
  })
  it("fails with the engine's error in the error channel", async () => {
    const error = new EngineError({ reason: "out-of-memory", detail: "No room.", fix: "Free some." })
    const program = Effect.gen(function* () {
      const bot = yield* Agent
      return yield* Effect.flip(bot.run("go"))
    })
    expect(await Effect.runPromise(program.pipe(Effect.provide(layer([{ error }]))))).toBe(error)
  })
  it("gives the run the clock of whoever started it", async () => {
    const never: ScriptedReply = {
      before: (signal) => new Promise((resolve) => signal?.addEventListener("abort", () => resolve())),
    }
    const program = Effect.gen(function* () {
      const bot = yield* agent({ deadlineMs: 3_600_000 })
      const fiber = yield* Effect.forkChild(bot.run("go"))
      for (let turn = 0; turn < 10; turn++) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* TestClock.adjust("1 hour")
      return yield* Fiber.join(fiber)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.merge(
          TestClock.layer(),
          Model.layer(async () => scriptedModel([never])),
        ),
      ),
    )
    expect((await Effect.runPromise(program)).stopReason).toBe("deadline")
  })
  it("types and checks a structured answer, and knows what waits for a person", async () => {
    const write = defineTool("write", {
      description: "Writes",
      input: { type: "object" },
      needsApproval: true,
      execute: () => Effect.succeed("written"),
    })
    const replies = ['{"n": 4}', { calls: [{ name: "write", input: {} }] }, "Done."]
    const schema = { type: "object", properties: { n: { type: "number" } }, required: ["n"] } as const
    const program = Effect.gen(function* () {
      const bot = yield* agent({ tools: [write], approvalKey: "a secret of 32 bytes or so, shared" })
      const { output } = yield* bot.run("How many?", { output: schema })
      const n: number | undefined = output?.n
      yield* bot.run("Write it.")
      const { pending } = bot
      if (pending === undefined) return { n, text: "" }
      const { text } = yield* bot.resume(pending, { "call-0": { kind: "approve" } })
      return { n, text, turns: bot.session.turns.length }
    }).pipe(Effect.scoped, Effect.provide(Model.layer(async () => scriptedModel(replies))))
    expect(await Effect.runPromise(program)).toEqual({ n: 4, text: "Done.", turns: 6 })
  })
  it("aborts the run when its fiber is interrupted, and the session goes on", async () => {
    let told = false
    const wait: ScriptedReply = {
      before: (signal) =>
        new Promise((resolve) => {
          signal?.addEventListener("abort", () => {
            told = true
            resolve()
          })
        }),
    }
    const program = Effect.gen(function* () {
      const bot = yield* agent({})
      const fiber = yield* Effect.forkChild(bot.run("go"))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      return yield* bot.run("again")
    }).pipe(Effect.scoped, Effect.provide(Model.layer(async () => scriptedModel([wait, "fine"]))))
    expect(await Effect.runPromise(program)).toMatchObject({ text: "fine" })
    expect(told).toBe(true)
  })
})
