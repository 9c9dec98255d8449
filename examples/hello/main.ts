/** The smallest agent: the embedded model, one question, one answer, no tools. */
import { agent } from "chasqui"

await using bot = await agent({ system: "You are a helpful assistant." })
const answer = await bot.run("Who are you?")
console.log(answer.text)
console.log(`${answer.usage.prompt} tokens read, ${answer.usage.generated} written`)

// The session goes on: only the new turn is computed, the rest is in the cache.
const next = await bot.run("What can you do?")
console.log(next.text)
console.log(`${next.usage.prompt} tokens read, ${next.usage.cached} of them cached`)

if (answer.stopReason !== "end-of-turn" || next.usage.cached < answer.usage.prompt) process.exitCode = 1
