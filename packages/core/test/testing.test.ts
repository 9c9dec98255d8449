import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { describe, expect, it } from "vitest"
import { z } from "zod"
import { agent } from "../src/agent.ts"
import type { OutputSchema } from "../src/output.ts"
import { defaultPromptOptions } from "../src/prompt-options.ts"
import { run } from "../src/run.ts"
import { defaultLimits } from "../src/run-limits.ts"
import { schemaModel, scriptedModel } from "../src/testing.ts"
import { defineTool, type Tool } from "../src/tool.ts"
import { Transcript } from "../src/transcript.ts"

describe("the schema model", () => {
  const seen: unknown[] = []
  const tool = (name: string, input: OutputSchema): Tool =>
    defineTool(name, {
      description: name,
      input,
      execute: (value: unknown) => {
        seen.push(value)
        return null
      },
    } as never)
  const tools = [
    tool("flat", {
      type: "object",
      properties: {
        n: { type: "integer", minimum: 3, maximum: 5 },
        s: { enum: ["a", "b"] },
        d: { type: "string", format: "date" },
      },
      required: ["n", "s", "d"],
      additionalProperties: false,
    }),
    tool(
      "deep",
      z.object({
        list: z.array(z.object({ ok: z.boolean(), x: z.number().gt(1).lt(9) })).min(2),
        name: z.string().min(12),
      }),
    ),
  ]
  it.each(Array.from({ length: 25 }, (_, seed) => seed))(
    "calls every tool with a valid input (seed %d)",
    async (seed) => {
      const bot = await agent({ model: schemaModel({ seed, rounds: 2 }), tools, maxRepeats: 9 })
      const result = await bot.run("go")
      expect(result).toMatchObject({ stopReason: "end-of-turn", text: "Done.", steps: 3 })
      expect(bot.session.turns.filter((turn) => turn.role === "ipython" && turn.isError)).toEqual([])
    },
  )
  it("gives the same inputs for the same seed", async () => {
    const inputs = async () => {
      seen.length = 0
      const bot = await agent({ model: schemaModel({ seed: 7 }), tools })
      await bot.run("go")
      return [...seen]
    }
    expect(await inputs()).toEqual(await inputs())
  })
})

describe("virtual time", () => {
  const never = (started: () => void) =>
    defineTool("never", {
      description: "Never answers",
      input: { type: "object" },
      timeoutMs: 3_600_000,
      execute: () => {
        started()
        return new Promise<null>(() => undefined)
      },
    })
  const context = (deadlineMs: number, started: () => void) => ({
    model: scriptedModel([{ calls: [{ name: "never", input: {} }] }, "done"]),
    transcript: new Transcript("s", { ...defaultPromptOptions, tools: [] }, [{ role: "user", content: "go" }]),
    tools: new Map([["never", never(started) as Tool]]),
    toolConcurrency: 4,
    limits: { ...defaultLimits, deadlineMs },
    signal: new AbortController().signal,
    emit: () => undefined,
  })
  const after = (deadlineMs: number, elapsed: string) =>
    Effect.gen(function* () {
      const { promise: started, resolve } = Promise.withResolvers<void>()
      const fiber = yield* Effect.forkChild(run(context(deadlineMs, resolve)))
      // The run has to reach its timer before the clock moves: the tool's is set within the turn in which it starts.
      yield* Effect.promise(() => started)
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* TestClock.adjust(elapsed as never)
      return (yield* Fiber.join(fiber)).result
    }).pipe(Effect.provide(TestClock.layer()), Effect.scoped, Effect.runPromise)

  it("passes a tool's timeout of an hour at once", async () => {
    expect(await after(Number.POSITIVE_INFINITY, "1 hour")).toMatchObject({ stopReason: "end-of-turn", text: "done" })
  })
  it("passes a run's deadline at once", async () => {
    expect(await after(600_000, "10 minutes")).toMatchObject({ stopReason: "deadline" })
  })
})
