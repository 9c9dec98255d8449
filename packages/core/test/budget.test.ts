import { describe, expect, it } from "vitest"
import { agent } from "../src/agent.ts"
import { agentTool } from "../src/agent-tool.ts"
import type { ToolResult } from "../src/event.ts"
import type { Model } from "../src/model.ts"
import { type ScriptedReply, scriptedModel } from "../src/testing.ts"
import { defineTool } from "../src/tool.ts"

const step = defineTool("step", {
  description: "Goes one step",
  input: { type: "object", properties: { n: { type: "number" } } },
  execute: ({ n }) => n ?? null,
})
const steps = function* (): Generator<ScriptedReply> {
  for (let n = 0; ; n++) yield { calls: [{ name: "step", input: { n } }] }
}
const asks = (...tasks: string[]): ScriptedReply => ({
  calls: tasks.map((task) => ({ name: "worker", input: { task } })),
})
/** A worker that never comes to an end by itself; each of its steps generates one token. */
const endless = (more: { maxSteps?: number } = {}) =>
  agentTool("worker", { description: "Works", model: scriptedModel(steps()), tools: [step], maxSteps: 1000, ...more })

describe("the limits of a run hold for its sub-agents too", () => {
  it("tokens", async () => {
    const bot = await agent({
      model: scriptedModel([asks("a"), "never asked"]),
      tools: [endless()],
      maxTokens: 10,
      maxToolCalls: 1000,
    })
    const result = await bot.run("go")
    expect(result).toMatchObject({ stopReason: "max-tokens", usage: { generated: 10 } })
  })
  it("tokens of workers side by side, to within the step that each is in", async () => {
    const bot = await agent({
      model: scriptedModel([asks("a", "b", "c", "d"), "never asked"]),
      tools: [endless()],
      maxTokens: 40,
      maxToolCalls: 1000,
    })
    const { usage, stopReason } = await bot.run("go")
    expect(stopReason).toBe("max-tokens")
    expect(usage.generated).toBeGreaterThanOrEqual(40)
    expect(usage.generated).toBeLessThanOrEqual(44)
  })
  it("tool calls", async () => {
    let ran = 0
    const count = defineTool("step", { description: "Counts", input: { type: "object" }, execute: () => ++ran })
    const worker = agentTool("worker", {
      description: "Works",
      model: scriptedModel(steps()),
      tools: [count],
      maxSteps: 1000,
    })
    const bot = await agent({ model: scriptedModel([asks("a"), asks("b"), "no"]), tools: [worker], maxToolCalls: 5 })
    expect((await bot.run("go")).stopReason).toBe("max-tool-calls")
    expect(ran).toBe(4)
  })
  it("cost, by the outer price", async () => {
    const bot = await agent({
      model: scriptedModel([asks("a"), "never asked"]),
      tools: [endless()],
      maxToolCalls: 1000,
      cost: ({ generated }) => generated * 2,
      maxCost: 12,
    })
    expect(await bot.run("go")).toMatchObject({ stopReason: "max-cost", usage: { generated: 6 } })
  })
  it("and each keeps to its own besides", async () => {
    const bot = await agent({ model: scriptedModel([asks("a"), "done"]), tools: [endless({ maxSteps: 3 })] })
    expect(await bot.run("go")).toMatchObject({ stopReason: "end-of-turn", usage: { generated: 5 } })
  })
})

describe("what a sub-agent spent is known", () => {
  /** Writes a token and then nothing more until it is aborted, and says exactly what it wrote. */
  const waits = (told: () => void): Model => ({
    info: { name: "waits", contextLength: 1000, fingerprint: "waits" },
    generate: (_, { signal }) => {
      const usage = { prompt: 7, cached: 0, generated: 3, forced: 0, discarded: 0 }
      let settle: () => void = () => undefined
      const aborted = new Promise<void>((resolve) => {
        settle = resolve
      })
      signal?.addEventListener("abort", () => setImmediate(settle))
      return {
        end: aborted.then(() => ({
          turn: { role: "assistant", content: "hal", toolCalls: [], end: "aborted" },
          usage,
          reason: "aborted",
          invalidCalls: [],
          complete: false,
        })),
        cancel: () => undefined,
        async *[Symbol.asyncIterator]() {
          yield [{ type: "text-start" }, { type: "text-delta", delta: "hal" }] as const
          told()
          await aborted
          yield [{ type: "text-end" }] as const
        },
      }
    },
    close: () => Promise.resolve(),
  })
  it("to the token after an abort in the middle of its generation", async () => {
    const controller = new AbortController()
    const worker = agentTool("worker", { description: "Works", model: waits(() => controller.abort()) })
    const bot = await agent({ model: scriptedModel([asks("a")]), tools: [worker] })
    const results: ToolResult[] = []
    const stream = bot.stream("go", { signal: controller.signal })
    for await (const event of stream) if (event.type === "tool-result") results.push(event)
    expect(await stream.result).toMatchObject({ stopReason: "aborted", usage: { generated: 4, prompt: 8 } })
    expect(results).toMatchObject([{ failure: "cancelled", usage: { generated: 3 } }])
  })
  it("to the token after its time was up", async () => {
    const worker = agentTool("worker", { description: "Works", model: waits(() => undefined), timeoutMs: 500 })
    const bot = await agent({ model: scriptedModel([asks("a"), "sorry"]), tools: [worker] })
    expect(await bot.run("go")).toMatchObject({ stopReason: "end-of-turn", usage: { generated: 5 } })
    expect(bot.session.turns[2]).toMatchObject({
      content: { error: "The tool worker did not answer within 500 ms." },
    })
  })
})

describe("a sub-agent and approval", () => {
  const write = defineTool("write", {
    description: "Writes",
    input: { type: "object" },
    needsApproval: true,
    execute: () => null,
  })
  it("cannot ask in the middle, and says so when it is made", () => {
    expect(() => agentTool("worker", { description: "Works", model: scriptedModel([]), tools: [write] })).toThrow(
      expect.objectContaining({ _tag: "ToolDefinitionError", reason: "bad-tool" }),
    )
  })
  it("is asked about as a whole", async () => {
    const worker = agentTool("worker", { description: "Works", model: scriptedModel(["worked"]), needsApproval: true })
    const bot = await agent({
      model: scriptedModel([asks("a"), "done"]),
      tools: [worker],
      approvalKey: "a secret of 32 bytes or so, shared",
    })
    const { pending } = await bot.run("go")
    if (pending === undefined) throw new Error("nothing waits")
    expect(pending.calls).toMatchObject([{ name: "worker", input: { task: "a" } }])
    expect(await bot.resume(pending, { "call-0": { kind: "approve" } }).result).toMatchObject({ text: "done" })
  })
})

describe("options that make no sense", () => {
  it.each([
    ["maxSteps", 0],
    ["maxSteps", Number.NaN],
    ["maxTokens", -1],
    ["deadlineMs", "soon"],
    ["toolConcurrency", 0],
    ["maxRepairs", null],
  ])("are refused when the agent is made: %s %j", async (name, value) => {
    await expect(agent({ model: scriptedModel([]), [name]: value })).rejects.toMatchObject({
      _tag: "AgentError",
      reason: "bad-option",
      message: expect.stringContaining(name),
    })
  })
})
