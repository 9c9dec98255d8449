/** How a run behaves where agent libraries differ most: malformed calls, failing tools, aborts, parallel calls, growth. */
import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { agent } from "../src/agent.ts"
import type { ToolResult } from "../src/event.ts"
import { llamaModel } from "../src/llama-model.ts"
import type { PromptPart } from "../src/prompt-part.ts"
import { loadSession, saveSession } from "../src/session.ts"
import { memoryStore } from "../src/store-memory.ts"
import { scriptedEngine } from "../src/testing.ts"
import { loadTokenizer, type Tokenizer } from "../src/tokenizer.ts"
import { defineTool } from "../src/tool.ts"
import { forkTrace, readTrace } from "../src/trace.ts"

const file = new URL("../../tiny-llama/checkpoint/tokenizer.json", import.meta.url)
const tokenizer = loadTokenizer(JSON.parse(readFileSync(file, "utf8")))
const eot: PromptPart = { special: "<|eot_id|>" }
const written = (...parts: (string | PromptPart)[]): number[] => [
  ...tokenizer.encode(parts.map((part) => (typeof part === "string" ? { text: part } : part))),
]

const t = defineTool("t", {
  description: "Takes a number",
  input: { type: "object", properties: { n: { type: "number" } }, required: ["n"], additionalProperties: false },
  execute: ({ n }) => {
    if (n === 13) throw new Error("secret detail at /etc/keys")
    return n
  },
})

function scripted(outputs: Iterable<readonly number[]>, using: Tokenizer = tokenizer) {
  const stopTokens = ["<|eot_id|>", "<|eom_id|>"].map((name) => tokenizer.specialId(name))
  const engine = scriptedEngine({ info: { vocabularySize: tokenizer.vocabularySize, stopTokens }, outputs })
  return { engine, model: llamaModel({ name: "scripted", tokenizer: using, engine }) }
}

async function answerTo(call: string) {
  const { model, engine } = scripted([written(call, eot), written("Done.", eot)])
  const bot = await agent({ model, tools: [t] })
  const results: ToolResult[] = []
  const stream = bot.stream("go")
  for await (const event of stream) if (event.type === "tool-result") results.push(event)
  expect((await stream.result).text).toBe("Done.")
  const [result] = results
  const { error } = (result?.output ?? {}) as { error?: string }
  return { bot, error, result, prompt: tokenizer.decode(engine.prefixes[1] as Int32Array) }
}

describe("what the model is told", () => {
  it("of bad JSON: where it broke; and it sees its call as it wrote it", async () => {
    const call = '{"name": "t", "parameters": {"n": 1,, }}'
    const { bot, error, prompt } = await answerTo(call)
    expect(error).toMatch(/could not be read.*character 3\d/s)
    expect(error).toContain("Available tools: t.")
    expect(prompt).toContain(call)
    expect(bot.session.turns[1]).toMatchObject({ toolCalls: [], unreadCalls: [{ id: "call-0", name: "t", raw: call }] })
  })
  it("of bad JSON, also where its session goes on without its token ids", async () => {
    const call = '{"name": "t", "parameters": {"n": 1,, }}'
    const { bot } = await answerTo(call)
    const { model, engine } = scripted([written("Again.", eot)])
    const session = loadSession(JSON.parse(JSON.stringify(saveSession(bot.session, "a"))), "b")
    await (await agent({ model, tools: [t], session })).run("and now?")
    expect(tokenizer.decode(engine.prefixes[0] as Int32Array)).toContain(
      `assistant<|end_header_id|>\n\n${call}<|eot_id|>`,
    )
  })
  it("of a wrong type: path and reason", async () => {
    const { error } = await answerTo('{"name": "t", "parameters": {"n": "one"}}')
    expect(error).toContain("n: must be a number, not a string")
  })
  it("of an unknown field and a missing one: both", async () => {
    const { error } = await answerTo('{"name": "t", "parameters": {"m": 1}}')
    expect(error).toContain("n: is required")
    expect(error).toContain("m: is not a known field; the fields are n")
  })
  it("of a call without arguments: what is required", async () => {
    const { error } = await answerTo('{"name": "t", "parameters": {}}')
    expect(error).toContain("n: is required")
  })
  it("of a throw: a neutral sentence, the cause in the trace", async () => {
    const { error, result, prompt } = await answerTo('{"name": "t", "parameters": {"n": 13}}')
    expect(error).toBe("The tool t failed.")
    expect(prompt).not.toContain("secret")
    expect(result?.cause).toBe("Error: secret detail at /etc/keys")
  })
})

describe("the work of a step", () => {
  const steps = 300
  it("does not grow with the steps before it", async () => {
    const encoded: number[] = []
    const counting: Tokenizer = {
      ...tokenizer,
      specialName: (token) => tokenizer.specialName(token),
      bytesOf: (token) => tokenizer.bytesOf(token),
      specialId: (name) => tokenizer.specialId(name),
      encode: (parts) => {
        // Ids that the model wrote are copied, not encoded.
        encoded.push(parts.reduce((sum, part) => sum + ("text" in part ? part.text.length : 0), 0))
        return tokenizer.encode(parts)
      },
    }
    const outputs = Array.from({ length: steps }, (_, n) =>
      written(`{"name": "t", "parameters": {"n": ${100 + n}}}`, eot),
    )
    const { model } = scripted([...outputs, written("Done.", eot)], counting)
    const bot = await agent({ model, tools: [t], maxSteps: 1000, maxToolCalls: 1000 })
    expect((await bot.run("go")).steps).toBe(steps + 1)
    expect(encoded).toHaveLength(steps + 1)
    expect(new Set(encoded.slice(1)).size).toBe(1)
  })
  it("does not look at the turns before it", async () => {
    let looks = 0
    const outputs = Array.from({ length: steps }, (_, n) =>
      written(`{"name": "t", "parameters": {"n": ${100 + n}}}`, eot),
    )
    const { model } = scripted([...outputs, written("Done.", eot)])
    const watched = {
      role: "user" as const,
      get content() {
        looks++
        return "watched"
      },
    }
    const bot = await agent({ model, tools: [t], maxSteps: 1000, maxToolCalls: 1000 })
    bot.session.append(watched)
    await bot.run("go")
    expect(looks).toBeLessThan(10)
  })
})

describe("a fork", () => {
  it("finds the whole prefix in the cache of an engine that still holds it", async () => {
    const outputs = [1, 2, 3].map((n) => written(`{"name": "t", "parameters": {"n": ${n}}}`, eot))
    const { model, engine } = scripted([...outputs, written("Done.", eot), written("Other.", eot)])
    const store = memoryStore()
    const bot = await agent({ model, tools: [t], store })
    await bot.run("go")
    await bot.close()
    const trace = readTrace((await store.readLog("session-0")) as string)
    const session = forkTrace(trace, model.info.fingerprint, { step: 2 })
    const fork = await agent({ model, tools: [t], session })
    // No new user turn: the fork goes on with what the step was shown.
    const shown = model.promptTokens(session)
    expect([...shown]).toEqual([...(engine.prefixes[2] as Int32Array)])
    const { usage } = await fork.run("another way")
    const common = [...(engine.prefixes[4] as Int32Array)].findIndex((id, at) => id !== engine.prefixes[2]?.[at])
    expect(usage.cached).toBeGreaterThanOrEqual(common === -1 ? shown.length : common)
  })
})
