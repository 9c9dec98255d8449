import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { agent, llama } from "chasqui"
import { afterAll, describe, expect, it } from "vitest"
import { writeAdapter } from "../../engine-cuda/test/adapter-folder.ts"

const folder = mkdtempSync(join(tmpdir(), "chasqui-agent-adapter-"))
afterAll(() => rmSync(folder, { recursive: true }))

describe("an agent with adapters", () => {
  it("uses the one that a run names, else its own, else none", async () => {
    writeAdapter(folder, { seed: 1 })
    const options = { model: llama(undefined, { adapters: { odd: folder } }), maxTokens: 12, maxSteps: 1 }
    const ask = async (own: { adapter?: string }, run: { adapter?: string }) => {
      await using bot = await agent({ ...options, ...own })
      return (await bot.run("hello there", run)).text
    }
    const plain = await ask({}, {})
    const adapted = await ask({}, { adapter: "odd" })
    expect(adapted).not.toBe(plain)
    expect(await ask({ adapter: "odd" }, {})).toBe(adapted)
    await expect(ask({}, { adapter: "none" })).rejects.toMatchObject({ reason: "not-found" })
  })
})
