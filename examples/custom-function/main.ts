/** A function of your own: its schema types `execute`, checks what the model sends, and is what the model is shown. */
import { agent, defineTool } from "chasqui"
import { z } from "zod"

const conditions = defineTool("get_current_conditions", {
  description: "Get the current weather conditions for a specific location",
  input: z.object({
    location: z.string().describe("The city and state, e.g., San Francisco, CA"),
    unit: z
      .enum(["Celsius", "Fahrenheit"])
      .describe("The temperature unit to use. Infer this from the user's location."),
  }),
  execute: async ({ location, unit }) => {
    const celsius = location.startsWith("Menlo Park") ? 24 : 15
    const degrees = unit === "Celsius" ? celsius : Math.round(celsius * 1.8 + 32)
    return { output: `Clouds giving way to sun Hi: ${degrees}°` }
  },
})

await using bot = await agent({ system: "You are a helpful assistant.", tools: [conditions] })
const calls: unknown[] = []
const stream = bot.stream("What is the weather like in Menlo Park?")
for await (const event of stream) {
  if (event.type === "tool-call-end") calls.push(event.call.input)
}
const { text } = await stream.result
console.log(calls, text)

if (!text.includes("75") || calls.length !== 1) process.exitCode = 1
