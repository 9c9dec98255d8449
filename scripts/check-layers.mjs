// Fails when an import points against the data flow: between packages, between files of core, or into a package's inside.
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, normalize, relative, sep } from "node:path"
import { fileURLToPath } from "node:url"
import { coreFiles, forbiddenPairs, packages } from "./layers.mjs"

const root = fileURLToPath(new URL("..", import.meta.url))
const problems = []

for (const name of ["core", "tools", "engine-cuda", "engine-remote", "chasqui"]) {
  const folder = join(root, "packages", name, "src")
  for (const file of sources(folder)) {
    for (const target of imports(file)) checkImport(name, folder, file, target)
  }
}
for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exit(1)
console.log("layers: every import follows the data flow")

function checkImport(from, folder, file, target) {
  const where = relative(root, file)
  const to = packageOf(target)
  if (to !== undefined) {
    const wrong =
      packages.indexOf(to) > packages.indexOf(from) || forbiddenPairs.some(([a, b]) => a === from && b === to)
    if (wrong) problems.push(`${where}: package ${from} must not import ${target}`)
    return
  }
  if (from !== "core" || !target.startsWith(".")) return
  const here = place(relative(folder, file))
  const there = place(relative(folder, normalize(join(dirname(file), target))))
  if (here === -1) problems.push(`${where}: not in the order of scripts/layers.mjs`)
  else if (there === -1) problems.push(`${where}: imports ${target}, which is not in the order of scripts/layers.mjs`)
  else if (there > here) problems.push(`${where}: imports ${target}, which stands to its right in the data flow`)
}

// A file `name-part.ts` stands where `name.ts` stands, unless it has a place of its own.
function place(path) {
  const name = path.replace(/\.ts$/, "").split(sep).join("/")
  if (name.startsWith("syntax/")) return coreFiles.indexOf("syntax/")
  for (let part = name; part !== ""; part = part.includes("-") ? part.slice(0, part.lastIndexOf("-")) : "") {
    const index = coreFiles.indexOf(part)
    if (index !== -1) return index
  }
  return -1
}

function packageOf(target) {
  const scoped = /^@chasqui\/([\w-]+)/.exec(target)
  if (scoped) return scoped[1]
  return /^chasqui(\/|$)/.test(target) ? "chasqui" : undefined
}

function sources(folder) {
  try {
    return readdirSync(folder, { recursive: true })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => join(folder, name))
  } catch {
    return []
  }
}

function imports(file) {
  const text = readFileSync(file, "utf8")
  return [...text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map((match) => match[1])
}
