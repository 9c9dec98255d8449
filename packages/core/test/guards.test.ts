import { describe, expect, it } from "vitest"
import { agent } from "../src/agent.ts"
import type { AgentEvent } from "../src/event.ts"
import type { Guard } from "../src/guard.ts"
import { type ScriptedReply, scriptedModel } from "../src/testing.ts"
import { defineTool } from "../src/tool.ts"

const forbids = (word: string): Guard => ({
  async check(turns) {
    const said = JSON.stringify(turns.at(-1))
    return said.includes(word) ? { allowed: false, categories: ["S1"], reason: `It says ${word}.` } : { allowed: true }
  },
})

async function run(
  input: string,
  replies: readonly (string | ScriptedReply)[],
  guards: { input?: Guard[]; output?: Guard[] },
) {
  let ran = 0
  const act = defineTool("act", {
    description: "Acts",
    input: { type: "object", properties: { what: { type: "string" } } },
    readOnly: true,
    execute: () => ++ran,
  })
  const bot = await agent({ model: scriptedModel(replies), tools: [act], guards })
  const events: AgentEvent[] = []
  const stream = bot.stream(input)
  for await (const event of stream) events.push(event)
  return { result: await stream.result, events, bot, ran: () => ran }
}
const acts = (what: string): ScriptedReply => ({ calls: [{ name: "act", input: { what } }] })

describe("an input guard", () => {
  it("stops the run with its reason, and no call runs", async () => {
    const { result, events, ran, bot } = await run("bomb", [acts("x"), "done"], { input: [forbids("bomb")] })
    expect(result.stopReason).toBe("guard")
    expect(events).toContainEqual({ type: "guard-stop", stage: "input", categories: ["S1"], reason: "It says bomb." })
    expect(ran()).toBe(0)
    expect(await bot.run("hello")).toMatchObject({ stopReason: "end-of-turn", text: "done" })
  })
  it("runs beside the generation, and its verdict is waited for before a call runs", async () => {
    const log: string[] = []
    let release: () => void = () => undefined
    const slow: Guard = {
      async check() {
        log.push("guard starts")
        await new Promise<void>((resolve) => {
          release = resolve
        })
        log.push("guard ends")
        return { allowed: true }
      },
    }
    const generated: ScriptedReply = {
      ...acts("x"),
      before: () => {
        log.push("model writes")
        setTimeout(() => release(), 5)
      },
    }
    const { ran } = await run("hi", [generated, "done"], { input: [slow] })
    expect(log).toEqual(["guard starts", "model writes", "guard ends"])
    expect(ran()).toBe(1)
  })
  it("that fails forbids", async () => {
    const broken: Guard = { check: () => Promise.reject(new Error("no model")) }
    const { result, events } = await run("hi", ["done"], { input: [broken] })
    expect(result.stopReason).toBe("guard")
    expect(events).toContainEqual(expect.objectContaining({ type: "guard-stop", reason: "The guard failed: no model" }))
  })
})

describe("a guard that never answers", () => {
  const never: Guard = { check: () => new Promise(() => undefined) }
  it.each([
    ["input", { input: [never] }],
    ["output", { output: [never] }],
  ] as const)("does not keep an abort waiting: %s", async (_, guards) => {
    const controller = new AbortController()
    const model = scriptedModel([acts("x"), "next"])
    const bot = await agent({ model, guards })
    const stream = bot.stream("hi", { signal: controller.signal })
    for await (const event of stream) if (event.type === "tool-call-end") setImmediate(() => controller.abort())
    expect((await stream.result).stopReason).toBe("aborted")
    expect(bot.session.turns.at(-1)).toMatchObject({ role: "ipython", isError: true })
  })
  it("says nothing any more once the run has ended", async () => {
    let forbid: () => void = () => undefined
    const late: Guard = {
      check: () =>
        new Promise((resolve) => {
          forbid = () => resolve({ allowed: false, categories: [], reason: "late" })
        }),
    }
    const controller = new AbortController()
    const events: AgentEvent[] = []
    const bot = await agent({
      model: scriptedModel(["hello"]),
      guards: { input: [late] },
      onEvent: (event) => events.push(event),
    })
    const running = bot.run("hi", { signal: controller.signal })
    await new Promise((resolve) => setImmediate(resolve))
    controller.abort()
    await running
    forbid()
    await new Promise((resolve) => setImmediate(resolve))
    expect(events.at(-1)?.type).toBe("run-end")
  })
})

describe("an output guard", () => {
  it("stops the run before the calls of the forbidden turn, read-only ones too", async () => {
    const { result, events, ran, bot } = await run("hi", [acts("evil"), "next"], { output: [forbids("evil")] })
    expect(result.stopReason).toBe("guard")
    expect(ran()).toBe(0)
    expect(events).toContainEqual({ type: "guard-stop", stage: "output", categories: ["S1"], reason: "It says evil." })
    expect(bot.session.turns.at(-1)).toMatchObject({ role: "ipython", isError: true })
  })
  it("lets everything else pass", async () => {
    const { result, ran } = await run("hi", [acts("good"), "done"], {
      input: [forbids("x")],
      output: [forbids("evil")],
    })
    expect(result).toMatchObject({ stopReason: "end-of-turn", text: "done" })
    expect(ran()).toBe(1)
  })
})
