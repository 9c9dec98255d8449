/**
 * A research agent: it searches, reads, computes, and cites. The sources are taken from what it really read, not from what the
 * model says about them.
 *
 *   node examples/research/main.ts [--model DIR | --server URL --model NAME] [--documents DIR] [QUESTION...]
 */
import { readFile } from "node:fs/promises"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { agent, braveSearch, codeInterpreter, defineTool, sampleDocuments, ToolFailed } from "chasqui"
import { z } from "zod"
import { isTiny, modelFlags, openModel } from "../from-flags.ts"

const options = { ...modelFlags, documents: { type: "string" } } as const
const { values, positionals } = parseArgs({ options, allowPositionals: true })
const documents = values.documents ?? fileURLToPath(sampleDocuments)
const samples = [
  "What is the difference between the heights of Mount Everest and Mount Fuji?",
  "How tall is Mount Fuji?",
  "What is the capital of Peru?",
]
const questions = positionals.length > 0 ? positionals : samples

const readDocument = defineTool("read_document", {
  description: "Reads a document that a search found",
  input: z.object({ url: z.string().describe("The url of the search result") }),
  readOnly: true,
  execute: ({ url }) =>
    readFile(join(documents, basename(url)), "utf8").catch(() => {
      throw new ToolFailed(`There is no document ${url}.`)
    }),
})

/** Every source once, numbered in the order in which it was read. */
const sources: string[] = []
function cite(source: string): string {
  if (!sources.includes(source)) sources.push(source)
  return `[${sources.indexOf(source) + 1}]`
}

const model = await openModel(values.model, values.server)
let complete = true
for (const [index, question] of questions.entries()) {
  console.log(`\n## ${question}\n`)
  // An agent of its own for each question: nothing of one answer leaks into the next. They share the model and its cache.
  await using bot = await agent({
    model,
    system: "You are a helpful assistant.",
    tools: [braveSearch({ documents }), codeInterpreter(), ...(isTiny(model) ? [] : [readDocument])],
    maxSteps: 12,
    sessionId: `research-${index}`,
  })
  const cited = new Set<string>()
  const stream = bot.stream(question)
  for await (const event of stream) {
    if (event.type === "tool-call-end") console.log(`  ${event.call.name} ${JSON.stringify(event.call.input)}`)
    if (event.type !== "tool-result" || event.name !== "brave_search" || event.isError) continue
    const { top_k } = event.output as { top_k: readonly { title: string; url: string }[] }
    for (const { title, url } of top_k) cited.add(cite(`${title}, ${url}`))
  }
  const { text, stopReason } = await stream.result
  console.log(`\n${text} ${[...cited].join("")}${stopReason === "end-of-turn" ? "" : ` (stopped: ${stopReason})`}`)
  complete &&= text !== "" && cited.size > 0 && (question !== samples[0] || text.includes("5073"))
}
await model.close()
console.log(`\n## Sources\n\n${sources.map((source, index) => `[${index + 1}] ${source}`).join("\n")}`)
// On documents or models of one's own there is no telling what a complete answer is.
if (!complete && isTiny(model) && positionals.length === 0) process.exitCode = 1
