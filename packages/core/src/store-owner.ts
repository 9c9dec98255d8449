/**
 * A process as the owner of a lock: its id, and when it started. Ids are given again, in a container that starts anew even at once;
 * id and start together are not. Where the start cannot be read, the id alone decides.
 */
import { readFileSync } from "node:fs"

export function thisProcess(): string {
  return `${process.pid} ${startOf(process.pid) ?? "unknown"}`
}

/** Whether the process that wrote this is still there. */
export function isAlive(owner: string): boolean {
  const [id = "", start] = owner.split(" ")
  const pid = Number(id)
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "EPERM") return false
  }
  const now = startOf(pid)
  return now === undefined || start === undefined || start === "unknown" || start === now
}

/** Clock ticks from the start of the machine to that of the process; undefined where the system does not tell. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    // The second field is the program's name in brackets, and may hold anything; the start is the 22nd.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]
  } catch {
    return undefined
  }
}
