/**
 * A preference-data pipeline: two models answer each prompt, a third judges, and the pairs go out as JSON lines in the form that
 * TRL's DPOTrainer reads (pairs.jsonl). It can be stopped at any time, also by a kill: the next run goes on where it was.
 *
 *   node examples/preference-data/main.ts [--model A] [--rival B] [--judge C] [--server URL] [--prompts FILE] [--out DIR]
 *
 * Models are checkpoint folders, or names at the server. Without a rival the same model answers again, sampled hotly.
 */
import { mkdtempSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { agent, folderStore, type Model } from "chasqui"
import { modelFlags, openModel } from "../from-flags.ts"
import { better } from "./judge.ts"

const text = { type: "string" } as const
const { values } = parseArgs({ options: { ...modelFlags, rival: text, judge: text, prompts: text, out: text } })
const samples = ["Who are you?", "What can you do?", "What day is it today?", "Hello!", "Thank you."]
const prompts = values.prompts ? (await readFile(values.prompts, "utf8")).split("\n").filter(Boolean) : samples
const out = values.out ?? mkdtempSync(join(tmpdir(), "chasqui-preference-"))

const opened = new Map<string | undefined, Promise<Model>>()
const open = (name: string | undefined): Promise<Model> => {
  opened.set(name, opened.get(name) ?? openModel(name, values.server))
  return opened.get(name) as Promise<Model>
}
const [writer, rival, judge] = (await Promise.all(
  [values.model, values.rival ?? values.model, values.judge ?? values.model].map(open),
)) as [Model, Model, Model]

// A store's logs survive a kill up to the last full line: what was done, and the pairs that came of it.
const store = await folderStore(out)
await using _lock = await store.lock("pairs")
await using pairs = await store.log("pairs")
await using done = await store.log("done")
const lines = async (name: string) =>
  ((await store.readLog(name)) ?? "")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line))
const finished = new Set([...(await lines("done")), ...(await lines("pairs")).map(({ prompt }) => prompt[0].content)])

for (const [index, prompt] of prompts.entries()) {
  progress(index)
  if (finished.has(prompt)) continue
  const [first, second] = await Promise.all([
    answer(writer, prompt, { temperature: 0 }),
    answer(rival, prompt, values.rival ? { temperature: 0 } : { temperature: 1.9, seed: index }),
  ])
  if (first !== second) {
    const [chosen, rejected] =
      (await better(judge, prompt, first, second)) === first ? [first, second] : [second, first]
    const said = (role: string, content: string) => [{ role, content }]
    const pair = {
      prompt: said("user", prompt),
      chosen: said("assistant", chosen),
      rejected: said("assistant", rejected),
    }
    pairs.append(`${JSON.stringify(pair)}\n`)
  }
  done.append(`${JSON.stringify(prompt)}\n`)
}
progress(prompts.length)
for (const model of opened.values()) await (await model).close()

const all = await lines("pairs")
console.log(`\n${all.length} pairs of ${prompts.length} prompts in ${join(out, "pairs.jsonl")}`)
const [{ prompt, chosen, rejected } = { prompt: [], chosen: [], rejected: [] }] = all
for (const [turn] of [prompt, chosen, rejected]) console.log(`  ${JSON.stringify(turn?.content ?? "").slice(0, 100)}`)
if (all.length === 0 || !all.every((pair) => Object.keys(pair).join() === "prompt,chosen,rejected"))
  process.exitCode = 1

async function answer(model: Model, prompt: string, sampling: { temperature: number; seed?: number }): Promise<string> {
  await using bot = await agent({ model, sampling, maxTokens: 256, system: "You are a helpful assistant." })
  return (await bot.run(prompt)).text
}

function progress(count: number): void {
  if (!process.stderr.isTTY && count < prompts.length) return
  const filled = Math.round((30 * count) / prompts.length)
  process.stderr.write(`\r${"█".repeat(filled).padEnd(30, "░")} ${count}/${prompts.length}`)
}
