/** The tools that Llama 3.1 was trained on: it looks two facts up, then computes with them in sandboxed Python. */
import { agent, braveSearch, codeInterpreter, sampleDocuments } from "chasqui"

await using bot = await agent({
  system: "You are a helpful assistant.",
  // Without `documents` this asks the Brave Search API with the key in BRAVE_API_KEY.
  tools: [braveSearch({ documents: sampleDocuments }), codeInterpreter()],
  maxSteps: 8,
})

const stream = bot.stream("What is the difference between the heights of Mount Everest and Mount Fuji?")
for await (const event of stream) {
  if (event.type === "tool-call-end") console.log("→", event.call.name, event.call.input)
  if (event.type === "tool-result") console.log("←", event.output)
  if (event.type === "text-delta") process.stdout.write(event.delta)
}
const { text, usage } = await stream.result
console.log(`\n${usage.generated} tokens written, ${usage.cached} of ${usage.prompt} read from the cache`)

if (!text.includes("5073")) process.exitCode = 1
