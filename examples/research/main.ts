/**
 * A research agent: it searches, reads, computes, and cites. Each question is a sub-agent's task of its own; the sources are taken
 * from the search results that it really read, not from what the model says about them.
 */
import { type AgentOptions, agent, braveSearch, codeInterpreter, sampleDocuments } from "chasqui"
import { modelFromFlags } from "../from-flags.ts"

const questions = [
  "What is the difference between the heights of Mount Everest and Mount Fuji?",
  "How tall is Mount Fuji?",
  "What is the capital of Peru?",
]

interface Finding {
  readonly question: string
  readonly answer: string
  readonly sources: readonly string[]
}

async function research(question: string, options: AgentOptions): Promise<Finding> {
  await using bot = await agent({ ...options, sessionId: `research-${questions.indexOf(question)}` })
  const sources = new Set<string>()
  const stream = bot.stream(question)
  for await (const event of stream) {
    if (event.type !== "tool-result" || event.name !== "brave_search" || event.isError) continue
    const { top_k } = event.output as { top_k: readonly { title: string; url: string }[] }
    for (const { title, url } of top_k) sources.add(`${title} <${url}>`)
  }
  return { question, answer: (await stream.result).text, sources: [...sources] }
}

// One model for all of them: it is loaded once, and its cache is shared.
const load = modelFromFlags()
const model = typeof load === "function" ? await load() : load
const options: AgentOptions = {
  model,
  system: "You are a helpful assistant.",
  tools: [braveSearch({ documents: sampleDocuments }), codeInterpreter()],
  maxSteps: 8,
}
const findings: Finding[] = []
for (const question of questions) findings.push(await research(question, { ...options, tools: freshTools() }))
await model.close()

for (const { question, answer, sources } of findings) {
  console.log(`## ${question}\n\n${answer}\n`)
  for (const [index, source] of sources.entries()) console.log(`[${index + 1}] ${source}`)
  console.log()
}
const complete = findings.every(({ answer, sources }) => answer !== "" && sources.length > 0)
if (!complete || !findings[0]?.answer.includes("5073")) process.exitCode = 1

/** An agent closes its tools with itself, so each gets its own. */
function freshTools() {
  return [braveSearch({ documents: sampleDocuments }), codeInterpreter()]
}
