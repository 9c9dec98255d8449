import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { agent } from "../src/agent.ts"
import type { PendingRun } from "../src/approval.ts"
import type { AgentEvent } from "../src/event.ts"
import { traceHeader } from "../src/kept-session.ts"
import type { Store } from "../src/store.ts"
import { folderStore } from "../src/store-folder.ts"
import { memoryStore } from "../src/store-memory.ts"
import { sqliteStore } from "../src/store-sqlite.ts"
import { type ScriptedReply, scriptedModel } from "../src/testing.ts"
import { defineTool } from "../src/tool.ts"
import { forkTrace, readTrace, replay, traceLine } from "../src/trace.ts"

const approvalKey = "a secret of 32 bytes or so, shared"
const add = defineTool("add", {
  description: "Adds",
  input: { type: "object", properties: { a: { type: "number" } }, required: ["a"] },
  needsApproval: ({ a }) => a > 90,
  execute: ({ a }) => {
    if (a === 13) throw new Error("unlucky")
    return a + 1
  },
})
const calls = (...inputs: number[]): ScriptedReply => ({ calls: inputs.map((a) => ({ name: "add", input: { a } })) })
const conversation: readonly (string | ScriptedReply)[] = [
  calls(1),
  { ...calls(2, 13), text: "two at once", invalid: [{ raw: "{", problem: "It ends." }] },
  "first answer",
  calls(99, 3),
  "second answer",
  { text: "cut", end: "length" },
]

async function recorded() {
  const store = memoryStore()
  const bot = await agent({ model: scriptedModel(conversation), tools: [add], approvalKey, system: "Be exact.", store })
  const events: AgentEvent[] = []
  const first = bot.stream("one")
  for await (const event of first) events.push(event)
  const paused = await bot.run("two")
  await bot.resume(paused.pending as PendingRun, { "call-4": { kind: "approve" } }).result
  await bot.run("three")
  await bot.close()
  return { bot, events, text: (await store.readLog("session-0")) as string }
}

describe("a trace", () => {
  it("replays to the events that were emitted", async () => {
    const { events, text } = await recorded()
    expect(replay(text).slice(0, events.length)).toEqual(events)
  })
  it("makes the same transcript again, approvals, failures and cut turns included", async () => {
    const { bot, text } = await recorded()
    const again = forkTrace(readTrace(text), "scripted")
    expect(again.turns).toEqual(bot.session.turns)
    expect(again.calls).toBe(bot.session.calls)
    expect(again.options).toEqual(bot.session.options)
  })
  it("forks from any step: the transcript is what the model was shown there", async () => {
    const { bot, text } = await recorded()
    const trace = readTrace(text)
    const shown = forkTrace(trace, "scripted", { run: 0, step: 1 })
    expect(shown.turns).toEqual(bot.session.turns.slice(0, 4))
    const model = scriptedModel(["another answer"])
    const other = await agent({ model, tools: [add], approvalKey, session: forkTrace(trace, "scripted", { run: 0 }) })
    expect((await other.run("and now?")).text).toBe("another answer")
    expect(model.seen[0]?.slice(0, -1)).toEqual(bot.session.turns.slice(0, 9))
  })
  it("drops token ids of another model", async () => {
    const session = new (await import("../src/transcript.ts")).Transcript("s", (await recorded()).bot.session.options, [
      { role: "user", content: "hi" },
      { role: "assistant", content: "ho", toolCalls: [], end: "eot", tokens: [1, 2] },
    ])
    const text = traceLine(traceHeader(session, scriptedModel([])))
    expect(forkTrace(readTrace(text), "scripted").turns[1]).toHaveProperty("tokens")
    expect(forkTrace(readTrace(text), "other").turns[1]).not.toHaveProperty("tokens")
  })
  it("leaves out a line that was cut off anywhere", async () => {
    const { text } = await recorded()
    const lines = text.split("\n").length - 1
    const lastStart = text.lastIndexOf("\n", text.length - 2) + 1
    for (let cut = lastStart; cut < text.length; cut++) {
      expect(readTrace(text.slice(0, cut)).events).toHaveLength(lines - 2)
    }
  })
  it.each([
    ["nothing", ""],
    ["no header", '{"type":"run-start"}\n'],
    ["another version", '{"type":"trace","version":9}\n'],
    ["a broken line", '{"type":"trace","version":1}\n{"type":\n'],
    ["a line that is no event", '{"type":"trace","version":1}\n[]\n'],
  ])("is refused when it holds %s", (_, text) => {
    expect(() => readTrace(text)).toThrow(expect.objectContaining({ _tag: "SessionError" }))
  })
})

describe.each<[string, (folder: string) => Promise<Store>]>([
  ["memory", async () => memoryStore()],
  ["folder", (folder) => folderStore(folder)],
  ["SQLite", async (folder) => sqliteStore(join(folder, "store.db"))],
])("the %s store", (_, open) => {
  let folder: string
  let store: Store
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "chasqui-store-"))
    store = await open(folder)
  })
  afterAll(async () => {
    await store.close()
    await rm(folder, { recursive: true })
  })

  it("keeps documents", async () => {
    await store.write("a", { list: [1, null, "x"] })
    await store.write("b", 2)
    expect(await store.read("a")).toEqual({ list: [1, null, "x"] })
    expect(await store.list()).toEqual(["a", "b"])
    await (await store.log("c"))[Symbol.asyncDispose]()
    ;(await store.log("d")).append("line\n")
    expect(await store.list()).toContain("d")
    await store.remove("a")
    expect(await store.read("a")).toBeUndefined()
  })
  it("keeps a session that another agent goes on with", async () => {
    const options = { tools: [add], approvalKey, store, sessionId: "kept" }
    const first = await agent({ ...options, model: scriptedModel([calls(1), "one"]) })
    await first.run("a")
    await first.close()
    const model = scriptedModel(["two"])
    const second = await agent({ ...options, model })
    await second.run("b")
    expect(model.seen[0]?.map(({ role }) => role)).toEqual(["user", "assistant", "ipython", "assistant", "user"])
    await second.close()
  })
  it("locks a session while an agent works on it, and leaves nothing loaded or locked where that fails", async () => {
    const options = { store, sessionId: "locked" }
    const broken = { a: { description: "a", tools: [add, add] } }
    await expect(agent({ ...options, approvalKey, model: scriptedModel([]), handoffs: broken })).rejects.toMatchObject({
      reason: "duplicate-name",
    })
    const first = await agent({ ...options, model: scriptedModel([]) })
    let closed = 0
    const loads = async () => ({ ...scriptedModel([]), close: async () => void closed++ })
    await expect(agent({ ...options, model: loads })).rejects.toMatchObject({ reason: "busy" })
    expect(closed).toBe(1)
    await first.close()
    await (await agent({ ...options, model: scriptedModel([]) })).close()
  })
})

describe("the folder store", () => {
  it("cuts off an unfinished line before it goes on, and frees the lock of a process that is gone", async () => {
    const folder = await mkdtemp(join(tmpdir(), "chasqui-store-"))
    const store = await folderStore(folder)
    await writeFile(join(folder, "log.jsonl"), 'whole\n{"half')
    await using log = await store.log("log")
    log.append("next\n")
    expect(await store.readLog("log")).toBe("whole\nnext\n")
    await writeFile(join(folder, "x.lock"), "999999999")
    await (await store.lock("x"))[Symbol.asyncDispose]()
    await rm(folder, { recursive: true })
  })
  it("frees the lock of a process whose id was given again, and keeps its own", async () => {
    const folder = await mkdtemp(join(tmpdir(), "chasqui-store-"))
    const store = await folderStore(folder)
    await writeFile(join(folder, "x.lock"), `${process.pid} 1`)
    const lock = await store.lock("x")
    await expect(store.lock("x")).rejects.toMatchObject({ reason: "busy" })
    await lock[Symbol.asyncDispose]()
    expect(await readdir(folder)).toEqual([])
    await rm(folder, { recursive: true })
  })
  it("gives the stale lock to one of many", async () => {
    const folder = await mkdtemp(join(tmpdir(), "chasqui-store-"))
    const store = await folderStore(folder)
    await writeFile(join(folder, "x.lock"), "999999999 1")
    const all = await Promise.allSettled(Array.from({ length: 20 }, () => store.lock("x")))
    expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1)
    await rm(folder, { recursive: true })
  })
  it.each(["", "..", "a/b", ".hidden", "x".repeat(200), "a\0b"])("refuses the name %j", async (name) => {
    const folder = await mkdtemp(join(tmpdir(), "chasqui-store-"))
    const store = await folderStore(folder)
    await expect(store.write(name, 1)).rejects.toMatchObject({ _tag: "SessionError" })
    await rm(folder, { recursive: true })
  })
})
