import { argPieces, question, scenario, text, textPieces } from "../scenario.mjs"

export const packages = ["langchain@1.5.14", "@langchain/langgraph@1.7.3", "@langchain/core@1.4.0", "zod@4.6.7"]
export const entry = "langchain"

export async function setup(rounds, mode, load) {
  process.env.LANGSMITH_TRACING = "false"
  const { createAgent, tool } = await load("langchain")
  const { BaseChatModel } = await load("@langchain/core/language_models/chat_models")
  const { AIMessage, AIMessageChunk } = await load("@langchain/core/messages")
  const { ChatGenerationChunk } = await load("@langchain/core/outputs")
  const { z } = await load("zod")
  const run = scenario(rounds)
  let calls = 0
  class Scripted extends BaseChatModel {
    _llmType() {
      return "scripted"
    }
    bindTools(tools) {
      return this.withConfig({ tools })
    }
    async _generate() {
      const call = {
        id: `call_${calls++}`,
        name: "get_weather",
        args: { city: "Paris", unit: "celsius" },
        type: "tool_call",
      }
      const message = run.step() ? new AIMessage({ content: "", tool_calls: [call] }) : new AIMessage(text)
      return { generations: [{ text: "", message }] }
    }
    async *_streamResponseChunks(_, __, manager) {
      const id = `call_${calls++}`
      const pieces = run.step()
        ? argPieces.map((args, index) => ({
            content: "",
            tool_call_chunks: [
              { index: 0, args, type: "tool_call_chunk", ...(index === 0 && { id, name: "get_weather" }) },
            ],
          }))
        : textPieces
      for (const piece of pieces) {
        const delta = typeof piece === "string" ? piece : ""
        const chunk = new ChatGenerationChunk({ text: delta, message: new AIMessageChunk(piece) })
        yield chunk
        await manager?.handleLLMNewToken(delta, undefined, undefined, undefined, undefined, { chunk })
      }
    }
  }
  const get_weather = tool(async () => run.tool(), {
    name: "get_weather",
    description: "weather",
    schema: z.object({ city: z.string(), unit: z.enum(["celsius", "fahrenheit"]) }),
  })
  const agent = createAgent({ model: new Scripted({}), tools: [get_weather] })
  const input = { messages: [{ role: "user", content: question }] }
  const config = { recursionLimit: 4 * rounds + 20 }
  return async () => {
    if (mode === "generate") {
      const result = await agent.invoke(input, config)
      run.check(result.messages.at(-1).content)
      return result
    }
    let answer = ""
    for await (const [message] of await agent.stream(input, { ...config, streamMode: "messages" })) {
      if (message.getType() === "ai" && typeof message.content === "string") answer += message.content
    }
    run.check(answer)
    return answer
  }
}
