// What a library adds to each step of an agent: CPU time per step at 1 to 1000 rounds, beside three peers, in one run.
//
//   pnpm bench:overhead [--json] [--quick] [--passes N] [--only CASE,CASE]
//
// Peers are installed under bench/tmp/peers with npm, outside the workspace. Each configuration is a process of its own; the
// passes are interleaved, and the median over them is what counts. Results are added to bench/results/overhead.csv.
import { execFileSync, spawnSync } from "node:child_process"
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { cpus, loadavg } from "node:os"
import { fileURLToPath } from "node:url"

const here = fileURLToPath(new URL(".", import.meta.url))
const peers = fileURLToPath(new URL("../tmp/peers/", import.meta.url))
const option = (name) => process.argv.includes(`--${name}`)
const given = (name) => process.argv[process.argv.indexOf(`--${name}`) + 1]
const cases = option("only") ? given("only").split(",") : ["bare", "chasqui", "ai", "openai-agents", "langchain"]
const sizes = option("quick") ? [1, 100] : [1, 10, 100, 1000]
const passes = option("passes") ? Number(given("passes")) : option("quick") ? 1 : 3
const budgetMs = option("quick") ? 500 : 2500

for (const name of cases) await install(name)
const rows = []
for (let pass = 0; pass < passes; pass++) {
  for (const name of cases) if (name !== "bare") for (let i = 0; i < 3; i++) rows.push(...measure(name, 0, "import"))
  for (const rounds of sizes) {
    for (const name of cases) {
      for (const mode of ["generate", "stream"]) rows.push(...measure(name, rounds, mode))
    }
  }
}
const results = medians(rows)
if (option("json")) for (const row of results) console.log(JSON.stringify(row))
else table(results)
record(results)

async function install(name) {
  const { packages } = await import(`./cases/${name}.mjs`)
  if (packages === undefined) return
  const folder = `${peers}${name}`
  const manifest = JSON.stringify({ private: true, type: "module", description: packages.join(" ") })
  if (existsSync(`${folder}/package.json`) && readFileSync(`${folder}/installed`, "utf8") === packages.join(" ")) return
  mkdirSync(folder, { recursive: true })
  writeFileSync(`${folder}/package.json`, manifest)
  writeFileSync(`${folder}/load.mjs`, "export const load = (name) => import(name)\n")
  console.error(`installing ${packages.join(" ")}`)
  execFileSync("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error", ...packages], {
    cwd: folder,
    stdio: ["ignore", "ignore", "inherit"],
  })
  writeFileSync(`${folder}/installed`, packages.join(" "))
}

function measure(name, rounds, mode) {
  const run = spawnSync(process.execPath, ["--expose-gc", `${here}measure.mjs`, name, rounds, mode, budgetMs], {
    encoding: "utf8",
    timeout: 300_000,
  })
  if (run.status !== 0) {
    console.error(`${name} ${mode} ${rounds}: ${run.stderr.trim().split("\n").at(-1)}`)
    return []
  }
  return [JSON.parse(run.stdout)]
}

function medians(measured) {
  const groups = Map.groupBy(measured, ({ case: name, rounds, mode }) => `${name} ${rounds ?? ""} ${mode}`)
  const median = (values) => values.sort((a, b) => a - b)[values.length >> 1]
  return [...groups.values()].map((group) => ({
    ...group[0],
    passes: group.length,
    ...Object.fromEntries(
      ["cpuUsPerStep", "wallUsPerStep", "keptKb", "growth", "importCpuMs"]
        .filter((figure) => group[0][figure] !== undefined)
        .map((figure) => [figure, median(group.map((row) => row[figure]))]),
    ),
  }))
}

function table(rows) {
  console.log(`CPU µs per step (median of ${passes} passes); in brackets how many times chasqui's\n`)
  for (const mode of ["generate", "stream"]) {
    console.log(
      `| ${mode} | ${sizes.map((rounds) => `${rounds} rounds`).join(" | ")} | step 1000 to step 10 | kept by the result, MB |`,
    )
    console.log(`|---|${sizes.map(() => "---:").join("|")}|---:|---:|`)
    for (const name of cases) {
      const at = (rounds, of = name) =>
        rows.find((row) => row.case === of && row.mode === mode && row.rounds === rounds)
      const cells = sizes.map((rounds) => {
        const row = at(rounds)
        const own = at(rounds, "chasqui")
        if (row === undefined) return "failed"
        const ratio = own && name !== "chasqui" ? ` (${(row.cpuUsPerStep / own.cpuUsPerStep).toFixed(1)}x)` : ""
        return `${row.cpuUsPerStep.toFixed(1)}${ratio}`
      })
      const { keptKb: kept, growth } = at(sizes.at(-1)) ?? {}
      const times = growth === undefined ? "" : `${growth.toFixed(2)}x`
      console.log(
        `| ${name} | ${cells.join(" | ")} | ${times} | ${kept === undefined ? "" : (kept / 1024).toFixed(2)} |`,
      )
    }
    console.log("")
  }
  console.log("| | import, CPU ms |\n|---|---:|")
  for (const { case: name, mode, importCpuMs } of rows)
    if (mode === "import") console.log(`| ${name} | ${importCpuMs.toFixed(0)} |`)
  console.log("")
  console.log(`${cpus().length} × ${cpus()[0].model}, Node ${process.versions.node}, load ${loadavg()[0].toFixed(1)}`)
}

function record(rows) {
  const file = fileURLToPath(new URL("../results/overhead.csv", import.meta.url))
  const header =
    "date,commit,machine,load,case,mode,rounds,cpu_us_per_step,wall_us_per_step,kept_kb,growth,import_cpu_ms\n"
  if (!existsSync(file)) writeFileSync(file, header)
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: here, encoding: "utf8" }).trim()
  const date = new Date().toISOString().slice(0, 10)
  const machine = `${cpus().length}x ${cpus()[0].model}`
  const load = loadavg()[0].toFixed(1)
  for (const { case: name, mode, rounds, cpuUsPerStep, wallUsPerStep, keptKb, growth, importCpuMs } of rows) {
    const figures = [rounds, cpuUsPerStep, wallUsPerStep, keptKb, growth, importCpuMs]
    appendFileSync(file, `${[date, commit, machine, load, name, mode, ...figures].join(",")}\n`)
  }
}
