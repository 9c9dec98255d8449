/** What happened inside the tools of a server, for tests that look from outside: lines of the file that MCP_TEST_LOG names. */
import { appendFileSync, existsSync, readFileSync } from "node:fs"
import { setTimeout as pause } from "node:timers/promises"

export function note(happening: "started" | "cancelled"): void {
  const file = process.env.MCP_TEST_LOG
  if (file !== undefined) appendFileSync(file, `${happening}\n`)
}

/** Waits until so many lines stand in the file. */
export async function happenings(file: string, count: number): Promise<readonly string[]> {
  for (;;) {
    const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : []
    if (lines.length >= count) return lines
    await pause(20)
  }
}
