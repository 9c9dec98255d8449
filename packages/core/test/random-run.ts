import { expect } from "vitest"
import { agent } from "../src/agent.ts"
import type { Decision } from "../src/approval.ts"
import type { AgentEvent } from "../src/event.ts"
import type { RunResult } from "../src/run.ts"
import type { Store } from "../src/store.ts"
import { memoryStore } from "../src/store-memory.ts"
import { type ScriptedReply, scriptedModel } from "../src/testing.ts"
import { defineTool, type Tool, ToolFailed } from "../src/tool.ts"
import { forkTrace, readTrace, replay } from "../src/trace.ts"
import type { Transcript } from "../src/transcript.ts"

/** A small generator of our own, so that a seed names a run for ever. */
function random(seed: number) {
  let state = seed >>> 0
  const next = () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32
  }
  return { chance: (share: number) => next() < share, below: (n: number) => Math.floor(next() * n) }
}
type Random = ReturnType<typeof random>

const approvalKey = "a secret of 32 bytes or so, shared"

function tools({ chance }: Random, abort: () => void): readonly Tool[] {
  const input = { type: "object", properties: { n: { type: "number" } }, required: ["n"] } as const
  const work = async (n: number) => {
    if (chance(0.1)) abort()
    if (chance(0.3)) await new Promise((resolve) => setImmediate(resolve))
    if (chance(0.15)) throw new Error("broken")
    if (chance(0.1)) throw new ToolFailed("not possible")
    return n * 2
  }
  return [
    defineTool("double", { description: "d", input, readOnly: true, execute: ({ n }) => work(n) }),
    defineTool("write", { description: "w", input, sequential: true, execute: ({ n }) => work(n) }),
    defineTool("pay", { description: "p", input, needsApproval: ({ n }) => n > 3, execute: ({ n }) => work(n) }),
  ]
}

function* script({ chance, below }: Random): Generator<ScriptedReply> {
  while (true) {
    const names = ["double", "write", "pay", "missing"]
    const calls = Array.from({ length: chance(0.7) ? 1 + below(3) : 0 }, () => ({
      name: names[below(names.length)] as string,
      input: chance(0.9) ? { n: below(8) } : { m: 1 },
    }))
    yield {
      ...(chance(0.5) && { text: `text ${below(100)}` }),
      ...(calls.length > 0 && { calls }),
      ...(chance(0.1) && { invalid: [{ raw: "{", problem: "It ends." }] }),
      ...(chance(0.05) && { end: "length" as const }),
    }
  }
}

/** Every call is answered once, in order, before the next user turn; nothing stands where it may not. */
function expectValid({ turns }: Transcript): void {
  let open: string[] = []
  for (const turn of turns) {
    if (turn.role === "ipython") expect(open.shift() ?? turn.callId).toBe(turn.callId)
    else {
      expect(open).toEqual([])
      if (turn.role === "assistant") open = turn.toolCalls.map(({ id }) => id)
    }
  }
}

/** One session through three processes: runs, approvals, aborts, and deaths; throws where anything is not as it must be. */
export async function randomRun(seed: number): Promise<void> {
  const dice = random(seed)
  let store = memoryStore()
  const replies = script(dice)
  for (let life = 0; life < 3; life++) {
    let controller = new AbortController()
    const bot = await agent({
      model: scriptedModel(replies),
      tools: tools(dice, () => controller.abort()),
      approvalKey,
      store,
      maxSteps: 6,
    })
    expectValid(closed(bot.session))
    const events: AgentEvent[] = []
    let result: RunResult | undefined
    for (let turn = 0; turn < 2; turn++) {
      controller = new AbortController()
      const { signal } = controller
      const pending = result?.pending
      const decisions: Record<string, Decision> = Object.fromEntries(
        (pending?.calls ?? []).map(({ id }) => [id, dice.chance(0.5) ? { kind: "approve" } : { kind: "refuse" }]),
      )
      const stream =
        pending && dice.chance(0.8) ? bot.resume(pending, decisions, { signal }) : bot.stream("go", { signal })
      for await (const event of stream) events.push(event)
      result = await stream.result
      expect(events.at(-1)).toMatchObject({ type: "run-end", stopReason: result.stopReason })
    }
    const text = (await store.readLog("session-0")) as string
    expect(replay(text).slice(-events.length)).toEqual(events)
    expect(forkTrace(readTrace(text), "scripted").turns).toEqual(bot.session.turns)
    if (dice.chance(0.5)) await bot.close()
    else store = await afterDeath(text, dice)
  }
}

/** What another process finds: the trace up to any full line, and no lock. */
async function afterDeath(text: string, { below }: Random): Promise<Store> {
  const header = text.indexOf("\n") + 1
  const kept = header + below(text.length - header + 1)
  const store = memoryStore()
  const log = await store.log("session-0")
  log.append(text.slice(0, text.lastIndexOf("\n", kept - 1) + 1))
  return store
}

/** A session that was cut off may end with open calls; the next run closes them. */
function closed({ id, options, turns }: Transcript): Transcript {
  const last = turns.at(-1)
  const open = last?.role === "assistant" && last.toolCalls.length > 0
  return { id, options, turns: open ? turns.slice(0, -1) : turns } as unknown as Transcript
}
