import { describe, expect, it } from "vitest"
import { agent } from "../src/agent.ts"
import type { PendingRun } from "../src/approval.ts"
import { loadSession, saveSession } from "../src/session.ts"
import { memoryStore } from "../src/store-memory.ts"
import { scriptedModel } from "../src/testing.ts"
import { defineTool } from "../src/tool.ts"

const approvalKey = "a secret of 32 bytes or so, shared"

const makeTools = () => {
  const deleted: string[] = []
  const remove = defineTool("remove", {
    description: "Removes a file",
    input: { type: "object", properties: { file: { type: "string" } }, required: ["file"] },
    needsApproval: ({ file }) => !file.startsWith("tmp/"),
    execute: ({ file }) => {
      deleted.push(file)
      return `removed ${file}`
    },
  })
  return { deleted, tools: [remove] }
}

const asks = (...files: string[]) => ({ calls: files.map((file) => ({ name: "remove", input: { file } })) })

async function paused(...files: string[]) {
  const { deleted, tools } = makeTools()
  const model = scriptedModel([asks(...files), "Done."])
  const bot = await agent({ model, tools, approvalKey })
  const result = await bot.run("clean up")
  return { bot, deleted, result, pending: result.pending as PendingRun }
}

describe("a call that needs approval", () => {
  it("pauses the run, running the calls that need none", async () => {
    const { bot, deleted, result, pending } = await paused("tmp/a", "report.txt")
    expect(result.stopReason).toBe("needs-approval")
    expect(deleted).toEqual(["tmp/a"])
    expect(pending.calls.map(({ input }) => input)).toEqual([{ file: "report.txt" }])
    expect(bot.session.turns.at(-1)?.role).toBe("assistant")
  })
  it("runs once it is approved, and the results stand in call order", async () => {
    const { bot, deleted, pending } = await paused("report.txt", "tmp/a")
    const result = await bot.resume(pending, { "call-0": { kind: "approve" } }).result
    expect(result).toMatchObject({ stopReason: "end-of-turn", text: "Done." })
    expect(deleted).toEqual(["tmp/a", "report.txt"])
    expect(bot.session.turns.slice(2, 4).map(({ content }) => content)).toEqual(["removed report.txt", "removed tmp/a"])
  })
  it("is answered as failed, with the cause in the trace, when the question itself throws", async () => {
    const broken = defineTool("remove", {
      description: "Removes a file",
      input: { type: "object", properties: { file: { type: "string" } }, required: ["file"] },
      needsApproval: () => {
        throw new Error("secret policy")
      },
      execute: () => "removed",
    })
    const bot = await agent({ model: scriptedModel([asks("a.txt"), "Done."]), tools: [broken], approvalKey })
    expect((await bot.run("clean up")).stopReason).toBe("end-of-turn")
    expect(bot.session.turns[2]).toMatchObject({ content: { error: "The tool remove failed." }, isError: true })
  })
  it("tells the model why it was refused", async () => {
    const { bot, deleted, pending } = await paused("report.txt")
    await bot.resume(pending, { "call-0": { kind: "refuse", reason: "still needed." } }).result
    expect(deleted).toEqual([])
    expect(bot.session.turns[2]).toMatchObject({
      content: { error: "The user refused the call of remove: still needed. Nothing was run." },
      isError: true,
    })
  })
  it("runs with an edited input, and the model is told of the edit", async () => {
    const { bot, deleted, pending } = await paused("report.txt")
    await bot.resume(pending, { "call-0": { kind: "approve", input: { file: "old.txt" } } }).result
    expect(deleted).toEqual(["old.txt"])
    expect(bot.session.turns[2]?.content).toEqual({ edited_input: { file: "old.txt" }, result: "removed old.txt" })
  })
  it("goes on to the structured answer that the run was asked for", async () => {
    const { tools } = makeTools()
    const schema = { type: "object", properties: { removed: { type: "integer" } }, required: ["removed"] } as const
    const model = scriptedModel([asks("report.txt"), '{"removed": "one"}', '{"removed": 1}'])
    const bot = await agent({ model, tools, approvalKey })
    const { pending } = await bot.run("clean up", { output: schema })
    const stream = bot.resume(pending as PendingRun, { "call-0": { kind: "approve" } }, { output: schema })
    const removed: number | undefined = (await stream.result).output?.removed
    expect(removed).toBe(1)
  })
  it("waits on while only some calls are decided", async () => {
    const { bot, pending } = await paused("a.txt", "b.txt")
    const second = await bot.resume(pending, { "call-1": { kind: "approve" } }).result
    expect(second).toMatchObject({ stopReason: "needs-approval", pending: { calls: [{ id: "call-0" }] } })
    const third = await bot.resume(second.pending as PendingRun, { "call-0": { kind: "approve" } }).result
    expect(third.stopReason).toBe("end-of-turn")
  })
})

describe("a pending run", () => {
  it("is resumed in another process from stored data", async () => {
    const { bot, pending } = await paused("report.txt")
    const stored = JSON.stringify({ session: saveSession(bot.session, "scripted"), pending })

    const { session, pending: sent } = JSON.parse(stored)
    const { deleted, tools } = makeTools()
    const other = await agent({
      model: scriptedModel(["Done."]),
      tools,
      approvalKey,
      session: loadSession(session, "scripted"),
    })
    expect(await other.resume(sent, { "call-0": { kind: "approve" } }).result).toMatchObject({ text: "Done." })
    expect(deleted).toEqual(["report.txt"])
  })

  const call = (pending: PendingRun) => pending.calls[0] as PendingRun["calls"][number]
  it.each<[string, (pending: PendingRun) => PendingRun]>([
    ["a changed input", (pending) => ({ ...pending, calls: [{ ...call(pending), input: { file: "/" } }] })],
    ["a changed name", (pending) => ({ ...pending, calls: [{ ...call(pending), name: "other" }] })],
    ["another session", (pending) => ({ ...pending, sessionId: "session-1" })],
    ["another place", (pending) => ({ ...pending, turn: 0 })],
    ["a cut signature", (pending) => ({ ...pending, signature: pending.signature.slice(2) })],
    [
      "an invented result",
      (pending) => ({
        ...pending,
        results: [{ type: "tool-result", callId: "call-9", name: "x", output: 1, isError: false, durationMs: 0 }],
      }),
    ],
  ])("is refused with %s", async (_, change) => {
    const { bot, deleted, pending } = await paused("report.txt")
    expect(() => bot.resume(change(pending), { "call-0": { kind: "approve" } })).toThrow(
      expect.objectContaining({ _tag: "SessionError", reason: "bad-approval" }),
    )
    expect(deleted).toEqual([])
  })
  it("is refused the second time, also while only some of its calls were decided", async () => {
    const { bot, deleted, pending } = await paused("a.txt", "b.txt")
    const second = await bot.resume(pending, { "call-1": { kind: "approve" } }).result
    expect(() => bot.resume(pending, { "call-1": { kind: "approve" } })).toThrow(/answered before/)
    await bot.resume(second.pending as PendingRun, { "call-0": { kind: "approve" } }).result
    expect(deleted).toEqual(["b.txt", "a.txt"])
  })
  it("runs nothing again that was answered before the process died", async () => {
    const store = memoryStore()
    const { tools } = makeTools()
    const options = { store, approvalKey }
    const first = await agent({ ...options, model: scriptedModel([asks("a.txt", "b.txt")]), tools })
    const pending = (await first.run("clean up")).pending as PendingRun
    const stream = first.resume(pending, { "call-0": { kind: "approve" }, "call-1": { kind: "approve" } })
    for await (const event of stream) if (event.type === "tool-result") break
    // What a death right behind the first result leaves: the trace up to there.
    const trace = (await store.readLog("session-0")) as string
    const lines = trace.split("\n")
    const survives = lines.findIndex((line) => line.includes('"tool-result"')) + 1
    const after = memoryStore()
    const log = await after.log("session-0")
    log.append(`${lines.slice(0, survives).join("\n")}\n`)

    const { deleted, tools: again } = makeTools()
    const second = await agent({ store: after, approvalKey, model: scriptedModel(["Done."]), tools: again })
    expect(() => second.resume(pending, { "call-0": { kind: "approve" } })).toThrow(/answered before/)
    expect(second.pending?.calls.map(({ id }) => id)).toEqual(["call-1"])
    const done = await second.resume(second.pending as PendingRun, { "call-1": { kind: "approve" } }).result
    expect(done).toMatchObject({ stopReason: "end-of-turn", text: "Done." })
    expect(deleted).toEqual(["b.txt"])
    expect(second.session.turns.map(({ role }) => role)).toEqual([
      "user",
      "assistant",
      "ipython",
      "ipython",
      "assistant",
    ])
  })
  it("can be asked for again by whoever opens the session", async () => {
    const store = memoryStore()
    const first = await agent({ store, approvalKey, model: scriptedModel([asks("tmp/a", "b.txt")]), ...makeTools() })
    const { pending } = await first.run("clean up")
    await first.close()
    const second = await agent({ store, approvalKey, model: scriptedModel(["Done."]), ...makeTools() })
    expect(second.pending).toEqual(pending)
    const other = loadSession(JSON.parse(JSON.stringify(saveSession(second.session, "scripted"))), "scripted")
    const third = await agent({ session: other, approvalKey, model: scriptedModel(["Done."]), ...makeTools() })
    expect(third.pending).toEqual(pending)
    await third.run("something else")
    expect(third.pending).toBeUndefined()
    expect(third.session.turns.slice(2, 4).map(({ content }) => content)).toEqual([
      "removed tmp/a",
      { error: "The call was not approved. Nothing was run." },
    ])
  })
  it("is refused the second time", async () => {
    const { bot, deleted, pending } = await paused("report.txt")
    await bot.resume(pending, { "call-0": { kind: "approve" } }).result
    expect(() => bot.resume(pending, { "call-0": { kind: "approve" } })).toThrow(/answered before/)
    expect(deleted).toEqual(["report.txt"])
  })
  it("needs a key from the start, also where only an agent that takes over asks", async () => {
    const handoffs = { cleaner: { description: "Cleans", tools: makeTools().tools } }
    await expect(agent({ model: scriptedModel([]), handoffs })).rejects.toMatchObject({ reason: "bad-approval" })

    await expect(agent({ model: scriptedModel([]), tools: makeTools().tools })).rejects.toMatchObject({
      reason: "bad-approval",
    })
  })
})
