// One measurement in a process of its own -> one JSON line.
//
//   node --expose-gc measure.mjs CASE ROUNDS generate|stream MILLISECONDS    the steps
//   node measure.mjs CASE 0 import                                           loading the library
import { existsSync } from "node:fs"
import { pathToFileURL } from "node:url"
import { growth } from "./scenario.mjs"

const [, , name, roundsText, mode, budgetText] = process.argv
const rounds = Number(roundsText)
const budgetMs = Number(budgetText)
const { setup, entry } = await import(`./cases/${name}.mjs`)

// A peer is loaded from its own folder outside the workspace, through a module that stands there.
const hook = new URL(`../tmp/peers/${name}/load.mjs`, import.meta.url)
const { load } = existsSync(hook) ? await import(pathToFileURL(hook.pathname).href) : {}
if (mode === "import") {
  const before = process.cpuUsage()
  const loading = performance.now()
  await (load ?? ((specifier) => import(specifier)))(entry)
  const { user, system } = process.cpuUsage(before)
  const [importCpuMs, importMs] = [(user + system) / 1000, performance.now() - loading].map((ms) =>
    Number(ms.toFixed(1)),
  )
  console.log(JSON.stringify({ case: name, mode, importCpuMs, importMs }))
  process.exit(0)
}
const run = await setup(rounds, mode, load)

// Short runs first, whatever is measured: what a library loads and compiles once is no part of what a step costs or a result keeps.
const warmUp = rounds < 1000 ? run : await setup(10, mode, load)
const start = performance.now()
do await warmUp()
while (performance.now() - start < budgetMs * 0.3)
let result
global.gc()
const heapBefore = process.memoryUsage().heapUsed
const cpuBefore = process.cpuUsage()
const wall = []
const measuring = performance.now()
do {
  const before = performance.now()
  result = await run()
  wall.push(performance.now() - before)
} while (performance.now() - measuring < budgetMs || wall.length < (rounds < 1000 ? 3 : 1))
const cpu = process.cpuUsage(cpuBefore)
global.gc()
const keptBytes = process.memoryUsage().heapUsed - heapBefore
const perStep = (microseconds) => Number((microseconds / (rounds + 1)).toFixed(2))
wall.sort((a, b) => a - b)
console.log(
  JSON.stringify({
    case: name,
    rounds,
    mode,
    runs: wall.length,
    cpuUsPerStep: perStep((cpu.user + cpu.system) / wall.length),
    wallUsPerStep: perStep(wall[wall.length >> 1] * 1000),
    keptKb: result === undefined ? 0 : Math.round(keptBytes / 1024),
    ...(growth() !== undefined && { growth: Number(growth().toFixed(2)) }),
  }),
)
process.exit(0)
