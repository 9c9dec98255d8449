import { argPieces, args, question, scenario, text, textPieces } from "../scenario.mjs"

export const entry = "chasqui"

export async function setup(rounds, mode) {
  const { agent, defineTool } = await import("@chasqui/core")
  const run = scenario(rounds)
  const tool = defineTool("get_weather", {
    description: "weather",
    input: {
      type: "object",
      properties: { city: { type: "string" }, unit: { enum: ["celsius", "fahrenheit"] } },
      required: ["city", "unit"],
    },
    execute: async () => run.tool(),
  })
  const model = {
    info: { name: "scripted", contextLength: 1e9, fingerprint: "scripted" },
    generate,
    close: async () => {},
  }
  function generate(_, { firstCall }) {
    const calls = run.step()
      ? [{ id: `call-${firstCall}`, name: "get_weather", input: JSON.parse(args), syntax: "json-call" }]
      : []
    const turn = { role: "assistant", content: calls.length > 0 ? "" : text, toolCalls: calls, end: "eot" }
    const usage = { prompt: 10, cached: 0, generated: 20, forced: 0, discarded: 0 }
    return {
      end: Promise.resolve({ turn, usage, reason: "stop-token", invalidCalls: [], complete: true }),
      cancel() {},
      async *[Symbol.asyncIterator]() {
        if (calls.length === 0) {
          yield [{ type: "text-start" }]
          for (const delta of textPieces) yield [{ type: "text-delta", delta }]
          yield [{ type: "text-end" }]
          return
        }
        const { id, name, syntax } = calls[0]
        yield [{ type: "tool-call-start", id, name, syntax }]
        for (const delta of argPieces) yield [{ type: "tool-call-delta", id, delta }]
        yield [{ type: "tool-call-end", call: calls[0] }]
      },
    }
  }
  return async () => {
    const unlimited = Number.POSITIVE_INFINITY
    const limits = { maxSteps: unlimited, maxToolCalls: unlimited, maxRepeats: unlimited }
    const bot = await agent({ model, tools: [tool], ...limits })
    if (mode === "generate") {
      const result = await bot.run(question)
      run.check(result.text)
      return { result, session: bot.session }
    }
    const stream = bot.stream(question)
    let answer = ""
    for await (const event of stream) if (event.type === "text-delta") answer += event.delta
    run.check(answer)
    return { result: await stream.result, session: bot.session }
  }
}
