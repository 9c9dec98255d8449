import { describe, expect, it } from "vitest"
import { agent } from "../src/agent.ts"
import { agentTool } from "../src/agent-tool.ts"
import { dropToolResults, summarise } from "../src/context-policy.ts"
import { EngineError } from "../src/error.ts"
import type { AgentEvent } from "../src/event.ts"
import type { Model } from "../src/model.ts"
import { loadSession, saveSession } from "../src/session.ts"
import { memoryStore } from "../src/store-memory.ts"
import { type ScriptedReply, scriptedModel } from "../src/testing.ts"
import { defineTool } from "../src/tool.ts"
import { forkTrace, readTrace } from "../src/trace.ts"
import type { Turn } from "../src/turn.ts"

const look = defineTool("look", {
  description: "Looks something up",
  input: { type: "object", properties: { at: { type: "number" } } },
  execute: ({ at }) => `a long text about ${at}`,
})
const looks = (...at: number[]): ScriptedReply => ({ calls: at.map((n) => ({ name: "look", input: { at: n } })) })

/** The scripted model counts turns as tokens; a context of 10 is full after a few. */
function small(replies: readonly (string | ScriptedReply)[]): ReturnType<typeof scriptedModel> {
  const model = scriptedModel(replies)
  return { ...model, info: { ...model.info, contextLength: 10 } } as ReturnType<typeof scriptedModel>
}

describe("a context policy", () => {
  it("drops the oldest tool results, reports what that costs, and replays to the same session", async () => {
    const store = memoryStore()
    const model = small([looks(1), looks(2), looks(3), looks(4), "done"])
    const bot = await agent({ model, tools: [look], contextPolicy: dropToolResults({ keepLast: 1 }), store })
    const events: AgentEvent[] = []
    for await (const event of bot.stream("go")) events.push(event)
    const replaced = events.filter((event) => event.type === "transcript-replaced")
    expect(replaced).toMatchObject([{ reason: "context-policy", by: "drop-tool-results", lostTokens: 8 }])
    const contents = bot.session.turns.filter(({ role }) => role === "ipython").map(({ content }) => content)
    const note = "(dropped: this result was read before)"
    expect(contents).toEqual([note, note, note, "a long text about 4"])
    await bot.close()
    const trace = readTrace((await store.readLog("session-0")) as string)
    expect(forkTrace(trace, "scripted").turns).toEqual(bot.session.turns)
  })
  it("sums up what is old and keeps a call with its results", async () => {
    const model = small([looks(1), "one", looks(2), looks(3), "the summary", "two"])
    const bot = await agent({ model, tools: [look], contextPolicy: summarise({ keepTurns: 2 }), system: "Be brief." })
    await bot.run("first")
    const result = await bot.run("second")
    expect(result.text).toBe("two")
    expect(bot.session.turns.map(({ role }) => role)).toEqual([
      "system",
      "user",
      "user",
      "assistant",
      "ipython",
      "assistant",
      "ipython",
      "assistant",
    ])
    expect(bot.session.turns[1]?.content).toBe("Summary of the conversation so far:\nthe summary")
  })
})

describe("a context policy on a model that knows its prompts", () => {
  /** Tokens are the characters of the turns, so that a prompt and its prefix are known exactly. */
  const measured = (contextLength: number, replies: readonly (string | ScriptedReply)[]): Model => {
    const model = scriptedModel(replies)
    const promptTokens = (turns: readonly unknown[]) =>
      [...turns.map((turn) => JSON.stringify(turn)).join("")].map((c) => c.charCodeAt(0))
    return {
      ...model,
      info: { ...model.info, contextLength },
      promptLength: ({ turns }) => promptTokens(turns).length,
      promptTokens: ({ turns }) => promptTokens(turns),
    }
  }
  const long = defineTool("look", { description: "Looks", input: { type: "object" }, execute: () => "x".repeat(500) })
  it("acts before a long result overflows it, and says exactly what was lost of the cache", async () => {
    const model = measured(1500, [looks(1), looks(2), looks(3), "done"])
    const events: AgentEvent[] = []
    const bot = await agent({ model, tools: [long], contextPolicy: dropToolResults({ keepLast: 1 }) })
    for await (const event of bot.stream("go")) events.push(event)
    const replaced = events.filter((event) => event.type === "transcript-replaced")
    const before = events.slice(0, events.indexOf(replaced[0] as AgentEvent))
    expect(before.filter((event) => event.type === "tool-result")).toHaveLength(2)
    // The first turns stay: the user's, and the call whose result is dropped.
    const { turns, lostTokens } = replaced[0] as (typeof replaced)[number]
    const written = (list: readonly unknown[]) => list.map((turn) => JSON.stringify(turn)).join("")
    const old = written(turns.map((turn, at) => (at === 2 ? { ...turn, content: "x".repeat(500) } : turn)))
    const kept = written(turns.slice(0, 2)).length + '{"role":"ipython","content":"'.length
    expect(lostTokens).toBe(old.length - kept)
  })
  it("does not act again until much has come to what it left", async () => {
    const replies = [...Array.from({ length: 8 }, (_, at) => looks(at)), "done"]
    const shortens: number[] = []
    const model = measured(4000, replies)
    const policy = {
      name: "keeps all",
      atFraction: 0.1,
      shorten: async ({ turns }: { turns: readonly Turn[] }) => {
        shortens.push(turns.length)
        return [...turns]
      },
    }
    const bot = await agent({ model, tools: [look], contextPolicy: policy, maxSteps: 20 })
    await bot.run("go")
    expect(shortens.length).toBeLessThan(5)
  })
  it("is asked when the model says that the prompt does not fit, and the step is tried again", async () => {
    const error = new EngineError({ reason: "context-full", detail: "Too long.", fix: "Shorten it." })
    const model = scriptedModel([looks(1), looks(2), { error }, "done"])
    const bot = await agent({ model, tools: [look], contextPolicy: dropToolResults({ keepLast: 1 }) })
    expect(await bot.run("go")).toMatchObject({ stopReason: "end-of-turn", text: "done", steps: 3 })
    expect(bot.session.turns[2]?.content).toBe("(dropped: this result was read before)")
  })
  it("keeps the conversation as it was when the run is aborted in the middle of a summary", async () => {
    const controller = new AbortController()
    const model = small([
      looks(1),
      "one",
      looks(2),
      looks(3),
      { text: "half a summ", before: () => controller.abort() },
    ])
    const bot = await agent({ model, tools: [look], contextPolicy: summarise({ keepTurns: 2 }) })
    await bot.run("first")
    const result = await bot.run("second", { signal: controller.signal })
    expect(result.stopReason).toBe("aborted")
    expect(JSON.stringify(bot.session.turns)).not.toContain("Summary")
  })
  it("counts what a summary costs", async () => {
    const model = small([looks(1), "one", looks(2), looks(3), "the summary", "two"])
    const events: AgentEvent[] = []
    const bot = await agent({ model, tools: [look], contextPolicy: summarise({ keepTurns: 2 }) })
    await bot.run("first")
    const stream = bot.stream("second")
    for await (const event of stream) events.push(event)
    const replaced = events.find((event) => event.type === "transcript-replaced")
    expect(replaced?.usage?.generated).toBe(1)
    expect((await stream.result).usage.generated).toBe(4)
  })
})

describe("a handoff", () => {
  it("gives the conversation to the other agent's head, tools and model, for the next run too", async () => {
    const refund = defineTool("refund", {
      description: "Refunds",
      input: { type: "object" },
      execute: () => "refunded",
    })
    const billing = scriptedModel([{ calls: [{ name: "refund", input: {} }] }, "Refunded.", "You are welcome."])
    const model = scriptedModel([{ calls: [{ name: "transfer_to_billing", input: {} }] }])
    const store = memoryStore()
    const bot = await agent({
      model,
      tools: [look],
      system: "You greet.",
      store,
      handoffs: {
        billing: { description: "Money questions", system: "You do billing.", tools: [refund], model: billing },
      },
    })
    expect((await bot.run("I want my money back")).text).toBe("Refunded.")
    expect(billing.seen[0]?.[0]).toEqual({ role: "system", content: "You do billing." })
    expect(bot.session.options.tools.map(({ name }) => name)).toEqual(["refund"])
    expect((await bot.run("thanks")).text).toBe("You are welcome.")
    await bot.close()
    const trace = readTrace((await store.readLog("session-0")) as string)
    expect(forkTrace(trace, "scripted").turns).toEqual(bot.session.turns)
  })
  it("holds for whoever opens the session, from a store and from a document", async () => {
    const refund = defineTool("refund", {
      description: "Refunds",
      input: { type: "object" },
      execute: () => "refunded",
    })
    const transfers: ScriptedReply = { calls: [{ name: "transfer_to_billing", input: {} }] }
    const opened = (billing: Model, more: object) =>
      agent({
        model: scriptedModel([transfers]),
        handoffs: { billing: { description: "Money", system: "You do billing.", tools: [refund], model: billing } },
        ...more,
      })
    const store = memoryStore()
    const first = await opened(scriptedModel(["Hello from billing."]), { store })
    await first.run("I want my money back")
    const document = JSON.parse(JSON.stringify(saveSession(first.session, "scripted")))
    await first.close()
    for (const more of [{ store }, { session: loadSession(document, "scripted") }]) {
      const bot = await opened(scriptedModel([{ calls: [{ name: "refund", input: {} }] }, "Refunded."]), more)
      expect((await bot.run("please")).text).toBe("Refunded.")
      await bot.close()
    }
  })
})

describe("a sub-agent as a tool", () => {
  it("answers with its own session, its events inside, its tokens in the sum", async () => {
    const inner = scriptedModel([looks(7), "found 7"])
    const research = agentTool("research", { description: "Looks things up", model: inner, tools: [look] })
    const model = scriptedModel([{ calls: [{ name: "research", input: { task: "find 7" } }] }, "It is 7."])
    const bot = await agent({ model, tools: [research] })
    const nested: string[] = []
    const stream = bot.stream("go")
    for await (const event of stream) if (event.type === "nested-event") nested.push(event.event.type)
    const result = await stream.result
    expect(result.text).toBe("It is 7.")
    expect(result.usage.generated).toBe(4)
    expect(nested).toContain("tool-result")
    expect(inner.seen[0]).toEqual([{ role: "user", content: "find 7" }])
    expect(bot.session.turns).toHaveLength(4)
  })
  it("tells the outer model when it did not finish", async () => {
    const inner = scriptedModel([{ text: "half an ans", end: "length" }])
    const research = agentTool("research", { description: "Looks things up", model: inner })
    const model = scriptedModel([{ calls: [{ name: "research", input: { task: "x" } }] }, "sorry"])
    const bot = await agent({ model, tools: [research] })
    await bot.run("go")
    expect(bot.session.turns[2]?.content).toEqual({
      error: "research stopped before it was done (max-tokens). So far: half an ans",
    })
  })
})

describe("a structured answer", () => {
  const schema = {
    type: "object",
    properties: { city: { type: "string" }, people: { type: "integer" } },
    required: ["city", "people"],
    additionalProperties: false,
  } as const
  it("is checked, typed, and asked for again with the problem", async () => {
    const model: Model & { seen: readonly (readonly { content: unknown }[])[] } = scriptedModel([
      "It is Oslo.",
      '{"city": "Oslo"}',
      '```json\n{"city": "Oslo", "people": 700000}\n```',
    ])
    const bot = await agent({ model })
    const result = await bot.run("Which city?", { output: schema })
    const people: number | undefined = result.output?.people
    const streamed = (await agent({ model: scriptedModel(['{"city": "Oslo", "people": 1}']) })).stream("?", {
      output: schema,
    })
    const city: string | undefined = (await streamed.result).output?.city
    expect(city).toBe("Oslo")
    expect(people).toBe(700_000)
    expect(model.seen[2]?.at(-1)?.content).toContain("people")
  })
  it("gives up with a reason", async () => {
    const bot = await agent({ model: scriptedModel(["no", "no", "no"]), maxRepairs: 2 })
    const result = await bot.run("Which city?", { output: schema })
    expect(result).toMatchObject({ stopReason: "max-repairs" })
    expect(result.output).toBeUndefined()
  })
})

describe("a retry policy", () => {
  it("tries a throwing tool again, and not one that said why it failed", async () => {
    let tries = 0
    const flaky = defineTool("flaky", {
      description: "Works the third time",
      input: { type: "object" },
      retry: { times: 3, backoffMs: 1 },
      execute: () => {
        if (++tries < 3) throw new Error("not yet")
        return tries
      },
    })
    const bot = await agent({ model: scriptedModel([{ calls: [{ name: "flaky", input: {} }] }, "ok"]), tools: [flaky] })
    await bot.run("go")
    expect(bot.session.turns[2]?.content).toBe(3)
  })
})

describe("read-only tools", () => {
  it("start while the model still writes, and run once", async () => {
    const log: string[] = []
    const peek = defineTool("peek", {
      description: "Reads",
      input: { type: "object" },
      readOnly: true,
      execute: () => {
        log.push("tool")
        return 1
      },
    })
    const call = { id: "call-0", name: "peek", input: {}, syntax: "json-call" } as const
    const model: Model = {
      info: { name: "slow", contextLength: 1000, fingerprint: "slow" },
      generate: (transcript) => {
        const turn = {
          role: "assistant",
          content: "",
          toolCalls: transcript.turns.length > 1 ? [] : [call],
          end: "eot",
        } as const
        return {
          end: Promise.resolve({
            turn,
            usage: { prompt: 1, cached: 0, generated: 1, forced: 0, discarded: 0 },
            reason: "stop-token",
            invalidCalls: [],
            complete: true,
          }),
          cancel: () => undefined,
          async *[Symbol.asyncIterator]() {
            if (turn.toolCalls.length === 0) return
            yield [{ type: "tool-call-end", call } as const]
            await new Promise((resolve) => setImmediate(resolve))
            log.push("model")
            yield []
          },
        }
      },
      close: () => Promise.resolve(),
    }
    const bot = await agent({ model, tools: [peek] })
    await bot.run("go")
    expect(log).toEqual(["tool", "model"])
  })
})
