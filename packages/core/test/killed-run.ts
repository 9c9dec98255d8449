import { spawnSync } from "node:child_process"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect } from "vitest"
import { agent } from "../src/agent.ts"
import { folderStore } from "../src/store-folder.ts"
import { scriptedModel } from "../src/testing.ts"
import { forkTrace, readTrace, replay } from "../src/trace.ts"
import { closed, expectValid } from "./random-run.ts"
import { approvalKey, random, tools } from "./random-script.ts"

const child = fileURLToPath(new URL("killed-run-child.ts", import.meta.url))

/** One session through processes that are killed with SIGKILL, then one that is not; gives how many were really killed. */
export async function killedRun(seed: number): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "chasqui-killed-"))
  const dice = random(seed)
  const told: unknown[] = []
  let kills = 0
  try {
    for (let life = 0; life < 2; life++) {
      const { signal, lines } = live(folder, seed * 7 + life, String(1 + dice.below(25)))
      if (signal === "SIGKILL") kills++
      told.push(...lines.filter(({ type }) => type !== "turns"))
      const { events } = await traceOf(folder)
      // What the process had told stands in the trace; a last line more may have been written before it could tell.
      expect(events.slice(0, told.length)).toEqual(told)
      told.push(...events.slice(told.length))
      expectValid(closed(forkTrace((await traceOf(folder)).trace, "scripted")))
    }
    const last = live(folder, seed * 7 + 2, "never")
    expect(last.status).toBe(0)
    const { trace } = await traceOf(folder)
    const turns = (last.lines.at(-1) as { turns?: unknown })?.turns
    expect(forkTrace(trace, "scripted").turns).toEqual(turns)
    const bot = await agent({
      model: scriptedModel(["fine"]),
      tools: tools(dice, () => undefined),
      approvalKey,
      store: await folderStore(folder),
    })
    expect(bot.session.turns).toEqual(turns)
    expect((await bot.run("still there?")).text).toBe("fine")
    await bot.close()
    return kills
  } finally {
    await rm(folder, { recursive: true })
  }
}

function live(folder: string, seed: number, death: string) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [child, folder, String(seed), death], {
    encoding: "utf8",
    timeout: 100_000,
  })
  if (signal !== "SIGKILL") expect(stderr).toBe("")
  const lines = stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as { readonly type: string })
  return { status, signal, lines }
}

async function traceOf(folder: string) {
  const text = await readFile(join(folder, "session-0.jsonl"), "utf8")
  return { trace: readTrace(text), events: replay(text) }
}
