#!/usr/bin/env node
import { existsSync } from "node:fs"

const entry = new URL("../dist/command/main.js", import.meta.url)
if (!existsSync(entry)) {
  console.error("chasqui is not built yet. Run `npx -y pnpm@12.21.0 build` in the repository first.")
  process.exit(1)
}
const { main } = await import(entry.href)
process.exitCode = await main(process.argv.slice(2))
