import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { agent } from "../src/agent.ts"
import type { Engine, Generation } from "../src/engine.ts"
import { EngineError } from "../src/error.ts"
import type { ToolResult } from "../src/event.ts"
import type { Guard } from "../src/guard.ts"
import { llamaModel } from "../src/llama-model.ts"
import type { PromptPart } from "../src/prompt-part.ts"
import { scriptedEngine } from "../src/testing.ts"
import { loadTokenizer } from "../src/tokenizer.ts"
import { defineTool } from "../src/tool.ts"

const file = new URL("../../tiny-llama/checkpoint/tokenizer.json", import.meta.url)
const tokenizer = loadTokenizer(JSON.parse(readFileSync(file, "utf8")))
const tokensOf = (...parts: readonly PromptPart[]): number[] => [...tokenizer.encode(parts)]
const eot: PromptPart = { special: "<|eot_id|>" }
const eom: PromptPart = { special: "<|eom_id|>" }
const tag: PromptPart = { special: "<|python_tag|>" }
const text = (content: string): PromptPart => ({ text: content })

/** An engine that gives one token at a time, with a turn of the event loop between them, and notes each. */
function slowEngine(output: readonly number[], log: string[]): Engine {
  const stopTokens = ["<|eot_id|>", "<|eom_id|>"].map((name) => tokenizer.specialId(name))
  const engine = scriptedEngine({
    info: { vocabularySize: tokenizer.vocabularySize, stopTokens },
    outputs: [output, tokensOf(text("Done."), eot)],
  })
  const slowed = (generation: Generation): Generation => ({
    end: generation.end,
    cancel: () => generation.cancel(),
    async *[Symbol.asyncIterator]() {
      for await (const batch of generation) {
        await new Promise((resolve) => setImmediate(resolve))
        log.push("token")
        yield batch
      }
    },
  })
  return { ...engine, generate: (prefix, options) => slowed(engine.generate(prefix, options)) }
}

async function logOf(
  output: readonly number[],
  more: { guard?: Guard; abortAfter?: AbortController; readOnly?: boolean } = {},
) {
  const log: string[] = []
  const results: ToolResult[] = []
  const tool = <Name extends string>(
    name: Name,
    options: { builtin?: boolean; sequential?: boolean; readOnly?: boolean },
  ) =>
    defineTool(name, {
      description: name,
      input: { type: "object" },
      readOnly: true,
      ...options,
      execute: async (_, { signal }) => {
        log.push(name)
        signal.addEventListener("abort", () => log.push(`${name} is told`))
        if (more.abortAfter) await new Promise(() => more.abortAfter?.abort())
        await new Promise((resolve) => setImmediate(resolve))
        log.push(`${name} ends`)
        return 1
      },
    })
  const engine = slowEngine(output, log)
  const bot = await agent({
    model: llamaModel({ name: "slow", tokenizer, engine }),
    tools: [
      tool("weather", { readOnly: more.readOnly ?? true }),
      tool("brave_search", { builtin: true }),
      tool("code_interpreter", { builtin: true }),
      tool("write", { sequential: true, readOnly: false }),
    ],
    ...(more.guard && { guards: { output: [more.guard] } }),
  })
  const stream = bot.stream("go", more.abortAfter ? { signal: more.abortAfter.signal } : {})
  for await (const event of stream) if (event.type === "tool-result") results.push(event)
  return { log, results, result: await stream.result, bot }
}

const call = '{"name": "weather", "parameters": {"city": "Oslo"}}'
const tail = text(" ".repeat(40))
const forms: readonly (readonly [string, readonly PromptPart[]])[] = [
  ["JSON at the beginning", [text(call), tail, eot]],
  ["JSON behind the tag", [tag, text(call), tail, eom]],
  ["a function tag", [text('<function=weather>{"city": "Oslo"}</function>'), tail, eot]],
  ["the first of a pythonic list", [text('[weather(city="Oslo"), weather(city="Lima")]'), eot]],
]

describe("a read-only tool", () => {
  it.each(forms)("starts as soon as its call can no longer change: %s", async (_, parts) => {
    const { log, result } = await logOf(tokensOf(...parts))
    expect(result.stopReason).toBe("end-of-turn")
    expect(log.lastIndexOf("token", log.indexOf("weather"))).toBeGreaterThan(-1)
    expect(log.slice(log.indexOf("weather")).filter((entry) => entry === "token").length).toBeGreaterThan(1)
  })
  it("waits for the end where more text would make Python of its call", async () => {
    const output = tokensOf(tag, text('brave_search.call(query="Oslo")'), eom)
    const { log } = await logOf(output)
    expect(log.slice(0, output.length)).toEqual(output.map(() => "token"))
    expect(log[output.length]).toBe("brave_search")
  })
  it("never starts before an output guard has released the turn", async () => {
    const log: string[] = []
    const guard: Guard = {
      async check() {
        log.push("guard")
        await new Promise((resolve) => setImmediate(resolve))
        return { allowed: false, categories: [], reason: "no" }
      },
    }
    const { log: ran, result } = await logOf(tokensOf(text(call), tail, eot), { guard })
    expect(log).toEqual(["guard"])
    expect(ran.filter((entry) => entry !== "token")).toEqual([])
    expect(result.stopReason).toBe("guard")
  })
  it("waits behind a sequential tool, which ends first", async () => {
    const { log } = await logOf(tokensOf(text(`{"name": "write", "parameters": {}}; ${call}`), tail, eot))
    expect(log.filter((entry) => entry !== "token")).toEqual(["write", "write ends", "weather", "weather ends"])
  })
  it("is told and answered as not run when the answer is cut off", async () => {
    const { log, results, result } = await logOf(tokensOf(text(call), tail))
    expect(log).toContain("weather")
    expect(result.stopReason).toBe("max-tokens")
    expect(results).toMatchObject([{ callId: "call-0", failure: "not-run" }])
  })
  it("is told when the run is aborted while the model writes, even if it never ends", async () => {
    const controller = new AbortController()
    const { log, result, bot } = await logOf(tokensOf(text(call), text(" ".repeat(400)), eot), {
      abortAfter: controller,
    })
    expect(log).toContain("weather is told")
    expect(result.stopReason).toBe("aborted")
    expect(bot.session.turns.at(-1)).toMatchObject({ role: "ipython", callId: "call-0", isError: true })
    expect(result.usage.generated).toBe(
      bot.session.turns.flatMap((turn) => ("tokens" in turn ? turn.tokens : [])).length,
    )
  })
  it("is told when the engine fails while the model writes", async () => {
    const log: string[] = []
    const tool = defineTool("weather", {
      description: "weather",
      input: { type: "object" },
      readOnly: true,
      execute: (_, { signal }) =>
        new Promise<null>(() => {
          log.push("weather")
          signal.addEventListener("abort", () => log.push("told"))
        }),
    })
    const error = new EngineError({ reason: "device-lost", detail: "The device is gone.", fix: "Load it again." })
    const engine = slowEngine(tokensOf(text(call), tail, eot), log)
    const dying: Engine = {
      ...engine,
      generate: (prefix, options) => {
        const generation = engine.generate(prefix, options)
        return {
          end: generation.end,
          cancel: () => generation.cancel(),
          async *[Symbol.asyncIterator]() {
            for await (const batch of generation) {
              yield batch
              if (log.includes("weather")) throw error
            }
          },
        }
      },
    }
    const bot = await agent({ model: llamaModel({ name: "dying", tokenizer, engine: dying }), tools: [tool] })
    await expect(bot.run("go")).rejects.toBe(error)
    expect(log.at(-1)).toBe("told")
  })
  it("is one that the host marked: others wait for the end of the turn", async () => {
    const output = tokensOf(text(call), tail, eot)
    const { log } = await logOf(output, { readOnly: false })
    expect(log.slice(0, output.length)).toEqual(output.map(() => "token"))
  })
})
