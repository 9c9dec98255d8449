/**
 * A preference-data pipeline: two models answer each prompt, a third judges, and the pairs go out as JSON lines in the form that
 * TRL's DPOTrainer reads. It can be stopped at any time: what stands in the file is not done again.
 */
import { appendFileSync, existsSync, mkdtempSync, readFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { agent, type LlamaModel, llama } from "chasqui"

const flags = { model: { type: "string" }, judge: { type: "string" }, out: { type: "string" } } as const
const { values } = parseArgs({ options: flags, strict: true })
const out = values.out ?? join(mkdtempSync(join(tmpdir(), "chasqui-preference-")), "pairs.jsonl")
const prompts = ["Who are you?", "What can you do?", "What day is it today?", "Hello!", "Thank you."]

const writer = await llama(values.model)()
const judge = values.judge === undefined ? writer : await llama(values.judge)()
const done = new Set(existsSync(out) ? readFileSync(out, "utf8").trim().split("\n").map(promptOf) : [])
for (const [index, prompt] of prompts.entries()) {
  progress(index)
  if (done.has(prompt)) continue
  const careful = await answer(writer, prompt, { temperature: 0 })
  const daring = await answer(writer, prompt, { temperature: 2, seed: index })
  if (careful === daring) continue
  const [a, b] = await Promise.all([score(judge, prompt, careful), score(judge, prompt, daring)])
  const [chosen, rejected] = a >= b ? [careful, daring] : [daring, careful]
  const say = (content: string) => [{ role: "assistant", content }]
  const pair = { prompt: [{ role: "user", content: prompt }], chosen: say(chosen), rejected: say(rejected) }
  appendFileSync(out, `${JSON.stringify(pair)}\n`)
}
progress(prompts.length)
await writer.close()
if (judge !== writer) await judge.close()

const pairs = readFileSync(out, "utf8").trim().split("\n")
console.log(`\n${pairs.length} pairs in ${out}\n${pairs[0]}`)
if (pairs.length === 0 || !pairs.every((line) => Object.keys(JSON.parse(line)).length === 3)) process.exitCode = 1

async function answer(model: LlamaModel, prompt: string, sampling: { temperature: number; seed?: number }) {
  await using bot = await agent({ model, sampling, maxTokens: 64, system: "You are a helpful assistant." })
  return (await bot.run(prompt)).text
}

/** The judge is a model too: how likely it finds the answer, as mean log-probability per token. */
async function score({ tokenizer, engine }: LlamaModel, prompt: string, text: string): Promise<number> {
  const asked = tokenizer.encodeText(`${prompt}\n\n`)
  const answered = tokenizer.encodeText(text)
  const logprobs = await engine.score([...asked, ...answered])
  return logprobs.slice(asked.length).reduce((sum, value) => sum + value, 0) / Math.max(1, answered.length)
}

function promptOf(line: string): string {
  return line === "" ? "" : JSON.parse(line).prompt[0].content
}

function progress(count: number): void {
  const bar = "█".repeat(count).padEnd(prompts.length, "░")
  process.stderr.write(`\r${bar} ${count}/${prompts.length}`)
}
