// One measurement in a process of its own: node --expose-gc measure.mjs CASE ROUNDS generate|stream MILLISECONDS -> one JSON line.
import { existsSync } from "node:fs"
import { pathToFileURL } from "node:url"

const [, , name, roundsText, mode, budgetText] = process.argv
const rounds = Number(roundsText)
const budgetMs = Number(budgetText)
const { setup } = await import(`./cases/${name}.mjs`)

// A peer is loaded from its own folder outside the workspace, through a module that stands there.
const hook = new URL(`../tmp/peers/${name}/load.mjs`, import.meta.url)
const { load } = existsSync(hook) ? await import(pathToFileURL(hook.pathname).href) : {}
const run = await setup(rounds, mode, load)

const start = performance.now()
// Long runs warm themselves up.
if (rounds < 1000)
  do await run()
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
  }),
)
process.exit(0)
