// Puts the native modules that this machine has built where the published package carries them: prebuilt/<platform>/. The
// folders of other platforms are left alone, so a release gathers them one machine after the other and packs once.
import { copyFileSync, existsSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const folder = fileURLToPath(new URL("..", import.meta.url))
const target = join(folder, "prebuilt", `${process.platform}-${process.arch}`)
const built = [
  ["build/native/chasqui.node", "chasqui.node"],
  ["build/cuda/chasqui.node", "chasqui-cuda.node"],
].filter(([from]) => existsSync(join(folder, from)))

if (built.length === 0) {
  console.error("There is no native module to pack: run `pnpm build` at the root of the repository first.")
  process.exit(1)
}
mkdirSync(target, { recursive: true })
for (const [from, to] of built) copyFileSync(join(folder, from), join(target, to))
console.error(`packed for ${process.platform}-${process.arch}: ${built.map(([, to]) => to).join(", ")}`)
