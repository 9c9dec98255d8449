/** A server for the Model Context Protocol in one line: any tools, over standard input and output. */
import { defineTool, mcpServeStdio } from "chasqui"

const conditions = defineTool("get_current_conditions", {
  description: "Get the current weather conditions for a specific location",
  readOnly: true,
  input: {
    type: "object",
    properties: {
      location: { type: "string", description: "The city and state, e.g., San Francisco, CA" },
      unit: { enum: ["Celsius", "Fahrenheit"], description: "The temperature unit to use" },
    },
    required: ["location", "unit"],
    additionalProperties: false,
  },
  execute: ({ unit }) => ({ output: `Clouds giving way to sun Hi: ${unit === "Celsius" ? "24" : "75"}°` }),
})

await mcpServeStdio([conditions], { name: "weather" })
