/** The resident memory of a process and of its only child, as Linux tells it; undefined on other systems and for a process that is gone. */
import { readFileSync } from "node:fs"

const pageBytes = 4096

export function residentBytes(pid: number): number | undefined {
  try {
    // Within namespaces the program is the child of the tool that made them.
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(/\s+/).filter(Boolean)
    return [String(pid), ...children].reduce((sum, each) => sum + residentPages(each) * pageBytes, 0)
  } catch {
    return undefined
  }
}

function residentPages(pid: string): number {
  return Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1])
}
