import { argPieces, args, question, scenario, text, textPieces } from "../scenario.mjs"

export const packages = ["@openai/agents@0.20.0", "zod@4.6.7"]
export const entry = "@openai/agents"

export async function setup(rounds, mode, load) {
  const { Agent, Runner, tool, Usage, setTracingDisabled } = await load("@openai/agents")
  const { z } = await load("zod")
  setTracingDisabled(true)
  const run = scenario(rounds)
  let calls = 0
  const counts = { requests: 1, inputTokens: 10, outputTokens: 20, totalTokens: 30 }
  const output = () => {
    const id = calls++
    return run.step()
      ? [
          {
            type: "function_call",
            id: `fc_${id}`,
            callId: `call_${id}`,
            name: "get_weather",
            status: "completed",
            arguments: args,
          },
        ]
      : [{ type: "message", id: "m", role: "assistant", status: "completed", content: [{ type: "output_text", text }] }]
  }
  const model = {
    async getResponse() {
      return { usage: new Usage(counts), output: output(), responseId: `r${calls}` }
    },
    async *getStreamedResponse() {
      const items = output()
      yield { type: "response_started" }
      if (items[0].type === "message") for (const delta of textPieces) yield { type: "output_text_delta", delta }
      else {
        for (const delta of argPieces) {
          yield { type: "model", event: { type: "response.function_call_arguments.delta", delta } }
        }
      }
      yield { type: "response_done", response: { id: `r${calls}`, usage: counts, output: items } }
    },
  }
  const get_weather = tool({
    name: "get_weather",
    description: "weather",
    parameters: z.object({ city: z.string(), unit: z.enum(["celsius", "fahrenheit"]) }),
    execute: async () => run.tool(),
  })
  const agent = new Agent({ name: "w", instructions: "be brief", model, tools: [get_weather] })
  const runner = new Runner({ modelProvider: { getModel: () => model }, tracingDisabled: true })
  const options = { maxTurns: rounds + 2 }
  return async () => {
    if (mode === "generate") {
      const result = await runner.run(agent, question, options)
      run.check(result.finalOutput)
      return result
    }
    const result = await runner.run(agent, question, { ...options, stream: true })
    let answer = ""
    for await (const event of result) {
      if (event.type === "raw_model_stream_event" && event.data.type === "output_text_delta") answer += event.data.delta
    }
    await result.completed
    run.check(answer)
    return result
  }
}
