import { readFileSync } from "node:fs"
import { defineTool, type JsonObject, type JsonValue, type Tool } from "@chasqui/core"
import { braveSearch, codeInterpreter, pythonSandbox, sampleDocuments } from "@chasqui/tools"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { agent } from "../src/agent.ts"
import { llama } from "../src/llama.ts"

interface Episode {
  readonly id: string
  readonly kind: string
  readonly question: string
  readonly system: string
  readonly date: string
  readonly default?: boolean
  readonly builtinTools?: readonly string[]
  readonly documents?: Readonly<Record<string, string>>
  readonly tools?: readonly JsonObject[]
  readonly toolsIn?: "user" | "system"
  readonly expectCalls: readonly { readonly name: string; readonly arguments?: JsonObject }[]
  readonly expectAnswer: readonly string[]
  readonly steps: readonly { readonly call: { readonly name: string }; readonly result: JsonValue }[]
}

const file = new URL("../../tiny-llama/test/episodes.json", import.meta.url)
const all: readonly Episode[] = JSON.parse(readFileSync(file, "utf8"))
// wolfram_alpha is offered in some and called in none of these.
const episodes = all.filter(({ builtinTools = [] }) => !builtinTools.includes("wolfram_alpha"))

const sandbox = pythonSandbox()
let model: Awaited<ReturnType<ReturnType<typeof llama>>>
beforeAll(async () => {
  model = await llama()()
})
afterAll(async () => {
  await model.close()
  await sandbox.close()
})

describe("the tiny model, free-running through engine, loop and real tools", () => {
  it.each(episodes)("$id: $question", async (episode) => {
    await using bot = await agent({
      model,
      tools: toolsOf(episode),
      system: episode.system,
      prompt: { date: episode.date, toolsInUserMessage: episode.toolsIn !== "system" },
      sessionId: episode.id,
      maxSteps: 8,
    })
    const calls: { name: string; arguments: JsonObject }[] = []
    const stream = bot.stream(episode.question)
    for await (const event of stream) {
      if (event.type === "tool-call-end") calls.push({ name: event.call.name, arguments: event.call.input })
    }
    const result = await stream.result
    expect(calls).toMatchObject(episode.expectCalls)
    for (const part of episode.expectAnswer) expect(result.text).toContain(part)
    expect(result.stopReason).toBe("end-of-turn")
  })
})

function toolsOf({ builtinTools = [], documents, tools = [], steps }: Episode): readonly Tool[] {
  const builtins: Tool[] = builtinTools.map((name) =>
    name === "brave_search" ? braveSearch({ documents: documents ?? sampleDocuments }) : codeInterpreter({ sandbox }),
  )
  const results = new Map<string, JsonValue[]>()
  for (const { call, result } of steps) results.set(call.name, [...(results.get(call.name) ?? []), result])
  const custom = tools.map((schema) => {
    const { name, description, parameters } = (schema.function ?? schema) as {
      name: string
      description: string
      parameters: { type: "object" }
    }
    return defineTool(name, {
      description,
      input: parameters,
      execute: () => results.get(name)?.shift() ?? { error: "no result" },
    }) as Tool
  })
  return [...builtins, ...custom]
}
