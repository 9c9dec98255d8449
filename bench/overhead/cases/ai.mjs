import { argPieces, args, question, scenario, text, textPieces } from "../scenario.mjs"

export const packages = ["ai@7.0.173", "zod@4.6.7"]
export const entry = "ai"

export async function setup(rounds, mode, load) {
  const { ToolLoopAgent, tool, isLoopFinished } = await load("ai")
  const { z } = await load("zod")
  const run = scenario(rounds)
  const usage = {
    inputTokens: { total: 10, noCache: 10, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: 20, text: 20, reasoning: undefined },
  }
  const finish = (unified) => ({ type: "finish", finishReason: { unified, raw: undefined }, usage })
  let calls = 0
  const model = {
    specificationVersion: "v4",
    provider: "mock",
    modelId: "mock",
    supportedUrls: {},
    async doGenerate() {
      const called = run.step()
      const content = called
        ? [{ type: "tool-call", toolCallId: `call_${calls++}`, toolName: "get_weather", input: args }]
        : [{ type: "text", text }]
      return { content, finishReason: { unified: called ? "tool-calls" : "stop", raw: undefined }, usage, warnings: [] }
    },
    async doStream() {
      const id = `call_${calls++}`
      const body = run.step()
        ? [
            { type: "tool-input-start", id, toolName: "get_weather" },
            ...argPieces.map((delta) => ({ type: "tool-input-delta", id, delta })),
            { type: "tool-input-end", id },
            { type: "tool-call", toolCallId: id, toolName: "get_weather", input: args },
            finish("tool-calls"),
          ]
        : [
            { type: "text-start", id: "t" },
            ...textPieces.map((delta) => ({ type: "text-delta", id: "t", delta })),
            { type: "text-end", id: "t" },
            finish("stop"),
          ]
      return {
        stream: new ReadableStream({
          start(controller) {
            for (const part of [{ type: "stream-start", warnings: [] }, ...body]) controller.enqueue(part)
            controller.close()
          },
        }),
      }
    },
  }
  const get_weather = tool({
    description: "weather",
    inputSchema: z.object({ city: z.string(), unit: z.enum(["celsius", "fahrenheit"]) }),
    execute: async () => run.tool(),
  })
  const agent = new ToolLoopAgent({ model, stopWhen: isLoopFinished(), tools: { get_weather } })
  return async () => {
    if (mode === "generate") {
      const result = await agent.generate({ prompt: question })
      run.check(result.text)
      return result
    }
    const result = await agent.stream({ prompt: question })
    let answer = ""
    for await (const part of result.fullStream) if (part.type === "text-delta") answer += part.text
    run.check(answer)
    return result
  }
}
