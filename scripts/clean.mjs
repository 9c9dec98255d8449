// Removes what builds have written; installed dependencies stay.
import { rmSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
for (const name of ["core", "tools", "engine-cuda", "engine-remote", "chasqui"]) {
  for (const folder of ["dist", "build", "prebuilt"])
    rmSync(`${root}/packages/${name}/${folder}`, { recursive: true, force: true })
}
rmSync(`${root}/examples/dist`, { recursive: true, force: true })
