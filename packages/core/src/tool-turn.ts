/** The turns that a loop writes itself: results of calls, and the request to answer again. */
import type { ToolResult } from "./event.ts"
import type { Transcript } from "./transcript.ts"
import type { IpythonTurn, UserTurn } from "./turn.ts"

export function resultTurn({ callId, name, output, isError }: ToolResult): IpythonTurn {
  return { role: "ipython", content: output, callId, toolName: name, ...(isError && { isError }) }
}

/** Asks for another final answer, saying what was wrong with the last one. */
export function askAgain(problem: string): UserTurn {
  return { role: "user", content: `That answer does not fit: ${problem} Answer again, with JSON only.` }
}

/**
 * Calls that still wait for approval when the user says something else get a result too: the one they had, or that nothing was
 * run. So every call of a transcript has its result before the next user turn.
 */
export function closeOpenCalls(transcript: Transcript): void {
  const last = transcript.turns.at(-1)
  if (last?.role !== "assistant") return
  const { openResults } = transcript
  const made = [...last.toolCalls, ...(last.unreadCalls ?? [])].map(({ id, name }) => ({ id, name: name ?? "unknown" }))
  for (const { id, name } of made.sort((a, b) => callNumber(a.id) - callNumber(b.id))) {
    const result = openResults.find(({ callId }) => callId === id)
    const content = { error: "The call was not approved. Nothing was run." }
    transcript.append(
      result ? resultTurn(result) : { role: "ipython", content, callId: id, toolName: name, isError: true },
    )
  }
}

/** The number in a call's id: calls are numbered in the order in which they were written. */
export function callNumber(id: string): number {
  return Number(id.slice(id.lastIndexOf("-") + 1))
}
