/**
 * Times the Python sandbox: first result of a process, new interpreters, calls, output, and memory per interpreter. Prints one line per
 * figure, or with --json one JSON object. CPU milliseconds are those of the sandbox process (Linux), and steadier than wall time.
 * With --save a row goes to bench/results/sandbox.csv.
 *   pnpm bench:sandbox [--json] [--save] [--runs N]
 */
import { execFileSync } from "node:child_process"
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs"
import { cpus, loadavg } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { pythonSandbox } from "../packages/tools/dist/python/sandbox.js"

const { values } = parseArgs({
  options: { json: { type: "boolean" }, save: { type: "boolean" }, runs: { type: "string", default: "20" } },
})
const runs = Number(values.runs)
const figures = {}

/** The processes below this one, the sandbox's helper tools included. */
function descendants(pid = process.pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(/\s+/).filter(Boolean)
  return children.flatMap((child) => [child, ...descendants(child)])
}
const linux = process.platform === "linux"
const ticksMs = 10 // USER_HZ is 100 on every Linux
const cpuMs = () =>
  descendants().reduce((sum, pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ")
    return sum + (Number(fields[11]) + Number(fields[12])) * ticksMs
  }, 0)
const residentMb = () =>
  descendants().reduce(
    (sum, pid) => sum + (Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]) * 4096) / 2 ** 20,
    0,
  )

const percentile = (list, p) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * p))]
const round = (value, digits = 1) => Number(value.toFixed(digits))
async function timed(work) {
  const started = performance.now()
  await work()
  return performance.now() - started
}

// The snapshot is made first, so that what follows is the usual case.
{
  await using sandbox = pythonSandbox({ spares: 0 })
  await sandbox.run("1")
  figures.walls = sandbox.walls
}

const firstResults = []
for (let i = 0; i < Math.min(5, runs); i++) {
  await using sandbox = pythonSandbox({ spares: 0 })
  firstResults.push(await timed(() => sandbox.run("1 + 1")))
}
figures.firstResultMs = round(percentile(firstResults, 0.5))

{
  await using sandbox = pythonSandbox({ spares: 0, maxSandboxes: 2 })
  await sandbox.run("1", { session: "warm" })
  const wall = []
  const before = linux ? cpuMs() : 0
  for (let i = 0; i < runs; i++) {
    wall.push(await timed(() => sandbox.run("1", { session: `new-${i}` })))
    sandbox.endSession(`new-${i}`)
  }
  figures.newSandboxMs = round(percentile(wall, 0.5))
  if (linux) figures.newSandboxCpuMs = round((cpuMs() - before) / runs)
}

{
  await using sandbox = pythonSandbox({ spares: 0 })
  for (let i = 0; i < 200; i++) await sandbox.run("1 + 1")
  const calls = []
  for (let i = 0; i < 50 * runs; i++) calls.push(await timed(() => sandbox.run("1 + 1")))
  figures.callP50Ms = round(percentile(calls, 0.5), 2)
  figures.callP99Ms = round(percentile(calls, 0.99), 2)
  figures.print60KbMs = round(await timed(() => sandbox.run("print('x' * 60_000)")), 2)
  const work = "sum(i for i in range(200_000) if all(i % d for d in range(2, int(i ** 0.5) + 1)))"
  figures.primesMs = round(await timed(() => sandbox.run(work)))
}

if (linux) {
  await using sandbox = pythonSandbox({ spares: 0, maxSandboxes: 16 })
  await sandbox.run("1", { session: "first" })
  figures.processMb = round(residentMb())
  const sessions = 6
  for (let i = 0; i < sessions; i++) await sandbox.run("print(1)", { session: `live-${i}` })
  figures.perLiveSandboxMb = round((residentMb() - figures.processMb) / sessions)
}

const names = {
  walls: "walls around the process",
  firstResultMs: "process start to first result, median, ms",
  newSandboxMs: "new interpreter to first result, median, ms",
  newSandboxCpuMs: "new interpreter, CPU ms",
  callP50Ms: "call `1 + 1`, median, ms",
  callP99Ms: "call `1 + 1`, 99th percentile, ms",
  print60KbMs: "60 KB of output, ms",
  primesMs: "primes below 200,000 by trial division, ms",
  processMb: "process with one interpreter, resident MB",
  perLiveSandboxMb: "each further live interpreter, resident MB",
}
if (values.save) save()
if (values.json) console.log(JSON.stringify(figures))
else for (const [key, value] of Object.entries(figures)) console.log(`${names[key].padEnd(48)} ${value}`)

function save() {
  const file = fileURLToPath(new URL("results/sandbox.csv", import.meta.url))
  const columns = Object.keys(names)
  if (!existsSync(file)) writeFileSync(file, `${["date", "commit", "machine", "load", "runs", ...columns].join(",")}\n`)
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim()
  const where = [new Date().toISOString().slice(0, 10), commit, `${cpus().length}x ${cpus()[0].model}`]
  const row = [...where, loadavg()[0].toFixed(1), runs, ...columns.map((column) => figures[column])]
  appendFileSync(file, `${row.join(",")}\n`)
}
