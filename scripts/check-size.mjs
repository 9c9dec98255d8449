// Fails for a source file of more than 400 lines that gives no reason. The reason stands in its first lines,
// as a comment with the words "long because". Functions of TypeScript are measured by Biome.
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const mostLines = 400
const root = fileURLToPath(new URL("..", import.meta.url))
const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], { cwd: root, encoding: "utf8" })
  .split("\n")
  .filter((name) => /\.(ts|mts|mjs|cc|cpp|h|cu|cuh|py)$/.test(name) && existsSync(`${root}/${name}`))

let failed = 0
for (const name of files) {
  const lines = readFileSync(`${root}/${name}`, "utf8").split("\n")
  const count = lines.length - 1
  if (count <= mostLines) continue
  if (lines.slice(0, 20).join("\n").toLowerCase().includes("long because")) continue
  console.error(
    `${name}: ${count} lines, at most ${mostLines}. Split it by idea, or say at its top why not ("long because …").`,
  )
  failed++
}
if (failed > 0) process.exit(1)
console.log(`size: ${files.length} files within ${mostLines} lines, or with a reason`)
