/** How much memory a jailed process may hold, and how much it does. */
import { readFileSync } from "node:fs"

/** The most memory that a process may hold, in MiB: for itself, and for each interpreter that lives in it. It is killed beyond. */
export interface ResidentLimit {
  readonly processMb: number
  readonly interpreterMb: number
}

export const residentLimitBytes = ({ processMb, interpreterMb }: ResidentLimit, interpreters: number): number =>
  (processMb + interpreters * interpreterMb) * 1024 * 1024

const pageBytes = 4096

/** Of a process and its only child, as Linux tells it; undefined on other systems and for a process that is gone. */
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
