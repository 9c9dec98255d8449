/**
 * JSON lines in, JSON lines out: one answer for each line, in order, whatever the line holds. What cannot be answered becomes
 * `{"error": {"code", "message"}}` in its place.
 */
import { createInterface } from "node:readline"
import type { Readable } from "node:stream"
import type { Terminal } from "./terminal.ts"

export async function answerLines(
  input: Readable,
  { out }: Terminal,
  answer: (request: unknown) => unknown | Promise<unknown>,
): Promise<void> {
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.trim() === "") continue
    out(`${JSON.stringify(await answerLine(line, answer))}\n`)
  }
}

async function answerLine(line: string, answer: (request: unknown) => unknown | Promise<unknown>): Promise<unknown> {
  let request: unknown
  try {
    request = JSON.parse(line)
  } catch (thrown) {
    return errorAnswer("bad-json", `The line is not JSON: ${(thrown as Error).message}`)
  }
  try {
    return await answer(request)
  } catch (thrown) {
    const { reason, message } = thrown as { reason?: unknown; message?: unknown }
    return errorAnswer(typeof reason === "string" ? reason : "failed", String(message ?? thrown))
  }
}

function errorAnswer(code: string, message: string) {
  return { error: { code, message } }
}
