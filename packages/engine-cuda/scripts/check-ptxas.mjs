// Registers, shared memory and spills of every kernel against the committed budget (kernels/budget.json).
//
//   node scripts/check-ptxas.mjs             reads what a CUDA build kept beside its objects (build/cuda), or compiles
//   node scripts/check-ptxas.mjs --compile   compiles the kernels for each chip itself
//   node scripts/check-ptxas.mjs --write     writes the budget anew from the same: look at the difference before you commit it
import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { cpus, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const chips = ["80", "89", "90a"]
const kernels = fileURLToPath(new URL("../native/src/backend/cuda/kernels/", import.meta.url))
const budgetFile = join(kernels, "budget.json")
const write = process.argv.includes("--write")

// "Compiling entry function 'NAME' for 'sm_90a'", then spills, then registers.
function parse(text, found) {
  let entry = ""
  let chip = ""
  for (const line of text.split("\n")) {
    const compiling = /Compiling entry function '([^']+)' for 'sm_([0-9a]+)'/.exec(line)
    if (compiling) [, entry, chip] = compiling
    const spills = /(\d+) bytes spill stores, (\d+) bytes spill loads/.exec(line)
    if (spills && entry)
      at(found, entry)[chip] = { ...at(found, entry)[chip], spills: Number(spills[1]) + Number(spills[2]) }
    const used = /Used (\d+) registers/.exec(line)
    if (!used || !entry) continue
    const shared = /(\d+) bytes smem/.exec(line)
    at(found, entry)[chip] = {
      ...at(found, entry)[chip],
      registers: Number(used[1]),
      shared: shared ? Number(shared[1]) : 0,
    }
  }
}

function at(found, entry) {
  found[entry] ??= {}
  return found[entry]
}

// Names without what changes from build to build.
function readable(found) {
  const names = Object.keys(found)
  const plain = execFileSync("c++filt", names, { encoding: "utf8" }).trim().split("\n")
  return Object.fromEntries(
    names
      .map((name, index) => [
        plain[index]
          .replaceAll("(anonymous namespace)::", "")
          .replaceAll(/_GLOBAL__N__[0-9a-z_]+::/g, "")
          .replaceAll("chasqui::cuda::", "")
          .replaceAll("(KvKind)0", "bf16")
          .replaceAll("(KvKind)1", "fp8")
          .replace(/^void /, "")
          .replace(/\(.*\)$/, ""),
        found[name],
      ])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )
}

// With room for the next compiler's mood: registers to eights, spills to 64 bytes.
function rounded(byChip) {
  return Object.fromEntries(
    Object.entries(byChip).map(([chip, used]) => [
      chip,
      { registers: Math.ceil(used.registers / 8) * 8, shared: used.shared, spills: Math.ceil(used.spills / 64) * 64 },
    ]),
  )
}

function compileAll() {
  const found = {}
  const folder = mkdtempSync(join(tmpdir(), "ptxas-"))
  const units = readdirSync(kernels).filter((name) => name.endsWith(".cu"))
  for (const unit of units) {
    const targets = chips.map((chip) => `-gencode=arch=compute_${chip},code=sm_${chip}`)
    const made = spawnSync(
      "nvcc",
      [
        "-std=c++20",
        "-O3",
        `--threads=${Math.min(2, cpus().length)}`,
        ...targets,
        "-Xptxas",
        "-v",
        "-c",
        join(kernels, unit),
        "-o",
        join(folder, "unit.o"),
      ],
      { encoding: "utf8" },
    )
    if (made.status !== 0) throw new Error(`nvcc failed for ${unit}:\n${made.stderr ?? made.error}`)
    parse(made.stderr + made.stdout, found)
  }
  rmSync(folder, { recursive: true })
  return found
}

// What keep-ptxas.sh left in a build folder.
function readBuild() {
  const found = {}
  const build = fileURLToPath(new URL("../build/cuda/", import.meta.url))
  let names = []
  try {
    names = readdirSync(build, { recursive: true }).filter(
      (name) => name.endsWith(".ptxas") && name.includes("kernels"),
    )
  } catch {}
  for (const name of names) parse(readFileSync(join(build, name), "utf8"), found)
  return found
}

function compare(measured, budget) {
  const complaints = []
  for (const [kernel, chipsOfKernel] of Object.entries(measured)) {
    for (const [chip, used] of Object.entries(chipsOfKernel)) {
      const allowed = budget[kernel]?.[chip]
      if (!allowed) {
        complaints.push(`${kernel} for sm_${chip} is not in the budget`)
        continue
      }
      for (const what of ["registers", "shared", "spills"]) {
        if (used[what] > allowed[what])
          complaints.push(`${kernel} for sm_${chip}: ${used[what]} ${what}, at most ${allowed[what]}`)
      }
    }
  }
  for (const kernel of Object.keys(budget)) {
    if (!(kernel in measured)) complaints.push(`${kernel} is in the budget and was not compiled`)
  }
  return complaints
}

function main() {
  let raw = process.argv.includes("--compile") ? {} : readBuild()
  if (Object.keys(raw).length === 0) raw = compileAll()
  const measured = readable(raw)
  if (write) {
    const lines = Object.entries(measured).map(
      ([kernel, byChip]) => `  ${JSON.stringify(kernel)}: ${JSON.stringify(rounded(byChip))}`,
    )
    writeFileSync(budgetFile, `{\n${lines.join(",\n")}\n}\n`)
    console.log(`ptxas: wrote the budget of ${lines.length} kernels`)
    return
  }
  const complaints = compare(measured, JSON.parse(readFileSync(budgetFile, "utf8")))
  for (const complaint of complaints) console.error(complaint)
  if (complaints.length > 0) {
    console.error("Make the kernel fit, or measure again with --write and say in the commit why it may take more.")
    process.exit(1)
  }
  console.log(`ptxas: ${Object.keys(measured).length} kernels within their budget`)
}

main()
