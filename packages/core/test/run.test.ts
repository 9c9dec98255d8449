import { describe, expect, it } from "vitest"
import { agent } from "../src/agent.ts"
import { EngineError } from "../src/error.ts"
import type { AgentEvent, ToolResult } from "../src/event.ts"
import { type ScriptedReply, scriptedModel } from "../src/testing.ts"
import { defineTool, type Tool, ToolFailed } from "../src/tool.ts"

const add = defineTool("add", {
  description: "Adds two numbers",
  input: { type: "object", properties: { a: { type: "number" }, b: { type: "number" } }, required: ["a", "b"] },
  execute: ({ a, b }) => a + b,
})

const usage = (steps: number, prompt: number) => ({ prompt, cached: 0, generated: steps, forced: 0, discarded: 0 })

describe("a run", () => {
  it("gives the calls' results back to the model until the turn ends", async () => {
    const model = scriptedModel([{ calls: [{ name: "add", input: { a: 2, b: 3 } }] }, "The sum is 5."])
    const events: AgentEvent[] = []
    const bot = await agent({ model, tools: [add], system: "Be brief." })
    for await (const event of bot.stream("What is 2 + 3?")) events.push(withoutTime(event))

    const call = { id: "call-0", name: "add", input: { a: 2, b: 3 }, syntax: "json-call" } as const
    const asking = { role: "assistant", content: "", toolCalls: [call], end: "eom" } as const
    const answering = { role: "assistant", content: "The sum is 5.", toolCalls: [], end: "eot" } as const
    expect(events).toEqual([
      { type: "run-start", input: "What is 2 + 3?" },
      { type: "step-start", step: 0 },
      { type: "tool-call-start", id: "call-0", name: "add", syntax: "json-call" },
      { type: "tool-call-delta", id: "call-0", delta: '{"a":2,"b":3}' },
      { type: "tool-call-end", call },
      { type: "tool-result", callId: "call-0", name: "add", output: 5, isError: false, durationMs: 0 },
      { type: "step-end", step: 0, turn: asking, usage: usage(1, 2) },
      { type: "step-start", step: 1 },
      { type: "text-start" },
      { type: "text-delta", delta: "The sum is 5." },
      { type: "text-end" },
      { type: "step-end", step: 1, turn: answering, usage: usage(1, 4) },
      { type: "run-end", stopReason: "end-of-turn", text: "The sum is 5.", usage: usage(2, 6) },
    ])
    expect(model.seen[1]).toEqual([
      { role: "system", content: "Be brief." },
      { role: "user", content: "What is 2 + 3?" },
      asking,
      { role: "ipython", content: 5, callId: "call-0", toolName: "add" },
    ])
    model.assertComplete()
  })

  it("numbers calls through the whole session", async () => {
    const call = { name: "add", input: { a: 1, b: 1 } }
    const bot = await agent({
      model: scriptedModel([{ calls: [call, { name: "add", input: { a: 1, b: 2 } }] }, "a", { calls: [call] }, "b"]),
      tools: [add],
    })
    await bot.run("first")
    await bot.run("second")
    const ids = bot.session.turns.flatMap((turn) =>
      turn.role === "assistant" ? turn.toolCalls.map(({ id }) => id) : [],
    )
    expect(ids).toEqual(["call-0", "call-1", "call-2"])
  })
})

describe("what fails in a call goes back to the model as text it can act on", () => {
  const cases: readonly [string, ScriptedReply, Partial<ToolResult>][] = [
    [
      "an unknown tool is answered with the tools that exist",
      { calls: [{ name: "subtract", input: {} }] },
      {
        failure: "unknown-tool",
        output: { error: 'There is no tool named "subtract". Available tools: add, fail, tell.' },
      },
    ],
    [
      "an unreadable call is answered with what was wrong",
      { invalid: [{ name: "add", raw: '{"name": "add", ', problem: "The JSON ends at character 16." }] },
      {
        failure: "malformed",
        output: {
          error:
            "This tool call could not be read: The JSON ends at character 16. Nothing was run. Available tools: add, fail, tell.",
        },
      },
    ],
    [
      "a throw is answered with a neutral sentence and kept for the trace",
      { calls: [{ name: "fail", input: {} }] },
      { failure: "failed", output: { error: "The tool fail failed." }, cause: "Error: secret at /etc/keys" },
    ],
    [
      "a ToolFailed is answered with its own text",
      { calls: [{ name: "tell", input: {} }] },
      { failure: "failed", output: { error: "The shop is closed." } },
    ],
  ]
  const fail = defineTool("fail", {
    description: "Fails",
    input: { type: "object" },
    execute: () => {
      throw new Error("secret at /etc/keys")
    },
  })
  const tell = defineTool("tell", {
    description: "Tells",
    input: { type: "object" },
    execute: () => {
      throw new ToolFailed("The shop is closed.")
    },
  })
  it.each(cases)("%s", async (_, reply, expected) => {
    const { results, bot } = await resultsOf([reply, "done"], [add, fail, tell])
    expect(results[0]).toMatchObject({ isError: true, ...expected })
    expect(bot.session.turns.at(-2)).toMatchObject({ role: "ipython", content: expected.output, isError: true })
    expect(JSON.stringify(bot.session.turns)).not.toContain("secret")
  })

  it("an invalid input is answered with path and reason", async () => {
    const { results } = await resultsOf([{ calls: [{ name: "add", input: { a: "two" } }] }, "done"], [add])
    expect(results[0]).toMatchObject({ isError: true, failure: "invalid-input" })
    const { error } = (results[0] as ToolResult).output as { error: string }
    expect(error).toContain("a")
    expect(error).toContain("number")
    expect(error).toContain("b")
  })

  it("gives up after too many failed calls of one kind", async () => {
    const reply = (n: number): ScriptedReply => ({ calls: [{ name: `missing_${n}`, input: {} }] })
    const { result } = await resultsOf([0, 1, 2, 3].map(reply), [add])
    expect(result.stopReason).toBe("max-repairs")
    expect(result.steps).toBe(4)
  })
})

describe("limits end a run with a reason", () => {
  const loop = function* (): Generator<ScriptedReply> {
    for (let a = 0; ; a++) yield { calls: [{ name: "add", input: { a, b: 0 } }] }
  }
  it("after the most steps", async () => {
    const bot = await agent({ model: scriptedModel(loop()), tools: [add], maxSteps: 3 })
    expect(await bot.run("go")).toMatchObject({ stopReason: "max-steps", steps: 3 })
  })
  it("after the most tool calls, answering the calls that were not run", async () => {
    const calls = [1, 2, 3].map((a) => ({ name: "add", input: { a, b: 0 } }))
    const { result, results } = await resultsOf([{ calls }, "no"], [add], { maxToolCalls: 2 })
    expect(result.stopReason).toBe("max-tool-calls")
    const failures = Object.fromEntries(results.map(({ callId, failure }) => [callId, failure]))
    expect(failures).toEqual({ "call-0": undefined, "call-1": undefined, "call-2": "not-run" })
  })
  it("when the same calls give the same results", async () => {
    const same = { calls: [{ name: "add", input: { a: 1, b: 1 } }] }
    const { result } = await resultsOf([same, same, same, same], [add])
    expect(result).toMatchObject({ stopReason: "no-progress", steps: 3 })
  })
  it("when the turn was cut off, and runs none of its calls", async () => {
    let ran = 0
    const count = defineTool("count", { description: "Counts", input: { type: "object" }, execute: () => ++ran })
    const cut = { calls: [{ name: "count", input: {} }], end: "length" } as const
    const { result, results } = await resultsOf([cut], [count])
    expect(result.stopReason).toBe("max-tokens")
    expect(ran).toBe(0)
    expect(results).toMatchObject([{ failure: "not-run" }])
  })
  it("by the deadline, whatever the model does", async () => {
    const wait: ScriptedReply = {
      before: (signal) => new Promise((resolve) => signal?.addEventListener("abort", () => resolve())),
    }
    const { result } = await resultsOf([wait], [], { deadlineMs: 10 })
    expect(result.stopReason).toBe("deadline")
  })
})

describe("an eom without a call", () => {
  it("lets the model go on once, then ends the turn", async () => {
    const { result, bot } = await resultsOf(
      [
        { text: "one", end: "eom" },
        { text: "two", end: "eom" },
      ],
      [],
    )
    expect(result).toMatchObject({ stopReason: "end-of-turn", text: "two", steps: 2 })
    expect(bot.session.turns).toHaveLength(3)
  })
})

describe("parallel calls", () => {
  it("run side by side and are answered in call order", async () => {
    let running = 0
    let most = 0
    const release: (() => void)[] = []
    const wait = defineTool("wait", {
      description: "Waits for the others",
      input: { type: "object", properties: { n: { type: "number" } } },
      execute: async ({ n }) => {
        most = Math.max(most, ++running)
        if (running === 4) for (const go of release) go()
        else await new Promise<void>((resolve) => release.push(resolve))
        return n ?? null
      },
    })
    const calls = [0, 1, 2, 3].map((n) => ({ name: "wait", input: { n } }))
    const { bot } = await resultsOf([{ calls }, "done"], [wait])
    expect(most).toBe(4)
    expect(bot.session.turns.slice(2, 6).map((turn) => turn.content)).toEqual([0, 1, 2, 3])
  })
  it("wait for a sequential tool, which runs alone", async () => {
    const log: string[] = []
    const tool = (name: string, sequential: boolean): Tool =>
      defineTool(name, {
        description: name,
        input: { type: "object" },
        sequential,
        execute: async () => {
          log.push(`${name} starts`)
          await Promise.resolve()
          log.push(`${name} ends`)
          return null
        },
      })
    const calls = ["read", "write", "read"].map((name) => ({ name, input: {} }))
    await resultsOf([{ calls }, "done"], [tool("read", false), tool("write", true)])
    expect(log).toEqual(["read starts", "read ends", "write starts", "write ends", "read starts", "read ends"])
  })
})

describe("an abort", () => {
  it("settles at once although a tool ignores it, and leaves a session that goes on", async () => {
    const controller = new AbortController()
    const stubborn = defineTool("stubborn", {
      description: "Never answers",
      input: { type: "object" },
      execute: () => {
        controller.abort()
        return new Promise<null>(() => undefined)
      },
    })
    const model = scriptedModel([{ calls: [{ name: "stubborn", input: {} }] }, "Still here."])
    const bot = await agent({ model, tools: [stubborn] })
    const result = await bot.run("go", { signal: controller.signal })
    expect(result.stopReason).toBe("aborted")
    expect(bot.session.turns.at(-1)).toMatchObject({ role: "ipython", callId: "call-0", isError: true })
    expect(await bot.run("and now?")).toMatchObject({ stopReason: "end-of-turn", text: "Still here." })
  })
  it("tells the tool through its signal", async () => {
    const controller = new AbortController()
    let told = false
    const polite = defineTool("polite", {
      description: "Waits",
      input: { type: "object" },
      execute: (_, { signal }) =>
        new Promise<null>((_, reject) => {
          signal.addEventListener("abort", () => {
            told = true
            reject(signal.reason)
          })
          controller.abort()
        }),
    })
    const bot = await agent({ model: scriptedModel([{ calls: [{ name: "polite", input: {} }] }]), tools: [polite] })
    await bot.run("go", { signal: controller.signal })
    expect(told).toBe(true)
  })
  it("is answered within a few turns of the event loop", async () => {
    const controller = new AbortController()
    const stubborn = defineTool("stubborn", {
      description: "Never answers",
      input: { type: "object" },
      execute: () => new Promise<null>(() => undefined),
    })
    const bot = await agent({ model: scriptedModel([{ calls: [{ name: "stubborn", input: {} }] }]), tools: [stubborn] })
    let settled = false
    const running = bot.run("go", { signal: controller.signal }).then(() => {
      settled = true
    })
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(settled).toBe(false)
    controller.abort()
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(settled).toBe(true)
    await running
  })
  it("comes from leaving the stream early", async () => {
    const bot = await agent({ model: scriptedModel(["never read", "next"]) })
    const stream = bot.stream("go")
    for await (const event of stream) if (event.type === "step-start") break
    expect((await stream.result).stopReason).toBe("aborted")
  })
})

describe("an engine that fails", () => {
  it("fails the run with its own error, to the iterator and to the result", async () => {
    const error = new EngineError({
      reason: "device-lost",
      detail: "The device is gone.",
      fix: "Load the engine again.",
    })
    const bot = await agent({ model: scriptedModel([{ error }]) })
    const stream = bot.stream("go")
    await expect(
      (async () => {
        for await (const _ of stream);
      })(),
    ).rejects.toBe(error)
    await expect(stream.result).rejects.toBe(error)
  })
  it("is told of before it rejects, with what was spent until then", async () => {
    const error = new EngineError({ reason: "device-lost", detail: "The device is gone.", fix: "Load it again." })
    const events: AgentEvent[] = []
    const bot = await agent({
      model: scriptedModel([{ calls: [{ name: "add", input: { a: 1, b: 2 } }] }, { error }]),
      tools: [add],
      onEvent: (event) => events.push(event),
    })
    await expect(bot.run("go")).rejects.toBe(error)
    expect(events.at(-1)).toEqual({
      type: "run-failed",
      reason: "device-lost",
      message: "The device is gone. Load it again.",
      usage: usage(1, 1),
    })
  })
  it("ends the run instead where the prompt does not fit, with all that was done", async () => {
    const error = new EngineError({ reason: "context-full", detail: "Too long.", fix: "Shorten it." })
    const { result, bot } = await resultsOf(
      [{ calls: [{ name: "add", input: { a: 1, b: 2 } }] }, { error }, "later"],
      [add],
    )
    expect(result).toMatchObject({ stopReason: "context-full", steps: 1, usage: { generated: 1 } })
    expect((await bot.run("again")).text).toBe("later")
  })
})

describe("a schema that is code", () => {
  it.each([
    [
      "throws",
      () => {
        throw new Error("secret")
      },
    ],
    ["rejects", () => Promise.reject(new Error("secret"))],
  ] as const)("fails the call and not the run when it %s", async (_, validate) => {
    const schema = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate,
        jsonSchema: { input: () => ({ type: "object" }), output: () => ({ type: "object" }) },
      },
    }
    const odd = defineTool("odd", { description: "Odd", input: schema as never, execute: () => null })
    const { results, result } = await resultsOf([{ calls: [{ name: "odd", input: {} }] }, "done"], [odd])
    expect(results).toMatchObject([
      { failure: "failed", output: { error: "The tool odd failed." }, cause: "Error: secret" },
    ])
    expect(result).toMatchObject({ stopReason: "end-of-turn", text: "done" })
  })
})

describe("a session with a run under way", () => {
  it("refuses a second one", async () => {
    const bot = await agent({ model: scriptedModel(["one"]) })
    const first = bot.run("a")
    await expect(bot.run("b")).rejects.toMatchObject({ _tag: "SessionError", reason: "busy" })
    expect((await first).text).toBe("one")
  })
})

async function resultsOf(
  replies: readonly (string | ScriptedReply)[],
  tools: readonly Tool[],
  limits: { maxToolCalls?: number; deadlineMs?: number } = {},
) {
  const bot = await agent({ model: scriptedModel(replies), tools, ...limits })
  const results: ToolResult[] = []
  const stream = bot.stream("go")
  for await (const event of stream) if (event.type === "tool-result") results.push(event)
  return { bot, results, result: await stream.result }
}

function withoutTime(event: AgentEvent): AgentEvent {
  return event.type === "tool-result" ? { ...event, durationMs: 0 } : event
}
