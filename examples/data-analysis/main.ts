/**
 * A data agent: a CSV file goes into the sandbox, the model computes with it in Python, and a table and an SVG chart come out. The
 * tiny model cannot write the chart's program, so there the host runs one of its own in the same sandbox.
 *
 *   node examples/data-analysis/main.ts [--model DIR | --server URL --model NAME] [--out DIR]
 */
import { mkdtempSync } from "node:fs"
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { type Artifact, agent, codeInterpreter, pythonSandbox } from "chasqui"
import { isTiny, modelFlags, openModel } from "../from-flags.ts"

const { values } = parseArgs({ options: { ...modelFlags, out: { type: "string" } } })
const out = values.out ?? mkdtempSync(join(tmpdir(), "chasqui-data-"))
const csv = await readFile(new URL("rainfall.csv", import.meta.url), "utf8")
const rows = csv
  .trim()
  .split("\n")
  .slice(1)
  .map((line) => line.split(",") as [string, string])

const session = "rainfall"
const model = await openModel(values.model, values.server)
await using sandbox = pythonSandbox()
await sandbox.put(session, "rainfall.csv", Buffer.from(csv))
const files: Artifact[] = []
await using bot = await agent({
  model,
  system: "You are a helpful assistant.",
  tools: [codeInterpreter({ sandbox, onArtifacts: ({ artifacts }) => files.push(...artifacts) })],
  sessionId: session,
})

for (const [month, millimetres] of rows)
  console.log(`${month}  ${millimetres.padStart(3)} mm  ${"▇".repeat(Number(millimetres) / 3)}`)
console.log()
const data = isTiny(model) ? rows.map(([, value]) => value).join(", ") : "the column mm of rainfall.csv"
const answers: string[] = []
for (const what of ["average", "median", "sum"]) {
  const { text } = await bot.run(`What is the ${what} of ${data}?`)
  answers.push(text)
  console.log(`${what.padEnd(8)} ${text}`)
}
if (isTiny(model))
  files.push(
    ...(await sandbox.run(await readFile(new URL("chart.py", import.meta.url), "utf8"), { session })).artifacts,
  )
else await bot.run("Draw the rainfall by month as a bar chart: write SVG text with Python to the file rainfall.svg.")

const svg = files.findLast(({ path }) => path === "rainfall.svg")
if (svg !== undefined) {
  await mkdir(out, { recursive: true })
  await writeFile(join(out, "rainfall.svg"), svg.bytes)
}
console.log(svg ? `chart    ${join(out, "rainfall.svg")}, ${svg.bytes.length} bytes` : "no chart was drawn")
await model.close()

const sum = rows.reduce((total, [, value]) => total + Number(value), 0)
if (svg === undefined || !answers.at(-1)?.includes(String(sum))) process.exitCode = 1
