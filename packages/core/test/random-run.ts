import { expect } from "vitest"
import { agent } from "../src/agent.ts"
import type { AgentEvent } from "../src/event.ts"
import type { RunResult } from "../src/run.ts"
import type { Store } from "../src/store.ts"
import { memoryStore } from "../src/store-memory.ts"
import { scriptedModel } from "../src/testing.ts"
import { forkTrace, readTrace, replay } from "../src/trace.ts"
import type { Transcript } from "../src/transcript.ts"
import { approvalKey, decide, type Random, random, script, tools } from "./random-script.ts"

/** Every call is answered once, in order, before the next user turn; nothing stands where it may not. */
export function expectValid({ turns }: Transcript): void {
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
      const resumes = pending !== undefined && dice.chance(0.8)
      const stream = resumes ? bot.resume(pending, decide(pending, dice), { signal }) : bot.stream("go", { signal })
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
export function closed({ id, options, turns }: Transcript): Transcript {
  const last = turns.at(-1)
  const open = last?.role === "assistant" && last.toolCalls.length > 0
  return { id, options, turns: open ? turns.slice(0, -1) : turns } as unknown as Transcript
}
