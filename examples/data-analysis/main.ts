/**
 * A data agent: a CSV file goes into the sandbox, the model computes with its numbers in Python, and a table and an SVG chart come
 * out. What the tiny model cannot write, the chart, is a program of the host's own in the same sandbox, beside the model's.
 */
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { agent, codeInterpreter, pythonSandbox } from "chasqui"
import { modelFromFlags } from "../from-flags.ts"

const csv = await readFile(new URL("rainfall.csv", import.meta.url))
const rows = csv
  .toString("utf8")
  .trim()
  .split("\n")
  .slice(1)
  .map((line) => line.split(","))
const millimetres = rows.map(([, value]) => Number(value))

await using sandbox = pythonSandbox()
await using bot = await agent({
  model: modelFromFlags(),
  system: "You are a helpful assistant.",
  tools: [codeInterpreter({ sandbox })],
  sessionId: "rainfall",
})
const question = (what: string) => `What is the ${what} of ${millimetres.join(", ")}?`
const table: (readonly [string, string])[] = []
for (const what of ["average", "median", "sum"]) {
  const { text } = await bot.run(question(what))
  table.push([what, text])
}
for (const [what, text] of table) console.log(`${what.padEnd(8)} ${text}`)

await sandbox.put("rainfall", "rainfall.csv", csv)
const chart = await sandbox.run(
  `
import csv
rows = list(csv.DictReader(open("rainfall.csv")))
top = max(float(row["mm"]) for row in rows)
bars = "".join(
    f'<rect x="{10 + 30 * i}" y="{110 - 100 * float(row["mm"]) / top:.1f}" width="22" height="{100 * float(row["mm"]) / top:.1f}"/>'
    f'<text x="{21 + 30 * i}" y="124" font-size="9" text-anchor="middle">{row["month"]}</text>'
    for i, row in enumerate(rows))
open("rainfall.svg", "w").write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {20 + 30 * len(rows)} 130" fill="steelblue">{bars}</svg>')
`,
  { session: "rainfall" },
)
const svg = chart.artifacts.find(({ path }) => path === "rainfall.svg")
const { out } = parseArgs({ options: { out: { type: "string" } }, strict: false }).values
if (svg && typeof out === "string") await writeFile(join(out, "rainfall.svg"), svg.bytes)
console.log(svg ? `chart    ${svg.type}, ${svg.bytes.length} bytes` : `no chart: ${chart.error?.message}`)

const sum = millimetres.reduce((total, value) => total + value, 0)
if (svg === undefined || !table.at(-1)?.[1].includes(String(sum))) process.exitCode = 1
